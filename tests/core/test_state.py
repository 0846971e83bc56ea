"""Each point says in which environment it was measured, also in a run that was resumed on another machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.commands.terminal import points_table
from core.comparison.closing import closing
from core.events import AnyEvent, Measured, RunFinished, RunInterrupted, RunStarted
from core.exchange.record import record
from core.points import Latency, Point
from core.run_files.bundle import model_card
from core.run_files.run_table import table
from core.runs import Run
from core.state import RunState, fold
from core.storage.sealed import seal

SLOW = {"processor": "Slow CPU", "device": "CPU", "torch": "2.1"}
FAST = {"processor": "Fast CPU", "device": "CPU", "torch": "2.2", "node": "vm"}
RECIPE = 'schema = 1\nname = "small"\ndataset = "fashion-mini"\nbackbone = "resnet8"\n'


def point(step: int, p50: float, control: str | None = None) -> Point:
    latency = Latency(
        runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=p50, p95=1.01 * p50, noisy=False
    )
    return Point(
        step=step,
        stage=("transfer", "prune")[step],
        method="m",
        name=control or f"step {step}",
        control=control,
        accuracy=0.8,
        accuracy_low=0.7,
        accuracy_high=0.9,
        validation_accuracy=0.8,
        bytes=1000,
        latency_ms=latency,
    )


FIRST = Measured("point", 0, point(0, 4.0))
SECOND = Measured("point", 0, point(1, 1.0))
TWIN = Measured("control", 0, point(1, 1.0, "random_pruning"))
RESUMED: tuple[AnyEvent, ...] = (
    RunStarted(1, SLOW),
    FIRST,
    RunInterrupted("off"),
    RunStarted(2, FAST),
    SECOND,
    TWIN,
    RunFinished(),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    made = Run(tmp_path)
    made.emit(*RESUMED)
    return made


def environments(state: RunState) -> list[dict[str, str]]:
    return [p.environment(state.environment) for p in (*state.points, *state.controls)]


def test_points_of_a_run_resumed_elsewhere_keep_their_own_environment() -> None:
    assert environments(fold(RESUMED)) == [SLOW, FAST, FAST], "no node is inherited from the last start"


def test_in_one_environment_the_runs_is_that_of_all_points() -> None:
    state = fold([RunStarted(1, SLOW), FIRST, RunInterrupted("off"), RunStarted(2, SLOW), SECOND])
    assert [p.receipt for p in state.points] == [{}, {}]
    assert environments(state) == [SLOW, SLOW]


def test_a_start_elsewhere_moves_no_earlier_point() -> None:
    assert environments(fold([RunStarted(1, SLOW), FIRST, SECOND, RunStarted(2, FAST)])) == [SLOW, SLOW]


def test_measured_again_elsewhere_it_is_of_there() -> None:
    state = fold([RunStarted(1, SLOW), FIRST, SECOND, RunStarted(2, FAST), FIRST])
    assert environments(state) == [FAST, SLOW]


def test_the_summary_keeps_it_when_the_log_is_damaged(run: Run) -> None:
    run.summary()
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join([*lines[:-3], *lines[-1:]]))
    again = Run(run.folder)
    assert environments(again.state()) == [SLOW, FAST, FAST]
    assert again.summary().environments == (
        (SLOW, again.summary().points[:1]),
        (FAST, (again.summary().points[1], *again.summary().controls)),
    )


def test_no_speed_is_told_of_latencies_of_unlike_machines() -> None:
    alike = fold([event if not isinstance(event, RunStarted) else RunStarted(1, SLOW) for event in RESUMED])
    for state, times, withheld in ((alike, 4.0, ""), (fold(RESUMED), None, "conditions")):
        found = closing(state.points, state.controls, state.status).speed
        assert found is not None
        assert (found.times, found.withheld) == (times, withheld)


def test_show_names_the_machines(run: Run) -> None:
    caption = str(points_table(run.summary()).caption)
    assert "0 step 0: measured on Slow CPU (torch 2.1)" in caption
    assert "1 step 1, 1 random_pruning: measured on vm, Fast CPU" in caption


def test_the_table_has_the_environment_of_each_point(run: Run) -> None:
    told = {(row.step, row.name, row.figure): row.value for row in table(run) if row.kind == "environment"}
    assert told["", "", "processor"] == "Fast CPU"
    assert told["0", "step 0", "processor"] == "Slow CPU"
    assert told["0", "step 0", "torch"] == "2.1"


def test_the_model_card_names_the_points_own_machine(run: Run) -> None:
    card: dict[str, Any] = {
        "classes": ["a"],
        "backbone": "resnet8",
        "preprocessing": {"channels": 1, "size": 28, "mean": [0.5], "std": [0.5]},
    }
    cards = [model_card(run, one, card) for one in run.summary().points]
    assert ["Slow CPU" in one for one in cards] == [True, False]
    assert ["Fast CPU" in one for one in cards] == [False, True]


def by_an_earlier_version(run: Run) -> None:
    """Its summary as it was written before points said where they were measured."""
    told = json.loads(run.summary().model_dump_json(exclude={"id", "environments_known"}, exclude_none=True))
    for point in (*told["points"], *told["controls"]):
        del point["receipt"]["measured_on"]
    run.result.write_bytes(seal(json.dumps(told).encode()))


def test_of_an_earlier_versions_summary_the_log_tells_where_each_point_was_measured(run: Run) -> None:
    by_an_earlier_version(run)
    written = run.result.read_bytes()
    again = Run(run.folder).summary()
    assert [again.environment_of(p) for p in (*again.points, *again.controls)] == [SLOW, FAST, FAST]
    assert "0 step 0: measured on Slow CPU" in str(points_table(again).caption)
    assert run.result.read_bytes() == written, "looking at a run writes nothing"


def test_where_nothing_tells_it_show_says_that(run: Run) -> None:
    by_an_earlier_version(run)
    for lost in (lambda: run.events.write_bytes(run.events.read_bytes()[:-200]), run.events.unlink):
        lost()
        again = Run(run.folder).summary()
        assert not again.environments_known
        told = str(points_table(again).caption)
        assert "measured on vm, Fast CPU at its last start; whether all points were measured there" in told


def test_other_tools_are_told(run: Run) -> None:
    tags = record(run).tags
    assert tags["condenser.environment.processor"] == "Fast CPU"
    assert tags["condenser.point0.environment.processor"] == "Slow CPU"


def test_a_cluster_of_an_earlier_version_told_the_machine_alone() -> None:
    stored = point(0, 1.0).in_environment({"node": "vm", "processor": "Fast CPU"})
    assert stored.environment(SLOW) == SLOW | {"node": "vm", "processor": "Fast CPU"}
