"""What a step's main knob does, on a card: drawn anew as the knob is turned, on a small network that comes along."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core import formatting
from core.assets import EFFECTS, shipped
from core.catalog import MethodEntry
from core.escaping import UserText
from core.options import Value
from core.recipe import Step
from dashboard import components
from dashboard.charts import effects
from dashboard.i18n import say
from dashboard.session import dark

KNOBS = {"distill": "temperature", "prune": "ratio", "quantize": "bits"}


def show(place: int, step: Step, entry: MethodEntry) -> None:
    """A fold with the drawing, for methods whose knob has an effect that can be shown before any training."""
    value = knob(step, entry)
    if value is None or not drawable(step):
        return
    title = say(f"effects.{step.stage}")
    fold = st.expander(title, icon=":material/visibility:", key=f"effects_{place}_{step.stage}", on_change="rerun")
    if fold.open:
        with fold:
            {"distill": _soft_labels, "prune": _channels, "quantize": _levels}[step.stage](place, step, float(value))
            st.caption(say("effects.of"))


def knob(step: Step, entry: MethodEntry) -> float | None:
    """The value of the knob that the drawing follows; None where the method has no such number."""
    option = next((option for option in entry.options if option.name == KNOBS.get(step.stage)), None)
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
    return alone and f"score_{step.method}" in _known()


def _soft_labels(place: int, step: Step, temperature: float) -> None:
    known = _known()
    names = [str(name) for name in known["classes"]]
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.selectbox(
            say("effects.image"), range(len(names)), format_func=lambda n: names[n],
            key=f"effects_image_{place}", width=200,
        )  # fmt: skip
        st.image(known["images"][chosen], width=84, alt=UserText(names[chosen]).plain())
    table = effects.soft_table(known["logits"][chosen].astype(np.float64), names, temperature)
    told = f"{temperature:g}"
    figure = effects.soft_figure(table, say("effects.plain"), say("effects.soft", temperature=told), dark=dark())
    first, second = table.nlargest(2, "softened").itertuples(index=False)
    alt = say(
        "effects.soft_alt", temperature=told, first=first[0], p=formatting.percent(first[2]), second=second[0],
        q=formatting.percent(second[2]),
    )  # fmt: skip
    components.chart(figure, table, key=f"effects_chart_{place}_distill", alt=alt, file="soft-labels")


def _channels(place: int, step: Step, ratio: float) -> None:
    table = effects.rank_table(_known()[f"score_{step.method}"].astype(np.float64), ratio)
    words = effects.Fate(say("effects.stays"), say("effects.goes"), say("effects.channel"), say("effects.score"))
    figure = effects.rank_figure(table, words, dark=dark())
    alt = say("effects.rank_alt", gone=int((~table["stays"]).sum()), count=len(table))
    components.chart(figure, table, key=f"effects_chart_{place}_prune", alt=alt, file="channels")


def _levels(place: int, step: Step, bits: float) -> None:
    table = effects.level_table(_known()["weights"].astype(np.float64), int(bits))
    error = float(np.sqrt(np.mean((table["weight"] - table["rounded"]) ** 2) / np.mean(table["weight"] ** 2)))
    figure = effects.level_figure(table, say("effects.weight"), say("effects.rounded"), dark=dark())
    levels = 2 ** int(bits) - 1
    alt = say("effects.level_alt", bits=int(bits), levels=levels, error=formatting.percent(error))
    st.markdown(alt)
    components.chart(figure, table, key=f"effects_chart_{place}_quantize", alt=alt, file="levels")


@cache
def _known() -> Mapping[str, NDArray[Any]]:
    with np.load(shipped(EFFECTS), allow_pickle=False) as found:
        return dict(found)
