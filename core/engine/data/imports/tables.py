"""Reads tables of texts: CSV files with the columns `text` and `label`, checked line by line."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.engine.data.imports.encodings import GUESSES, decodes, guess, utf16_without_mark
from core.engine.data.imports.file_names import blank
from core.engine.data.imports.file_type import HEAD, kind_of
from core.engine.data.lettering import plain
from core.errors import UserError, shorten

MOST_BYTES = 64 * 2**20
MOST_ROWS = 50_000
LONGEST_TEXT = 100_000  # characters of one cell
LONGEST_LABEL = 80
COLUMNS = ("text", "label")
DELIMITERS = (",", ";", "\t", "|", "，")
MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SEPARATOR = re.compile(r"\"?sep=(\\t|[^\r\n])\"?[ \t]*\r?\n", re.I)  # Excel's hint, not a row of the table
FIX = "Write the column names in the first line: text,label."


@dataclass
class Table:
    """Texts and labels by the name of their row; skipped rows with reasons; warnings; and the encoding of the file."""

    texts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    encoding: str = ""


def is_table(path: Path) -> bool:
    """Whether the file's content is text, whatever its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(HEAD)
    marked = any(head.startswith(mark) for mark, _ in MARKS)
    return marked or kind_of(head) == "text" or bool(utf16_without_mark(head))


def read_table(path: Path, encoding: str | None = None) -> Table:
    """The rows of a CSV file; every cell is text, even a formula or a number.

    The delimiter is a comma, semicolon, tab, bar or full-width comma, or given by a first line `sep=;`; the encoding is
    that of the byte order mark, otherwise UTF-8, UTF-16 without a mark, or the most plausible (see `encodings`). Raises
    UserError (field `path`) if the file is refused.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        given, allowed = f"{size / 2**20:.0f} MiB", f"at most {MOST_BYTES // 2**20} MiB of text"
        raise UserError("table_too_large", "path", given, allowed, "Import fewer rows at a time.")
    table = Table()
    text = _decoded(path.read_bytes(), encoding, table)
    text, delimiter = _delimited(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = csv.field_size_limit(MOST_BYTES)  # Python's default of 131,072 would refuse a table with one long text
    try:
        _fill(table, reader)
    except csv.Error as error:
        given = f"line {reader.line_num}: {error}"
        raise UserError("bad_table", "path", given, "a CSV file", "Correct the quotes in that line.") from error
    finally:
        csv.field_size_limit(before)
    if not table.texts:
        first = f" The first: {table.skipped[0]['file']}: {table.skipped[0]['reason']}." if table.skipped else ""
        raise UserError("no_rows", "path", "no usable row", "rows with text and label", f"Add rows.{first}")
    return table


def _decoded(data: bytes, encoding: str | None, table: Table) -> str:
    marked = next((name for mark, name in MARKS if data.startswith(mark)), "")
    guessed = "" if encoding or marked else _guessed(data)
    table.encoding = encoding or marked or guessed or "utf-8"
    try:
        text = data.decode(table.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        allowed = f"text in {table.encoding}"
        fix = "Save the table as UTF-8, or give its encoding with --encoding."
        raise UserError("unreadable_table", "path", "bytes that are not text", allowed, fix) from error
    if guessed:
        table.warnings.append(
            f"the table was read as {guessed}, a guess, because it does not state its encoding; for example: "
            f"{_example(text)}; if that is wrong, use --encoding"
        )
    elif marked not in ("", "utf-8-sig"):
        table.warnings.append(f"the table was read as {marked}")
    return text.removeprefix("\ufeff")


def _guessed(data: bytes) -> str:
    """The encoding of text without a byte order mark; empty for UTF-8, which no other encoding resembles."""
    if found := utf16_without_mark(data):
        return found
    if decodes(data, "utf-8"):
        return ""
    likely = guess(data, GUESSES, "")
    if likely and decodes(data, likely):
        return likely
    return next((name for name in ("cp1252", "cp1250", "gb18030") if decodes(data, name)), "latin-1")


def _example(text: str) -> str:
    """The line that best shows whether the encoding is right: the first with non-ASCII characters."""
    line = next((line for line in text.splitlines() if not line.isascii()), text[:80])
    return shorten(line.strip(), 80)


def _delimited(text: str) -> tuple[str, str]:
    """The text without a first line `sep=;`, and the delimiter: given by that line, or the one that divides the first
    line into the two columns."""
    said = _SEPARATOR.match(text)
    if said:
        text = text[said.end() :]
    line = text.splitlines()[0] if text.strip() else ""
    for delimiter in (said[1].replace("\\t", "\t"),) if said else DELIMITERS:
        if set(COLUMNS) <= {_folded(cell) for cell in line.split(delimiter)}:
            return text, delimiter
    allowed = "a first line with the columns text and label, separated by a comma, a semicolon, a tab or a bar"
    raise UserError("missing_columns", "path", shorten(line, 80) or "an empty first line", allowed, FIX)


def _folded(cell: str) -> str:
    return "".join(c for c in cell if unicodedata.category(c) != "Cf").strip().strip('"').strip().casefold()


def _fill(table: Table, reader: Iterator[list[str]]) -> None:
    head = [_folded(cell) for cell in next(reader)]
    twice = [name for name in COLUMNS if head.count(name) > 1]
    if twice:
        raise UserError("column_twice", "path", f"the column {twice[0]} twice", "each column once", FIX)
    text, label = (head.index(name) for name in COLUMNS)
    others = [shorten(name, 40) if name else "one without a name" for name in head if name not in COLUMNS]
    if others:
        table.warnings.append(f"columns not used: {', '.join(others[:10])}")
    for number, row in enumerate(reader, 2):
        if number > MOST_ROWS + 1:
            given = f"more than {MOST_ROWS:,} rows"
            raise UserError("table_too_large", "path", given, "at most that many", "Import fewer rows at a time.")
        name = f"row {number}.png"  # counted as in a spreadsheet; the name of the drawn picture
        reason = _reason(row, len(head), text, label)
        if reason and row:
            table.skipped.append({"file": f"row {number}", "reason": reason})
        elif row:
            table.texts[name] = row[text]
            table.labels[name] = unicodedata.normalize("NFC", row[label].strip())


def _reason(row: list[str], columns: int, text: int, label: int) -> str:
    """Why a row is skipped; empty if it is not."""
    if len(row) != columns:
        return f"{len(row)} cells, while the first line has {columns}"
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
