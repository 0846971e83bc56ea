"""The latency of backbones on this machine, as a question."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from core.engine.backbones import find, load_backbone
from core.engine.context import CancelledError
from core.engine.export.graph import write_graph
from core.engine.measure.latency import time_files
from core.engine.model import Model
from core.errors import UserError
from core.hardware.alone import Turns
from core.hardware.backbone_times import BackboneTime, keep_time
from core.jobs import Job
from core.questions.time_backbones import BackboneTimes, TimeBackbonesRequest, Untimed

SECONDS = 1.5  # of each backbone
CLASSES = 10


def answer(request: TimeBackbonesRequest, job: Job) -> BackboneTimes:
    """One backbone after another, each kept at once. Raises UserError on an unknown name, CancelledError."""
    entries = [find(name) for name in dict.fromkeys(request.backbones)]
    rows: list[BackboneTime] = []
    failed: list[Untimed] = []
    for number, entry in enumerate(entries):
        job.tell(number, len(entries), f"timing {entry.name}")
        job.rest()
        try:
            found = timed(entry.name, job)
        except UserError as error:
            failed.append(Untimed(entry.name, f"{error.given}: {error.fix}"))
            continue
        keep_time(found, job.workspace / "cache")
        rows.append(found)
    return BackboneTimes(rows, failed)


def timed(name: str, job: Job) -> BackboneTime:
    """The float32 file of the network with random weights; raises UserError `not_exportable`."""
    entry = find(name)
    torch.manual_seed(0)
    net = load_backbone(name, CLASSES, "none")
    model = Model(net, name, tuple(f"class {n}" for n in range(CLASSES)), entry.preprocessing(entry.image_size))

    def stop() -> None:
        if job.cancel_requested():
            raise CancelledError

    stop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_graph(model, path)
        with closing(Turns.of(job.workspace / "cache")) as turns, turns.alone(stop) as alone:
            found = time_files({name: path}, threads=1, seconds=SECONDS, stop=stop)[name]
        timing = replace(found, alone=alone).latency()
        size = path.stat().st_size
    return BackboneTime(name, entry.image_size, timing.p50, timing.p95, timing.n, timing.noisy, size)
