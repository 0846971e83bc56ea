"""One search as its page needs it: what was asked, where it stands, what it came to, and what its knobs are called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.catalog import load_catalog
from core.options import Value, Words
from core.recipe import Recipe
from core.search import space, words
from core.search.answer import Answer, answer
from core.search.specification import Specification
from core.search.store import Search
from core.search.trial import Progress
from core.text import formatting
from core.text.escaping import UserText
from dashboard.design import varying
from dashboard.i18n import say, spoken
from dashboard.option_words import told
from dashboard.session import workspace


@dataclass(frozen=True)
class Shown:
    """A search and everything that is told of it."""

    search: Search
    asked: Specification
    now: Progress

    @cached_property
    def recipe(self) -> Recipe:
        return self.asked.base()

    @cached_property
    def answer(self) -> Answer:
        return answer(self.now.trials, self.asked.bounds, self.now.teacher)

    @cached_property
    def names(self) -> dict[str, str]:
        """What each knob is called, by path."""
        return {vary.path: varying.name(vary.path, self.recipe.steps) for vary in self.asked.vary}

    def told(self, path: str, value: Value) -> str:
        """What a value of a knob is called."""
        found = named(self.recipe, path, value)
        return spoken(found) if found else told(value)

    def voice(self) -> words.Voice:
        """How its answer is told in the person's language, as Markdown."""

        def setting(path: str, value: Value) -> str:
            field = varying.field_name(path, self.recipe.steps)
            place = path.split(".")[1] if "." in path else ""
            key = "search.setting_of_step" if place else "search.setting"
            return say(key, name=field, value=self.told(path, value), number=int(place or 0) + 1)

        return words.Voice(phrase, setting, "\n\n", lambda name: UserText(name).md())

    def sentence(self) -> str:
        return words.sentence(self.answer, self.asked.bounds, self.now.teacher, self.voice())

    def bounds(self) -> str:
        """The bounds on one line."""
        given = self.asked.bounds
        parts = []
        if given.bytes is not None:
            parts.append(say("search.bound_bytes", size=formatting.size(given.bytes)))
        if given.latency is not None:
            parts.append(say("search.bound_latency", time=f"{given.latency:g}"))
        if given.drop is not None:
            parts.append(say("search.bound_drop", points=f"{given.drop:g}"))
        return " · ".join(parts) or say("search.no_bounds")


def phrase(key: str, **values: object) -> str:
    """A phrase of an answer in the person's language."""
    return say(f"answers.{key}", **values)


def shown(search: Search) -> Shown:
    """The search as it is now; raises UserError `damaged_search`."""
    return Shown(search, search.specification(), search.progress())


def named(recipe: Recipe, path: str, value: Value) -> Words | None:
    """What a value of a knob is called, where it is not called by itself."""
    if path.endswith(".method"):
        stage = recipe.steps[int(path.split(".")[1])].stage
        entry = load_catalog().methods[stage].get(str(value))
        return entry.title if entry else None
    option = space.knobs(recipe, workspace().catalog()).get(path)
    return option.name_of(value) if option else None
