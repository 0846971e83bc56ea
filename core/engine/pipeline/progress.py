"""Progress of a step as events, at most a few a second."""

from __future__ import annotations

import time
from dataclasses import asdict

from core.engine.context import NOTHING, Figures
from core.events import Progress, Work
from core.runs import Run

AT_MOST_EVERY = 0.2  # seconds; a page polls once a second


class Reporter:
    """Callable as `core.engine.context.Report`; ends of epochs and of tasks always pass, the rest is thinned."""

    def __init__(self, run: Run, step: int, seed: int) -> None:
        self.run, self.step, self.seed = run, step, seed
        self._last = 0.0

    def __call__(
        self,
        what: Work,
        epoch: int,
        epochs: int,
        batch: int,
        batches: int,
        figures: Figures = NOTHING,
        control: str = "",
    ) -> None:
        now = time.monotonic()
        if now - self._last < AT_MOST_EVERY and figures.validation_accuracy is None and batch != batches:
            return
        self._last = now
        progress = Progress(
            step=self.step,
            seed=self.seed,
            what=what,
            epoch=epoch,
            epochs=epochs,
            batch=batch,
            batches=batches,
            control=control,
            **asdict(figures),
        )
        self.run.emit(progress)

    def loading(self, what: str, done: int, total: int | None) -> None:
        """Progress of loading the data, as `core.engine.data` reports it."""
        self("downloading", 0, 1, done, total or 0)
