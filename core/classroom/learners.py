"""The learners of a class: who joined under which nickname, and whose browser is whose."""

from __future__ import annotations

import secrets
import time
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel

from core.classroom.nicknames import checked, is_same
from core.classroom.places import CARD, class_of, corners
from core.errors import UserError
from core.files import lock, make_folder, touch, write_atomic
from core.sealed import read_sealed, seal
from core.summary import IMMUTABLE

MOST = 100  # learners of a class
BYTES = 24  # of randomness in the secret of a browser
LONGEST_SECRET = 200
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # of a code: none is taken for another
CODE = 8  # letters: 10^12 codes
CODE_LASTS = 600.0  # seconds


class Learner(BaseModel):
    """A learner's card in their corner. Of the secret that their browser keeps only the hash is stored; `joined` is in
    seconds since 1970. A hand-in has a `proof` (`core.classroom.hand_in`) in place of a secret: no browser opens it.
    With the code whose hash is `code`, another browser gets the corner, until `code_ends` (seconds since 1970)."""

    model_config = IMMUTABLE

    id: str
    nickname: str
    secret: str
    joined: float
    proof: Literal["", "here", "elsewhere", "nobody"] = ""
    code: str = ""
    code_ends: float = 0.0


class Joined(NamedTuple):
    """A new learner, and the secret to give to their browser."""

    learner: Learner
    secret: str


class Class:
    """The learners in a workspace. Read again only when somebody joined."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read = -1
        self._by_secret: dict[str, Learner] = {}

    def join(self, nickname: str) -> Joined:
        """A new learner with a corner of their own; raises UserError as `nicknames.checked`, or `class_full`."""
        folder = make_folder(class_of(self.root))
        with lock(folder / "joining.lock"):
            here = self.learners()
            here = [one for one in here if not one.proof]
            name = checked(nickname, [one.nickname for one in here])
            if len(here) >= MOST:
                fix = "Nothing was made. Ask your teacher."
                raise UserError("class_full", "nickname", f"learner {len(here) + 1}", f"at most {MOST} learners", fix)
            secret = secrets.token_urlsafe(BYTES)
            learner = Learner(id=secrets.token_hex(8), nickname=name, secret=_hashed(secret), joined=time.time())
            make_folder(folder / learner.id)
            self._keep(learner)
        return Joined(learner, secret)

    def code_for(self, learner_id: str) -> str:
        """A code with which a learner who lost their browser gets their corner in another one: once, within
        CODE_LASTS. Raises UserError `unknown_learner`."""
        with lock(make_folder(class_of(self.root)) / "joining.lock"):
            found = next((one for one in self.learners() if one.id == learner_id and not one.proof), None)
            if found is None:
                raise UserError("unknown_learner", "learner", learner_id, "a learner of the class", "Choose one.")
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE))
            self._keep(found.model_copy(update={"code": _hashed(code), "code_ends": time.time() + CODE_LASTS}))
        return code

    def come_back(self, nickname: str, code: str) -> Joined:
        """The learner of that nickname with a new secret; the browser they had before opens nothing any more.

        Raises UserError `wrong_code` where it is not theirs, was used, or is too old.
        """
        given = _hashed("".join(code[:LONGEST_SECRET].lower().split()))
        with lock(make_folder(class_of(self.root)) / "joining.lock"):
            now = time.time()
            named = (one for one in self.learners() if not one.proof and is_same(one.nickname, nickname))
            found = next((one for one in named if one.code and one.code_ends > now), None)
            if found is None or not compare_digest(found.code, given):
                raise UserError("wrong_code", "code", "another code", "the one of that nickname", "Ask your teacher.")
            secret = secrets.token_urlsafe(BYTES)
            found = found.model_copy(update={"secret": _hashed(secret), "code": "", "code_ends": 0.0})
            self._keep(found)
        return Joined(found, secret)

    def _keep(self, learner: Learner) -> None:
        """Writes a card, and marks the class as changed."""
        folder = class_of(self.root)
        write_atomic(folder / learner.id / CARD, seal(learner.model_dump_json().encode()))
        touch(folder)

    def learners(self) -> list[Learner]:
        """Everybody who joined, in the order of joining; a card that is damaged is left out."""
        found = (card(corner) for corner in corners(self.root))
        return sorted((one for one in found if one is not None), key=lambda one: (one.joined, one.id))

    def with_secret(self, secret: str) -> Learner | None:
        """The learner whose browser keeps that secret, found by its hash."""
        if not secret or len(secret) > LONGEST_SECRET:
            return None
        now = _changed(class_of(self.root))
        found = self._by_secret.get(_hashed(secret)) if now == self._read else None
        if found is None and now != self._read:
            self._by_secret, self._read = {one.secret: one for one in self.learners() if one.secret}, now
            found = self._by_secret.get(_hashed(secret))
        return found

    def corner(self, learner: str) -> Path | None:
        """The corner of the learner with that id; None for any other text."""
        return next((path for path in corners(self.root) if path.name == learner), None)


def card(corner: Path) -> Learner | None:
    """The card in a corner; None if it is missing, damaged, or another's."""
    try:
        found = Learner.model_validate_json(read_sealed(corner / CARD))
    except (OSError, ValueError):
        return None
    return found if found.id == corner.name else None


def _hashed(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1
