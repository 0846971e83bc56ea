"""Presets: chains to begin with, fitted to the data and backbone at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.catalog import Facts, load_catalog
from core.recipe import Recipe, Step
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
    pretrained = recipe.weights != "none" and _facts(recipe).get("weights") != "none"
    return Step("transfer", "linear_probe") if pretrained else Step("transfer", "fine_tune", {"epochs": 3})


def _facts(recipe: Recipe) -> Facts:
    """Of a backbone that comes with the program; empty of one's own, which has weights and keeps its size."""
    return load_catalog().backbones.get(recipe.backbone, {})


def _image_size(recipe: Recipe, preset: Preset) -> int:
    facts = _facts(recipe)
    if not facts:
        return recipe.image_size
    most = max(preset.image_size, int(facts["smallest"]))
    now = recipe.image_size or int(facts["image_size"])
    return most if preset.image_size and now > most else recipe.image_size


def _preset(name: str) -> Preset:
    return next(preset for preset in PRESETS if preset.name == name)
