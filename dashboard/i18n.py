"""Every word a person reads on the pages, in the language they chose: `text/<language>/<room>.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from core.catalog import load_catalog
from core.comparison.closing_words import PHRASES
from core.controls import code_of
from core.options import Words
from core.search.words import PHRASES as ANSWERS
from core.text import formatting
from dashboard import session
from dashboard.session import Language

FOLDER = Path(__file__).with_name("text")
CHOSEN: ContextVar[Language | None] = ContextVar("CHOSEN", default=None)


def language() -> Language:
    """The person's language; outside of a page's script that of the `speaking` around it."""
    return CHOSEN.get() or session.language()


@contextmanager
def speaking(chosen: Language) -> Iterator[None]:
    """For what is written later, in another thread, where nobody knows the session: a download."""
    token = CHOSEN.set(chosen)
    try:
        yield
    finally:
        CHOSEN.reset(token)


def say(key: str, **values: object) -> str:
    """The phrase `room.name` with its `{values}` filled in, `{count:run|runs}` as the number with the word that goes
    with it; raises KeyError on a key that is not in the catalog.

    Values a person wrote go in as `UserText(...).md()`.
    """
    told = {name: formatting.Amount(value) for name, value in values.items()}
    return phrase(key, language()).format(**told)


def listed(parts: Iterable[str]) -> str:
    """The parts as the language lists them on a line."""
    return say("components.comma").join(parts)


def in_turn(parts: Iterable[str]) -> str:
    """Longer parts, which hold commas of their own."""
    return say("components.semicolon").join(parts)


def together(sentences: Iterable[str]) -> str:
    """Whole sentences one behind the other; Chinese ones have no blank between them."""
    return ("" if language() == "zh" else " ").join(filter(None, sentences))


def headed(head: str, tail: str) -> str:
    """`head: tail` with the language's colon."""
    return say("components.headed", head=head, tail=tail)


def named_point(name: str, *, control: bool) -> str:
    """A point's name, said to be a control's where it is."""
    return say("components.control", name=name) if control else name


def aside(text: str, more: str) -> str:
    """`text (more)` with the language's brackets."""
    return say("components.aside", text=text, more=more)


def known(key: str, otherwise: str) -> str:
    """The phrase `room.name` if the catalog has it, else `otherwise`: for names that methods bring along."""
    room, _, name = key.partition(".")
    return vocabulary(language())[room].get(name, otherwise)


def template(key: str) -> str:
    """The phrase `room.name` with its places still open, for a chart that fills them in."""
    return phrase(key, language())


def phrase(key: str, spoken: Language) -> str:
    """The phrase `room.name` as the catalog has it, its places still open."""
    room, _, name = key.partition(".")
    return vocabulary(spoken)[room][name]


def spoken(words: Words) -> str:
    """What a method or an option brings along, in the person's language."""
    return words.zh if language() == "zh" else words.en


def named(stage: str, method: str, name: str) -> str:
    """A point's or control's name with its method's title in the person's language; a new control's own as it is."""
    entry = load_catalog().methods.get(stage, {}).get(method)
    title = name.replace(entry.title.en, spoken(entry.title)) if entry else name
    return control_name(name, title)


def control_name(name: str, otherwise: str = "") -> str:
    """What a control is called, given its code or its English words; one that a method brings along as it is."""
    return known(f"controls.{code_of(name)}", otherwise or name)


@cache
def engine_phrases() -> dict[str, str]:
    """What the engine says, English to Chinese, with places in both; see `dashboard.engine_words`."""
    files = sorted((FOLDER / "zh" / "engine").glob("*.toml"))
    return {english: zh for file in files for english, zh in tomllib.loads(file.read_text(encoding="utf-8")).items()}


@cache
def vocabulary(spoken: Language) -> dict[str, dict[str, str]]:
    """All phrases of a language, by room and name."""
    files = sorted((FOLDER / spoken).glob("*.toml"))
    found = {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in files}
    return found | (
        {"closing": PHRASES, "answers": ANSWERS} if spoken == "en" else {}
    )  # English is what a terminal says too
