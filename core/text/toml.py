"""TOML: read with limits, so that a hostile file cannot cost much time or memory, and written canonically."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from core.errors import UserError, shorten
from core.options import Value

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16  # brackets within brackets; tomllib recurses once a level
MAX_DOTS = 32  # on one line, outside text: tomllib takes quadratic time for a key of n dotted parts (16,000: 2.4 s)
MAX_DIGITS = 40  # of one number

# Strings and comments, unterminated ones too; no alternative backtracks beyond its end, so the scan is linear.
_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)|' + r"'''.*?(?:'''|\Z)|" + r'"(?:\\.|[^"\\\n])*"?|' + r"'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_LONG_NUMBER = re.compile(rf"[0-9_]{{{MAX_DIGITS + 1},}}|0x[0-9A-Fa-f_]{{{MAX_DIGITS + 1},}}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


def read(text: str | bytes, what: str = "recipe") -> dict[str, object]:
    """The table in `text`; a byte order mark and CRLF are accepted. Raises UserError and nothing else."""
    text = _decoded(text, what)
    _guard(text, what)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(text, str(error), what) from None


def write_value(value: Value) -> str:
    """`value` as TOML; reading it back gives the same value and type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def write_table(values: Mapping[str, Value]) -> str:
    """One `key = value` line for each entry, in the order given."""
    return "".join(f"{_key(key)} = {write_value(value)}\n" for key, value in values.items())


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(value: str) -> str:
    escaped = _ESCAPED.sub(lambda m: f"\\{m[0]}" if m[0] in '"\\' else f"\\u{ord(m[0]):04x}", value)
    return f'"{escaped}"'


def _decoded(text: str | bytes, what: str) -> str:
    try:
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        if len(data) > MAX_BYTES:
            allowed = f"at most {MAX_BYTES // 1024} KiB"
            raise UserError("too_large", what, f"{len(data):,} bytes", allowed, "Give the recipe itself, not its data.")
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeError as error:
        given = f"a byte or character that is not UTF-8 at position {getattr(error, 'start', 0)}"
        raise UserError("not_utf8", what, given, "UTF-8 text", "Save the file with the encoding UTF-8.") from None


def _guard(text: str, what: str) -> None:
    bare = _TEXT.sub('""', text)
    if _deepest(bare) > MAX_DEPTH:
        fix = "A recipe needs two levels: its own keys and those of its steps."
        raise UserError("too_deep", what, f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} levels", fix)
    if any(line.count(".") > MAX_DOTS for line in bare.splitlines()):
        fix = "A recipe needs two levels: its own keys and those of its steps."
        raise UserError("too_deep", what, f"more than {MAX_DOTS} dots on a line", f"at most {MAX_DOTS}", fix)
    if number := _LONG_NUMBER.search(bare):
        given = f"{shorten(number[0], 20)} of {len(number[0]):,} digits"
        raise UserError("number_too_long", what, given, f"at most {MAX_DIGITS} digits", "Write a shorter number.")


def _deepest(bare: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


HINTS = (
    (re.compile("[“”„‟«»]"), 'Write straight quotation marks " around the text, not typographic ones.'),
    (re.compile(r"=\s*(?:True|False|TRUE|FALSE|yes|no)\b"), "Write true or false, in small letters."),
    (re.compile(r"=\s*[\d.]+\s*%"), "Write a share as a number from 0 to 1, without %."),
    (re.compile(r"=\s*\d+,\d+\s*$"), "Write a decimal point, not a comma."),
    (
        re.compile("[\u00a0\u2000-\u200a\u202f\u3000]"),
        "Type its spaces again: one is another character.",
    ),
)  # what people write in place of TOML, and what to write


def _hint(line: str) -> str:
    """What to do about a line that is no TOML."""
    return next((told for pattern, told in HINTS if pattern.search(line)), "Correct that line; text needs quotes.")


def _malformed(text: str, message: str, what: str) -> UserError:
    lines = text.rstrip().split("\n")
    line = re.search(r"at line (\d+)", message)
    number = min(int(line[1]), len(lines)) if line else len(lines)  # "at end of document"
    place, given = f"{what} line {number}", lines[number - 1].strip()
    if message.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        return UserError("duplicate_key", place, given, "each key once", f"Remove one of the two. ({message})")
    fix = f"{_hint(given)} ({shorten(message)})"
    return UserError("not_toml", place, given, "TOML, see https://toml.io", fix)
