"""A lesson file cut into its header, paragraphs and fenced blocks, each with its line; nothing is understood yet."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.errors import UserErrors
from core.lessons.tables import wrong

LARGEST = 64 * 1024  # bytes
MOST_PIECES = 200
EDGE = "+++"
FENCE = re.compile(r"```\s*([^`]*)")
FENCE_LIKE = re.compile(r"\s*(?:`{2,}|~{3,}|[‘’‛´]{2,}|'{3,})")
AT_FIRST = "a line that begins with ``` and the kind of the block"
JOINER = "\u200d"  # holds the parts of some emoji together


@dataclass(frozen=True)
class Piece:
    """A paragraph or heading (`kind` empty), or a block of a kind; `line` is that of the first line of its content."""

    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Cut:
    """The header's TOML, which begins at line 2, and what follows it."""

    header: str
    pieces: tuple[Piece, ...]


def decoded(data: bytes) -> str:
    """The text of a file with line feeds alone; raises UserErrors if it is too large, no UTF-8 or has control
    characters."""
    if len(data) > LARGEST:
        given, allowed = f"{len(data):,} bytes", f"at most {LARGEST:,} bytes"
        raise UserErrors([wrong("size", 1, given, allowed, "A lesson has words only; leave out everything else.")])
    try:
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fix = "Save the file with the encoding UTF-8."
        raise UserErrors([wrong("encoding", line, "bytes that are not UTF-8", "UTF-8 text", fix)]) from None
    for number, row in enumerate(text.split("\n"), 1):
        odd = next((c for c in row if not _may_stand(c)), None)
        if odd is not None:
            given = f"the character U+{ord(odd):04X}, which cannot be seen"
            raise UserErrors([wrong("encoding", number, given, "printable text", "Type this line again by hand.")])
    return text


def _may_stand(c: str) -> bool:
    """Whether a character can be seen, is a space, or holds an emoji together."""
    return c.isprintable() or c in ("\t", JOINER) or unicodedata.category(c) == "Zs"


def cut(text: str) -> Cut:
    """The parts of a file; raises UserError on a missing header or a block that does not end."""
    lines = text.split("\n")
    if lines[0].strip() != EDGE:
        raise wrong("header", 1, lines[0][:60], "a line +++", "Begin the file with the header between two lines +++.")
    end = next((n for n in range(1, len(lines)) if lines[n].strip() == EDGE), None)
    if end is None:
        raise wrong("header", 1, "a header that does not end", "a second line +++", "End the header with a line +++.")
    pieces = tuple(_pieces(lines, end + 1))
    if len(pieces) > MOST_PIECES:
        fix = "Make two lessons of it."
        raise wrong("size", pieces[-1].line, len(pieces), f"at most {MOST_PIECES} paragraphs and blocks", fix)
    return Cut("\n".join(lines[1:end]), pieces)


def _pieces(lines: list[str], place: int) -> list[Piece]:
    found: list[Piece] = []
    while place < len(lines):
        row = lines[place]
        fence = FENCE.fullmatch(row.rstrip())
        if fence is not None:
            end = _end(lines, place)
            found.append(Piece(fence[1].strip(), place + 2, "\n".join(lines[place + 1 : end])))
            place = end + 1
        elif not row.strip():
            place += 1
        else:
            end = _end_of_paragraph(lines, place)
            _refuse_half_fences(lines, place, end)
            found.append(Piece("", place + 1, "\n".join(lines[place:end])))
            place = end
    return found


def _end(lines: list[str], start: int) -> int:
    for place in range(start + 1, len(lines)):
        if lines[place].rstrip() == "```":
            return place
        if FENCE_LIKE.match(lines[place]) is not None:
            given = f"{lines[start][:60]} … line {place + 1}: {lines[place][:60]}"
            fix = f"End the block before line {place + 1} with ``` alone, without a space before it."
            raise wrong("block", start + 1, given, "a block that ends with a line ```", fix)
    fix = "End the block with ``` on a line of its own."
    raise wrong("block", start + 1, lines[start][:60], "a block that ends with a line ```", fix)


def _refuse_half_fences(lines: list[str], start: int, end: int) -> None:
    """Raises UserError where a line of a paragraph looks like the beginning of a block: it would be shown as text."""
    for place in range(start, end):
        if FENCE_LIKE.match(lines[place]) is not None:
            fix = "Write three backticks ` as the first characters of the line, then the kind."
            raise wrong("block", place + 1, lines[place][:60], AT_FIRST, fix)


def _end_of_paragraph(lines: list[str], start: int) -> int:
    for place in range(start + 1, len(lines)):
        if not lines[place].strip() or lines[place].startswith(("```", "#")) or lines[start].startswith("#"):
            return place
    return len(lines)
