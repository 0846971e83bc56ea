"""What of the teacher's own a class may use: its datasets and networks are links in each corner, so that there is one
copy of them however many learners use it, and nobody changes them from there.

Only caches of decoded images are written beside a lent dataset; they hold nothing but its content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from core.classroom.limits import limits
from core.classroom.places import corners, is_corner, root_of
from core.errors import UserError
from core.files import link, make_folder, remove_file

KINDS = {
    "datasets": re.compile(r"own-[0-9a-f]{16}"),
    "models": re.compile(r"(own-[0-9a-f]{16})|(added-[0-9a-f]{16}\.json)"),
}


def is_lent(path: Path) -> bool:
    """Whether a dataset or a network in a corner is the teacher's."""
    return path.is_symlink()


def refuse_lent(path: Path, kind: str, name: str) -> None:
    """Raises UserError `lent` for a change to what is the teacher's."""
    if is_lent(path):
        fix = "Use it as it is, or import your own under another name."
        raise UserError("lent", kind, name, f"a {kind} of your own", fix)


def lend_to_all(root: Path) -> None:
    """Makes the links of all corners what the teacher's choice says."""
    for corner in corners(root):
        lend(corner)


def lend(corner: Path) -> None:
    """Makes the links of a corner what the teacher's choice says; does nothing in any other workspace. What a learner
    has under the same name stays: see `shadowed`."""
    if not is_corner(corner):
        return
    root = root_of(corner)
    open_to_all = limits(root).teachers == "read-only"
    for kind in KINDS:
        wanted = set(_own(root, kind)) if open_to_all else set()
        here = corner / kind
        for name in _links(here) - wanted:
            remove_file(here / name)
        for name in wanted:
            if not os.path.lexists(here / name):
                with suppress(FileExistsError):  # another page of the learner's did it
                    link(make_folder(here) / name, f"../../../{kind}/{name}")


def shadowed(corner: Path) -> list[str]:
    """The folders of what the teacher lends and the learner has under the same name, which is used instead."""
    if not is_corner(corner) or limits(root_of(corner)).teachers != "read-only":
        return []
    found = [corner / kind / name for kind in KINDS for name in _own(root_of(corner), kind)]
    return [path.name for path in found if os.path.lexists(path) and not is_lent(path)]


def _own(root: Path, kind: str) -> Iterator[str]:
    """The names of the datasets or networks in a folder of the teacher's."""
    with suppress(OSError):
        yield from (
            entry.name
            for entry in os.scandir(root / kind)
            if KINDS[kind].fullmatch(entry.name) and not entry.is_symlink()
        )


def _links(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_symlink()}
    except OSError:
        return set()
