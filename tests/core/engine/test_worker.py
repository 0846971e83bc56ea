"""A worker that waits gets ready for its first export, but never at the cost of what it is asked."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from core.engine import worker


def imported(monkeypatch: pytest.MonkeyPatch, told: bytes) -> list[str]:
    """What `prepare_to_export` imports with `told` waiting on stdin."""
    reading, writing = os.pipe()
    os.write(writing, told)
    names: list[str] = []
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(importlib, "import_module", names.append)
        worker.prepare_to_export()
    return names


def test_it_prepares_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(monkeypatch, b"") == list(worker.EXPORTER)


def test_it_stops_preparing_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(monkeypatch, b'{"job": "/somewhere"}\n') == []
