"""What other tools are told of a run is what its log and its table say."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import DataLoaded, Measured, Progress, RunFinished, RunStarted, StepStarted
from core.exchange.record import record
from core.points import Point
from core.run_files import run_table
from core.runs import Run
from core.statistics.chance import Chance
from core.workspace import Workspace

HASH = "ab" * 32


def test_every_figure_and_curve_of_the_table_is_sent_under_a_name_with_its_unit(finished: Run) -> None:
    told = record(finished)
    rows = list(csv.DictReader(io.StringIO(run_table.to_csv(finished).decode("utf-8-sig"))))
    sent = sorted(metric.value for metric in told.metrics)
    assert sent == sorted(float(row["value"]) for row in rows if row["kind"] in ("point", "control", "curve"))
    latency = {metric.step: metric.value for metric in told.metrics if metric.name == "point/latency_p50_ms"}
    assert latency == {p.step: p.latency_ms.p50 for p in finished.summary().points if p.latency_ms}
    parameters = {
        f"steps.{row['step']}.{row['figure']}" if row["step"] else row["figure"]: row["value"]
        for row in rows
        if row["kind"] == "parameter"
    }
    assert told.parameters == parameters


def test_times_are_those_of_the_log(finished: Run) -> None:
    curve = [e for e in finished.read()[0] if isinstance(e, Progress) and e.step == 0 and not e.batch]
    expected = {(e.epoch, e.time, e.validation_accuracy) for e in curve if e.validation_accuracy is not None}
    name = "step0_transfer/training_validation_accuracy"
    assert {(m.step, m.time, m.value) for m in record(finished).metrics if m.name == name} == expected


def test_the_tags_say_version_machine_and_data(finished: Run) -> None:
    tags = record(finished).tags
    assert tags["condenser.run"] == finished.id
    assert tags["condenser.dataset"] == "digits"
    assert len(tags["condenser.dataset_sha256"]) >= 32
    assert tags["condenser.environment.processor"]
    assert tags["condenser.version"] == tags["condenser.environment.condenser"]


def test_seeds_and_controls_have_names_of_their_own_and_what_diverged_is_a_gap(tmp_path: Path) -> None:
    run = Workspace.open_or_create(tmp_path / "w").create_run('dataset = "digits"\nname = "x"')

    def epoch(seed: int, number: int, loss: float | None, control: str = "") -> Progress:
        return Progress(0, seed, "training", number, 2, 0, 3, loss=loss, control=control)

    def point(control: str | None, accuracy: float) -> Point:
        name = control or "own"
        return Point(step=0, stage="distill", method="kd", name=name, control=control, accuracy=accuracy)

    run.emit(
        RunStarted(os.getpid(), {}),
        DataLoaded(Chance(classes=10, test=0.1, validation=0.1), HASH),
        StepStarted(0, "distill", "kd", "kd", 2),
        epoch(7, 1, 0.5),
        epoch(7, 2, None),
        epoch(8, 1, 0.25),
        epoch(7, 1, 0.75, "twin/a b"),
        Measured("point", 7, point(None, 0.5)),
        Measured("replica", 8, point(None, 0.7)),
        Measured("control", 7, point("without_teacher", 0.25)),
        RunFinished(),
    )
    told = record(run)
    found = {(metric.name, metric.step): metric.value for metric in told.metrics}
    assert found["step0_distill/training_loss", 1] == 0.5
    assert ("step0_distill/training_loss", 2) not in found
    assert found["step0_distill_seed8/training_loss", 1] == 0.25
    assert found["step0_distill/twin_a_b_loss", 1] == 0.75
    assert found["point/accuracy", 0] == 0.5
    assert found["point/accuracy_mean", 0] == pytest.approx(0.6)
    assert found["control_without_teacher/accuracy", 0] == 0.25
    assert told.tags["condenser.dataset_sha256"] == HASH
    assert len(found) == len(told.metrics)


def test_a_file_that_is_not_as_it_was_measured_is_not_sent(finished: Run) -> None:
    saved = finished.folder / finished.state().artifacts[0].path
    data = saved.read_bytes()
    try:
        saved.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(UserError, match="as it was measured"):
            record(finished)
    finally:
        saved.write_bytes(data)
