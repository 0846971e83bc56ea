"""Writes the progress of a step as events, at most a few per second."""

from __future__ import annotations

import time
from dataclasses import asdict

from core import events
from core.engine.context import Progress
from core.runs import Run

AT_MOST_EVERY = 0.2  # seconds; a page polls once a second


class Reporter:
    """A `core.engine.context.Report`: ends of epochs and tasks are always written, other reports are thinned out."""

    def __init__(self, run: Run, step: int, seed: int) -> None:
        self.run, self.step, self.seed = run, step, seed
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now, figures = time.monotonic(), progress.figures
        if now - self._last < AT_MOST_EVERY and figures.validation_accuracy is None and progress.done != progress.total:
            return
        self._last = now
        event = events.Progress(
            step=self.step,
            seed=self.seed,
            what=progress.what,
            epoch=progress.epoch,
            epochs=progress.epochs,
            batch=progress.done,
            batches=progress.total,
            control=progress.control,
            **asdict(figures),
        )
        self.run.emit(event)

    def loading(self, what: str, done: int, total: int | None) -> None:
        """Progress of loading the data, as `core.engine.data` reports it."""
        self(Progress("downloading", done, total or 0))
