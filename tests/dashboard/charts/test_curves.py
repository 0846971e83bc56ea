"""Learning curves: what is in them, and that smoothing hides nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.events import Progress, RunStarted, StepStarted
from core.state import RunState, fold
from dashboard.charts import curves
from dashboard.charts.chance import Level

LABELS = curves.Labels("epoch", "accuracy", "loss", {"0": "1 transfer", "0:twin": "1 transfer: twin"})


def progress(
    epoch: int, batch: int, loss: float | None, *, control: str = "", seed: int = 0, step: int = 0
) -> Progress:
    judged = 0.5 + epoch / 100 if batch == 0 and loss is not None else None
    return Progress(step, seed, "training", epoch, 9, batch, 4, loss, None, None, judged, control=control)


@pytest.fixture
def state() -> RunState:
    said = [progress(epoch, batch, 2.0 / (1 + epoch + batch / 4)) for epoch in range(9) for batch in range(4)]
    twin = [progress(1, 0, 1.0, control="twin"), progress(1, 2, 0.9, control="twin"), progress(2, 0, 0.8, seed=7)]
    silent = progress(0, 3, None)
    return fold([RunStarted(1, {}), StepStarted(0, "transfer", "fine_tune", "x", 9), silent, *said, *twin])


def test_every_figure_is_a_row_and_nothing_else(state: RunState) -> None:
    table = curves.info(state)
    assert list(table["line"].unique()) == ["0", "0:twin", "0#7"]
    chain = table[table["line"] == "0"]
    assert len(chain) == 36
    assert chain["epoch"].tolist() == [epoch + batch / 4 for epoch in range(9) for batch in range(4)]
    assert chain["validation_accuracy"].notna().sum() == 9
    assert set(table["stage"]) == {"transfer"}


def test_an_empty_run_has_axes_and_no_line() -> None:
    drawn = curves.figure(curves.info(RunState()), LABELS)
    assert all(trace.x == (None,) for trace in drawn.data)
    assert drawn.layout.yaxis.range == (0, 1)


def test_smoothing_keeps_the_raw_line_faintly_underneath(state: RunState) -> None:
    table = curves.info(state)
    raw = {t.uid: t for t in curves.figure(table, LABELS, training=True).data if t.uid}
    both = {t.uid: t for t in curves.figure(table, LABELS, smoothing=0.8, training=True).data if t.uid}
    assert both["1 transfer/loss/True"].y == raw["1 transfer/loss/False"].y
    assert both["1 transfer/loss/True"].opacity <= 0.35
    assert both["1 transfer/loss/False"].y != raw["1 transfer/loss/False"].y


def test_smoothing_is_an_exponential_average() -> None:
    """As TensorBoard does it: a running average from zero, divided by what it is short of at its beginning."""
    values = pd.Series(np.random.default_rng(0).random(40) + 3.0)
    running, wanted = 0.0, []
    for place, value in enumerate(values, start=1):
        running = 0.6 * running + 0.4 * value
        wanted.append(running / (1 - 0.6**place))
    assert curves.smoothed(values, 0.6).tolist() == pytest.approx(wanted)
    assert curves.smoothed(values, 0.6)[0] == values[0], "not drawn towards zero"
    assert curves.smoothed(values, 0.0).tolist() == values.tolist()


def test_few_values_are_drawn_as_they_are(state: RunState) -> None:
    few = pd.Series(np.arange(29.0))
    assert curves.smoothed(few, 0.9).tolist() == few.tolist()
    assert curves.smoothed(pd.Series(np.arange(30.0)), 0.9).tolist() != list(range(30))
    drawn = {t.uid: t for t in curves.figure(curves.info(state), LABELS, smoothing=0.9).data if t.uid}
    judged = "1 transfer/validation_accuracy"  # 9 epochs
    assert f"{judged}/True" not in drawn, "no faint line beneath a line that is not smoothed"
    assert list(drawn[f"{judged}/False"].y) == [0.5 + epoch / 100 for epoch in range(9)]


@pytest.mark.parametrize("shares", [[1.0], [0.9, 1.0], [0.0], [0.0, 1.0], [0.5]])
def test_the_axis_of_accuracy_is_always_0_to_100_percent(shares: list[float]) -> None:
    rows = [(0, "transfer", "0", float(n), 1.0, share, share) for n, share in enumerate(shares)]
    assert curves.figure(pd.DataFrame(rows, columns=curves.COLUMNS), LABELS).layout.yaxis.range == (0, 1)


def test_each_step_has_a_panel_of_its_own(state: RunState) -> None:
    """Four steps in two rows of two: no two panels overlap, each has its title and its line of chance."""
    rows = [(step, "prune", f"{step}", float(n), 1.0, 0.4, 0.5) for step in range(4) for n in range(5)]
    table = pd.DataFrame(rows, columns=curves.COLUMNS)
    labels = curves.Labels("epoch", "accuracy", "loss", {}, {f"{n}": f"{n + 1} prune" for n in range(4)})
    for training in (False, True):
        drawn = curves.figure(table, labels, levels=[Level(0.1, "chance", "why")], training=training)
        names = [str(n) if n > 1 else "" for n in range(1, 5)]
        boxes = [(drawn.layout[f"xaxis{n}"].domain, drawn.layout[f"yaxis{n}"].domain) for n in names]
        for one, (x, y) in enumerate(boxes):
            assert 0 <= x[0] < x[1] <= 1
            assert 0 <= y[0] < y[1] <= 1
            for left, below in boxes[one + 1 :]:
                assert x[1] < left[0] or left[1] < x[0] or y[1] < below[0] or below[1] < y[0]
        assert {t.yaxis for t in drawn.data if "validation" in (t.uid or "")} == {"y", "y2", "y3", "y4"}
        assert [note.text for note in drawn.layout.annotations][:4] == [f"■ {n + 1} prune" for n in range(4)]
        assert {shape.yref for shape in drawn.layout.shapes} == {"y", "y2", "y3", "y4"}


def test_only_the_leftmost_panels_write_the_shares_that_all_have(state: RunState) -> None:
    """At 420 pixels those of a second panel lay on the first."""
    rows = [(step, "prune", f"{step}", float(n), 1.0, 0.4, 0.5) for step in range(4) for n in range(5)]
    labels = curves.Labels("epoch", "accuracy", "loss", {}, {f"{n}": f"{n + 1} prune" for n in range(4)})
    drawn = curves.figure(pd.DataFrame(rows, columns=curves.COLUMNS), labels)
    axes = [drawn.layout[f"yaxis{n}"] for n in ("", 2, 3, 4)]
    assert [axis.showticklabels for axis in axes] == [True, False, True, False]
    assert len({tuple(axis.range) for axis in axes}) == 1


def test_training_is_drawn_on_demand(state: RunState) -> None:
    table = curves.info(state)
    assert not [t.uid for t in curves.figure(table, LABELS).data if "/loss/" in (t.uid or "")]
    losses = [t for t in curves.figure(table, LABELS, training=True).data if "/loss/" in (t.uid or "")]
    assert losses
    assert all(t.yaxis == "y2" for t in losses), "under the only panel"


def test_an_earlier_run_lies_faintly_behind(state: RunState) -> None:
    table = curves.info(state)
    drawn = curves.figure(table, LABELS, earlier=table)
    faint = [t for t in drawn.data if (t.uid or "").startswith("earlier/")]
    assert [t.uid for t in faint] == ["earlier/0"], "its chain alone"
    assert faint[0].opacity < 0.5
    assert list(drawn.data).index(faint[0]) == 1, "behind the others"


def test_a_control_is_dashed_and_hollow(state: RunState) -> None:
    twins = [t for t in curves.figure(curves.info(state), LABELS).data if (t.uid or "").startswith("1 transfer: twin")]
    assert twins
    assert all(t.line.dash == "dash" and t.marker.symbol.endswith("-open") for t in twins)


def test_a_long_line_stays_small() -> None:
    long = pd.DataFrame([(0, "transfer", "0", i / 10, 1.0, None, None) for i in range(50_000)], columns=curves.COLUMNS)
    assert 1 < max(len(t.x) for t in curves.figure(long, LABELS, training=True).data) <= 2 * curves.MOST
