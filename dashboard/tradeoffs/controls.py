"""The controls of Trade-offs: what is drawn against what, which points, and what a person can afford."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.text import formatting
from core.text.escaping import UserText
from dashboard import machines, terms
from dashboard.charts import run_points
from dashboard.charts.bounds import MATTERS, Bounds, best, cheaper, feasible, on_newest_images, usable, within
from dashboard.charts.front import AREAS, COSTS, QUALITIES
from dashboard.charts.hover import milliseconds
from dashboard.charts.points import SPREAD
from dashboard.charts.style import MARKS
from dashboard.i18n import say, together
from dashboard.session import set_widget, widget
from dashboard.tradeoffs import knob_filter, pairs, runtime, selection, view_state
from dashboard.tradeoffs.view_state import View


def axes(view: View, points: pd.DataFrame, runtimes: Sequence[str] = ()) -> None:
    """Which cost, which quality of these points, what the area of a mark means; and where points were measured in
    further `runtimes`, whose figures these are."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="tradeoffs_axes"):
        _select("x", COSTS, view)
        _switch("log", view.log)
        _select("y", qualities(points, view), view)
        _select("area", AREAS, view)
        if runtimes:
            runtime.choose(runtimes, view)


def qualities(points: pd.DataFrame, view: View) -> list[str]:
    """The qualities to choose from: points from before some were measured do not have those."""
    return [name for name in QUALITIES if name not in SPREAD or name == view.y or points[name].notna().any()]


def filters_of(view: View, pool: pd.DataFrame, same: pd.DataFrame, with_samples: bool) -> None:
    """The dataset, and behind a button all that makes the points fewer."""
    count = view_state.active(view)
    with st.container(horizontal=True, vertical_alignment="bottom", key="tradeoffs_filters"):
        known = view_state.datasets(pool)
        if len(known) > 1:
            _datasets(known, str(same["dataset"].iloc[0]))
        opened = st.popover(
            say("tradeoffs.filter_on", count=count) if count else say("tradeoffs.filter"),
            icon=":material/filter_alt:",
            key="tradeoffs_filter",
            on_change="rerun",
        )
        with opened:
            _switch("front", view.front, help="front_only_help", label="front_only")
            _switch("controls", view.controls, help="controls_help")
            _stages(view)
            _several("state", sorted(pd.unique(same["status"])), view.state, lambda name: say(f"status.{name}"))
            _several("backbone", sorted(pd.unique(same["backbone"])), view.backbone)
            _several("tag", view_state.tags(same), view.tag)
            if opened.open or view.knobs:
                knob_filter.fields(view_state.apply(same, view), view)
        _switch("samples", with_samples)
        _switch("paths", drawn_paths(view, same))
        st.button(
            say("tradeoffs.reset"),
            key="tradeoffs_reset",
            type="tertiary",
            icon=":material/restart_alt:",
            help=say("tradeoffs.reset_help"),
            on_click=view_state.reset,
        )


def drawn_paths(view: View, points: pd.DataFrame) -> bool:
    """Whether every run's steps are joined; by default only where there are few runs."""
    return points["run"].nunique() <= view_state.FEW_RUNS if view.paths is None else view.paths


def _select(name: str, options: Sequence[str], view: View) -> None:
    key = f"tradeoffs_{name}"
    set_widget(key, getattr(view, name))
    st.selectbox(
        say(f"tradeoffs.{name}"),
        options,
        format_func=lambda option: say(f"tradeoffs.{option}"),
        key=key,
        on_change=_take,
        args=(name,),
        width=180,
        help=terms.of_words(f"tradeoffs.{getattr(view, name)}"),
    )


def _switch(name: str, on: bool, help: str = "", label: str = "") -> None:
    key = f"tradeoffs_{name}"
    set_widget(key, on)
    label = f"tradeoffs.{label or name}"
    told = terms.with_help(say(f"tradeoffs.{help}"), label) if help else None
    st.toggle(say(label), key=key, on_change=_take, args=(name,), help=told)


def _datasets(known: list[str], chosen: str) -> None:
    set_widget("tradeoffs_dataset", chosen)
    st.selectbox(
        say("tradeoffs.dataset"),
        known,
        format_func=lambda name: name or say("tradeoffs.unknown"),
        key="tradeoffs_dataset",
        on_change=_take,
        args=("dataset",),
        width=240,
    )


def _several(name: str, options: list[str], chosen: Sequence[str], words: Callable[[str], str] = str) -> None:
    key = f"tradeoffs_{name}"
    set_widget(key, [one for one in chosen if one in options])
    st.multiselect(
        say(f"tradeoffs.{name}"),
        options,
        format_func=words,
        key=key,
        on_change=_take,
        args=(name,),
        placeholder=say("tradeoffs.filter_none"),
    )


def _stages(view: View) -> None:
    set_widget("tradeoffs_stage", [stage for stage in view.stage if stage in view_state.STAGES])
    st.pills(
        say("tradeoffs.stage"),
        view_state.STAGES,
        selection_mode="multi",
        format_func=lambda stage: f"{MARKS[stage]} {say(f'tradeoffs.{stage}')}",
        key="tradeoffs_stage",
        on_change=_take,
        args=("stage",),
    )


def _take(name: str) -> None:
    """Takes a widget's value over into the view."""
    value: Any = widget(f"tradeoffs_{name}", None)
    view_state.alter(**{name: tuple(value) if isinstance(value, list) else value})


# what a person can afford


def reference(points: pd.DataFrame, everything: pd.DataFrame, view: View) -> pd.DataFrame:
    """The row that drops are counted from: the pinned baseline if it was measured on the newest images, else the most
    accurate on validation; none or one."""
    pinned, newest = everything[everything["id"] == view.base], points[on_newest_images(points)]
    same = pinned[pinned["dataset"].isin(newest["dataset"]) & pinned["version"].isin(newest["version"])]
    return same if len(same) else points[points["id"] == best(points)].head(1)


def bounds(points: pd.DataFrame, everything: pd.DataFrame, view: View) -> Bounds:
    """What a person can afford, in bytes, milliseconds and as the lowest validation accuracy."""
    lowest = None
    if view.drop is not None:
        first = reference(points, everything, view)["validation"].dropna()
        lowest = float(first.iloc[0]) - view.drop / 100 if len(first) else float("inf")
    return Bounds(None if view.mb is None else view.mb * 1e6, view.ms, lowest)


def affordable(points: pd.DataFrame, everything: pd.DataFrame, view: View) -> None:
    """The bounds, the most accurate point that keeps them with the reason, and the cheaper ones next to it."""
    with st.container(border=True, key="tradeoffs_bounds"):
        st.markdown(f"**{say('tradeoffs.bounds')}**", help=terms.of_words("tradeoffs.bounds"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            _bound("mb", view.mb, 0.1)
            _bound("ms", view.ms, 0.1)
            _bound("drop", view.drop, 0.5, help=say("tradeoffs.most_drop_help"))
        limits = bounds(points, everything, view)
        if not limits.are_set:
            st.caption(say("tradeoffs.bounds_hint"))
            return
        found = points[points["id"] == best(points, limits)]
        if found.empty:
            st.warning(none_fits(points, limits), icon=":material/search_off:")
            return
        top = found.iloc[0]
        st.markdown(reason(top, reference(points, everything, view).iloc[0]))
        _actions(top, view, "tradeoffs_pick")
        _cheaper(points, limits, top, view)
        st.caption(together([say("tradeoffs.bounds_dimmed"), *left_out(points, limits), *judged_apart(points, limits)]))


def _actions(row: pd.Series[Any], view: View, key: str) -> None:
    """Selecting the point, and going on from it; the buttons stay where they are when it is selected."""
    ident = str(row["id"])
    there = ident in view.sel
    with st.container(horizontal=True, gap="small", width="content"):
        st.button(
            say("tradeoffs.picked_already") if there else say("tradeoffs.pick_it"),
            key=key,
            icon=":material/check:",
            on_click=view_state.toggle,
            args=((ident,),),
            disabled=there,
        )
        selection.design_towards(row, f"{key}_design")


def _cheaper(points: pd.DataFrame, limits: Bounds, top: pd.Series[Any], view: View) -> None:
    """The smaller and faster points within the bounds, with what they lose against the best."""
    found = cheaper(points, limits, str(top["id"]), pairs.on_test)
    if not found:
        return
    st.markdown(say("tradeoffs.cheaper"))
    for number, ident in enumerate(found, start=1):
        row = points[points["id"] == ident].iloc[0]
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"tradeoffs_cheaper_{number}"):
            st.markdown(alternative(row, top))
            _actions(row, view, f"tradeoffs_pick_{number}")


def alternative(row: pd.Series[Any], top: pd.Series[Any]) -> str:
    """What a cheaper point saves and loses beside the best, and whether the test images show a difference."""
    found = pairs.delta(row, top)
    costs = [_times(name, times) for name, times in (("bytes", found.bytes), ("latency", found.latency)) if times]
    gap = round(100 * (found.validation or 0.0), 1)
    way = "below" if gap < 0 else "equal"  # none is above the best
    unknown = say("tradeoffs.cheaper_unknown")
    verdict = unknown if found.test is None else selection.test_told(found.test, "cheaper")
    return say(
        "tradeoffs.cheaper_one",
        mark=MARKS.get(row["stage"], "○"),
        name=UserText(selection.name(row)).md(),
        run=UserText(row["run_name"]).md(),
        costs=say("tradeoffs.cheaper_and").join(filter(None, costs)),
        gap=say(f"tradeoffs.cheaper_{way}", points=f"{abs(gap):.1f}"),
        verdict=verdict,
    )


def _times(name: str, ratio: float) -> str:
    """How many times less or more of a cost; empty where it is about the same."""
    if 1 / MATTERS < ratio < MATTERS:
        return ""
    way = "less" if ratio < 1 else "more"
    return say(f"tradeoffs.cheaper_{name}_{way}", times=formatting.two_digits(max(ratio, 1 / ratio)))


def left_out(points: pd.DataFrame, limits: Bounds) -> list[str]:
    """How many points within the bounds are not offered, and why: not proven better than chance, or other images."""
    chain, current = feasible(points, limits) & ~points["control"], on_newest_images(points)
    counts = {"at_chance": chain & points["at_chance"] & current, "older_images": chain & ~current}
    return [say(f"tradeoffs.{name}_left_out", count=int(some.sum())) for name, some in counts.items() if some.any()]


def judged_apart(points: pd.DataFrame, limits: Bounds) -> list[str]:
    """That one bound was held against latencies measured under unlike conditions, where it was."""
    kinds = [] if limits.p50 is None else run_points.kinds(points[usable(points)])
    return [told] if (told := machines.told_of("bound", kinds)) else []


def _bound(name: str, value: float | None, step: float, help: str | None = None) -> None:
    key = f"tradeoffs_{name}"
    set_widget(key, value)
    st.number_input(
        say(f"tradeoffs.most_{name}"),
        min_value=0.0,
        max_value=view_state.LARGEST,
        value=None,
        step=step,
        format="%.10g",
        key=key,
        on_change=_take,
        args=(name,),
        help=help,
        placeholder="–",
        width=170,
    )


def reason(row: pd.Series[Any], beside: pd.Series[Any]) -> str:
    """Why this point was picked, in one sentence with its figures."""
    gap = round(100 * (row["validation"] - beside["validation"]), 1)
    way = "below" if gap < 0 else "above" if gap else "equal"
    test = pairs.delta(row, beside).test
    return say(
        "tradeoffs.picked_itself" if row["id"] == beside["id"] else "tradeoffs.picked",
        mark=MARKS.get(row["stage"], "○"),
        name=UserText(selection.name(row)).md(),
        run=UserText(row["run_name"]).md(),
        bytes=formatting.size(row["bytes"]),
        latency=milliseconds(row["p50"], row["noisy"]),
        validation=formatting.percent(row["validation"]),
        gap=say(f"tradeoffs.picked_{way}", points=f"{abs(gap):.1f}"),
        baseline=f"“{UserText(selection.name(beside)).md()}”",
        accuracy=selection.accuracy(row),
        test=say("tradeoffs.picked_unknown") if test is None else selection.test_told(test, "picked"),
    )


def none_fits(points: pd.DataFrame, limits: Bounds) -> str:
    """How many points keep each bound, where none keeps all."""
    chain = points[~points["control"]]
    kept = [say(f"tradeoffs.kept_{name}", count=int(fits.sum())) for name, fits in within(chain, limits).items()]
    told = say("tradeoffs.picked_none", count=len(chain), counts=say("tradeoffs.kept_and").join(kept))
    return together([told, *left_out(points, limits), *judged_apart(points, limits)])
