"""An import as shown in a terminal: its progress, and what became of the files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from core.jobs import Job, JobProgress
from core.questions.import_data import Imported
from core.questions.import_network import ImportedNetwork

EVERY = 2.0  # seconds between two lines if the output is no terminal


@contextmanager
def progress_line(console: Console) -> Iterator[Callable[[Job], None]]:
    """A function to call repeatedly while a job runs: a progress bar on a terminal, elsewhere a line now and then."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (TextColumn("{task.fields[what]}", markup=False), BarColumn(), TextColumn("{task.fields[count]}"))
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None, what="starting", count="")

        def update(job: Job) -> None:
            far = job.progress()
            if far is not None:
                bar.update(task, completed=far.done, total=far.total or None, what=far.what, count=_count(far))

        yield update


class _Lines:
    """Progress as lines of text."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._next = 0.0

    def __call__(self, job: Job) -> None:
        far = job.progress() if time.monotonic() >= self._next else None
        if far is not None:
            self._next = time.monotonic() + EVERY
            self.console.print(f"{far.what} {_count(far)}".rstrip(), soft_wrap=True, markup=False)


def _count(far: JobProgress) -> str:
    """The count so far; empty if there is nothing to count."""
    return f"{far.done:,} of {far.total:,}" if far.total else f"{far.done:,}" if far.done else ""


def report(found: Imported) -> Iterator[str]:
    """What was imported, warnings, what was ignored and what was skipped, one line each."""
    of = "without labels" if found.unlabelled else f"of {found.classes} classes"
    yield f"{found.dataset}: {found.images} images {of}"
    if found.unlabelled:
        yield f'It cannot be trained on alone. In a recipe: target = "{found.dataset}" or pool = "{found.dataset}".'
    yield from found.warnings
    ignored = found.ignored
    if ignored:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(ignored.items()))
        yield f"ignored {sum(ignored.values())} hidden and system files: {named}"
    yield from (f"skipped {each['file']}: {each['reason']}" for each in found.skipped)


def network_report(found: ImportedNetwork) -> Iterator[str]:
    """What was imported, its preprocessing, and notes, one line each."""
    yield f"{found.model}: {found.backbone}, {found.classes} classes, {found.params:,} parameters"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (found.mean, found.std))
    cut = f", centre crop of {100 * found.crop:g} % of a side" if found.crop < 1 else ""
    yield f"images of {found.size} px{cut}; mean {mean}; std {std} (--size, --crop, --mean and --std set them)"
    yield from found.notes
    yield f'In a recipe: backbone = "{found.model}"; the first step keep leaves it unchanged.'
