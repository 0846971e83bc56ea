"""Where in a lesson file something stands: a field of a recipe, a name in a block."""

from __future__ import annotations

import re

from core.lessons.split import Piece

LINE = re.compile(r"recipe line (\d+)")
STEP = re.compile(r"steps\.(\d+)(?:\.(.+))?")
STEPS = re.compile(r"\s*\[\[\s*steps\s*\]\]")


def line_of_field(piece: Piece, field: str) -> int:
    """The line of a recipe's field (`labels`, `steps.1.ratio`, `recipe line 6`); that of the step or the block where
    the field is not written."""
    if (found := LINE.fullmatch(field)) is not None:
        return piece.line + int(found[1]) - 1
    rows = piece.text.split("\n")
    starts = [number for number, row in enumerate(rows) if STEPS.match(row)]
    step = STEP.fullmatch(field)
    if step is None:
        first, last, key = 0, starts[0] if starts else len(rows), field
    elif int(step[1]) < len(starts):
        first = starts[int(step[1])]
        last, key = next((start for start in starts if start > first), len(rows)), step[2] or ""
    else:
        return piece.line
    pattern = re.compile(rf"\s*{re.escape(key)}\s*=")
    return piece.line + next((number for number in range(first, last) if pattern.match(rows[number])), first)


def line_of_text(text: str, line: int, *needles: str) -> int:
    """The first line from `line` on that has one of `needles`, within the same block or paragraph; else `line`."""
    rows = text.split("\n")
    end = "```" if line >= 2 and rows[line - 2].startswith("```") else ""
    for number in range(line - 1, len(rows)):
        if rows[number].rstrip() == end:
            break
        if any(needle in rows[number] for needle in needles):
            return number + 1
    return line
