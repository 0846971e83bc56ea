"""One way to start, await and end a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.processes.identity import alive, identity
from core.processes.process import ROOT, end, reap, spawn, started, stop, wait

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_what_is_started_has_its_own_session_and_a_log_that_grows(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    code = "import os, sys; print(os.getsid(0), os.getcwd(), os.environ['MARK'], repr(sys.stdin.read()))"
    process = spawn(python(code), log, {**os.environ, "MARK": "here"})
    assert process.wait(20) == 0
    assert log.read_text().split() == ["before", str(process.pid), str(ROOT), "here", "''"]
    assert process.pid != os.getsid(0)
    assert not alive(started(process)), "it has ended, and is nobody's"


def test_a_pipe_is_there_when_asked_for(tmp_path: Path) -> None:
    process = spawn(python("print(input())"), tmp_path / "log.txt", piped=True)
    process.communicate(b"hello\n", 20)
    assert (tmp_path / "log.txt").read_text() == "hello\n"


def test_waiting_ends_with_an_answer_the_limit_or_what_is_waited_for() -> None:
    answers = iter([0, 0, 7])
    assert wait(lambda: next(answers), 20) == 7
    assert wait(lambda: "at once", 0) == "at once"
    begun = time.monotonic()
    assert wait(lambda: 0, 0.1) is None
    assert 0.1 <= time.monotonic() - begun < 5
    assert wait(lambda: 0, 60, going=lambda: False) is None


def test_stopping_kills_what_does_not_listen(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    process = spawn(python(STUBBORN), log)
    assert wait(lambda: "deaf" in log.read_text(), 20)
    reap(process)
    who = started(process)
    end(who)
    assert alive(who), "SIGTERM alone is not enough"
    stop(who, 0.1)
    assert not alive(who)
    stop(who, 0.1)  # again is no fault


@pytest.mark.parametrize("own_session", [True, False])
def test_a_process_that_leads_no_session_is_ended_alone(own_session: bool) -> None:
    process = subprocess.Popen(python("import time; time.sleep(60)"), start_new_session=own_session)
    who = identity(process.pid)
    assert who is not None
    end(who)
    assert process.wait(20) < 0
