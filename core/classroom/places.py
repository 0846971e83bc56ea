"""Where a class lies in a workspace: `class/` holds its tokens, its settings, and a folder for each learner.

A learner's corner `class/<id>/` is a workspace of its own, with `learner.json` in it. The runs of all corners are run
by the supervisor of the workspace around them.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "class"
CARD = "learner.json"
ID = re.compile(r"[0-9a-f]{16}")


def class_of(root: Path) -> Path:
    """The folder of the class in the workspace at `root`; it need not exist."""
    return root / FOLDER


def corners(root: Path) -> list[Path]:
    """The corners of all learners, in the order of their ids; links are ignored."""
    try:
        found = sorted(class_of(root).iterdir())
    except OSError:
        return []
    return [path for path in found if not path.is_symlink() and is_corner(path)]


def is_corner(path: Path) -> bool:
    """Whether the workspace at `path` is a learner's corner of another one."""
    return path.parent.name == FOLDER and ID.fullmatch(path.name) is not None and (path / CARD).is_file()


def root_of(path: Path) -> Path:
    """The workspace that serves the one at `path`: the one around a corner, else itself."""
    return path.parent.parent if is_corner(path) else path
