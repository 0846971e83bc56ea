"""Points of runs made by an earlier version are on Trade-offs, beside those of today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.workspace import Workspace
from tests.core import old_runs
from tests.dashboard.test_tradeoffs import drawn, ids_drawn, page

__all__ = ["drawn"]  # a fixture


def test_old_points_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: dict[str, Any]) -> None:
    old_runs.put_into(tmp_path)
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    Workspace.open_or_create(tmp_path)
    page()
    runs = [name.partition(":")[0] for name in ids_drawn(drawn)]
    assert {run: runs.count(run) for run in runs} == {old_runs.FINISHED: 5, old_runs.INTERRUPTED: 1}
