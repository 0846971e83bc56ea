"""Children that answer, compute for ever, sleep, end or answer too much are told apart, however busy the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.engine.confined_child import Conversation, StoppedError, end_child, start_child

ECHO = """
import sys
source, sink = sys.stdin.buffer, sys.stdout.buffer
while header := source.read(8):
    data = source.read(int.from_bytes(header, "little"))
    sink.write(header + data)
    sink.flush()
"""


def nothing() -> None:
    return None


@contextmanager
def talking(
    tmp_path: Path, program: str, *, seconds: float = 5.0, still: float = 5.0, check: Callable[[], None] = nothing
) -> Iterator[Conversation]:
    script = tmp_path / "child.py"
    script.write_text(program)
    child = start_child(script, ANSWER="42")
    try:
        yield Conversation(child, seconds, still, 0.05, check)
    finally:
        end_child(child)
        assert child.poll() is not None


def _ask(talk: Conversation, question: bytes) -> bytes:
    talk.write_part(question)
    return talk.read_part()


@pytest.mark.parametrize("size", [0, 1, 3_000_000])  # more than a pipe holds
def test_questions_come_back(tmp_path: Path, size: int) -> None:
    with talking(tmp_path, ECHO) as talk:
        for question in (b"first", os.urandom(size)):
            assert _ask(talk, question) == question


def test_the_child_is_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of ours in its environment, no module from the folder we are in."""
    monkeypatch.setenv("SECRET", "x")
    program = (
        "import os, sys\n"
        "text = ' '.join([*sorted(os.environ), os.environ['ANSWER'], str(sys.flags.isolated)]).encode()\n"
        "sys.stdout.buffer.write(len(text).to_bytes(8, 'little') + text)"
    )
    with talking(tmp_path, program) as talk:
        *names, answer, isolated = talk.read_part().decode().split()
    assert "SECRET" not in names
    assert set(names) <= {"ANSWER", "LANG", "LC_CTYPE", "PATH", "SYSTEMROOT"}
    assert (answer, isolated) == ("42", "1")


def test_a_child_that_computes_for_ever_is_timed_out(tmp_path: Path) -> None:
    with talking(tmp_path, "while True: pass", seconds=0.3) as talk, pytest.raises(TimeoutError):
        talk.read_part()


def test_a_child_that_sleeps_has_stopped(tmp_path: Path) -> None:
    with talking(tmp_path, "import time; time.sleep(60)", still=0.5) as talk, pytest.raises(StoppedError):
        talk.read_part()


def test_a_child_that_reads_nothing_has_stopped(tmp_path: Path) -> None:
    with talking(tmp_path, "import time; time.sleep(60)", still=0.5) as talk, pytest.raises(StoppedError):
        talk.write_part(bytes(3_000_000))


def test_time_between_two_questions_does_not_count(tmp_path: Path) -> None:
    with talking(tmp_path, ECHO, still=0.5) as talk:
        assert _ask(talk, b"one") == b"one"
        time.sleep(0.8)
        assert _ask(talk, b"two") == b"two"


@pytest.mark.parametrize("program", ["", "import os; os.abort()"])
def test_a_child_that_ends_is_noticed(tmp_path: Path, program: str) -> None:
    with talking(tmp_path, program) as talk, pytest.raises((EOFError, BrokenPipeError)):
        _ask(talk, bytes(3_000_000))


def test_an_answer_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with talking(tmp_path, ECHO) as talk:
        talk.write_part(b"12345")
        with pytest.raises(ValueError, match="5 bytes"):
            talk.read_part(most=4)


def test_whoever_waits_can_give_up(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    calls = iter(range(3))

    def check() -> None:
        if next(calls, None) is None:
            raise Enough

    with talking(tmp_path, "import time; time.sleep(60)", check=check) as talk, pytest.raises(Enough):
        talk.read_part()
