"""What a step's main knob does, on a card: drawn anew as the knob is turned, on a small network that comes along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.assets import EFFECTS, shipped
from core.catalog import MethodEntry
from core.options import Value
from core.recipe import Step
from core.text import formatting
from dashboard import components
from dashboard.charts import effects
from dashboard.i18n import say
from dashboard.session import dark, widget

KNOBS = {"distill": ("temperature", "tau"), "prune": ("ratio",), "quantize": ("bits",)}
STANDARDISED = "logit_std"  # the method that softens logits of which mean and deviation were taken away


@dataclass(frozen=True)
class Effect:
    """What a value does on the network that comes along: in a sentence, as a table, and how that is drawn."""

    sentence: str
    table: pd.DataFrame
    figure: Callable[[], go.Figure]


def show(place: int, step: Step, entry: MethodEntry) -> None:
    """A sentence with numbers on what the step's main knob does, and a fold with the drawing; or why there is none."""
    if step.stage not in KNOBS or not entry.options:
        return
    value = knob(step, entry)
    if value is None or not drawable(step):
        st.caption(say(f"effects.none_{reason(step, entry)}"))
        return
    effect = MADE[step.stage](place, step, value)
    st.markdown(effect.sentence)
    title = say(f"effects.{step.stage}")
    fold = st.expander(title, icon=":material/visibility:", key=f"effects_{place}_{step.stage}", on_change="rerun")
    if fold.open:
        with fold:
            if step.stage == "distill":
                choose_image(place)
            components.chart(
                effect.figure(),
                effect.table,
                key=f"effects_chart_{place}_{step.stage}",
                alt=effect.sentence,
                file=f"effect-{step.stage}",
            )
            st.caption(say("effects.of"))


def knob(step: Step, entry: MethodEntry) -> float | None:
    """The value of the knob that the drawing follows; None where the method has no such number."""
    option = next((option for option in entry.options if option.name in KNOBS.get(step.stage, ())), None)
    value: Value | None = None if option is None else step.options.get(option.name, option.default)
    if option is None or not isinstance(value, int | float) or not value > 0:
        return None
    low, high = option.minimum, option.maximum
    within = (low is None or value >= low) and (high is None or value <= high)
    return float(value) if within else None  # a number that is not allowed has no drawing


def drawable(step: Step) -> bool:
    """Pruning is drawn for the methods that rank by the weights alone, where each layer loses the same share."""
    if step.stage != "prune":
        return True
    alone = step.options.get("scope", "local") == "local" and step.options.get("target", "none") == "none"
    return alone and f"score_{step.method}" in known_effects()


def reason(step: Step, entry: MethodEntry) -> str:
    """Why the effect cannot be shown before any training: the name of a phrase."""
    names = {option.name for option in entry.options}
    if not names.intersection(KNOBS[step.stage]):
        return f"{step.stage}_maps" if entry.needs_maps else step.stage
    if knob(step, entry) is None:
        return "value"
    if step.options.get("target", "none") != "none":
        return "prune_bound"
    if step.options.get("scope", "local") == "global" and f"score_{step.method}" in known_effects():
        return "prune_global"
    return "prune_random" if step.method == "random" else "prune_measured"


# each stage's


def _soft_labels(place: int, step: Step, temperature: float) -> Effect:
    known, names, chosen = known_effects(), class_names(), widget(f"effects_image_{place}", 0)
    logits = known["logits"][chosen].astype(np.float64)
    if step.method == STANDARDISED:
        logits = effects.standardised(logits)
    table, told = effects.soft_table(logits, names, temperature), f"{temperature:g}"
    first, second = table.nlargest(2, "softened").itertuples(index=False)
    key = "effects.soft_alt_standardised" if step.method == STANDARDISED else "effects.soft_alt"
    sentence = say(
        key,
        temperature=told,
        image=names[chosen],
        first=first[0],
        p=formatting.percent(first[2], 0),
        second=second[0],
        q=formatting.percent(second[2], 0),
        plain=formatting.percent(first[1], 0),
    )
    words = say("effects.plain"), say("effects.soft", temperature=told)
    return Effect(sentence, table, lambda: effects.soft_figure(table, *words, dark=dark()))


def choose_image(place: int) -> None:
    """Which of the ten pictures that come along is shown."""
    names = class_names()
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.selectbox(
            say("effects.image"),
            range(len(names)),
            format_func=lambda n: names[n],
            key=f"effects_image_{place}",
            width=200,
        )
        st.image(known_effects()["images"][chosen], width=84, alt=names[chosen])


def _channels(place: int, step: Step, ratio: float) -> Effect:
    table = effects.rank_table(known_effects()[f"score_{step.method}"].astype(np.float64), ratio)
    gone, count = int((~table["stays"]).sum()), len(table)
    weights = formatting.percent(1 - (1 - gone / count) ** 2, 0)
    sentence = say("effects.rank_alt", ratio=f"{ratio:g}", gone=gone, count=count, weights=weights)
    words = effects.Fate(say("effects.stays"), say("effects.goes"), say("effects.channel"), say("effects.score"))
    return Effect(sentence, table, lambda: effects.rank_figure(table, words, dark=dark()))


def _levels(place: int, step: Step, bits: float) -> Effect:
    table = effects.level_table(known_effects()["weights"].astype(np.float64), int(bits))
    error = float(np.sqrt(np.mean((table["weight"] - table["rounded"]) ** 2) / np.mean(table["weight"] ** 2)))
    levels = 2 ** int(bits) - 1
    sentence = say("effects.level_alt", bits=int(bits), levels=levels, error=formatting.percent(error))
    words = say("effects.weight"), say("effects.rounded")
    return Effect(sentence, table, lambda: effects.level_figure(table, *words, dark=dark()))


MADE: Mapping[str, Callable[[int, Step, float], Effect]] = {
    "distill": _soft_labels,
    "prune": _channels,
    "quantize": _levels,
}


def class_names() -> list[str]:
    """The ten classes of the network that comes along, in the person's language."""
    return [say(f"effects.class_{number}") for number in range(len(known_effects()["classes"]))]


@cache
def known_effects() -> Mapping[str, NDArray[Any]]:
    """The arrays of `assets/effects`, see `assets/make_effects.py`: images [10, 28, 28], logits [10, classes], …"""
    with np.load(shipped(EFFECTS), allow_pickle=False) as found:
        return dict(found)
