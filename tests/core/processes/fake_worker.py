"""A worker without an engine: the protocol, the events and the checkpoints of a real one, and ways to misbehave.

The recipe's `dataset` is the mode; its `image_size` the number of epochs; `seed` the milliseconds of one epoch.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import tomllib
from pathlib import Path

from core.errors import UserError
from core.events import Measured, Progress, RunCancelled, RunFinished, RunPaused, RunStarted, StepFinished, StepStarted
from core.files import write_atomic
from core.jobs import Job
from core.points import Point
from core.runs import Run


def main() -> None:
    if "unready" in sys.argv:
        raise SystemExit("cannot import torch")
    if "mute" in sys.argv:
        time.sleep(600)
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
        work(run)


def work(run: Run) -> None:
    recipe = tomllib.loads(run.recipe_text)
    mode, epochs, seconds = recipe["dataset"], recipe["image_size"], recipe["seed"] / 1000
    checkpoint = run.checkpoints / "epoch"
    done = int(checkpoint.read_bytes()) if checkpoint.exists() else 0
    run.emit(RunStarted(os.getpid(), {"machine": "test"}))
    run.emit(StepStarted(0, "transfer", "linear_probe", "probe", epochs))
    for epoch in range(done, epochs):
        if mode != "deaf" and stop(run):
            return
        run.emit(Progress(0, 0, "training", epoch, epochs, 1, 1, loss=1 / (epoch + 1)))
        misbehave(mode, epoch)
        if mode == "once" and not (run.folder / "died").exists():
            (run.folder / "died").touch()
            os._exit(1)
        time.sleep(seconds)
        write_atomic(checkpoint, str(epoch + 1).encode())
    point = Point(step=0, stage="transfer", method="linear_probe", name="probe", accuracy=0.5, bytes=100)
    run.emit(Measured("point", 0, point))
    run.emit(StepFinished(0, 1.0))
    run.emit(RunFinished())


def stop(run: Run) -> bool:
    if run.cancel_requested():
        run.emit(RunCancelled())
        return True
    if run.pause_requested():
        run.emit(RunPaused("asked for"))
        return True
    return False


def misbehave(mode: str, epoch: int) -> None:
    if mode == "full":
        os._exit(28)
    if mode == "crash":
        print("Traceback: it broke", file=sys.stderr, flush=True)
        os._exit(7)
    if mode == "memory":
        raise MemoryError
    if mode == "hang" and epoch == 1:
        time.sleep(1.0)
    if mode == "deaf" and epoch == 1:
        time.sleep(600)


def job(job: Job) -> None:
    if job.kind == "crash":
        os._exit(3)
    if job.kind == "segfault" or job.request.get("segfault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if job.kind == "sensitivity":
        rest(job)
    if job.kind == "sleep":
        time.sleep(600)
    if job.kind == "wrong":
        job.fail(UserError("wrong", "x", 1, "2", "Set x to 2."))
        return
    job.tell(1, 2, "thinking")
    job.answer({"pid": os.getpid(), "asked": job.request})


def rest(long: Job) -> None:
    """A long job that answers others meanwhile, until a person cancels it or it is asked for its end."""
    while not long.cancel_requested() and not (long.folder / "end").exists():
        if select.select([sys.stdin], [], [], 0.01)[0] and (line := sys.stdin.readline()):
            job(Job(Path(json.loads(line)["job"])))


if __name__ == "__main__":
    main()
