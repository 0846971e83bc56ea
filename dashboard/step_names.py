"""What a step and its fields are called on a page, in place of their paths in a recipe: `steps.2 (prune.l2)` there is
step 3, Prune, here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from core.catalog import STAGES, load_catalog
from core.errors import UserError
from core.recipe import Step
from dashboard import engine_words, faults
from dashboard.i18n import say, spoken

PATH = re.compile(r"steps\.(\d+)(?: \((\w+)\.\w+\))?(?:\.(\w+))?")
ITSELF = ("", "stage", "method")  # names after a step's number that mean the step


def step(number: int, stage: str) -> str:
    """`step 3, Prune`; the number is that of the recipe, from 0."""
    return say("design.step", number=number + 1, stage=say(f"design.stage_{stage}"))


def field(path: str, steps: Sequence[Step]) -> str:
    """What a field of a recipe such as `labels` or `steps.2.ratio` is called; one that is not known, as it is."""
    match = PATH.fullmatch(path)
    return (_called(match, steps) if match else None) or faults.name_of(path)


def in_words(text: str, steps: Sequence[Step]) -> str:
    """A sentence of the engine in the person's language, with its paths in words."""
    return _named(engine_words.told(text), steps)


def _named(text: str, steps: Sequence[Step]) -> str:
    return PATH.sub(lambda match: _called(match, steps) or match[0], text)


def mistakes(found: Iterable[UserError], steps: Sequence[Step]) -> tuple[UserError, ...]:
    """The same mistakes with their paths in words, but for that of the field, by which it is found."""

    def worded(error: UserError) -> UserError:
        given = _named(engine_words.given(error.given), steps)
        allowed, fix = (in_words(text, steps) for text in (error.allowed, error.fix))
        return UserError(error.code, error.field, given, allowed, fix, error.choices)

    return tuple(map(worded, found))


def _called(match: re.Match[str], steps: Sequence[Step]) -> str | None:
    number, named, name = int(match[1]), match[2], match[3] or ""
    there = steps[number] if number < len(steps) else None
    stage = named if named in STAGES else there.stage if there else None
    if stage is None:
        return None
    if name in ITSELF:
        return step(number, stage)
    title = _title(there, name) if there else None
    return say("design.step_field", step=step(number, stage), field=title) if title else None


def _title(there: Step, name: str) -> str | None:
    entry = load_catalog().methods.get(there.stage, {}).get(there.method)
    option = next((option for option in entry.options if option.name == name), None) if entry else None
    return None if option is None else spoken(option.title)
