"""The learners of a class: who joined under which nickname, and whose browser is whose."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel

from core.classroom.nicknames import checked, is_same
from core.classroom.places import CARD, class_of, corners
from core.errors import UserError
from core.files import lock, make_folder, remove_tree, touch, write_atomic
from core.storage.sealed import read_sealed, seal
from core.summary import IMMUTABLE

MOST = 100  # learners of a class
BYTES = 24  # of randomness in the secret of a browser
LONGEST_SECRET = 200
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # of a code: none is taken for another
CODE = 8  # letters: 10^12 codes
CODE_LASTS = 600.0  # seconds


class Learner(BaseModel):
    """A learner's card in their corner. Of the secret that their browser keeps only the hash is stored; `joined` is in
    seconds since 1970. A hand-in has a `proof` (`core.classroom.hand_in`) in place of a secret: no browser opens it;
    `handed_by` is the id of the learner of this class who made it, where its seal shows that.
    With the code whose hash is `code`, another browser gets the corner, until `code_ends` (seconds since 1970).
    A learner who was taken out of the class at `removed` (seconds since 1970) has no browser either; their corner stays
    in the class, or lies `in_trash` until it is deleted."""

    model_config = IMMUTABLE

    id: str
    nickname: str
    secret: str
    joined: float
    proof: Literal["", "here", "elsewhere", "nobody"] = ""
    code: str = ""
    code_ends: float = 0.0
    handed_by: str = ""
    removed: float = 0.0
    in_trash: bool = False

    @property
    def is_there(self) -> bool:
        """Whether it is somebody of the class: no hand-in, and not taken out."""
        return not self.proof and not self.removed


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
        with self._changing():
            here = self.members()
            name = checked(nickname, [one.nickname for one in here])
            _refuse_full(here, "Nothing was made. Ask your teacher.")
            secret = secrets.token_urlsafe(BYTES)
            learner = Learner(id=secrets.token_hex(8), nickname=name, secret=_hashed(secret), joined=time.time())
            make_folder(class_of(self.root) / learner.id)
            self._keep(learner)
        return Joined(learner, secret)

    def code_for(self, learner_id: str) -> str:
        """A code with which a learner who lost their browser gets their corner in another one: once, within
        CODE_LASTS. Raises UserError `unknown_learner`."""
        with self._changing():
            found = self._member(learner_id)
            code = "".join(secrets.choice(LETTERS) for _ in range(CODE))
            self._keep(found.model_copy(update={"code": _hashed(code), "code_ends": time.time() + CODE_LASTS}))
        return code

    def come_back(self, nickname: str, code: str) -> Joined:
        """The learner of that nickname with a new secret; the browser they had before opens nothing any more.

        Raises UserError `wrong_code` where it is not theirs, was used, or is too old.
        """
        given = _hashed("".join(code[:LONGEST_SECRET].lower().split()))
        with self._changing():
            now = time.time()
            named = (one for one in self.members() if is_same(one.nickname, nickname))
            awaited = (one for one in named if one.code and one.code_ends > now)
            found = next((one for one in awaited if compare_digest(one.code, given)), None)
            if found is None:
                raise UserError("wrong_code", "code", "another code", "the one of that nickname", "Ask your teacher.")
            secret = secrets.token_urlsafe(BYTES)
            found = found.model_copy(update={"secret": _hashed(secret), "code": "", "code_ends": 0.0})
            self._keep(found)
        return Joined(found, secret)

    def rename(self, learner_id: str, nickname: str) -> Learner:
        """The learner under another nickname; hand-ins that are surely theirs are renamed with them, and nothing else
        of theirs changes. Raises UserError `unknown_learner`, and as `nicknames.checked`."""
        with self._changing():
            found = self._member(learner_id)
            name = checked(nickname, [one.nickname for one in self.members() if one.id != learner_id])
            for one in (found, *(one for one in self.learners() if one.handed_by == learner_id)):
                self._keep(one.model_copy(update={"nickname": name}))
        return found.model_copy(update={"nickname": name})

    def remove(self, learner_id: str, *, to_trash: bool) -> Learner:
        """Takes a learner out of the class: their browser and a code for them open nothing from now on. Their corner
        stays, or lies in the trash. Raises UserError `unknown_learner`."""
        with self._changing():
            changed = {"removed": time.time(), "in_trash": to_trash, "code": "", "code_ends": 0.0}
            found = self._member(learner_id).model_copy(update=changed)
            self._keep(found)
        return found

    def put_back(self, learner_id: str) -> Learner:
        """Undoes `remove`: their browser opens their corner again. Raises UserError `unknown_learner`, `class_full`, or
        `nickname_taken` where somebody has their nickname meanwhile."""
        with self._changing():
            found = next((one for one in self.removed() if one.id == learner_id), None)
            if found is None:
                raise _unknown(learner_id, "a learner who was taken out of the class")
            here = self.members()
            if any(is_same(found.nickname, one.nickname) for one in here):
                fix = "Nothing was changed. Rename the learner who is called so now, then put this one back."
                raise UserError("nickname_taken", "nickname", found.nickname, "a nickname that is free", fix)
            _refuse_full(here, "Nothing was changed. Take somebody else out first.")
            found = found.model_copy(update={"removed": 0.0, "in_trash": False})
            self._keep(found)
        return found

    def forget_removed(self, before: float) -> None:
        """Deletes the corners in the trash that were taken out before `before` (seconds since 1970)."""
        for one in self.removed():
            if one.in_trash and one.removed < before:
                remove_tree(class_of(self.root) / one.id)

    def _changing(self) -> AbstractContextManager[bool]:
        """One at a time changes who is in the class."""
        return lock(make_folder(class_of(self.root)) / "joining.lock")

    def _member(self, learner_id: str) -> Learner:
        found = next((one for one in self.members() if one.id == learner_id), None)
        if found is None:
            raise _unknown(learner_id, "a learner of the class")
        return found

    def _keep(self, learner: Learner) -> None:
        """Writes a card, and marks the class as changed."""
        folder = class_of(self.root)
        write_atomic(folder / learner.id / CARD, seal(learner.model_dump_json().encode()))
        touch(folder)

    def learners(self) -> list[Learner]:
        """Everybody in the class and all hand-ins, in the order of joining; a card that is damaged is left out."""
        return [one for one in self._cards() if not one.removed]

    def members(self) -> list[Learner]:
        """The learners of the class, without hand-ins."""
        return [one for one in self._cards() if one.is_there]

    def removed(self) -> list[Learner]:
        """Who was taken out of the class and is still kept, in the order of joining."""
        return [one for one in self._cards() if one.removed and not one.proof]

    def _cards(self) -> list[Learner]:
        found = (card(corner) for corner in corners(self.root))
        return sorted((one for one in found if one is not None), key=lambda one: (one.joined, one.id))

    def with_secret(self, secret: str) -> Learner | None:
        """The learner whose browser keeps that secret, found by its hash."""
        if not secret or len(secret) > LONGEST_SECRET:
            return None
        now = _changed(class_of(self.root))
        found = self._by_secret.get(_hashed(secret)) if now == self._read else None
        if found is None and now != self._read:
            self._by_secret, self._read = {one.secret: one for one in self.members() if one.secret}, now
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


def refuse_removed(corner: Path) -> None:
    """Raises UserError `learner_removed` where the corner is of somebody who was taken out of the class."""
    found = card(corner)
    if found is not None and found.removed:
        fix = "Nothing was started. On the page Class, the teacher can put them back."
        raise UserError("learner_removed", "learner", found.nickname, "a learner of the class", fix)


def _refuse_full(here: Sequence[Learner], fix: str) -> None:
    if len(here) >= MOST:
        raise UserError("class_full", "nickname", f"learner {len(here) + 1}", f"at most {MOST} learners", fix)


def _unknown(learner_id: str, allowed: str) -> UserError:
    return UserError("unknown_learner", "learner", learner_id, allowed, "Choose one.")


def _hashed(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1
