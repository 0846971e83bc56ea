"""A worker that waits gets ready for its first export, but never at the cost of what it is asked."""

from __future__ import annotations

import importlib
import json
import os
import select
import sys
from pathlib import Path

import pytest

from core.engine import worker
from core.engine.worker import Orders, answer_others
from core.workspace import Workspace


def imported(monkeypatch: pytest.MonkeyPatch, told: bytes) -> list[str]:
    """What `prepare_to_export` imports with `told` waiting on stdin."""
    reading, writing = os.pipe()
    os.write(writing, told)
    names: list[str] = []
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(importlib, "import_module", names.append)
        worker.prepare_to_export(lambda: bool(select.select([stdin], [], [], 0)[0]))
    return names


def test_it_prepares_while_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(monkeypatch, b"") == list(worker.EXPORTER)


def test_it_stops_preparing_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported(monkeypatch, b'{"job": "/somewhere"}\n') == []


def test_orders_come_whole_and_one_after_another() -> None:
    reading, writing = os.pipe()
    orders = Orders(reading)
    assert not orders.waiting()
    os.write(writing, b'{"job": "/a')
    assert not orders.waiting(), "half a line is none"
    os.write(writing, b'"}\n{"job": "/b"}\n')
    assert orders.waiting()
    assert orders.next() == {"job": "/a"}
    assert orders.waiting(), "the second came with the first"
    assert orders.next() == {"job": "/b"}
    assert not orders.waiting()
    os.close(writing)
    assert not orders.waiting()
    assert orders.next() is None
    os.close(reading)


def test_a_question_that_was_taken_away_harms_nobody(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "w")
    gone, there = store.create_job("profile", {"backbone": "resnet8"}), store.create_job("profile", {"backbone": "mlp"})
    reading, writing = os.pipe()
    for job in (gone, there):
        os.write(writing, json.dumps({"job": str(job.folder)}).encode() + b"\n")
    for path in gone.folder.iterdir():
        path.unlink()
    gone.folder.rmdir()
    answer_others(Orders(reading))
    assert there.result()["params"]
    os.close(writing)
    os.close(reading)
