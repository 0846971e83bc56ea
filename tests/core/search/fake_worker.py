"""A worker without an engine, whose models are as good, large and fast as the planted problem says; a preview says the
bytes."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from pydantic import JsonValue

from core.events import Measured, Progress, RunCancelled, RunFailed, RunFinished, RunStarted, StepStarted
from core.jobs import Job
from core.points import Latency, Point
from core.recipe import parse_recipe
from core.runs import Run
from tests.core.search.planted import TEACHER, figures, of_recipe

SECONDS = 0.15  # a run
IN_EPOCHS = "in-epochs"  # a file in the workspace: runs then report epochs of step 1
EPOCHS, PATIENCE, EARLY = 8, 3.0, 4  # after its epochs a run waits to be cut, unless it is one of the first


def main() -> None:
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        if "run" in asked:
            run(Run(Path(asked["run"])))
            return
        job(Job(Path(asked["job"])))


def run(run: Run) -> None:
    with run.claim() as mine:
        if not mine:
            return
        with (run.folder / "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        run.emit(RunStarted(os.getpid(), {"machine": "test"}))
        time.sleep(SECONDS)
        if run.cancel_requested():
            run.emit(RunCancelled())
            return
        ratio, bits, temperature, rate = of_recipe(run.recipe())
        if ratio > 0.85:
            run.emit(RunFailed({"code": "wrong", "message": "too thin"}, ""))
            return
        accuracy, size, latency = figures(ratio, bits, temperature, rate)
        if (run.folder.parent.parent / IN_EPOCHS).exists() and not train(run, accuracy):
            run.emit(RunCancelled())
            return
        timed = Latency(runtime="test", device="cpu", threads=1, batch=1, n=10, p50=latency, p95=latency, noisy=False)
        first = Point(
            step=0, stage="transfer", method="fine_tune", name="teacher", validation_accuracy=TEACHER, bytes=9
        )
        last = Point(
            step=3,
            stage="quantize",
            method="weight_only",
            name="last",
            validation_accuracy=accuracy,
            bytes=size,
            latency_ms=timed,
            accuracy=0.5,
        )
        run.emit(Measured("point", 0, first), Measured("point", 0, last), RunFinished())


def train(run: Run, accuracy: float) -> bool:
    """Reports epochs that lead to that accuracy; whether it was seen through."""
    run.emit(StepStarted(1, "distill", "kd", "kd", EPOCHS))
    for epoch in range(1, EPOCHS + 1):
        reached = max(accuracy, 0.0) * epoch / EPOCHS
        run.emit(Progress(1, 0, "training", epoch, EPOCHS, 0, 1, validation_accuracy=reached))
    until = time.monotonic() + (PATIENCE if len(list(run.folder.parent.iterdir())) > EARLY else 0.0)
    while time.monotonic() < until and not run.cancel_requested():
        time.sleep(0.02)
    return not run.cancel_requested()


def job(job: Job) -> None:
    recipe = parse_recipe(str(job.request["recipe"]))
    ratio, bits, temperature, rate = of_recipe(recipe)
    row: JsonValue = {
        "step": 3,
        "stage": "quantize",
        "method": "weight_only",
        "name": "last",
        "params": 1,
        "macs": 1,
        "bytes": figures(ratio, bits, temperature, rate)[1],
        "exact": True,
        "why": "",
    }
    job.answer(
        {
            "rows": [row],
            "seconds": 20.0,
            "seconds_low": 12.0,
            "seconds_high": 30.0,
            "memory_bytes": 1,
            "device": "cpu",
            "image_size": 8,
            "notes": [],
        }
    )


if __name__ == "__main__":
    main()
