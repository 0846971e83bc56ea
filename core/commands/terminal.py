"""Runs as shown in a terminal: a progress bar while a run is going on, a table of its points at the end."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from core.catalog import Facts, load_catalog
from core.comparison.closing import closing
from core.comparison.closing_words import sentence, verdict
from core.comparison.gap import GAP, no_share, verdict_on
from core.comparison.paired import pairing
from core.events import AnyEvent, Measured, Progress, RunCancelled, StepFinished, StepStarted, Warned
from core.integrity.damage import Condition, Finding
from core.options import Option
from core.points import MACHINE, Point
from core.processes.run_monitor import Timeouts, death
from core.recipe import Recipe
from core.recipe_options import RECIPE_OPTIONS
from core.runs import Run, RunSummary
from core.runtimes import title
from core.state import RESTED, RunState, Status
from core.statistics.intervals import around
from core.text.formatting import (
    AT_CHANCE,
    NOT_MEASURED,
    Amount,
    accuracy,
    chance,
    duration,
    milliseconds,
    on_target,
    percent,
    size,
    two_digits,
)
from core.workspace import Workspace

POLL = 0.1  # seconds
LAST_START = " at its last start; whether all points were measured there is not recorded"
GRACE = 4.0  # seconds a cancelled worker may take to finish its batch before it is killed


def follow(run: Run, recipe: Recipe, worker: subprocess.Popen[bytes], console: Console) -> RunSummary:
    """Shows the run's progress until its worker has ended; Ctrl-C cancels the run and is raised again afterwards.

    If the worker died without reporting an error, the run is recorded as interrupted, with the cause.
    """
    steps = [f"{step.stage}.{step.method}" for step in recipe.steps]
    stopped = 0.0
    said = [TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[detail]")]
    columns = (said[0], BarColumn(), said[1])
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, detail="")
        offset = 0
        while True:
            ended = worker.poll() is not None
            try:
                events, offset = run.read(offset)
                for event in events:
                    _show(event, bar, task, steps, console)
                if ended:
                    break
                if stopped and time.monotonic() > stopped + GRACE:
                    worker.kill()
                time.sleep(POLL)
            except KeyboardInterrupt:
                if stopped:
                    worker.kill()
                stopped = stopped or time.monotonic()
                run.cancel()
                bar.update(task, description="stopping", detail="")
    _settle(run, worker.returncode, cancelled=bool(stopped))
    if stopped:
        raise KeyboardInterrupt
    return run.summary()


def farewell(summary: RunSummary, where: str) -> str:
    """The state of a run after Ctrl-C, what is kept, and how to continue; `where` is added to the command."""
    kept = [f"{Amount(len(summary.points)):measured model|measured models}"] if summary.points else []
    listed = ", ".join([*kept, "its curves", "its last checkpoint, if it reached one"])
    state = "continues" if summary.status is Status.RUNNING else f"is {summary.status.value}"
    return f"\nRun {summary.id} {state}. Kept: {listed}. To continue: condenser resume {summary.id}{where}"


def place(store: Workspace, run_id: str) -> int:
    """The run's place in the queue, from 1; 0 if it has already begun."""
    waiting = store.queued()
    return waiting.index(run_id) + 1 if run_id in waiting else 0


def whereabouts(run_id: str, place: int, store: Workspace, url: str) -> str:
    """What `submit` prints besides the id: where the run is queued, and where it can be followed."""
    lines = [f"place {place} in the queue" if place else "it has begun", f"workspace: {store.path}"]
    return "\n".join([*lines, f"dashboard: {url}/live?run={run_id}"] if url else lines)


def _settle(run: Run, code: int, *, cancelled: bool) -> None:
    """Records how the run ended if its worker could not."""
    status = run.state().status
    if status.is_over or status is Status.PAUSED:
        return
    found = death(code, run.log_tail())
    cause = f"{found.cause} Measurements are kept: `condenser resume {run.id}` continues from the last checkpoint."
    run.emit(RunCancelled() if cancelled else replace(found, cause=cause))


def _show(event: AnyEvent, bar: Bar, task: object, steps: list[str], console: Console) -> None:
    if isinstance(event, StepStarted):
        note = " (taken from an earlier run)" if event.reused else ""
        bar.update(task, description=f"{event.step + 1}/{len(steps)} {steps[event.step]}{note}", completed=0, detail="")  # type: ignore[arg-type]
    elif isinstance(event, Progress):
        done = (event.epoch + (event.batch / event.batches if event.batches else 0)) / max(event.epochs, 1)
        row = _row(event.control, bar) if event.control else task
        bar.update(row, completed=min(done, 1.0), detail=_detail(event))  # type: ignore[arg-type]
    elif isinstance(event, Measured) and event.role != "replica":
        if event.role == "control":
            bar.update(_row(event.point.name, bar), visible=False)
        console.print(Text(point_line(event.point, event.role)), soft_wrap=True)
    elif isinstance(event, StepFinished):
        for note in event.notes:
            console.print(Text(f"{event.step} {note}"), soft_wrap=True)
    elif isinstance(event, Warned):
        console.print(Text(f"note: {event.message}", style="yellow"), soft_wrap=True)


def _row(control: str, bar: Bar) -> TaskID:
    """The row of a control, which may be made beside a step."""
    known = next((task.id for task in bar.tasks if task.description == control), None)
    return bar.add_task(control, total=1.0, detail="") if known is None else known


def _detail(event: Progress) -> str:
    parts: list[str] = [event.what]
    if event.epochs > 1:
        parts.append(f"{event.epoch}/{event.epochs}")
    if event.samples_per_second:
        parts.append(f"{event.samples_per_second:,.0f} images/s")
    if event.validation_accuracy is not None:
        parts.append(f"validation {100 * event.validation_accuracy:.1f} %")
    if event.eta_seconds:
        parts.append(f"{event.eta_seconds:.0f} s left")
    return " · ".join(parts)


def point_line(point: Point, role: str = "point") -> str:
    """One point on one line."""
    mark = "  (control)" if role == "control" else ""
    mark += f"  ! {AT_CHANCE} ({chance(point)})" if point.is_at_chance else ""
    there = f"  target {on_target(point)}" if point.target_accuracy is not None else ""
    there += f" ! {AT_CHANCE}" if point.is_at_chance_on_target else ""
    return (
        f"{point.step} {point.stage:<9} {accuracy(point)}  {size(point.bytes):>8}  "
        f"{milliseconds(point.latency_ms):>9}  {point.name}{mark}{there}"
    )


def notices(state: RunState) -> list[str]:
    """What a person should know about a run besides its points: why it stopped, that it is being tried again, and how
    long it was worked on if it paused."""
    lines = []
    if state.status in (Status.FAILED, Status.INTERRUPTED, Status.PAUSED):
        why = (state.error or {}).get("message") or state.cause
        lines.append(f"{why.rstrip('.')}. What was measured is kept; resume continues from the last checkpoint.")
    elif state.strikes and not state.status.is_over:
        again = f"stopped unexpectedly, {state.strikes} of {Timeouts().tries}, trying again"
        lines.append(f"{again}: {state.stopped_by}")
    elif state.stops:
        times = f"{Amount(state.stops):time|times}"
        lines.append(f"stopped unexpectedly {times} and continued; the last time: {state.stopped_by}")
    worked, whole = state.durations()
    if state.status.is_over and whole - worked >= RESTED:
        lines.append(f"worked on for {duration(worked)}, {duration(whole)} from the first start to the end")
    return lines


def conclusion(run: Run, summary: RunSummary) -> str:
    """The conclusion of the run in sentences; empty if nothing was measured yet."""
    return sentence(closing(summary.points, summary.controls, summary.status, pairing(run)))


def points_table(run: RunSummary, runtime: str = "") -> Table:
    """The points of a run, and its controls below them; with the figures of `runtime`, or of the run's own."""
    summary = run.seen_in(runtime)
    luck = next((chance(p) for p in summary.points if p.chance), "")
    notes = [
        *_where_measured(run, summary, runtime),
        *_machines(run),
        f"chance: {luck}" if luck else "",
        *map(gap_line, summary.points),
    ]
    table = Table(title=Text(summary.name), caption="\n".join(filter(None, notes)) or None)
    table.add_column("step", no_wrap=True)
    table.add_column("model", overflow="fold")
    targeted = any(point.target_accuracy is not None for point in (*summary.points, *summary.controls))
    everything = (*summary.points, *summary.controls)
    lucky = any(point.is_at_chance or point.is_at_chance_on_target for point in everything)
    heads = (
        "accuracy",
        *(["on target"] if targeted else []),
        *(["chance"] if lucky else []),
        "file",
        "smaller",
        "latency",
    )
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    first = next((p.bytes for p in summary.points if p.bytes), None)
    for role, points in (("", summary.points), ("control: ", summary.controls)):
        for point in points:
            smaller = f"{two_digits(first / point.bytes)}×" if first and point.bytes else ""
            there = [on_target(point)] if targeted else []
            there += [_at_chance(point)] if lucky else []
            table.add_row(
                f"{point.step} {point.stage}",
                Text(role + point.name),
                accuracy(point),
                *there,
                size(point.bytes),
                smaller,
                milliseconds(point.latency_ms),
                style="dim" if role else None,
            )
    return table


def _where_measured(run: RunSummary, seen: RunSummary, runtime: str) -> list[str]:
    """The runtime of the figures and the others there are; `seen` is the run with the figures of `runtime`."""
    latency = next((p.latency_ms for p in seen.points if p.latency_ms), None)
    if latency is None:
        return []
    there = next((found for p in run.points if (found := (p.runtimes or {}).get(latency.runtime))), None)
    how = f" {there.version}, floats in {there.precision}" if there else ""
    threads = f"{Amount(latency.threads):thread|threads}"
    lines = [f"latency: {title(latency.runtime)}{how} on {latency.device}, {threads}, batch {latency.batch}"]
    if there:
        lines[0] = f"accuracy and {lines[0]}"
        lacking = any(p.latency_ms is None for p in (*seen.points, *seen.controls))
        lines += [f"{NOT_MEASURED}: not measured in {title(latency.runtime)}"] if lacking else []
    others = [name for name in run.runtimes if name != latency.runtime]
    return [*lines, *(f"also measured in {title(name)}: condenser show {run.id} --runtime {name}" for name in others)]


def _machines(run: RunSummary) -> Iterator[str]:
    """The machine behind the figures; of points measured in unlike environments each with what differs from the last
    start."""
    several = len(run.environments) > 1
    for environment, points in run.environments:
        names = ", ".join(f"{point.step} {point.name}" for point in points)
        where = ", ".join(environment[name] for name in MACHINE if environment.get(name))
        unlike = [name for name, value in environment.items() if value != run.environment.get(name)]
        other = "; ".join(f"{name} {environment[name]}" for name in unlike if name not in MACHINE)
        if several and points:
            yield f"{names}: measured on {where or 'an unknown machine'}{f' ({other})' if other else ''}"
        elif where and points:
            yield f"measured on {where}{'' if run.environments_known else LAST_START}"


def _at_chance(point: Point) -> str:
    """Which of a point's accuracies are not proven better than chance."""
    if point.is_at_chance:
        return "! not proven"
    return "! on target not proven" if point.is_at_chance_on_target else ""


def findings(found: Sequence[Finding]) -> str:
    """The damaged and missing files, with what to do about each, and the number of intact files."""
    lines = [
        f"{one.state.value:<9} {one.file}{_whose(one)}\n          {one.fix}".rstrip()
        for one in found
        if one.state.is_bad
    ]
    counts = Counter(one.state for one in found)
    whole = f"{counts[Condition.OK]} files are as they were written"
    unsealed, unknown = counts[Condition.UNSEALED], counts[Condition.UNKNOWN]
    bare = f"; {unsealed} have no hash to check them by" if unsealed else ""
    strange = f"; {unknown} are not known to Condenser" if unknown else ""
    return "\n".join([*lines, f"{whole}{bare}{strange}."])


def _whose(found: Finding) -> str:
    return f" (corner of {found.corner})" if found.corner else ""


def gap_line(point: Point) -> str:
    """The gain from a teacher on one line, with the share of its lead where `core.comparison.gap.judged` has one, else
    why there is none; empty if there is no control without a teacher."""
    gap: Any = point.receipt.get(GAP)
    if not gap:
        return ""
    accuracies = [f"{name} {percent(gap[name])}" for name in ("twin", "distilled", "teacher")]
    return f"step {point.step}: {_share_told(gap)} ({', '.join(accuracies)}; {Amount(gap['seeds']):seed|seeds})"


def _share_told(gap: Any) -> str:
    why = no_share(gap)
    if why in ("", "no_lead"):
        return "no gap to recover" if why else f"{percent(gap['share'], 0)} of the gap recovered"
    name = why.partition("_")[0]
    found = verdict_on(gap, name)
    what = {"lead": "the teacher's lead", "gain": "the gain"}[name]
    points = f"{100 * found.share:.1f}".replace("-", "−")
    may_be = "is within chance" if found.basis else "may be chance"
    return f"{what} of {points} points {may_be}{verdict(found)}, so no share of the lead is told"


SCORE_HEADS = {"probe_accuracy": "probe", "knn_accuracy": "knn"}


def ranking(rows: Sequence[Facts], agreement: Sequence[Facts]) -> list[Table]:
    """The scores of each backbone; with enough backbones also how well each score agrees with the probe."""
    scores = [name for name in rows[0] if name not in ("backbone", "pretrained", "images", "probe_low", "probe_high")]
    table = Table(title=f"{rows[0]['images']} labelled images; higher is better", box=None, padding=(0, 1, 0, 0))
    table.add_column("backbone", no_wrap=True)
    for name in scores:
        table.add_column(SCORE_HEADS.get(name, name), justify="right", no_wrap=True)
    for row in rows:
        name = f"{row['backbone']}{'' if row['pretrained'] else ', random'}"
        table.add_row(Text(name), *(_three(row[score]) for score in scores), style=None if row["pretrained"] else "dim")
    table.caption = _probes_spread(rows)
    if not agreement:
        return [table]
    agreements = Table(title="Agreement of each score with the probe's order, from −1 to 1; p: by chance", box=None)
    for name in ("score", "over", "Kendall", "p", "Spearman"):
        agreements.add_column(name, justify="left" if name in ("score", "over") else "right")
    for each in agreement:
        over = f"{each['backbones']} backbones{', random weights included' if each['controls'] else ''}"
        told = (_three(each[name]) for name in ("kendall", "chance", "spearman"))
        agreements.add_row(str(each["score"]), over, *told)
    return [table, agreements]


def _probes_spread(rows: Sequence[Any]) -> str | None:
    """The widest ± of the probes' accuracies; None of answers that have no intervals."""
    ends = [(row["probe_accuracy"], row.get("probe_low"), row.get("probe_high")) for row in rows]
    known = [around(*each) for each in ends if None not in each]
    return f"probe: ± {max(known):.3f} or less, the 95 % interval of each" if known else None


def _three(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else NOT_MEASURED


def methods_help() -> str:
    """All options of recipes and methods, for the help of the commands that take a recipe."""
    lines = [f"of the recipe: {', '.join(map(_in_help, RECIPE_OPTIONS))}"]
    for stage, menu in load_catalog().methods.items():
        for name, entry in menu.items():
            options = ", ".join(map(_in_help, entry.options))
            lines.append(f"{stage}.{name}: {options or 'no options'}")
    return "Knobs and steps with their options (allowed; default):\n\n" + "\n\n".join(lines)


def _in_help(option: Option) -> str:
    """`labels (a whole number from 0 to 10000000, 0 = all; 0)`: name, allowed values, special values and default."""
    meanings = "".join(f", {value:g} = {words.en}" for value, words in option.names if isinstance(value, int | float))
    return f"{option.name} ({option.allowed()}{meanings}; {option.default})"
