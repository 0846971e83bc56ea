"""Whether the files of a class are as they were written: its settings, and each learner's corner, named by whose it
is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from core.classroom.hand_in import MANIFEST, PAGE, HandIn
from core.classroom.learners import card
from core.classroom.limits import FILE as SETTINGS
from core.classroom.limits import UPLOADS
from core.classroom.places import CARD, FOLDER, class_of, corners
from core.classroom.tokens import FILE as TOKENS
from core.integrity.damage import Finding
from core.integrity.file_checks import document, hashed, under
from core.storage.sealed import read_sealed
from core.workspace import Workspace

CHOOSE = "Until then the usual limits count. Choose the limits again on the page Class."
SHARE = "Nothing needs to be done: `condenser dashboard --share` writes new ones."
CARD_LOST = "The learner cannot come back to this corner; all runs in it are kept. Have them join again."
COUNTED = "Nothing needs to be done: uploads are counted from 0 again."
COLLECT = "Delete the folder of this corner and collect the hand-in again."


def of_class(root: Path, everything: Callable[[Workspace], Iterable[Finding]]) -> Iterator[Finding]:
    """The files of a class, and what `everything` finds in each learner's corner, which is a workspace too."""
    for name, fix in ((SETTINGS, CHOOSE), (TOKENS, SHARE)):
        if (class_of(root) / name).exists():
            yield from under(FOLDER, [document(class_of(root), name, fix)])
    for corner in corners(root):
        found = [*_of_learner(corner), *everything(Workspace(corner))]
        yield from in_corner(corner, found)


def in_corner(corner: Path, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings in a learner's corner by their path in the workspace around it, with whose it is."""
    learner = card(corner)
    whose = corner.name if learner is None else learner.nickname
    for found in under(f"{FOLDER}/{corner.name}", findings):
        yield replace(found, corner=whose)


def _of_learner(corner: Path) -> Iterator[Finding]:
    """The learner's card, what they uploaded, and what was handed in."""
    yield document(corner, CARD, CARD_LOST)
    if (corner / UPLOADS).exists():
        yield document(corner, UPLOADS, COUNTED)
    if (corner / MANIFEST).exists():
        yield document(corner, MANIFEST, COLLECT)
        for name, digest in _handed(corner / MANIFEST).items():
            if name == PAGE:
                yield hashed(corner, name, digest, COLLECT)


def _handed(manifest: Path) -> dict[str, str]:
    """The hashes of the files that a hand-in lists; none if the list is damaged, which is reported separately."""
    try:
        listed = HandIn.model_validate_json(read_sealed(manifest)).files
    except (OSError, ValueError):
        return {}
    return {name: packed.sha256 for name, packed in listed.items()}
