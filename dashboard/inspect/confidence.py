"""Whether its probabilities can be believed: the reliability diagram, its error, and one temperature to correct it."""

from __future__ import annotations

import streamlit as st

from core.run_files.answers import Calibration, Scaling
from core.run_files.sides import Side
from core.text import formatting
from dashboard import components
from dashboard.charts import reliability as chart
from dashboard.i18n import named, say, template
from dashboard.inspect import evidence
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair
from dashboard.session import dark


def show(choice: Choice) -> None:
    """The diagram of the chosen point, of it scaled, and of what it is held against."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    about = pair.own.about
    st.markdown(error_told(pair))
    st.markdown(scaling_told(about.scaling, about.calibration, about.scaled))
    lines, stages = drawn(choice, pair)
    table = chart.info(lines)
    labels = chart.Labels(
        x=say("inspect.confidence"),
        y=say("inspect.right"),
        perfect=say("inspect.perfect"),
        hover=template("inspect.reliability_hover"),
    )
    alt = say(
        "inspect.reliability_alt",
        error=formatting.percent(about.calibration.error),
        says=formatting.percent(float(pair.own.confidences.mean())),
        right=formatting.percent(pair.own.right.mean()),
    )
    components.chart(
        chart.figure(table, stages, labels, dark=dark()), table, key="inspect_reliability", alt=alt, file="reliability"
    )
    st.caption(say("inspect.reliability_help"))


def drawn(choice: Choice, pair: Pair) -> tuple[dict[str, Calibration], dict[str, str]]:
    """The lines by name, and the stage of each."""
    about, point = pair.own.about, choice.point
    own = _name(choice.side)
    lines, stages = {own: about.calibration}, {own: point.stage}
    if about.scaling.temperature != 1:
        name = say("inspect.scaled", name=own, temperature=f"{about.scaling.temperature:.2f}")
        lines, stages = lines | {name: about.scaled}, stages | {name: point.stage}
    if choice.against is not None and pair.other is not None:
        name = say("inspect.side_before", name=_name(choice.against))
        lines |= {name: pair.other.about.calibration}
        stages |= {name: choice.against.point.stage}
    return lines, stages


def _name(side: Side) -> str:
    return named(side.point.stage, side.point.method, side.point.name)


def error_told(pair: Pair) -> str:
    """How far confidence is from the truth, and what it was before."""
    told = say("inspect.error", error=formatting.percent(pair.own.about.calibration.error))
    if pair.other is not None:
        told += " " + say("inspect.error_before", error=formatting.percent(pair.other.about.calibration.error))
    return told


def scaling_told(found: Scaling, plain: Calibration, scaled: Calibration) -> str:
    """What one temperature for all logits would correct."""
    if found.unbounded:
        return say("inspect.scaling_unbounded")
    if found.temperature == 1:
        return say("inspect.scaling_none")
    return say(
        "inspect.scaling_cooler" if found.temperature > 1 else "inspect.scaling_sharper",
        temperature=f"{found.temperature:.2f}",
        before=f"{found.before:.4f}",
        after=f"{found.after:.4f}",
        error=formatting.percent(plain.error),
        scaled=formatting.percent(scaled.error),
    )
