"""A hand-in: what a learner did, as one zip that the teacher's workspace can take.

hand-in.json      who, when, and size and SHA-256 of every other file; sealed, and signed by the server of the class
hand-in.html      the same to read: predictions, answers, results, figures, recipes; it asks for nothing from outside
lessons/*.json    predictions and answers of each lesson, as the learner's corner keeps them
runs/<id>.zip     each run as a parcel (core.run_files.parcel): recipe, log, notes and saved files, each with its hash

What this proves. A file that is not as it was handed in is found by its hash. With the signature of the class's server,
nobody but who has the teacher's workspace can change a number and the hashes with it. Without the signature (a run of
another machine) the hashes only say that the files belong together: whoever writes all of them anew can claim anything.
Measuring a saved file again shows whether it does what its log claims; nothing here shows who trained it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from pydantic import BaseModel, Field

from core.classroom.learners import Learner, card
from core.classroom.nicknames import LONGEST
from core.classroom.places import is_corner, root_of
from core.classroom.seal_key import is_signed, key_name, sign
from core.errors import UserError
from core.files import make_folder, remove_tree, replacing
from core.run_files.bundling import EPOCH
from core.run_files.parcel import Packed, pack
from core.runs import Run
from core.storage.sealed import file_hash, seal
from core.summary import IMMUTABLE

MANIFEST, PAGE = "hand-in.json", "hand-in.html"
FORMAT = 1
MOST_RUNS = 50
LESSON = re.compile(r"lessons/[a-z0-9][a-z0-9_-]{0,79}\.json")
RUN = re.compile(r"runs/([0-9a-f]{13}-[0-9a-f]{6})\.zip")
LESSONS = ("lessons", "kept")  # in a corner: what the page Learn keeps

Proof = Literal["here", "elsewhere", "nobody"]


class HandIn(BaseModel):
    """What a hand-in says of itself; `made` is in seconds since 1970, `key` tells whose signature it bears."""

    model_config = IMMUTABLE

    format: int
    nickname: str = Field(min_length=1, max_length=LONGEST)
    learner: str = Field(max_length=40)
    made: float
    files: dict[str, Packed]
    key: str = ""
    signature: str = ""

    def signed_part(self) -> bytes:
        """What the signature is of: everything else."""
        return self.model_dump_json(exclude={"signature"}).encode()

    def proof(self, root: Path) -> Proof | None:
        """Who signed it, as the workspace at `root` can tell: itself, another, or nobody. None: it was changed after
        this workspace had signed it."""
        if not self.signature:
            return "nobody" if not self.key or self.key != key_name(root) else None
        if self.key != key_name(root):
            return "elsewhere"
        return "here" if is_signed(root, self.signed_part(), self.signature) else None


def lessons_of(corner: Path) -> list[Path]:
    """What was kept of each lesson."""
    return sorted(path for path in corner.joinpath(*LESSONS).glob("*.json") if LESSON.fullmatch(f"lessons/{path.name}"))


def hand_in(corner: Path, runs: Sequence[Run], page: str, path: Path) -> HandIn:
    """Writes the hand-in of a learner's corner at `path`, whole or not at all.

    Raises UserError `nothing_to_hand_in`, `too_many_runs`, `no_corner`, and as `parcel.pack`.
    """
    learner, lessons = card(corner), lessons_of(corner)
    if learner is None:
        raise UserError("no_corner", "learner", corner.name, "a learner's corner", "Join the class first.")
    if not runs and not lessons:
        fix = "Finish a run or make a prediction first."
        raise UserError("nothing_to_hand_in", "runs", "nothing", "at least one run or prediction", fix)
    if len(runs) > MOST_RUNS:
        raise UserError("too_many_runs", "runs", len(runs), f"at most {MOST_RUNS}", "Choose the runs that count.")
    parts = make_folder(path.with_name(f".{path.name}.parts"))
    try:
        files = {f"lessons/{one.name}": one for one in lessons}
        for run in runs:
            files[f"runs/{run.id}.zip"] = parts / f"{run.id}.zip"
            pack(run, parts / f"{run.id}.zip")
        return _write(path, learner, files, page.encode(), root_of(corner))
    finally:
        remove_tree(parts)


def discard(corner: Path) -> None:
    """Deletes a hand-in that was taken; raises UserError `no_hand_in` for any other folder, a learner's own above
    all."""
    found = card(corner)
    if found is None or not found.proof or not is_corner(corner):
        raise UserError("no_hand_in", "corner", corner.name, "a hand-in of this workspace", "Choose one.")
    remove_tree(corner)


def _write(path: Path, learner: Learner, files: dict[str, Path], page: bytes, root: Path) -> HandIn:
    packed = {name: Packed(bytes=one.stat().st_size, sha256=file_hash(one)) for name, one in files.items()}
    packed[PAGE] = Packed(bytes=len(page), sha256=sha256(page).hexdigest())
    sign(root, b"")  # makes the key, so that it has a name
    made = HandIn(
        format=FORMAT, nickname=learner.nickname, learner=learner.id, made=time.time(), files=packed, key=key_name(root)
    )
    made = made.model_copy(update={"signature": sign(root, made.signed_part())})
    with replacing(path, private=False) as temporary, ZipFile(temporary, "x") as target:
        target.writestr(_entry(MANIFEST), seal(made.model_dump_json(indent=1).encode()))
        target.writestr(_entry(PAGE), page)
        for name, one in files.items():
            target.write(one, name, ZIP_STORED if name.endswith(".zip") else ZIP_DEFLATED)
    return made


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, EPOCH)
    entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
    return entry
