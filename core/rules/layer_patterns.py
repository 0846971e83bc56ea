"""Options that select layers of a network by name: `stage1.*, head`, or `stage1.*=0.25, stem=0`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from core.errors import UserError, nearest

FORM = "name=ratio, separated by commas, such as stage1.*=0.25, stem.0=0"


def read_names(text: str) -> tuple[str, ...]:
    """The names or patterns in a comma-separated list."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def read_ratios(text: str, field: str = "layer_ratios") -> dict[str, float]:
    """Ratio by name or pattern, in the order given; raises UserError `bad_layer_ratio` for the first invalid part."""
    found: dict[str, float] = {}
    for part in read_names(text):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        ratio = _number(number)
        if not name or not equals or ratio is None:
            raise UserError("bad_layer_ratio", field, part, FORM, "Write the layer's name, =, and a number below 1.")
        if name in found:
            raise UserError("bad_layer_ratio", field, part, FORM, f"{name} is given twice: keep one of the two.")
        found[name] = ratio
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` matches the module `name` or a module that contains it; * matches any characters, dots too."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[: end + 1]), pattern) for end in range(len(parts)))


def refuse_unknown(patterns: Iterable[str], names: Iterable[str], field: str, code: str, allowed: str) -> None:
    """Raises UserError for a pattern that matches none of `names`."""
    known = [name for name in names if name]
    for pattern in patterns:
        if not any(matches(pattern, name) for name in known):
            raise UserError(code, field, pattern, allowed, nearest(pattern, known))


def _number(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    return ratio if 0 <= ratio < 1 else None
