"""A process with the engine loaded that forks a worker for each life of a run, so that a hundred lives cost no import.

It has exported a graph before it forks: the tables that torch builds for the first one take longer than a small run. It
does so on one thread, so that no pool of threads is running when it forks. Lines on stdin are JSON:
    {"run": folder, "failpoint": "kill:7"}   on stdout: the worker's pid, and at its end "exit CODE OPERATIONS"
`OPERATIONS` is how many disk operations it did, −1 where it was killed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import core.engine.measure.latency as latency
from core import files
from core.engine.backbones import find, load_backbone
from core.engine.export.graph import write_graph
from core.engine.model import Model
from core.engine.worker import execute
from core.runs import Run


def main() -> None:
    export_once()
    _, *rest = latency.time_files.__defaults__ or ()
    latency.time_files.__defaults__ = (0.01, *rest)  # seconds; what the latency is does not matter here
    for line in iter(sys.stdin.readline, ""):
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(told)
            live(json.loads(line), tell)
        os.close(tell)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        with os.fdopen(told) as pipe:
            operations = pipe.read() or "-1"
        print("exit", os.waitstatus_to_exitcode(status), operations, flush=True)


def export_once() -> None:
    torch.set_num_threads(1)
    net = load_backbone("resnet8", 2, "none", 8, width=4, channels=1)
    model = Model(net, "resnet8", ("a", "b"), find("resnet8").preprocessing(8, 1), 4)
    with tempfile.TemporaryDirectory() as folder:
        write_graph(model, Path(folder) / "model.onnx")


def live(asked: dict[str, Any], tell: int) -> None:
    run = Run(Path(asked["run"]))
    log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    files.failpoint = files.Failpoint.parse(asked["failpoint"]) or files.Failpoint("kill", 10**9)
    code = 0
    try:
        execute(run)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        code = 1
        raise
    finally:
        os.write(tell, str(files.failpoint.count).encode())
        os._exit(code)


if __name__ == "__main__":
    main()
