"""`condenser run`, `demo`, `submit`, `check`, `runs`, `show`, `cancel`, `resume` and `delete`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from core.assets import RECIPES, shipped
from core.commands import terminal
from core.commands.program import (
    DONE,
    FAULT,
    INTERRUPTED,
    WRONG_INPUT,
    AsJson,
    Folder,
    Settings,
    app,
    print_document,
    read_recipe,
    same_workspace,
    say,
    screen,
    store_with,
)
from core.commands.searches import is_search
from core.commands.searches import resume as resume_search
from core.comparison.paired import with_verdicts
from core.errors import UserError
from core.integrity.damage import of_run
from core.processes import dashboard as dashboard_process
from core.processes import here
from core.processes.workers import ensure_supervisor, run_in_foreground
from core.runs import Run, RunSummary
from core.search.store import find
from core.state import Status
from core.summary import Line
from core.text import formatting
from core.workspace import Workspace

OUR_FAULTS = ("internal", "out_of_memory")


@app.command
def demo(
    recipe: Literal["demo", "bundled-teacher", "adapt-digits", "few-labels", "omitted-digit"] = "demo",
    *,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Run a bundled recipe in the foreground; needs no network.

    Parameters
    ----------
    recipe
        demo: few labels and a large teacher; bundled-teacher: all labels and a small teacher; adapt-digits: from
        labelled printed digits to unlabelled handwritten ones; few-labels: the gain from a teacher and a pool;
        omitted-digit: a student that never sees one class.
    """
    return run(shipped(RECIPES / f"{recipe}.toml"), workspace=workspace, json=json)


@app.command(help_epilogue=terminal.methods_help())
def run(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Run a recipe in the foreground, with a progress bar; Ctrl-C cancels it.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = read_recipe(recipe, set, workspace)
    here.refuse_here(checked)
    begun = open_store().create_run(checked.to_toml())
    try:
        summary = terminal.follow(begun, checked, run_in_foreground(begun), screen)
    except KeyboardInterrupt:
        summary = begun.summary()
        screen.print(terminal.farewell(summary, same_workspace(workspace)), soft_wrap=True)
        if json:
            print_document(_document(begun, summary))
        raise
    if json:
        print_document(_document(begun, summary))
    else:
        _print_points(begun, summary)
    return _ended(begun, summary)


@app.command(help_epilogue=terminal.methods_help())
def submit(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Queue a recipe; the supervisor runs it in the background, as soon as there are cores for it (`condenser slots`).

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = read_recipe(recipe, set, workspace)
    here.refuse(Workspace.named(workspace), checked)
    store = open_store()
    ensure_supervisor(store)  # first: a refused command must leave the workspace as it was
    queued = store.submit(checked.to_toml())
    place = terminal.place(store, queued.id)
    running = dashboard_process.running_dashboard(store)
    document = {"run": queued.id, "place": place, "workspace": str(store.path), "url": running.url if running else None}
    if not json:
        where = terminal.whereabouts(queued.id, place, store, running.url if running else "")
        screen.print(where, soft_wrap=True)  # on stderr, so that stdout holds the id alone, for scripts
    return say(json, document, queued.id)


@app.command(help_epilogue=terminal.methods_help())
def check(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Check a recipe without running it. What this machine lacks for it is a warning: it may be meant for another one.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, _ = read_recipe(recipe, set, workspace)
    lacking = (f"It cannot run on this machine. {error}" for error in here.refusals(checked))
    warnings, told = [*checked.warnings(), *lacking, *map(str, here.remarks(checked))], here.measured_in(checked)
    document = {"ok": True, "errors": [], "warnings": warnings, "measured_in": told}
    return say(json, document, "\n".join(["The recipe is good.", *warnings, told]))


@app.command
def runs(*, workspace: Folder = None, json: AsJson = False) -> int:
    """List the runs, newest first."""
    store = Workspace.open_to_read(workspace)
    if json:
        return say(json, [_document(Run(store.path / "runs" / summary.id), summary) for summary in store.runs()], "")
    sys.stdout.write("".join(f"{run_line(line)}\n" for line in store.lines()) or "No runs yet.\n")
    return DONE


@app.command
def show(run: str, *, runtime: str = "", workspace: Folder = None, json: AsJson = False) -> int:
    """Show a run: its points, controls, state and environment.

    Parameters
    ----------
    run
        The run's id.
    runtime
        Whose accuracies and latencies the table shows, such as openvino, where the run was measured in it too.
    """
    shown = Workspace.open_to_read(workspace).run(run)
    summary, wrong = shown.summary(), of_run(shown, shown.state())
    if runtime and runtime not in summary.runtimes:
        allowed = ", ".join(summary.runtimes) or "none yet"
        fix = (
            "Choose one of these; OpenVINO measures the runs that begin after its extra is installed, unless "
            "runtimes is none in their recipe."
        )
        raise UserError("unknown_runtime", "--runtime", runtime, f"a runtime that measured this run: {allowed}", fix)
    for found in wrong:
        screen.print(f"{found.file} is {found.state.value}. {found.fix}", style="yellow", soft_wrap=True)
    if json:
        print_document(_document(shown, summary) | ({"damaged": [found.to_json() for found in wrong]} if wrong else {}))
    else:
        notices = terminal.notices(shown.state())
        Console(markup=False, highlight=False).print(run_line(summary.seen_in(runtime).line()), *notices, sep="\n")
        _print_points(shown, summary, runtime)
    return DONE


@app.command
def cancel(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Cancel a waiting or running run, or a search; what it has measured is kept.

    Parameters
    ----------
    run
        The id of the run or of the search.
    """
    opened = Workspace.open_to_read(workspace)
    if is_search(opened, run):
        find(opened, run).cancel()
        return say(json, {"search": run}, f"{run} is asked to stop")
    store = store_with(run, workspace)
    store.cancel(run)
    return say(json, {"run": run, "status": store.run(run).state().status.value}, f"{run} was asked to stop")


@app.command
def resume(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Queue a cancelled, interrupted or failed run again, which continues from its last checkpoint; or continue a
    search.

    Parameters
    ----------
    run
        The id of the run or of the search.
    """
    if is_search(Workspace.open_to_read(workspace), run):
        status = resume_search(Workspace.open_or_create(workspace), run)
        return say(json, {"search": run, "status": status}, f"{run} goes on")
    store = store_with(run, workspace)
    here.refuse_run(store, store.run(run))
    ensure_supervisor(store)
    store.resume(run)
    return say(json, {"run": run, "status": Status.QUEUED.value}, f"{run} is queued")


@app.command
def delete(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Delete a run; it stays in the workspace's trash for a week.

    Parameters
    ----------
    run
        The run's id.
    """
    store_with(run, workspace).delete(run)
    return say(json, {"run": run, "deleted": True}, f"{run} is deleted")


def _ended(run: Run, summary: RunSummary) -> int:
    if summary.status is Status.FINISHED:
        return DONE
    if summary.error:
        screen.print(f"The run failed. {summary.error.get('message', '')}", style="bold red", soft_wrap=True)
        return FAULT if summary.error.get("code") in OUR_FAULTS else WRONG_INPUT
    screen.print(f"The run is {summary.status.value}. {summary.cause}", style="bold", soft_wrap=True)
    return INTERRUPTED if summary.status in (Status.CANCELLED, Status.PAUSED) else FAULT


def _document(run: Run, found: RunSummary) -> dict[str, Any]:
    """A run as JSON: what `run`, `demo`, `show` and `runs` print."""
    summary = with_verdicts(run, found)
    rest = summary.model_dump(mode="json", exclude={"id", "points", "controls", "files", "events"}, exclude_none=True)
    if not summary.lost:
        rest.pop("lost")
    points = {"points": [p.to_json() for p in summary.points], "controls": [p.to_json() for p in summary.controls]}
    return {"run": summary.id, **rest, **points}


def run_line(line: Line) -> str:
    luck = f", {formatting.AT_CHANCE}" if line.at_chance else ""
    accuracy = formatting.with_interval(line.accuracy, line.low, line.high)
    last = f"{accuracy}{luck}, {formatting.size(line.bytes)}" if line.points else "no points"
    return f"{line.id}  {line.status:<11}  {last}  {line.name}"


def _print_points(run: Run, summary: RunSummary, runtime: str = "") -> None:
    """Prints the table of a run's points and, below it, the conclusion, which is drawn from the run's own runtime."""
    console = Console(markup=False, highlight=False)
    console.print(terminal.points_table(with_verdicts(run, summary), runtime))
    if runtime in summary.runtimes[1:]:
        return
    if conclusion := terminal.conclusion(run, summary):
        console.print(conclusion)
