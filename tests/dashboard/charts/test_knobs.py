"""Settings as columns: named wherever they are in a chain, filtered as asked, and every filter comes back from text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as hs

from core.recipe import Recipe, Step
from dashboard.charts import knobs, parallel
from dashboard.charts.comparison import settings
from dashboard.charts.knobs import Knob, Wanted

STEPS = (
    Step("transfer", "linear_probe"),
    Step("prune", "l2", {"ratio": 0.5}),
    Step("prune", "random", {"ratio": 0.25}),
)


def recipe(seed: int = 0, ratio: float = 0.5) -> Recipe:
    steps = (STEPS[0], Step("prune", "l2", {"ratio": ratio}), STEPS[2])
    return Recipe("a", "fashion-mini", "resnet8_fashion", steps, seed=seed)


def test_a_setting_is_named_by_its_stage_and_how_often_that_came_before() -> None:
    found = {str(name): value for name, value in knobs.knobs(settings(recipe(), 2)).items()}
    assert (found["prune.method"], found["prune.ratio"]) == ("l2", 0.5)
    assert (found["prune2.method"], found["prune2.ratio"]) == ("random", 0.25)
    assert found["recipe.seed"] == 0
    assert "recipe.dataset" not in found
    assert "prune2.ratio" not in {str(name) for name in knobs.knobs(settings(recipe(), 1))}
    assert all(str(Knob.parse(name)) == name for name in found)


def test_only_what_differs_is_a_column() -> None:
    table = knobs.info(
        {"a": settings(recipe(), 1), "b": settings(recipe(ratio=0.75), 1), "c": settings(recipe(seed=3), 0)}
    )
    assert set(table) == {"prune.ratio", "recipe.seed"}
    assert table["prune.ratio"].tolist()[:2] == [0.5, 0.75]
    assert table["prune.ratio"].isna().tolist() == [False, False, True]
    assert knobs.is_number(table["prune.ratio"])
    alike = {"a": settings(recipe(), 1), "b": settings(recipe(), 1)}
    assert list(knobs.info(alike)) == []
    assert list(knobs.info(alike, ["prune.ratio"])) == ["prune.ratio"], "one that is filtered by"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("prune.ratio=0.75", "b"),
        ("prune.ratio=0.5|0.75", "ab"),
        ("prune.ratio=0.6:", "b"),
        ("prune.ratio=:0.6", "a"),
        ("recipe.seed=0", "ab"),
        ("nonsense.x=1", "abc"),
        ("prune.ratio=:", "abc"),
        ("prune.ratio=", "abc"),
    ],
)
def test_a_filter_keeps_what_it_names_and_no_point_without_the_setting(text: str, kept: str) -> None:
    table = knobs.info(
        {"a": settings(recipe(), 1), "b": settings(recipe(ratio=0.75), 1), "c": settings(recipe(seed=3), 0)}
    )
    asked = knobs.wanted(text)
    assert asked is not None
    passing = knobs.passing(table, [asked])
    assert "".join(passing.index[passing]) == kept


ENDS = hs.one_of(hs.just(math.inf), hs.floats(-1e6, 1e6).map(lambda number: float(f"{number:.10g}")))
FILTERS = hs.one_of(
    hs.builds(Wanted, hs.just("prune.ratio"), hs.lists(hs.text(min_size=1), min_size=1, max_size=3).map(tuple)),
    hs.builds(lambda low, high: Wanted("prune.ratio", (), -low, high), ENDS, ENDS),
)


@pytest.mark.thorough
@given(FILTERS)
def test_every_filter_comes_back_from_its_text(asked: Wanted) -> None:
    assert knobs.wanted(str(asked)) == asked


@given(hs.text())
def test_whatever_is_written_there_is_a_filter_or_none(text: str) -> None:
    found = knobs.wanted(text)
    assert found is None or knobs.wanted(str(found)) == found


def test_an_axis_has_a_place_for_points_without_the_setting() -> None:
    values = knobs.info({"a": settings(recipe(), 1), "b": settings(recipe(ratio=0.75), 1), "c": settings(recipe(), 0)})
    axis = parallel._setting(values["prune.ratio"], "ratio", str, "none")
    assert axis["values"] == pytest.approx([0.5, 0.75, 0.5 - parallel.BELOW * 0.25])
    assert axis["ticktext"] == ["0.5", "0.75", "none"]
