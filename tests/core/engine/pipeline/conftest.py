"""One process with the engine loaded for all whole runs of these tests: what they start costs no import of torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.core.engine.pipeline.forked import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    command = (sys.executable, "-m", "tests.core.engine.pipeline.forking_worker")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Engine(process)
        assert process.stdin is not None
        process.stdin.close()
