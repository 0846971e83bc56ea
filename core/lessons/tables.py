"""Tables of a lesson file, read strictly: what is unknown, missing, of another type or out of range is an error that
names its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import UserError, nearest
from core.text import toml

T = TypeVar("T")
V = TypeVar("V", bound=bool | int | float | str)
AT_LINE = re.compile(r" line (\d+)$")
IN_BLOCK = re.compile(r" ?\(at line \d+, column \d+\)")  # counted from the beginning of the block
ARRAY = re.compile(r"\s*\[\[\s*([a-z_]+)\s*\]\]\s*(#.*)?")
TABLE = re.compile(r"\s*\[\s*([a-z_]+)\s*\]\s*(#.*)?")
MARKED = re.compile(r"<[a-zA-Z/!?]|!\[|\]\(|://")


def wrong(code: str, line: int, given: object, allowed: str, fix: str) -> UserError:
    """A mistake in a lesson file, with its line, counted from 1."""
    return UserError(f"lesson_{code}", f"line {line}", given, allowed, fix)


@dataclass
class Table:
    """A table with the line it begins at and the lines of its keys; `taken` are the keys that were read."""

    name: str
    line: int
    data: dict[str, object]
    source: list[str]  # its own lines, the first being at `line`
    taken: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, name: str, text: str, line: int) -> Table:
        """The TOML of a block whose first line is at `line`; raises UserError `lesson_toml`."""
        try:
            data = toml.read(text, name)
        except UserError as error:
            found = AT_LINE.search(error.field)
            at = line + int(found[1]) - 1 if found else line
            raise wrong("toml", at, error.given, error.allowed, IN_BLOCK.sub("", error.fix)) from None
        return cls(name, line, dict(data), text.split("\n"))

    def at(self, key: str) -> int:
        """The line of a key; that of the table where it is not written as `key = …`."""
        pattern = re.compile(rf"\s*{re.escape(key)}\s*=")
        return next((self.line + n for n, text in enumerate(self.source) if pattern.match(text)), self.line)

    def wrong(self, key: str, given: object, allowed: str, fix: str, code: str = "value") -> UserError:
        return wrong(code, self.at(key), f"{key} = {_as_toml(given)}" if code == "value" else given, allowed, fix)

    def text(self, key: str, longest: int = 400, *, default: str | None = None) -> str:
        """A text of one line without markup; raises UserError."""
        value = self._value(key, default)
        if not isinstance(value, str) or (not value.strip() and default is None):
            raise self.wrong(key, value, "a text in quotation marks", "Write a sentence between two quotation marks.")
        return self._plain(key, value, longest)

    def texts(self, key: str, least: int, most: int, *, longest: int = 400, default: bool = False) -> tuple[str, ...]:
        """A list of `least` to `most` texts."""
        values = self._list(key, least, most, default=default)
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise self.wrong(key, values, "texts in quotation marks", "Put each between quotation marks.")
        return tuple(self._plain(key, str(value), longest) for value in values)

    def values(self, key: str, least: int, most: int) -> tuple[bool | int | float | str, ...]:
        """A list of numbers, texts or true and false, each once."""
        values = self._list(key, least, most)
        kept = tuple(value for value in values if isinstance(value, bool | int | float | str))
        if len(kept) < len(values) or len(set(kept)) < len(kept):
            fix = "Give each value once. A number has a decimal point: 0.5."
            raise self.wrong(key, values, "numbers or texts, each once", fix)
        return kept

    def number(self, key: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self._value(key, None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            allowed = f"a number from {low:,.15g} to {high:,.15g}"
            raise self.wrong(key, value, allowed, "Write such a number, without quotation marks.")
        return float(value)

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(key, low, high)
        if not value.is_integer():
            raise self.wrong(key, value, f"a whole number from {low} to {high}", "Write it without a fraction.")
        return int(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value(key, None)
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false", "Write true or false, without quotation marks.")
        return value

    def choice(self, key: str, allowed: Collection[str]) -> str:
        """One of a few words."""
        value = self.text(key)
        if value not in allowed:
            raise self.wrong(key, value, f"one of {', '.join(allowed)}", nearest(value, allowed))
        return value

    def one_of(self, key: str, allowed: Sequence[V]) -> V:
        """One of a few values."""
        given = self._value(key, None)
        found = next((value for value in allowed if value == given), None)
        if found is None:
            raise self.wrong(key, given, f"one of {_as_toml(list(allowed))}", "Write one of these.")
        return found

    def has(self, key: str) -> bool:
        return key in self.data

    def tables(self, key: str, least: int, most: int) -> Iterator[Table]:
        """The tables `[[key]]`."""
        self.taken.add(key)
        rows = self.data.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.wrong(key, "another value", f"tables [[{key}]]", f"Begin each with a line [[{key}]].")
        if not least <= len(rows) <= most:
            fix = f"Begin each with a line [[{key}]]."
            raise self.wrong(key, len(rows), f"{least} to {most} tables [[{key}]]", fix, code="missing")
        starts = [n for n, text in enumerate(self.source) if (found := ARRAY.fullmatch(text)) and found[1] == key]
        for number, row in enumerate(rows):
            yield self._part(key, row, starts[number] if number < len(starts) else 0)

    def table(self, key: str) -> Table:
        """The table `[key]`."""
        value = self._value(key, None)
        if not isinstance(value, dict):
            raise self.wrong(key, value, f"a table [{key}]", f"Begin it with a line [{key}].")
        starts = (n for n, text in enumerate(self.source) if (found := TABLE.fullmatch(text)) and found[1] == key)
        return self._part(key, value, next(starts, 0))

    def _part(self, key: str, data: dict[str, object], start: int) -> Table:
        ends = (n for n in range(start + 1, len(self.source)) if self.source[n].lstrip().startswith("["))
        return Table(key, self.line + start, data, self.source[start : next(ends, len(self.source))])

    def done(self) -> None:
        """Raises UserError `lesson_unknown_key` if there is a key that nobody asked for."""
        for key in self.data:
            if key not in self.taken:
                fix = nearest(key, self.taken)
                allowed = f"the keys of {self.name}: {', '.join(sorted(self.taken))}"
                raise self.wrong(key, key, allowed, fix, code="unknown_key")

    def checked(self, key: str, make: Callable[[str], T], text: str, allowed: str) -> T:
        """What `make` reads in `text`; its ValueError becomes an error at `key`."""
        try:
            return make(text)
        except ValueError as error:
            raise self.wrong(key, text, allowed, f"In this text {error}.", code="reference") from None

    def _value(self, key: str, default: object) -> object:
        self.taken.add(key)
        if key not in self.data and default is None:
            raise wrong("missing", self.line, f"{self.name} without {key}", f"a key {key}", f"Add a line {key} = …")
        return self.data.get(key, default)

    def _list(self, key: str, least: int, most: int, *, default: bool = False) -> list[object]:
        value = self._value(key, [] if default else None)
        fewest = 0 if default and not self.has(key) else least
        if not isinstance(value, list) or not fewest <= len(value) <= most:
            raise self.wrong(key, value, f"a list of {least} to {most}", "Write [ first, second ].")
        return value

    def _plain(self, key: str, value: str, longest: int) -> str:
        plain(value, self.at(key))
        if len(value) > longest:
            raise self.wrong(key, value, f"at most {longest} characters", "Say it in fewer words.")
        return " ".join(value.split())


def _as_toml(value: object) -> str:
    """A value as it stands in the file, so that a text is told from a number."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"
    return toml.write_value(value) if isinstance(value, bool | int | float | str) else f"{value}"


def plain(text: str, line: int) -> None:
    """Raises UserError `lesson_markup` on HTML, images, links and addresses in a text."""
    found = MARKED.search(text)
    if found is not None:
        allowed = "text, **bold**, and the address of the paper in the header"
        raise wrong("markup", line, text[found.start() :][:60], allowed, "Remove the tag, image, link or address.")
