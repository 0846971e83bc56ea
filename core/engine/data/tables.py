"""A person's table of texts: a CSV file with the columns `text` and `label`, judged line by line."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.engine.data.lettering import plain
from core.engine.data.names import blank
from core.engine.data.signature import HEAD, kind_of
from core.errors import UserError, shorten

MOST_BYTES = 64 * 2**20
MOST_ROWS = 50_000
LONGEST_TEXT = 100_000  # characters of one cell
LONGEST_LABEL = 80
COLUMNS = ("text", "label")
DELIMITERS = (",", ";", "\t")
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
GUESSES = ("utf-8", "gb2312", "cp1252")
FIX = "Write the names of the columns in the first line: text,label."


@dataclass
class Table:
    """Texts and labels by the name of their line; lines that were left out, with the reason; what a person should know
    of the rest."""

    texts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def is_table(path: Path) -> bool:
    """Whether the file's content is text, whatever its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(HEAD)
    marked = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return marked or kind_of(head) == "text"


def read_table(path: Path, encoding: str | None = None) -> Table:
    """The rows of a CSV file; a cell is text whatever it holds, also a formula or a number.

    The delimiter is a comma, semicolon or tab, the encoding what the file's mark says, else UTF-8, GB 2312 or
    Windows-1252, the first that fits. Raises UserError (field `path`) where the whole is refused.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        given, allowed = f"{size / 2**20:.0f} MiB", f"at most {MOST_BYTES // 2**20} MiB of text"
        raise UserError("table_too_large", "path", given, allowed, "Import a part of the rows.")
    table = Table()
    text = _decoded(path.read_bytes(), encoding, table)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        _fill(table, reader)
    except csv.Error as error:
        given = f"line {reader.line_num}: {error}"
        raise UserError("bad_table", "path", given, "a CSV file", "Mend the quotes of that line.") from error
    if not table.texts:
        first = f" The first: {table.skipped[0]['file']}: {table.skipped[0]['reason']}." if table.skipped else ""
        raise UserError("no_rows", "path", "no row that can be used", "rows with text and label", f"Add rows.{first}")
    return table


def _decoded(data: bytes, encoding: str | None, table: Table) -> str:
    marked = next((name for mark, name in MARKS if data.startswith(mark)), None)
    for name in (encoding,) if encoding else (marked,) if marked else GUESSES:
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if name not in ("utf-8", "utf-8-sig", encoding):
            table.warnings.append(f"the table was read as {name}")
        return text
    allowed = f"text in {encoding or marked or ', '.join(GUESSES)}"
    raise UserError("unreadable_table", "path", "bytes that are no text", allowed, "Save the table as UTF-8.")


def _delimiter(text: str) -> str:
    """The one that splits the first line into the two columns."""
    line = text.lstrip("\ufeff").splitlines()[0] if text.strip() else ""
    for delimiter in DELIMITERS:
        if set(COLUMNS) <= {_folded(cell) for cell in line.split(delimiter)}:
            return delimiter
    allowed = "a first line with the columns text and label, separated by a comma, a semicolon or a tab"
    raise UserError("missing_columns", "path", shorten(line, 80) if line else "an empty first line", allowed, FIX)


def _folded(cell: str) -> str:
    return cell.strip().strip('"').strip().casefold()


def _fill(table: Table, reader: Iterator[list[str]]) -> None:
    head = [_folded(cell) for cell in next(reader)]
    twice = [name for name in COLUMNS if head.count(name) > 1]
    if twice:
        raise UserError("column_twice", "path", f"the column {twice[0]} twice", "each column once", FIX)
    text, label = (head.index(name) for name in COLUMNS)
    others = [shorten(name, 40) for name in head if name not in COLUMNS]
    if others:
        table.warnings.append(f"columns that were not used: {', '.join(others[:10])}")
    for number, row in enumerate(reader, 2):
        if number > MOST_ROWS + 1:
            given = f"more than {MOST_ROWS:,} rows"
            raise UserError("table_too_large", "path", given, "at most that many", "Import a part of the rows.")
        name = f"row {number}.png"  # counted as a spreadsheet does; the picture that is drawn of it
        reason = _reason(row, len(head), text, label)
        if reason and row:
            table.skipped.append({"file": f"row {number}", "reason": reason})
        elif row:
            table.texts[name] = row[text]
            table.labels[name] = unicodedata.normalize("NFC", row[label].strip())


def _reason(row: list[str], columns: int, text: int, label: int) -> str:
    """Why a row is left out, or an empty text."""
    if len(row) != columns:
        return f"{len(row)} cells where the first line has {columns}"
    if len(row[text]) > LONGEST_TEXT:
        return f"a text of more than {LONGEST_TEXT:,} characters"
    if not plain(row[text]):
        return "no text"
    name = row[label].strip()
    if blank(name):
        return "no label"
    if len(name) > LONGEST_LABEL or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return f"a label that is longer than {LONGEST_LABEL} characters or on several lines"
    return ""
