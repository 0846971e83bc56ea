"""A lesson file cut into its header, paragraphs and fenced blocks, each with its line; nothing is understood yet."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import UserErrors
from core.lessons.tables import wrong

LARGEST = 64 * 1024  # bytes
MOST_PIECES = 200
EDGE = "+++"
FENCE = re.compile(r"```\s*([^`]*)")


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
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fix = "Save the file with the encoding UTF-8."
        raise UserErrors([wrong("encoding", line, "bytes that are not UTF-8", "UTF-8 text", fix)]) from None
    for number, row in enumerate(text.split("\n"), 1):
        if any(not c.isprintable() and c not in "\t\u3000\u00a0" for c in row):
            fix = "Remove what cannot be seen on this line."
            raise UserErrors([wrong("encoding", number, "a control character", "printable text", fix)])
    return text


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
            found.append(Piece("", place + 1, "\n".join(lines[place:end])))
            place = end
    return found


def _end(lines: list[str], start: int) -> int:
    for place in range(start + 1, len(lines)):
        if lines[place].rstrip() == "```":
            return place
        if lines[place].startswith("```"):
            break
    raise wrong("block", start + 1, lines[start][:60], "a block that ends with a line ```", "End the block.")


def _end_of_paragraph(lines: list[str], start: int) -> int:
    for place in range(start + 1, len(lines)):
        if not lines[place].strip() or lines[place].startswith(("```", "#")) or lines[start].startswith("#"):
            return place
    return len(lines)
