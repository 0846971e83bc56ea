"""The further runtime whose figures are looked at, in words. Size, parameters and multiplications are the file's in
any."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.runtimes import ONNXRUNTIME, title
from dashboard.charts.points import IN_RUNTIME
from dashboard.i18n import say
from dashboard.session import set_widget, widget
from dashboard.tradeoffs import view_state
from dashboard.tradeoffs.view_state import View

KEY = "tradeoffs_runtime"


def choose(further: Sequence[str], view: View) -> None:
    """The points' own runtime, or one of `further`."""
    options = ["", *further]
    set_widget(KEY, view.runtime if view.runtime in options else "")
    st.selectbox(
        say("tradeoffs.runtime"),
        options,
        format_func=lambda name: title(name or ONNXRUNTIME),
        key=KEY,
        on_change=_take,
        width=180,
        help=say("tradeoffs.runtime_help", runtime=title(ONNXRUNTIME)),
    )


def _take() -> None:
    view_state.alter(runtime=widget(KEY, ""))


def asked(points: pd.DataFrame) -> str:
    """The further runtime that is looked at; empty for the points' own."""
    return next((str(name) for name in points["asked"]), "")


def missing(points: pd.DataFrame) -> pd.Series[bool]:
    """Which points were not measured in the runtime that is looked at."""
    return (points["asked"] != "") & (points["runtime"] == "")


def told(points: pd.DataFrame) -> list[str]:
    """Whose figures these are where a further runtime is looked at, and how many points have none in it."""
    name = title(asked(points))
    if not name:
        return []
    count = int(missing(points).sum())
    without = [say("tradeoffs.told_not_measured_in", count=count, runtime=name)] if count else []
    return [say("tradeoffs.told_runtime", runtime=name), *without]


def axis_title(axis: str, runtime: str) -> str:
    """An axis, and the further runtime that its figures are from."""
    words = say(f"tradeoffs.axis_{axis}")
    return say("tradeoffs.axis_in", axis=words, runtime=title(runtime)) if runtime and axis in IN_RUNTIME else words


def column(points: pd.DataFrame) -> dict[str, list[str]]:
    """A column of the table: where each point was measured, as far as a further runtime is looked at."""
    name = asked(points)
    if not name:
        return {}
    without = say("tradeoffs.not_measured_in", runtime=title(name))
    return {"runtime": [title(found) if found else without for found in points["runtime"]]}
