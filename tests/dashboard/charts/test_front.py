"""The front against its definition; what is drawn is what the table says."""

from __future__ import annotations

import json
import math
from collections import Counter

import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.run_files.samples import samples
from dashboard.charts import bounds, front, points, thinning
from dashboard.charts.bounds import Bounds
from dashboard.charts.front import Axes, Labels, Shown

LABELS = Labels(
    x="size",
    y="accuracy",
    front="front",
    baseline="baseline",
    control="{stage}, control",
    sample="sample:",
    hover="{name} {run} {step} {accuracy} {validation} {bytes} {params} {macs} {p50} {p95} {runtime} {settings}",
    stages={"prune": "Pruned"},
)
FIGURES = st.one_of(st.sampled_from([1.0, 2.0, 3.0, math.nan]), st.floats(0, 10))
PAIRS = st.lists(st.tuples(FIGURES, FIGURES), max_size=30)


@pytest.fixture
def table() -> pd.DataFrame:
    return points.info(samples(), sample=True)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


# the front


@given(PAIRS)
def test_a_point_is_on_the_front_if_and_only_if_no_other_beats_it(pairs: list[tuple[float, float]]) -> None:
    known = [pair for pair in pairs if not any(map(math.isnan, pair))]
    expected = [pair in known and not any(beats(other, pair) for other in known) for pair in pairs]
    cost, quality = (pd.Series([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    assert front.on_front(cost, quality).tolist() == expected


@given(PAIRS)
def test_every_complete_point_is_on_the_front_or_beaten_by_one_that_is(pairs: list[tuple[float, float]]) -> None:
    cost, quality = (pd.Series([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    leading = [pair for pair, on in zip(pairs, front.on_front(cost, quality), strict=True) if on]
    for pair in pairs:
        if not any(map(math.isnan, pair)):
            assert pair in leading or any(beats(other, pair) for other in leading)


def test_equal_points_share_the_front_and_the_index_is_kept() -> None:
    cost = pd.Series([2.0, 1.0, 1.0, 2.0], index=[7, 3, 5, 9])
    found = front.on_front(cost, pd.Series([0.5, 0.5, 0.5, 0.9], index=[7, 3, 5, 9]))
    assert found.to_dict() == {7: False, 3: True, 5: True, 9: True}


def test_it_is_chosen_on_validation_and_without_controls(table: pd.DataFrame) -> None:
    for axes in (Axes(), Axes(y="accuracy"), Axes(x="macs"), Axes(x="p50", log=False)):
        found = front.info(table, axes)
        chain = found[~found["control"]]
        expected = front.on_front(chain[axes.x], chain["validation"])
        assert chain["front"].tolist() == expected.tolist()
        assert not found[found["control"]]["front"].any()


def test_what_lacks_a_figure_of_the_axes_is_not_drawn(table: pd.DataFrame) -> None:
    table.loc[0, "p50"] = math.nan
    assert len(front.info(table, Axes(x="p50"))) == len(table) - 1
    assert len(front.info(table, Axes(x="bytes"))) == len(table)
    empty = front.info(table.head(0), Axes())
    assert front.figure(empty, Axes(), LABELS, Shown()).layout.height == front.HEIGHT


# the figure


def marks(drawn: go.Figure) -> dict[str, go.Scatter]:
    return {trace.uid: trace for trace in drawn.data if trace.customdata is not None}


def trace(drawn: go.Figure, uid: str) -> go.Scatter:
    return next(trace for trace in drawn.data if trace.uid == uid)


def test_every_point_is_a_mark_with_its_id_in_a_trace_of_its_stage(table: pd.DataFrame) -> None:
    drawn = front.figure(front.info(table, Axes()), Axes(), LABELS, Shown())
    ids = [row[0] for mark in marks(drawn).values() for row in mark.customdata]
    assert sorted(ids) == sorted(table["id"])
    kinds = [f"{stage}/{control}" for stage, control in zip(table["stage"], table["control"], strict=True)]
    assert {uid: len(mark.x) for uid, mark in marks(drawn).items()} == Counter(kinds)
    assert marks(drawn)["distill/True"].marker.symbol == "diamond-open"
    assert marks(drawn)["distill/False"].marker.symbol == "diamond"
    assert json.loads(drawn.to_json())["data"]


def test_the_dominated_and_what_breaks_a_bound_are_dimmed_and_the_picked_are_not(table: pd.DataFrame) -> None:
    known = front.info(table, Axes())
    beaten = known[~known["front"]].iloc[0]["id"]
    bound = Bounds(bytes=50_000)
    drawn = front.figure(known, Axes(), LABELS, Shown(selected=(beaten,), bounds=bound))
    strong = {
        row[0]: o for mark in marks(drawn).values() for row, o in zip(mark.customdata, mark.marker.opacity, strict=True)
    }
    for _, row in known.iterrows():
        expected = front.UNFIT if row["bytes"] > 50_000 else 1.0 if row["front"] else front.DIMMED
        assert strong[row["id"]] == (1.0 if row["id"] == beaten else expected)


def test_the_line_goes_through_the_front_in_the_order_of_cost_whatever_is_drawn(table: pd.DataFrame) -> None:
    for axes in (Axes(), Axes(y="accuracy", x="p50")):
        known = front.info(table, axes)
        line = trace(front.figure(known, axes, LABELS, Shown()), "front")
        assert list(line.x) == sorted(known[known["front"]][axes.x])
        assert set(line.y) == set(known[known["front"]][axes.y])
        assert line.line.shape == "hv"


def test_whiskers_are_intervals_of_test_accuracy_only(table: pd.DataFrame) -> None:
    plain = front.figure(front.info(table, Axes()), Axes(), LABELS, Shown())
    assert not [t for t in plain.data if t.uid.startswith("whiskers")]
    drawn = front.figure(front.info(table, Axes(y="accuracy")), Axes(y="accuracy"), LABELS, Shown())
    ends = [y for t in drawn.data if t.uid.startswith("whiskers") for y in t.y if y is not None]
    assert sorted(ends) == sorted([*table["low"], *table["high"]])


def test_accuracy_on_a_target_is_drawn_with_its_own_intervals_where_it_was_measured(table: pd.DataFrame) -> None:
    axes = Axes(y="on_target")
    assert front.info(table, axes).empty
    measured = table.head(2).assign(on_target=[0.5, 0.6], target_low=[0.4, 0.5], target_high=[0.6, 0.7])
    known = front.info(pd.concat([measured, table.iloc[2:]]), axes)
    assert known["on_target"].tolist() == [0.5, 0.6]
    drawn = front.figure(known, axes, LABELS, Shown())
    ends = [y for t in drawn.data if t.uid.startswith("whiskers") for y in t.y if y is not None]
    assert sorted(ends) == [0.4, 0.5, 0.6, 0.7]


def test_paths_join_the_steps_of_a_run_in_their_order_and_stop_between_runs(table: pd.DataFrame) -> None:
    known = front.info(table, Axes())
    run = known.iloc[0]["run"]
    steps = known[(known["run"] == run) & ~known["control"]].sort_values("step")
    path = trace(front.figure(known, Axes(), LABELS, Shown(selected=(known.iloc[0]["id"],))), "path")
    assert list(path.x) == steps["bytes"].tolist()
    every = trace(front.figure(known, Axes(), LABELS, Shown(paths=True)), "path")
    assert list(every.x).count(None) == known["run"].nunique() - 1
    assert not trace(front.figure(known, Axes(), LABELS, Shown()), "path").x


def test_a_ring_is_around_each_picked_point(table: pd.DataFrame) -> None:
    known = front.info(table, Axes())
    shown = Shown(selected=tuple(known["id"].head(3)), baseline=known["id"].iloc[4])
    drawn = front.figure(known, Axes(), LABELS, shown)
    assert list(trace(drawn, "selected").x) == known["bytes"].head(3).tolist()
    assert list(trace(drawn, "baseline").text) == ["baseline"]


def test_areas_are_as_latencies(table: pd.DataFrame) -> None:
    known = front.info(table, Axes()).sort_values("p50")
    large = known[known["diameter"] > 9.5]
    assert (large["diameter"] ** 2 / large["p50"]).round(6).nunique() == 1
    assert known["diameter"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["<b>x</b>", "<a href='http://x'>y</a>", "$\\alpha$", "%{x}", "שלום"])
def test_a_persons_names_are_text_in_the_hover(table: pd.DataFrame, name: str) -> None:
    known = front.info(table.assign(run_name=name), Axes())
    told = next(iter(marks(front.figure(known, Axes(), LABELS, Shown())).values())).customdata[0][1]
    assert not any(sign in told for sign in ("<", "%{", "$"))


def test_shade_ends_at_the_bounds(table: pd.DataFrame) -> None:
    known = front.info(table, Axes())
    shown = Shown(bounds=Bounds(bytes=100_000, validation=0.8))
    (box,) = front.figure(known, Axes(), LABELS, shown).layout.shapes
    assert (box.x1, box.y0) == (100_000, 0.8)
    assert not front.figure(known, Axes(x="macs", y="accuracy"), LABELS, shown).layout.shapes


def test_many_marks_are_drawn_by_webgl_one_trace_a_stage_and_role(table: pd.DataFrame) -> None:
    many = pd.concat([table] * (front.MOST_SVG // len(table) + 1), ignore_index=True)
    drawn = front.figure(front.info(many, Axes()), Axes(), LABELS, Shown())
    assert {type(mark) for mark in marks(drawn).values()} == {go.Scattergl}
    assert len(marks(drawn)) == table.groupby(["stage", "control"]).ngroups


# a crowd


def test_a_crowd_is_thinned_and_keeps_the_front_and_the_picked(table: pd.DataFrame) -> None:
    many = pd.concat([table] * (thinning.MOST // len(table) + 2), ignore_index=True)
    many["bytes"] *= 1 + many.index / len(many)
    many["id"] = [str(place) for place in many.index]
    known = front.info(many, Axes())
    picked = known["id"] == "77"
    few = thinning.thinned(known, Axes(), known["front"] | picked)
    assert len(few) < len(known) / 2
    assert set(known[known["front"] | picked]["id"]) <= set(few["id"])
    assert set(zip(few["stage"], few["control"], strict=True)) == set(zip(many["stage"], many["control"], strict=True))
    assert thinning.thinned(front.info(table, Axes()), Axes(), picked) is not None
    assert len(thinning.thinned(front.info(table, Axes()), Axes(), pd.Series(False, index=table.index))) == len(table)


# bounds


def test_the_best_within_the_bounds_is_found_as_by_hand(table: pd.DataFrame) -> None:
    for limits in (Bounds(bytes=90_000), Bounds(p50=0.06, validation=0.79), Bounds(validation=0.85), Bounds()):
        rows = [
            (-row["validation"], row["bytes"], row["id"])
            for _, row in table[~table["control"]].iterrows()
            if row["bytes"] <= (limits.bytes or math.inf)
            and row["p50"] <= (limits.p50 or math.inf)
            and row["validation"] >= (limits.validation or 0)
        ]
        assert bounds.best(table, limits) == min(rows)[2]
    assert bounds.best(table, Bounds(bytes=1)) == ""


def test_a_figure_that_was_not_measured_keeps_no_bound(table: pd.DataFrame) -> None:
    table["p50"] = math.nan
    assert bounds.best(table, Bounds(p50=1e9)) == ""
    assert bounds.best(table, Bounds(bytes=1e9)) != ""
    assert bounds.feasible(table, Bounds()).all()


def test_the_best_is_the_most_accurate_on_validation_and_no_control(table: pd.DataFrame) -> None:
    chain = table[~table["control"]]
    assert bounds.best(table) == chain["id"][chain["validation"] == chain["validation"].max()].iloc[0]
    assert bounds.best(table.head(0)) == ""


# unlike machines


def test_latencies_of_unlike_machines_are_not_ranked_against_each_other(table: pd.DataFrame) -> None:
    known = table.dropna(subset=["p50", "bytes", "validation"])[~table["control"]].head(6).reset_index(drop=True)
    kinds = ["A", "B", "A", "B", "A", "B"]
    faster = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]
    both = known.assign(processor=kinds, p50=faster, at_chance=False, validation=[0.9, 0.5, 0.8, 0.6, 0.7, 0.4])
    by_time = front.info(both, Axes(x="p50"))
    for kind in ("A", "B"):
        alone = front.info(both[both["processor"] == kind], Axes(x="p50"))
        assert by_time.loc[alone.index, "front"].tolist() == alone["front"].tolist()
    assert by_time["front"].tolist() == [True, True, False, True, False, False]
    assert front.info(both, Axes(x="bytes"))["front"].sum() >= 1
    drawn = front.figure(by_time, Axes(x="p50"), LABELS, Shown())
    line = next(trace for trace in drawn.data if trace.uid == "front")
    assert list(line.x) == [1.0, None, 10.0, 20.0], "a line for each kind of machine"
    one = front.info(both.assign(processor="A"), Axes(x="p50"))
    assert one["front"].tolist() == [True, False, False, False, False, False]
