"""Texts that speak of some layers of a network: `stage1.*, head`, or `stage1.*=0.25, stem=0`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from core.errors import UserError, nearest

FORM = "name=ratio, separated by commas, such as stage1.*=0.25, stem.0=0"


def read_names(text: str) -> tuple[str, ...]:
    """The names or patterns of a list separated by commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def read_ratios(text: str, field: str = "layer_ratios") -> dict[str, float]:
    """Name or pattern → ratio, in the order given; raises UserError `bad_layer_ratio` naming the first bad part."""
    found: dict[str, float] = {}
    for part in read_names(text):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        ratio = _number(number)
        if not name or not equals or ratio is None:
            raise UserError("bad_layer_ratio", field, part, FORM, "Write the layer's name, =, and a number below 1.")
        if name in found:
            raise UserError("bad_layer_ratio", field, part, FORM, f"{name} is named twice: keep one of the two.")
        found[name] = ratio
    return found


def speaks_of(pattern: str, name: str) -> bool:
    """Whether `pattern` means the module `name`, or one that it lies in; * stands for any letters, dots too."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[: end + 1]), pattern) for end in range(len(parts)))


def refuse_unknown(patterns: Iterable[str], names: Iterable[str], field: str, code: str, allowed: str) -> None:
    """Raises UserError for a pattern that speaks of none of `names`."""
    known = [name for name in names if name]
    for pattern in patterns:
        if not any(speaks_of(pattern, name) for name in known):
            raise UserError(code, field, pattern, allowed, nearest(pattern, known))


def _number(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    return ratio if 0 <= ratio < 1 else None
