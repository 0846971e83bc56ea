"""The points of a run as they land: their places, their whiskers, the area of their marks."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from core.events import Measured, RunStarted
from core.points import Latency, Point
from core.state import RunState, fold
from dashboard.charts import run_points, style

LABELS = run_points.Labels(
    "size", "accuracy", {"transfer": "transfer"}, "control: {name}", "<b>{name}</b> {accuracy} {size} {latency}"
)


def point(step: int, p50: float | None, **more: Any) -> Point:
    latency = None
    if p50 is not None:
        latency = Latency(runtime="r", device="cpu", threads=1, batch=1, n=3, p50=p50, p95=p50, noisy=False)
    figures = {"accuracy": 0.8, "accuracy_low": 0.77, "accuracy_high": 0.82, "bytes": 10 ** (6 - step)} | more
    return Point(step=step, stage=("transfer", "distill")[step], method="m", name="n<b>", latency_ms=latency, **figures)


@pytest.fixture
def state() -> RunState:
    twin = Measured("control", 0, point(1, 0.5))
    landed = [Measured("point", 0, point(0, 4.0)), Measured("point", 0, point(1, 1.0)), twin]
    return fold([RunStarted(1, {}), *landed])


def test_a_row_for_each_point_and_control(state: RunState) -> None:
    table = run_points.info(state)
    assert table["bytes"].tolist() == [1_000_000, 100_000, 100_000]
    assert table["control"].tolist() == [False, False, True]


def test_what_was_not_measured_is_not_shown() -> None:
    assert run_points.info(fold([Measured("point", 0, point(0, 1.0, accuracy=None))])).empty


def test_areas_are_as_latencies() -> None:
    wide = run_points.diameters(pd.Series([4.0, 1.0, math.nan]))
    assert (wide[0] / wide[1]) ** 2 == pytest.approx(4.0)
    assert wide[2] == run_points.SMALLEST
    assert run_points.diameters(pd.Series([math.nan])) == [run_points.SMALLEST]


def test_whiskers_path_and_symbols(state: RunState) -> None:
    drawn = run_points.figure(run_points.info(state), LABELS)
    path, teacher, student, twin = drawn.data
    assert path.x == (1_000_000, 100_000), "the chain in the order of its steps, controls left out"
    assert teacher.error_y.array[0] == pytest.approx(0.02)
    assert teacher.error_y.arrayminus[0] == pytest.approx(0.03)
    assert (teacher.marker.symbol, student.marker.symbol, twin.marker.symbol) == ("circle", "diamond", "diamond-open")
    assert "<b>n&lt;b&gt;" in student.hovertemplate


def test_colours_are_okabe_itos_and_never_alone() -> None:
    assert style.LIGHT == {"transfer": "#0072B2", "distill": "#E69F00", "prune": "#009E73", "quantize": "#D55E00"}
    assert len(set(style.SYMBOLS.values())) == len(set(style.DARK.values())) == 4
    assert list(style.SYMBOLS) == list(style.LIGHT) == list(style.DARK)
    for theme, ground in ((style.DAY, "#FFFFFF"), (style.NIGHT, "#12161C")):
        assert contrast(theme.quiet, ground) >= 4.5
        assert contrast(theme.ink, ground) >= 7
    assert min(contrast(colour, style.NIGHT.paper) for colour in style.DARK.values()) >= 3, "WCAG 2.2, 1.4.11"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("near", [True, False])
def test_labels_of_marks_beside_each_other_do_not_share_a_line(near: bool) -> None:
    """A run's last steps often lie close together; the largest file's label stands inwards."""
    table = pd.DataFrame(
        {
            "step": [0, 1, 2],
            "stage": ["transfer", "distill", "distill"],
            "name": ["a", "b", "c"],
            "control": False,
            "accuracy": [0.8, 0.781 if near else 0.7, 0.78],
            "low": 0.7,
            "high": [0.9, 0.8, math.nan],
            "bytes": [10_000_000, 80_000, 40_000],
            "p50": 1.0,
            "noisy": False,
            "at_chance": False,
            "processor": "x",
        }
    )
    _, *marks = run_points.figure(table, LABELS).data
    assert [mark.textposition for mark in marks] == ["top left", "bottom right" if near else "top right", "top right"]


def test_latencies_of_unlike_machines_name_them() -> None:
    first, second = Measured("point", 0, point(0, 4.0)), Measured("point", 0, point(1, 1.0))
    moved = fold([RunStarted(1, {"processor": "<b>Slow"}), first, RunStarted(2, {"processor": "Fast"}), second])
    table = run_points.info(moved)
    assert [kind.processor for kind in run_points.kinds(table)] == ["<b>Slow", "Fast"]
    drawn = run_points.figure(table, LABELS)
    assert "4 ms (&lt;b&gt;Slow)" in drawn.data[1].hovertemplate
    alike = run_points.info(fold([RunStarted(1, {"processor": "Fast"}), first, second]))
    assert "(" not in run_points.figure(alike, LABELS).data[1].hovertemplate
