"""The name of a variant: that of the recipe it began with, and what was changed since: `demo · T 8 · ratio 0.7`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from core.catalog import load_catalog
from core.recipe import Recipe
from core.rules.fields import MAX_NAME
from dashboard.design.changes import Change, changes
from dashboard.design.draft import Draft
from dashboard.i18n import say, spoken
from dashboard.option_words import told_of

MOST = 3  # changes named; the others are counted
BETWEEN = " · "
COUNTED = re.compile(r"\+\d+")  # changes that an earlier name only counted
SYMBOLS = {"temperature": "T", "tau": "T", "learning_rate": "lr"}  # as papers have them


def renamed(before: Draft, after: Draft) -> Draft:
    """`after` under the name that its changes give it, unless a person gave it a name of their own."""
    base = after.base
    if base is None or after.recipe.name != before.recipe.name or not automatic(before):
        return after
    return replace(after, recipe=replace(after.recipe, name=variant(base, after.recipe)))


def automatic(draft: Draft) -> bool:
    """Whether the name is the one made from the changes since the recipe that was loaded or started last."""
    return draft.base is not None and draft.recipe.name == variant(draft.base, draft.recipe)


def variant(base: Recipe, recipe: Recipe) -> str:
    """The name of `base` and what `recipe` has changed of it; a part that is told anew takes the place of the old."""
    parts = dict(_parts(base, recipe))
    shown = [" ".join(filter(None, part)) for part in list(parts.items())[:MOST]]
    if len(parts) > MOST:
        shown.append(f"+{len(parts) - MOST}")
    if not shown:
        return base.name
    told = BETWEEN.join(shown)
    former = base.name.split(BETWEEN)[1:]
    kept = [part for part in former if part.rpartition(" ")[0] not in parts and not COUNTED.fullmatch(part)]
    first = BETWEEN.join((base.name.split(BETWEEN)[0], *kept))
    return f"{first[: MAX_NAME - len(told) - len(BETWEEN)]}{BETWEEN}{told}"


def _parts(base: Recipe, recipe: Recipe) -> Iterator[tuple[str, str]]:
    for change in changes(base, recipe):
        yield _part(change)
    kinds = [[(step.stage, step.method) for step in one.steps] for one in (base, recipe)]
    if kinds[0] != kinds[1] and sorted(kinds[0]) == sorted(kinds[1]):
        yield say("design.name_order"), ""


def _part(change: Change) -> tuple[str, str]:
    """What changed, and its value: `T` and `8`; of a dataset and a backbone the value alone."""
    option = change.option
    if option is None:
        menu = load_catalog().methods[change.stage]
        gone = change.after is None
        method = spoken(menu[str(change.before if gone else change.after)].title)
        sign = "−" if gone else "+" if change.before is None else ""
        return f"{sign}{method}", ""
    value = told_of(option, change.after).replace("\u2060", "")
    if option.name in ("dataset", "backbone"):
        return str(change.after), ""
    return SYMBOLS.get(option.name, option.name.replace("_", " ")), value
