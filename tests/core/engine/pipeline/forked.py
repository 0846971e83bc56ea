"""Whole runs in processes forked from one that has the engine loaded (see `forking_worker`)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from core.runs import Run
from core.state import Status


@dataclass
class Engine:
    """The forking worker; one life of a run at a time."""

    process: subprocess.Popen[str]

    def begin(self, run: Run, failpoint: str = "") -> int:
        """Starts a life and returns its pid."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"run": str(run.folder), "failpoint": failpoint}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> tuple[int, int]:
        """Exit code and disk operations of that life, −1 where it was killed."""
        assert self.process.stdout is not None
        _, code, operations = self.process.stdout.readline().split()
        return int(code), int(operations)

    def live(self, run: Run, failpoint: str = "") -> tuple[int, int]:
        self.begin(run, failpoint)
        return self.end()

    def finish(self, run: Run) -> Run:
        """One undisturbed life, to its end; the finished run."""
        code, _ = self.live(run)
        assert (code, run.state().status) == (0, Status.FINISHED), run.state().details or run.log_tail()
        return run
