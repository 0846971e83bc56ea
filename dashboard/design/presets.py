"""Presets: chains to begin with, fitted to the data and backbone at hand, and what applying one changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from core.catalog import Facts, load_catalog
from core.options import Value, Words
from core.recipe import Recipe, Step
from core.recipe_options import RECIPE_OPTIONS
from dashboard.design.draft import Draft, fitted
from dashboard.design.fit import adjusted, fit

NO_DATA: Mapping[str, Facts] = {}
LARGEST_QUICK = 64  # pixels: what a backbone of photos takes on a CPU without making one wait


@dataclass(frozen=True)
class Preset:
    """The steps between the transfer, which stays a person's own, and any export.

    `transfer` replaces theirs with the quickest; `image_size` is the largest that is left as it is.
    """

    name: str
    steps: tuple[Step, ...]
    transfer: bool = False
    image_size: int = 0


# Measured with the demo's data and backbone: a file of 20,000 numbers is 82 kB and 0.05 ms in float, 38 kB and 0.06 ms
# in 8-bit integers, 27 kB and 0.05 ms with 8-bit weights. So the fastest stays in float and the smallest does not.
PRESETS: tuple[Preset, ...] = (
    Preset(
        "quick",
        (
            Step("distill", "kd", {"temperature": 2.0, "epochs": 3, "views": 1, "twin": False}),
            Step("quantize", "static"),
        ),
        transfer=True,
        image_size=LARGEST_QUICK,
    ),
    Preset(
        "balanced",
        (
            Step("distill", "kd", {"temperature": 2.0, "views": 2}),
            Step("prune", "l2", {"ratio": 0.5, "epochs": 6}),
            Step("quantize", "static"),
        ),
    ),
    Preset(
        "smallest",
        (
            Step("distill", "kd", {"temperature": 2.0, "views": 2}),
            Step("prune", "l2", {"ratio": 0.75, "epochs": 15}),
            Step("quantize", "weight_only"),
        ),
    ),
    Preset(
        "fastest",
        (
            Step("distill", "kd", {"width": 8, "temperature": 2.0, "views": 2}),
            Step("prune", "l2", {"ratio": 0.5, "epochs": 15}),
        ),
    ),
)


@dataclass(frozen=True)
class Change:
    """One thing that is another in a recipe: of the recipe itself (`stage` empty), or of a step.

    `title` is None where the step itself came (`before` None), went (`after` None) or changed its method.
    """

    stage: str
    title: Words | None
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class _Pair:
    before: Step | None
    after: Step | None
    stage: str


def apply(draft: Draft, name: str, own: Mapping[str, Facts] = NO_DATA) -> Draft:
    """The draft with the preset's chain in place of its own, fitted to the data."""
    recipe = prepared(draft.recipe, _preset(name))
    return adjusted(draft.replaced(recipe, name), own)


def prepared(recipe: Recipe, preset: Preset) -> Recipe:
    """What the preset makes of a recipe: its data, backbone, labels and seeds stay."""
    own = [step for step in recipe.steps if step.stage == "transfer"][:1]
    first = [_transfer(recipe)] if preset.transfer or not own else own
    last = [step for step in recipe.steps if step.stage == "export"]
    chain = (*first, *(fitted(step) for step in preset.steps), *last)
    return replace(recipe, steps=chain, image_size=_image_size(recipe, preset))


def in_force(recipe: Recipe, own: Mapping[str, Facts] = NO_DATA) -> str | None:
    """The preset that would change nothing, if there is one."""
    now = recipe.hash()
    return next((preset.name for preset in PRESETS if fit(prepared(recipe, preset), own).hash() == now), None)


def _transfer(recipe: Recipe) -> Step:
    """Seconds where there are pretrained weights; a few epochs of everything where there are none."""
    pretrained = recipe.weights != "none" and load_catalog().backbones[recipe.backbone]["weights"] != "none"
    return Step("transfer", "linear_probe") if pretrained else Step("transfer", "fine_tune", {"epochs": 3})


def _image_size(recipe: Recipe, preset: Preset) -> int:
    facts = load_catalog().backbones[recipe.backbone]
    most = max(preset.image_size, int(facts["smallest"]))
    now = recipe.image_size or int(facts["image_size"])
    return most if preset.image_size and now > most else recipe.image_size


def _preset(name: str) -> Preset:
    return next(preset for preset in PRESETS if preset.name == name)


# what is different


def changes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """What differs between two recipes, defaults written out, in the order of the page."""
    old, new = before.knobs(), after.knobs()
    knobs = [Change("", o.title, old[o.name], new[o.name]) for o in RECIPE_OPTIONS if old[o.name] != new[o.name]]
    return (*knobs, *(change for pair in _pairs(before, after) for change in _step_changes(pair)))


def _pairs(before: Recipe, after: Recipe) -> Iterator[_Pair]:
    """The steps of both, the first of each stage with the first, the second with the second."""
    for stage in load_catalog().methods:
        old, new = ([s for s in recipe.steps if s.stage == stage] for recipe in (before, after))
        yield from (_Pair(one, other, stage) for one, other in zip_longest(old, new))


def _step_changes(pair: _Pair) -> Iterator[Change]:
    old, new = pair.before, pair.after
    if old is None or new is None or old.method != new.method:
        yield Change(pair.stage, None, old.method if old else None, new.method if new else None)
    if old is None or new is None:
        return
    titles, was, now = _titles(new), _written_out(old), _written_out(new)
    for name in titles:
        if name in was and was[name] != now.get(name):
            yield Change(pair.stage, titles[name], was[name], now.get(name))


def _titles(step: Step) -> Mapping[str, Words]:
    return {option.name: option.title for option in load_catalog().method(step.stage, step.method).options}


def _written_out(step: Step) -> dict[str, Value]:
    found = {o.name: o.default for o in load_catalog().method(step.stage, step.method).options if o.default is not None}
    return found | dict(step.options)
