"""The charts of a search, each with its numbers below it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.search.space import Vary
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components, step_names, terms
from dashboard.charts import contour
from dashboard.charts import search as charts
from dashboard.i18n import say
from dashboard.search.shown import Shown
from dashboard.session import dark

FEW = 2  # trials, below which there is nothing to draw


def draw(found: Shown) -> None:
    """History, front, importance, one knob and two knobs of a search; a sweep's curve or map."""
    table = charts.info(found.now.trials, found.answer, found.asked.bounds, found.now.teacher)
    if len(table) < FEW:
        return
    if found.asked.is_sweep:
        _grid(found, table)
        return
    left, right = st.columns(2)
    with left:
        _history(table)
    with right:
        _front(found, table)
    left, right = st.columns(2)
    with left:
        _importance(found)
    with right:
        _slice(found, table)
    _contour(found, table)


def labels() -> charts.Labels:
    return charts.Labels(
        **{
            name: say(f"search.{name}")
            for name in ("trial", "accuracy", "bytes", "within", "outside", "best", "front", "recommended", "share")
        }
    )


def _history(table: pd.DataFrame) -> None:
    st.markdown(f"**{say('search.history')}**", help=terms.of_words("search.history", "search.accuracy"))
    figure = charts.history(table, labels(), dark=dark())
    alt = say("search.history_alt", count=len(table), best=f"{100 * float(table['accuracy'].max()):.1f} %")
    components.chart(figure, table, key="search_history", alt=alt, file="search-history")


def _front(found: Shown, table: pd.DataFrame) -> None:
    st.markdown(f"**{say('search.front_title')}**", help=terms.of_words("search.front_title", "search.bytes"))
    best = found.answer.recommended
    figure = charts.front(table, None if best is None else best.number + 1, labels(), dark=dark())
    alt = say("search.front_alt", count=int(table["front"].sum()))
    components.chart(figure, table[table["front"]], key="search_front", alt=alt, file="search-front")


def _importance(found: Shown) -> None:
    help = terms.with_help(say("search.importance_help"), "search.importance")
    st.markdown(f"**{say('search.importance')}**", help=help)
    table = charts.importance(found.now.importance, found.names)
    if table.empty:
        st.caption(say("search.importance_none"))
        return
    words = {"accuracy": say("search.accuracy"), "bytes": say("search.bytes")}
    figure = charts.importance_figure(table, words, say("search.share"), dark=dark())
    alt = say("search.importance_alt", knob=str(table["knob"].iloc[0]))
    components.chart(figure, table, key="search_importance", alt=alt, file="search-importance")


def _slice(found: Shown, table: pd.DataFrame) -> None:
    st.markdown(f"**{say('search.slice')}**", help=terms.of_words("search.slice"))
    paths = [vary.path for vary in found.asked.vary if vary.path in table and table[vary.path].notna().any()]
    path = st.selectbox(
        say("search.knob"),
        paths,
        format_func=lambda each: found.names[each],
        key="search_slice_knob",
        label_visibility="collapsed",
    )
    if path is None:
        return
    figure = charts.slice_(table, path, found.names[path], labels(), log=_vary(found, path).log, dark=dark())
    alt = say("search.slice_alt", knob=found.names[path])
    components.chart(figure, table[["trial", path, "accuracy"]], key="search_slice", alt=alt, file="search-slice")


def _contour(found: Shown, table: pd.DataFrame) -> None:
    """Two knobs at once, to begin with those that matter most."""
    paths = [vary.path for vary in found.asked.vary if vary.path in table and table[vary.path].notna().any()]
    matters = found.now.importance.get("accuracy", {})
    paths.sort(key=lambda path: -matters.get(path, 0.0))
    if len(paths) < 2:
        return
    st.markdown(f"**{say('search.contour')}**", help=terms.of_words("search.contour"))
    left, right = st.columns(2)
    with left:
        one = _knob(found, paths, "search.knob", "search_contour_one")
    with right:
        other = _knob(found, [path for path in paths if path != one], "search.other_knob", "search_contour_other")
    pair, names = (one, other), (found.names[one], found.names[other])
    between = contour.is_interpolated(table, pair)
    st.caption(say("search.contour_about" if between else "search.contour_marks"))
    labels = say("search.trial"), say("search.accuracy")
    logs = _vary(found, one).log, _vary(found, other).log
    figure = contour.figure(table, pair, names, found.told, labels, logs=logs, dark=dark())
    rows = contour.known(table, pair)
    alt = say("search.contour_alt", count=len(rows), one=names[0], other=names[1])
    components.chart(figure, rows[["trial", *pair, "accuracy"]], key="search_contour", alt=alt, file="search-contour")


def _knob(found: Shown, paths: list[str], words: str, key: str) -> str:
    chosen: str = st.selectbox(
        say(words), paths, format_func=lambda each: found.names[each], key=key, label_visibility="collapsed"
    )
    return chosen


def _grid(found: Shown, table: pd.DataFrame) -> None:
    st.markdown(f"**{say('search.sweep_title')}**", help=terms.of_words("search.sweep_title"))
    paths = [vary.path for vary in found.asked.vary]
    alt = say("search.sweep_alt", count=len(table))
    if len(paths) == 1:
        even = _in_equal_ratios(table[paths[0]])
        figure = charts.curve(table, paths[0], found.names[paths[0]], labels(), log=even, dark=dark())
    else:
        x, y = paths
        titles = found.names[x], found.names[y]
        figure = charts.heat(table, (x, y), titles, found.told, dark=dark())
        st.caption(say("search.heat"))
    components.chart(figure, table, key="search_sweep", alt=alt, file="sweep")


def _in_equal_ratios(values: pd.Series) -> bool:
    """Whether the values of a sweep span a decade, so that equal ratios show them better."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    return float(values.min()) > 0 and float(values.max()) >= 10 * float(values.min())


def _vary(found: Shown, path: str) -> Vary:
    return next(vary for vary in found.asked.vary if vary.path == path)


def rows(found: Shown) -> pd.DataFrame:
    """A row a trial: its settings in words, its figures, its state."""
    teacher = found.now.teacher
    unlike = any(trial.unlike for trial in found.now.trials)
    table = []
    for trial in found.now.trials:
        lost = trial.lost(teacher)
        table.append(
            {
                say("search.trial"): trial.number + 1,
                **{found.names[path]: found.told(path, value) for path, value in trial.values.items()},
                say("search.column_accuracy"): None if trial.accuracy is None else round(100 * trial.accuracy, 1),
                say("search.column_lost"): None if lost is None else round(lost, 1),
                say("search.column_bytes"): None if trial.bytes is None else round(trial.bytes / 1000, 1),
                say("search.column_latency"): None if trial.latency is None else round(trial.latency, 3),
                **({say("search.column_machine"): trial.timed_on} if unlike else {}),
                say("search.column_state"): say(f"search.state_{trial.state}"),
            }
        )
    return pd.DataFrame(table)


def trials(found: Shown) -> None:
    """All trials, folded; and why those failed that did."""
    if not found.now.trials:
        return
    with st.expander(say("search.trials", count=len(found.now.trials)), key="search_trials"):
        st.dataframe(rows(found), hide_index=True, key="search_table", alt=say("search.table_alt"))
        for trial in found.now.trials:
            if trial.state == "failed":
                why = UserText(step_names.in_words(trial.why, found.recipe.steps)).md()
                st.caption(say("search.why_failed", number=trial.number + 1, why=why))
        if cut := sum(trial.state == "cut" for trial in found.now.trials):
            spent = sum(trial.seconds or 0.0 for trial in found.now.trials if trial.state == "cut")
            st.caption(say("search.why_cut", count=cut, time=formatting.duration(spent)))
