"""Only what differs is told, and nothing is called a difference that the measurement does not carry."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from core.comparison.difference import Difference, Paired, difference
from core.recipe import Recipe, Step
from core.run_files.samples import samples
from dashboard.charts import points
from dashboard.charts.bounds import best
from dashboard.charts.comparison import (
    BETTER,
    CONTROL,
    METHOD,
    OPEN,
    RECIPE,
    UNKNOWN,
    WORSE,
    Setting,
    changes,
    delta,
    deltas,
    on_test,
    settings,
)

STEPS = (
    Step("transfer", "linear_probe"),
    Step("distill", "kd", {"student": "resnet8", "temperature": 2.0}),
    Step("prune", "l2", {"ratio": 0.5}),
)
PLAIN = Recipe("a", "fashion-mini", "efficientnet_lite0", STEPS)


def with_step(place: int, step: Step, **knobs: Any) -> Recipe:
    steps = (*STEPS[:place], step, *STEPS[place + 1 :])
    return Recipe(**{"name": "b", "dataset": "fashion-mini", "backbone": "efficientnet_lite0", "steps": steps, **knobs})


def told(*given: tuple[Recipe, int]) -> dict[tuple[int, str], tuple[object, ...]]:
    found = changes([settings(recipe, step) for recipe, step in given])
    return {(change.setting.step, change.setting.name): change.values for change in found}


def test_only_the_changed_setting_is_told() -> None:
    other = with_step(1, Step("distill", "kd", {"student": "resnet8", "temperature": 8.0}))
    assert told((PLAIN, 2), (other, 2)) == {(1, "temperature"): (2.0, 8.0)}


def test_a_default_written_out_is_no_change() -> None:
    default = settings(PLAIN, 0)[Setting(0, "transfer", "l2")]
    assert isinstance(default, float)
    assert told((PLAIN, 2), (with_step(0, Step("transfer", "linear_probe", {"l2": default})), 2)) == {}


def test_a_default_beside_another_value_is_told() -> None:
    other = with_step(1, Step("distill", "kd", {"student": "resnet8", "temperature": 2.0, "weight": 0.5}))
    assert told((PLAIN, 2), (other, 2)) == {(1, "weight"): (0.9, 0.5)}


def test_what_comes_after_a_point_does_not_count() -> None:
    other = with_step(2, Step("prune", "random", {"ratio": 0.7}))
    assert told((PLAIN, 1), (other, 1)) == {}
    assert told((PLAIN, 2), (other, 2)) == {(2, METHOD): ("prune.l2", "prune.random"), (2, "ratio"): (0.5, 0.7)}


def test_a_step_that_one_point_lacks_is_told_once_without_its_options() -> None:
    assert told((PLAIN, 1), (PLAIN, 2)) == {(2, METHOD): (None, "prune.l2")}


def test_knobs_of_the_recipe_count_and_its_name_does_not() -> None:
    assert told((PLAIN, 2), (with_step(2, STEPS[2], seed=7), 2)) == {(RECIPE, "seed"): (0, 7)}


def test_options_of_different_stages_are_not_held_against_each_other() -> None:
    other = with_step(1, Step("prune", "l2", {"ratio": 0.5, "epochs": 3}))
    assert set(told((PLAIN, 1), (other, 1))) == {(1, METHOD)}


def test_a_control_is_told_from_its_step() -> None:
    found = changes([settings(PLAIN, 1), settings(PLAIN, 1, "twin without a teacher")])
    assert [(c.setting.name, c.values) for c in found] == [(CONTROL, (None, "twin without a teacher"))]


def test_three_points_keep_their_order_and_the_chain_its_own() -> None:
    one = with_step(1, Step("distill", "kd", {"student": "resnet8", "temperature": 8.0}), seed=1)
    found = told((PLAIN, 2), (one, 2), (PLAIN, 1))
    assert found == {
        (RECIPE, "seed"): (0, 1, 0),
        (1, "temperature"): (2.0, 8.0, 2.0),
        (2, METHOD): ("prune.l2", "prune.l2", None),
    }
    assert list(found) == sorted(found, key=lambda key: key[0])


# figures


@pytest.fixture
def row() -> pd.Series[Any]:
    found = points.info(samples()).iloc[0].copy()
    for name, value in {
        "accuracy": 0.8,
        "low": 0.78,
        "high": 0.82,
        "validation": 0.81,
        "bytes": 1000.0,
        "params": 100.0,
        "macs": 50.0,
        "p50": 1.0,
        "p95": 1.1,
        "noisy": False,
    }.items():
        found[name] = value
    return found


def altered(row: pd.Series[Any], **changed: object) -> pd.Series[Any]:
    other = row.copy()
    for name, value in changed.items():
        other[name] = value
    return other


def test_differences_and_ratios_are_those_of_the_figures(row: pd.Series[Any]) -> None:
    other = altered(row, accuracy=0.7, low=0.68, high=0.72, validation=0.75, bytes=250.0, p50=0.4, p95=0.5)
    found = delta(other, row)
    assert found.test is not None
    assert (found.test.proven, found.test.basis) == (True, "intervals")
    assert found.test.share == pytest.approx(-0.1)
    assert found.validation == pytest.approx(-0.06)
    assert (found.bytes, found.latency, found.withheld) == (0.25, 0.4, "")
    assert delta(row, other).latency == pytest.approx(2.5)


def test_a_row_is_judged_as_its_point_is() -> None:
    """Of one seed and of several, with and without a spread."""
    found = [point for summary in samples() for point in (*summary.points, *summary.controls)][:8]
    found += [one.with_replicas(found[:2]) for one in found] + [one.with_replicas([one]) for one in found[:3]]
    summary = samples()[0].model_copy(update={"points": tuple(found), "controls": ()})
    table = points.info([summary])
    assert table["seeds"].nunique() == 2
    for one, (_, row) in zip(found, table.iterrows(), strict=True):
        for other, (_, beside) in zip(found, table.iterrows(), strict=True):
            for counts in (None, Paired(3, 20)):
                told = on_test(row, beside, lambda counts=counts: counts)  # type: ignore[misc]
                assert told == difference(one, other, lambda a, b, counts=counts: counts)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"p50": 0.4, "p95": 0.5, "noisy": True}, "noisy"),
        ({"p50": 0.4, "p95": 0.5, "threads": 4.0}, "conditions"),
        ({"p50": 0.4, "p95": 0.5, "processor": "another"}, "conditions"),
        ({"p50": 0.9, "p95": 1.0}, "noise"),
        ({"p50": 1.0, "p95": 1.0}, "noise"),
    ],
)
def test_a_ratio_of_latencies_that_means_nothing_is_withheld(
    row: pd.Series[Any], changed: dict[str, object], why: str
) -> None:
    for found in (delta(altered(row, **changed), row), delta(row, altered(row, **changed))):
        assert (found.latency, found.withheld) == (None, why)


def test_what_was_not_measured_is_not_compared(row: pd.Series[Any]) -> None:
    found = delta(altered(row, accuracy=math.nan, p50=math.nan, bytes=math.nan), row)
    assert (found.test, found.latency, found.bytes, found.withheld) == (None, None, None, "")


# all points at once


def verdict(difference: float | None, way: int, open_: bool, unknown: bool) -> str:
    """By the sentences of `Delta`, a point at a time."""
    if difference is None:
        return ""
    if unknown:
        return UNKNOWN
    if open_ or difference == 0:
        return OPEN
    return BETTER if difference * way > 0 else WORSE


def test_every_row_says_what_the_two_points_alone_would_say() -> None:
    table = points.info(samples(), sample=True)
    assert len(table) > 20
    for place in (0, 5, len(table) - 1):
        base = table.iloc[place]
        found = deltas(table, base)
        for (_, row), (_, told) in zip(table.iterrows(), found.iterrows(), strict=True):
            one = delta(row, base)
            own = row["id"] == base["id"]
            share, proven = (None, None) if one.test is None else (one.test.share, one.test.proven)
            expected = {
                "accuracy": verdict(share, 1, proven is False, proven is None),
                "bytes": verdict(None if one.bytes is None else one.bytes - 1, -1, False, False),
                "p50": verdict(
                    None if row["p50"] != row["p50"] else row["p50"] / base["p50"] - 1,
                    -1,
                    one.withheld == "noise",
                    one.withheld in ("noisy", "conditions"),
                ),
            }
            assert {name: told[f"{name}_is"] for name in expected} == (dict.fromkeys(expected, "") if own else expected)
            if one.latency is not None and not own:
                assert told["p50"] == pytest.approx(one.latency - 1)
            if own:
                assert told[["accuracy", "bytes", "p50"]].isna().all()
            else:
                assert told["bytes"] == pytest.approx((one.bytes or 0) - 1)


def test_another_state_of_the_same_dataset_is_other_images(row: pd.Series[Any]) -> None:
    older, newer = altered(row, version="aa", created=1.0), altered(row, id="newer", version="bb", created=2.0)
    better = altered(older, id="older", validation=0.99)
    assert delta(older, newer).other_data
    assert delta(older, newer).test is None
    table = pd.DataFrame([better, newer])
    assert deltas(table, newer)["accuracy"].isna().all()
    assert best(table) == "newer"
    assert best(table.assign(version="bb")) == "older"


def test_a_mean_and_a_single_accuracy_are_not_judged(row: pd.Series[Any]) -> None:
    """The ends of one are a deviation's, those of the other a 95 % interval's: the first seed's models are judged."""
    mean = altered(
        row, seeds=3.0, sd=0.01, low=0.1, high=0.2, first_seed=0.9, first_seed_low=0.85, first_seed_high=0.95
    )
    unknown = altered(mean, first_seed_low=math.nan)
    for one, other in ((mean, row), (row, mean), (mean, altered(mean, seeds=2.0, first_seed=0.7))):
        test = delta(one, other).test
        assert test is not None
        assert (test.basis, test.first_seed) == ("intervals", True)
        pair = pd.DataFrame([altered(one, id="x"), other])
        assert deltas(pair, other)["test"].iloc[0] == test
    assert deltas(pd.DataFrame([altered(unknown, id="x"), row]), row)["accuracy_is"].iloc[0] == UNKNOWN
    same = delta(mean, altered(mean, id="x")).test
    assert same == Difference(0.0, False, "seeds", 3)


def test_accuracies_of_other_data_are_not_compared() -> None:
    table = points.info(samples(), sample=True).head(3).copy()
    table.loc[table.index[1], "dataset"] = "other"
    base = table.iloc[0]
    other = delta(table.iloc[1], base)
    assert (other.test, other.validation, other.other_data) == (None, None, True)
    found = deltas(table, base)
    assert found["accuracy"].isna().tolist() == [True, True, False]
    assert found["accuracy_is"].tolist()[1] == ""
