"""The points of all runs, read from disk only where something changed, and the recipes that led to them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock

import pandas as pd
import streamlit as st

from core.assets import SAMPLES
from core.errors import UserErrors
from core.recipe import Recipe
from core.run_files.ledger import Ledger
from core.run_files.samples import samples
from core.runs import Run
from core.workspace import Workspace
from dashboard.charts import points
from dashboard.session import workspace

SHAPE = " ".join(("1", *points.COLUMNS, *points.IN_RUNTIME))  # what is kept of each point
Stamp = tuple[bool, int, int]  # is it over? when were its result or events, and its notes, written, in nanoseconds


class Stored:
    """The points of one workspace; asked again, it reads only the runs that are new or were written to."""

    def __init__(self, store: Workspace) -> None:
        self._folder = store.path / "runs"
        self._store = store
        self._lock = Lock()
        self._stamps: dict[str, Stamp] = {}
        self._rows: dict[str, tuple[points.Row, ...]] = {}
        self._table = points.table(())

    def table(self) -> pd.DataFrame:
        """All points, the newest run first; the same object as long as nothing changed."""
        with self._lock:
            stamps = {run_id: _stamp(f"{self._folder}/{run_id}") for run_id in reversed(self._store.run_ids())}
            if stamps != self._stamps:
                changed = [run_id for run_id, stamp in stamps.items() if self._stamps.get(run_id) != stamp]
                fresh = self._read(changed)
                known = {run_id: fresh.get(run_id, self._rows.get(run_id, ())) for run_id in stamps}
                if known != self._rows:  # a run that goes on writes all the time, and seldom a point
                    self._table = points.table(row for rows in known.values() for row in rows)
                self._rows, self._stamps = known, stamps
            return self._table

    def _read(self, run_ids: list[str]) -> dict[str, tuple[points.Row, ...]]:
        """The rows of runs; all of them, as when the dashboard begins, from the list that is kept."""
        if self._stamps:
            return {run_id: _rows(Run(self._folder / run_id)) for run_id in run_ids}
        ledger = Ledger(self._folder, self._store.cache / "lists" / "points.kept", SHAPE, _rows)
        return {run_id: tuple(map(points.restored, found)) for run_id, found in ledger.of(run_ids)}

    def is_going(self) -> bool:
        """Whether a run was not over when it was last looked."""
        return any(not over for over, _, _ in self._stamps.values())


def _rows(run: Run) -> tuple[points.Row, ...]:
    return tuple(points.rows(run.summary()))


def stored() -> Stored:
    """What is known of this dashboard's workspace, shared by all sessions."""
    return _stored(str(workspace().path))


@st.cache_resource(show_spinner=False)
def _stored(path: str) -> Stored:
    return Stored(Workspace(Path(path)))


def sample_points() -> pd.DataFrame:
    """The points of the sample runs that come along."""
    return points.info(samples(), sample=True)


def recipe(run_id: str, *, sample: bool = False) -> Recipe | None:
    """The recipe of a run, which never changes; None if it cannot be read, or not any more."""
    return _recipe(str((SAMPLES if sample else workspace().path / "runs") / run_id))


@lru_cache(maxsize=2048)
def _recipe(folder: str) -> Recipe | None:
    run = Run(Path(folder))
    try:
        return run.recipe()
    except (OSError, ValueError, UserErrors):
        return None


def _stamp(folder: str) -> Stamp:
    result = _written(f"{folder}/result.json")
    return (
        (True, result, 0) if result else (False, _written(f"{folder}/events.jsonl"), _written(f"{folder}/notes.json"))
    )


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
