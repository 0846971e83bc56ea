"""`condenser search`, `searches` and `sweep`: the best within bounds, and a grid over one or two knobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from core.commands.program import (
    DONE,
    FAULT,
    INTERRUPTED,
    WRONG_INPUT,
    AsJson,
    Folder,
    Settings,
    app,
    interruptible,
    read_recipe,
    say,
    screen,
)
from core.processes import here
from core.processes.searches import ensure_driver
from core.processes.workers import ensure_supervisor
from core.search import bounds as limits
from core.search import report, specification, store
from core.search.bounds import Bounds
from core.search.pruning import Pruner
from core.search.specification import POINTS, Specification
from core.search.store import Search
from core.search.trial import Progress
from core.workspace import Workspace

POLL = 0.3  # seconds
CHECK = 5.0  # seconds between two looks whether somebody works on it
Varied = Annotated[
    list[str],
    Parameter(
        name="--vary", negative="", help="steps.1.temperature=1:20, steps.2.ratio=.2:.8:log or steps.3.bits=4,8."
    ),
]
Detach = Annotated[bool, Parameter(negative="", help="Print the id and return; the search goes on in the background.")]
Slots = Annotated[int, Parameter(help="Trials that may be in the queue or at work at once.")]


@app.command
def search(
    recipe: Path,
    *,
    vary: Varied,
    max_bytes: Annotated[str, Parameter(help="Of the last file, such as 100kB or 4MB.")] = "",
    max_latency: Annotated[str, Parameter(help="Median time of one image, such as 2ms.")] = "",
    max_drop: Annotated[float | None, Parameter(help="Points of validation accuracy below the teacher.")] = None,
    trials: Annotated[int | None, Parameter(help="At most so many; default 40, with --minutes as many as fit.")] = None,
    minutes: Annotated[float | None, Parameter(help="No trial begins later; the last one is finished.")] = None,
    sampler: Annotated[Literal["gp", "tpe", "nsga2", "random"], Parameter(help="How the next trial is chosen.")] = "gp",
    seed: Annotated[int, Parameter(help="Another number, other trials.")] = 0,
    pruner: Annotated[Pruner, Parameter(help="Cuts trials that are behind the others at the same epoch.")] = "none",
    slots: Slots = 1,
    detach: Detach = False,
    set: Settings = None,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Find the best model within bounds: knobs that vary, tried as ordinary runs, chosen on the validation images.

    The most accurate within the bounds; with --max-drop alone the smallest. Ctrl-C cancels it; `condenser resume` goes
    on. What can be killed goes on by itself, with no trial lost and none done twice. Up to --slots trials are made at
    once, as far as the cores suffice (`condenser slots`). A trial that is cut has no model, and counts as a trial.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = read_recipe(recipe, set, workspace)
    given = Bounds(
        limits.read_bytes(max_bytes) if max_bytes else None,
        limits.read_milliseconds(max_latency) if max_latency else None,
        limits.check_drop(max_drop),
    )
    catalog = Workspace.named(workspace).catalog()
    asked = specification.search(
        checked,
        vary,
        catalog,
        given,
        trials=trials,
        minutes=minutes,
        sampler=sampler,
        seed=seed,
        pruner=pruner,
        slots=slots,
    )
    return _launched(asked, open_store, Workspace.named(workspace), detach=detach, as_json=json)


@app.command
def sweep(
    recipe: Path,
    *,
    vary: Varied,
    points: Annotated[int, Parameter(help="Values that a range is divided into.")] = POINTS,
    slots: Slots = 1,
    detach: Detach = False,
    set: Settings = None,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Try every combination of one or two knobs, as ordinary runs.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = read_recipe(recipe, set, workspace)
    asked = specification.sweep(checked, vary, Workspace.named(workspace).catalog(), points, slots=slots)
    return _launched(asked, open_store, Workspace.named(workspace), detach=detach, as_json=json)


@app.command
def searches(search: str = "", *, workspace: Folder = None, json: AsJson = False) -> int:
    """List the searches and sweeps, newest first, or show one with its trials and its answer.

    Parameters
    ----------
    search
        A search's id.
    """
    opened = Workspace.open_to_read(workspace)
    if search:
        found = store.find(opened, search)
        return _told(found, as_json=json)
    everything = store.searches(opened)
    if json:
        return say(True, [store.document(each) for each in everything], "")
    return say(False, None, "\n".join(map(report.line, everything)) or "No searches yet.")


def is_search(opened: Workspace, name: str) -> bool:
    """Whether an id is a search's."""
    return name in store.search_ids(opened)


def resume(opened: Workspace, name: str) -> str:
    """Goes on with a cancelled or failed search; what it came to, in a word."""
    found = store.find(opened, name)
    here.refuse(opened, found.specification().base())
    found.take_up()
    ensure_supervisor(opened)
    ensure_driver(opened, found)
    return found.progress().status


def _launched(
    asked: Specification, open_store: Callable[[], Workspace], named: Workspace, *, detach: bool, as_json: bool
) -> int:
    here.refuse(named, asked.base())
    opened = open_store()
    ensure_supervisor(opened)  # first: a refused command leaves the workspace as it was
    made = store.create(opened, asked)
    ensure_driver(opened, made)
    if detach:
        return say(as_json, {"search": made.id, "workspace": str(opened.path)}, made.id)
    _follow(opened, made)
    return _told(made, as_json=as_json)


def _follow(opened: Workspace, search: Search) -> None:
    """Prints each trial as it ends; Ctrl-C cancels the search, and is raised again afterwards."""
    told, check = set[int](), time.monotonic() + CHECK
    outcome = f"What was tried is kept. To go on: condenser resume {search.id}"
    with interruptible(outcome):
        try:
            while not (now := search.progress()).is_over:
                _tell(now, told)
                if time.monotonic() > check:
                    ensure_driver(opened, search)
                    check = time.monotonic() + CHECK
                time.sleep(POLL)
            _tell(now, told)
        except KeyboardInterrupt:
            search.cancel()
            raise


def _tell(now: Progress, told: set[int]) -> None:
    """The trials that are over and were not told yet; several at once end in any order."""
    for trial in now.trials:
        if trial.state != "running" and trial.number not in told:
            screen.print(Text(report.trial_line(trial, now.teacher)), soft_wrap=True)
            told.add(trial.number)


def _told(search: Search, *, as_json: bool) -> int:
    """The trials as a table and the answer below; the exit code says how it ended."""
    now, asked = search.progress(), search.specification()
    if as_json:
        say(True, report.document(search, asked, now), "")
    else:
        out = Console(markup=False, highlight=False)
        if now.trials:
            out.print(report.trial_table(asked, now))
        for line in report.conclusion(asked, now):
            out.print(line, soft_wrap=True)
    if now.error:
        screen.print(now.error.get("message", ""), style="bold red", soft_wrap=True)
    return _code(now)


def _code(now: Progress) -> int:
    if now.status == "refused":
        return WRONG_INPUT
    return {"failed": FAULT, "cancelled": INTERRUPTED}.get(now.status, DONE)
