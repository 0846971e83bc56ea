"""What the engine says, in the person's language: the warnings, reasons and refusals that it writes in English.

They are stored (in a run's log, a receipt, a dataset's card) and read by programs, so that they stay English there. As
`core.comparison.closing_words` does with the reasons in receipts, a sentence is recognised by its English form, and its
values are put into the Chinese one. `text/zh/engine/` holds both: the key is the English with its places, the value the
Chinese. A place such as `{why:words}` of the Chinese holds words of the engine too; any other is a name or a number and
stays as it is. `{n:number}` of the English matches numbers only.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, islice

from core.comparison.closing_words import PHRASES
from core.text.escaping import UserText
from dashboard.i18n import engine_phrases, language, phrase

NUMBER = r"[-+\d.,]+(?:e[-+]?\d+)?(?: ?(?:[kMGT]?B|[kMGT]|%))?"
CERTAIN = rf"{NUMBER}|steps\.\d+(?: \([\w.]+\))?"  # what cannot be taken for a part of a person's own text
WORD = re.compile(r"[A-Za-z]+")
SENTENCES = re.compile(r"(?<=[.!?]) ")
MORE = re.compile(r" and [\d,]+ more$")  # how the engine ends a list of names that it cuts
ITEM = r"\S*[^\s,](?: \([\d,]+\))?"
NAMES = re.compile(rf"{ITEM}(?:, {ITEM})+(?: …)?")  # of words without blanks: any other comma may be part of a name
NOTHING = "nothing"  # how the engine says that a value is missing
LATIN_END = re.compile(r"[\x21-\x7e]$")
DEEPEST = 3  # sentences within sentences; a person's own text may have any number of marks
MOST_MARKS = 3  # of a kind, at which a text is taken apart
LONGEST = 600  # characters of a sentence of the engine


def told(text: str) -> str:
    """What the engine says, in the person's language; what is not known there stays as the engine has it."""
    return _chinese(text) if language() == "zh" else text


def md(text: str) -> str:
    """The same as Markdown that shows it literally."""
    return UserText(told(text)).md()


def given(text: str) -> str:
    """What a refusal says was given: the engine's words, or what a person wrote, as which a single word counts."""
    return told(text) if " " in text or text == NOTHING else text


@dataclass(frozen=True)
class Form:
    """A sentence of the engine: how it is recognised, what it is in Chinese."""

    pattern: re.Pattern[str]
    chinese: str
    fixed: int  # characters that are not places

    def of(self, text: str, depth: int) -> str | None:
        """The text in Chinese; None if it is another one."""
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        return self.chinese.format(**{name: _Place(value, depth + 1) for name, value in match.groupdict().items()})


@dataclass(frozen=True)
class _Place:
    """A value of a sentence, translated where the Chinese asks for `words`."""

    value: str
    depth: int

    def __format__(self, wanted: str) -> str:
        if wanted == "words":
            return _chinese(self.value, self.depth)
        more = MORE.search(self.value)
        names = self.value[: more.start()] if more else self.value
        return _names(names) + (_chinese(more[0], self.depth) if more else "")


def _names(text: str) -> str:
    """A list of names with the marks of a Chinese one."""
    return text.replace(", ", "、") if NAMES.fullmatch(text) else text


@cache
def forms() -> tuple[Form, ...]:
    """All of them, those with the most fixed characters first."""
    found = [form(english, chinese) for english, chinese in (_reasons() | engine_phrases()).items()]
    return tuple(sorted(found, key=lambda each: -each.fixed))


def _reasons() -> dict[str, str]:
    """The reasons in receipts, whose places are all numbers."""
    keys = [key for key in PHRASES if key.startswith("why_")]
    return {re.sub(r"{(\w+)}", r"{\1:number}", PHRASES[key]): phrase(f"closing.{key}", "zh") for key in keys}


def form(english: str, chinese: str) -> Form:
    """The form of one entry. With fewer than two fixed words its places match numbers and steps only: a name such as
    “cats and dogs” is nobody's sentence."""
    parts = [(fixed, name, spec) for fixed, name, spec, _ in string.Formatter().parse(english)]
    words = len(WORD.findall(" ".join(fixed for fixed, _, _ in parts)))
    free = ".*?" if words > 1 or any(spec == "number" for _, _, spec in parts) else CERTAIN
    pattern = "".join(
        re.escape(fixed) + (f"(?P<{name}>{NUMBER if spec == 'number' else free})" if name else "")
        for fixed, name, spec in parts
    )
    return Form(re.compile(pattern, re.DOTALL), chinese, sum(len(fixed) for fixed, _, _ in parts))


@lru_cache(maxsize=4096)
def _chinese(text: str, depth: int = 0) -> str:
    """The reading of the text that leaves the fewest English words; the text itself where there is none, or where it
    lies too deep in another."""
    if depth > DEEPEST:
        return text
    if len(text) > LONGEST:
        return next(_joined(SENTENCES.split(text), "", depth + 1), text)
    return min(chain(_whole(text, depth), _in_parts(text, depth + 1), [text]), key=lambda read: len(WORD.findall(read)))


def _whole(text: str, depth: int) -> Iterator[str]:
    bare = text.strip()
    yield from (found for form in forms() if bare and (found := form.of(bare, depth)) is not None)


def _in_parts(text: str, depth: int) -> Iterator[str]:
    """The text put together from its parts, for each way in which the engine joins sentences."""
    yield from _joined(SENTENCES.split(text.strip()), "", depth)
    yield from _joined(text.split("; "), "；", depth)
    yield from _around(text, ": ", "：", "", depth)
    if text[:1] == "(" and text[-1:] == ")" and _known(text[1:-1], depth):
        yield f"（{_chinese(text[1:-1], depth)}）"
    if text.endswith(")"):
        yield from _around(text.removesuffix(")"), " (", "（", "）", depth)
    parts = text.split(", ")
    if len(parts) > 1 and all(_known(part, depth) for part in parts):
        yield "，".join(_chinese(part, depth) for part in parts)


def _joined(parts: Sequence[str], between: str, depth: int) -> Iterator[str]:
    """The parts, each in Chinese as far as it is known."""
    if len(parts) > 1 and any(_known(part, depth) for part in parts):
        told = [_chinese(part, depth) for part in parts]
        apart = [between or (" " if LATIN_END.search(part) else "") for part in told[:-1]]
        yield "".join(part + gap for part, gap in zip(told, [*apart, ""], strict=True))


def _around(text: str, mark: str, chinese: str, end: str, depth: int) -> Iterator[str]:
    """`name: reason` or `name (reason)`, of which one side is the engine's."""
    for at in (found.start() for found in islice(re.finditer(re.escape(mark), text), MOST_MARKS)):
        head, tail = text[:at], text[at + len(mark) :]
        if _known(head, depth) or _known(tail, depth):
            yield f"{_chinese(head, depth)}{chinese}{_chinese(tail, depth)}{end}"


def _known(text: str, depth: int) -> bool:
    return _chinese(text, depth) != text
