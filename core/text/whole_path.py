"""A path that a person typed where there is no folder that they work in: on a page, or for a process elsewhere."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError


def whole_path(typed: str, field: str) -> Path:
    """The path, `~` as a shell means it. Raises UserError `part_of_a_path` for one that does not begin at the root,
    which would be sought in the program's own folder."""
    try:
        path = Path(typed.strip()).expanduser()
    except RuntimeError:  # ~ and the name of nobody
        path = Path()
    if not path.is_absolute():
        fix = "Write the whole path, such as /home/me/photos or ~/photos."
        raise UserError("part_of_a_path", field, typed.strip() or "nothing", "a path from the root or from ~", fix)
    return path
