"""A process with the engine loaded that forks a worker for each life of a run, so that a hundred lives cost no import.

It does no arithmetic itself: no thread of a library is running when it forks. Lines on stdin are JSON:
    {"run": folder, "failpoint": "kill:7"}   on stdout: the worker's pid, and at its end "exit CODE OPERATIONS"
`OPERATIONS` is how many disk operations it did, −1 where it was killed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import core.engine.measure.latency as latency
from core import files
from core.engine.worker import execute, prepare_to_export
from core.runs import Run


def main() -> None:
    prepare_to_export()
    _, stop = latency.time_files.__defaults__ or (0.0, None)
    latency.time_files.__defaults__ = (0.01, stop)  # seconds; what the latency is does not matter here
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
