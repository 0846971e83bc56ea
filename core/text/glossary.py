"""The glossary: the field's terms in English and Simplified Chinese, and which knobs and words each explains.

A file of `assets/glossary` holds the terms of one topic. Everything is strict: what a file has too much, too little or
wrong is a ValueError that names the file and the term.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.assets import GLOSSARY
from core.options import Words
from core.text import toml

HEAD = "topic"  # the table of a file that names its topic
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LATIN = re.compile(r"[A-Za-z]")

Language = Literal["en", "zh"]
M = TypeVar("M", bound=BaseModel)


class _Entry(BaseModel):
    """A term as its file has it; see `Term`."""

    model_config = ConfigDict(extra="forbid", strict=True, str_min_length=1)

    en: str
    zh: str
    also_en: list[str] = []
    also_zh: list[str] = []
    text_en: str
    text_zh: str
    source: str | None = None
    url: str | None = Field(None, pattern=r"^https://\S+$")
    see: list[str] = []
    options: list[str] = []
    words: list[str] = []
    common: bool = False

    @model_validator(mode="after")
    def _with_its_address(self) -> _Entry:
        if (self.source is None) != (self.url is None):
            raise ValueError("a source needs its url, and a url its source")
        return self


class _Topic(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, str_min_length=1)

    en: str
    zh: str


@dataclass(frozen=True)
class Term:
    """One term.

    `also_en`, `also_zh`: its other names. `source`: the paper that defines it and its address. `see`: ids of related
    terms. `options`: which knobs it explains, as `stage.method`, `stage.method.option` or `recipe.option`, where a part
    may be `*`. `words`: keys of phrases on the pages that it explains. `common`: an everyday word, which is not linked
    wherever it occurs.
    """

    id: str
    topic: str
    name: Words
    also_en: tuple[str, ...]
    also_zh: tuple[str, ...]
    text: Words
    source: tuple[str, str] | None
    see: tuple[str, ...]
    options: tuple[str, ...]
    words: tuple[str, ...]
    common: bool

    def names(self, language: Language) -> tuple[str, ...]:
        """Everything it is called in that language, its own name first."""
        return (self.name.zh, *self.also_zh) if language == "zh" else (self.name.en, *self.also_en)

    def explains(self, place: str) -> bool:
        """Whether it explains the method `stage.method` or the knob `stage.method.option` or `recipe.option`."""
        return any(_covers(pattern, place) for pattern in self.options)

    def has(self, wanted: str) -> bool:
        """Whether `wanted`, in small letters, occurs in its names or its text, in either language."""
        texts = (*self.names("en"), *self.names("zh"), self.text.en, self.text.zh)
        return any(wanted in text.lower() for text in texts)


@dataclass(frozen=True)
class Glossary:
    """All terms by id, and the titles of the topics by theirs, in the order of the files."""

    topics: Mapping[str, Words]
    terms: Mapping[str, Term]

    def of_option(self, place: str) -> tuple[Term, ...]:
        """The terms that explain a knob or a method, see `Term.explains`; none for one that no term names."""
        return tuple(term for term in self.terms.values() if term.explains(place))

    def of_words(self, keys: Iterable[str]) -> tuple[Term, ...]:
        """The terms that explain these phrases, in the order of the phrases, each once."""
        found = (term for key in keys for term in self._by_words.get(key, ()))
        return tuple(dict.fromkeys(found))

    def of_text(self, text: str, language: Language) -> tuple[Term, ...]:
        """The terms whose names occur in a text, in the order in which they do, each once; common ones left out."""
        pattern, terms = self._by_name[language]
        found = (terms[match[0].lower()] for match in pattern.finditer(text))
        return tuple(dict.fromkeys(term for term in found if not term.common))

    @cached_property
    def _by_words(self) -> Mapping[str, tuple[Term, ...]]:
        found: dict[str, tuple[Term, ...]] = {}
        for term in self.terms.values():
            for key in term.words:
                found[key] = (*found.get(key, ()), term)
        return found

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[re.Pattern[str], Mapping[str, Term]]]:
        return {"en": _finder(self.terms.values(), "en"), "zh": _finder(self.terms.values(), "zh")}


def load_glossary() -> Glossary:
    """The glossary that comes with the program."""
    return read_glossary(GLOSSARY)


@cache
def read_glossary(folder: Path) -> Glossary:
    """The glossary in a folder; raises ValueError, which names the file and the term, on anything not as it must be."""
    topics: dict[str, Words] = {}
    terms: dict[str, Term] = {}
    for file in sorted(folder.glob("*.toml")):
        topic = file.stem.partition("-")[2] or file.stem
        tables = toml.read(file.read_bytes(), file.name)
        topics[topic] = Words(**_checked(_Topic, tables.pop(HEAD, {}), file.name, HEAD).model_dump())
        for ident, table in tables.items():
            if ident in terms or not ID.fullmatch(ident):
                raise ValueError(f"{file.name}: {ident}: an id occurs once, in small letters, digits and hyphens")
            terms[ident] = _term(ident, topic, _checked(_Entry, table, file.name, ident))
    _check_see(terms)
    return Glossary(topics, terms)


def _checked(kind: type[M], table: object, file: str, ident: str) -> M:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{file}: {ident}: {told}") from None


def _term(ident: str, topic: str, entry: _Entry) -> Term:
    return Term(
        ident,
        topic,
        Words(entry.en, entry.zh),
        tuple(entry.also_en),
        tuple(entry.also_zh),
        Words(entry.text_en, entry.text_zh),
        (entry.source, entry.url) if entry.source and entry.url else None,
        tuple(entry.see),
        tuple(entry.options),
        tuple(entry.words),
        entry.common,
    )


def _check_see(terms: Mapping[str, Term]) -> None:
    for term in terms.values():
        if lost := [other for other in term.see if other not in terms or other == term.id]:
            raise ValueError(f"{term.id}: see also {', '.join(lost)}: no other term has that id")


def _covers(pattern: str, place: str) -> bool:
    mine, its = pattern.split("."), place.split(".")
    return len(mine) == len(its) and all(fnmatchcase(one, part) for part, one in zip(mine, its, strict=True))


def _finder(terms: Iterable[Term], language: Language) -> tuple[re.Pattern[str], Mapping[str, Term]]:
    """What finds every name in a text, the longest first; in Latin letters only as whole words."""
    names: dict[str, Term] = {}
    for term in terms:
        for name in _spellings(term, language):
            names.setdefault(name.lower(), term)
    longest = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(_whole, longest)), re.IGNORECASE), names


def _spellings(term: Term, language: Language) -> Iterator[str]:
    for name in term.names(language):
        yield name
        if language == "en" and name[-1].isalpha() and not name.endswith("s"):
            yield f"{name}s"


def _whole(name: str) -> str:
    before = r"(?<![\w-])" if LATIN.match(name[0]) else ""
    after = r"(?![\w-])" if LATIN.match(name[-1]) else ""
    return f"{before}{re.escape(name)}{after}"
