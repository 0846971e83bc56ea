"""What of the teacher's own a class may use: its datasets and networks are links in each corner, so that there is one
copy of them however many learners use it, and nobody changes them from there.

Only caches of decoded images are written beside a lent dataset; they hold nothing but its content.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from core.classroom.limits import limits
from core.classroom.places import corners, is_corner, root_of
from core.errors import UserError
from core.files import link, make_folder, remove_file
from core.own.datasets import CARD, all_names

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
    for kind in KINDS:
        here, wanted = corner / kind, {path.name for path in _open_to_all(corner, kind) if not _clashes(path, corner)}
        for name in _links(here) - wanted:
            remove_file(here / name)
        for name in wanted:
            if not os.path.lexists(here / name):
                with suppress(FileExistsError):  # another page of the learner's did it
                    link(make_folder(here) / name, f"../../../{kind}/{name}")


def shadowed(corner: Path) -> list[Path]:
    """What the teacher lends and the learner has under the same name, which is used instead."""
    if not is_corner(corner):
        return []
    return [path for kind in KINDS for path in _open_to_all(corner, kind) if _clashes(path, corner)]


def _open_to_all(corner: Path, kind: str) -> list[Path]:
    """The teacher's own datasets or networks, if they are lent."""
    root = root_of(corner)
    if limits(root).teachers != "read-only":
        return []
    return [path for path in _entries(root / kind) if KINDS[kind].fullmatch(path.name) and not is_lent(path)]


def _clashes(theirs: Path, corner: Path) -> bool:
    """Whether the learner has something of that name; a dataset may have been renamed since it got its folder."""
    kind = theirs.parent.name
    own = [path for path in _entries(corner / kind) if KINDS[kind].fullmatch(path.name) and not is_lent(path)]
    if any(path.name == theirs.name for path in own):
        return True
    return kind == "datasets" and any(_names(path) & _names(theirs) for path in own)


def _names(home: Path) -> frozenset[str]:
    """All names of a dataset, read again only when its card changed."""
    with suppress(OSError):
        return _named(home, (home / CARD).stat().st_mtime_ns)
    return frozenset()


@lru_cache(500)
def _named(home: Path, changed: int) -> frozenset[str]:
    return frozenset(all_names(home))


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(folder)]
    except OSError:
        return []


def _links(folder: Path) -> set[str]:
    return {path.name for path in _entries(folder) if is_lent(path)}
