"""What a step and its fields are called on a page, in place of their paths in a recipe: `steps.2 (prune.l2)` there is
step 3, Prune, here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from core.catalog import STAGES
from core.errors import UserError
from dashboard import faults
from dashboard.i18n import say, spoken

PATH = re.compile(r"steps\.(\d+)(?: \((\w+)\.\w+\))?(?:\.(\w+))?")


def step(number: int, stage: str) -> str:
    """`step 3, Prune`; the number is that of the recipe, from 0."""
    return say("design.step", number=number + 1, stage=say(f"design.stage_{stage}"))


def field(path: str, stages: Sequence[str]) -> str:
    """What a field of a recipe such as `labels` or `steps.2.ratio` is called; one that is not known, as it is."""
    match = PATH.fullmatch(path)
    if match is None or int(match[1]) >= len(stages):
        return faults.name_of(path)
    here = step(int(match[1]), stages[int(match[1])])
    option = faults.option_of(path)
    return here if option is None else say("design.step_field", step=here, field=spoken(option.title))


def in_words(text: str, stages: Sequence[str]) -> str:
    """A sentence of the engine with its paths in words."""

    def told(match: re.Match[str]) -> str:
        number, named, name = int(match[1]), match[2], match[3]
        stage = named if named in STAGES else stages[number] if number < len(stages) else ""
        if not stage:
            return match[0]
        option = faults.option_of(f"steps.{number}.{name}") if name else None
        if name and option is None and name not in ("stage", "method"):
            return match[0]
        here = step(number, stage)
        return here if option is None else say("design.step_field", step=here, field=spoken(option.title))

    return PATH.sub(told, text)


def mistakes(found: Iterable[UserError], stages: Sequence[str]) -> tuple[UserError, ...]:
    """The same mistakes with their paths in words, but for that of the field, by which it is found."""

    def told(error: UserError) -> UserError:
        given, allowed, fix = (in_words(text, stages) for text in (error.given, error.allowed, error.fix))
        return UserError(error.code, error.field, given, allowed, fix, error.choices)

    return tuple(map(told, found))
