"""A search as a terminal and a script are told it: a line a trial, a table, the answer, a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from core.errors import UserError
from core.search import words
from core.search.answer import answer
from core.search.space import told_value
from core.search.specification import Specification
from core.search.store import Search
from core.search.store import document as stored
from core.search.trial import Progress, Trial
from core.text import formatting

FIGURES = {"accuracy": "accuracy", "bytes": "file size"}
ENDED = {
    "stopped": "A person stopped it.",
    "trials": "All trials are done.",
    "time": "The time is over.",
    "exhausted": "Every combination was tried.",
}


def trial_line(trial: Trial, teacher: float | None) -> str:
    """A trial as it ends: its settings and its figures."""
    setting = words.values(trial.values, words.Voice())
    came = words.figures(trial, teacher, words.Voice()) if trial.is_measured else f"{trial.state}: {trial.why}"
    return f"{trial.number + 1:>4}  {setting}  {came}"


def document(search: Search, asked: Specification, now: Progress) -> dict[str, Any]:
    """A search as JSON, with what to take."""
    found = answer(now.trials, asked.bounds, now.teacher)
    best = found.recommended
    return {
        **stored(search),
        "recommended": None if best is None else best.model_dump(mode="json"),
        "reason": words.sentence(found, asked.bounds, now.teacher, words.Voice()),
        "front": [trial.model_dump(mode="json") for trial in found.front],
    }


def conclusion(asked: Specification, now: Progress) -> list[str]:
    """What it came to, a line each."""
    if not now.is_over:
        return [f"The search goes on: {len(now.trials)} of at most {asked.trials} trials begun."]
    told = [ENDED.get(now.cause, now.cause)] if now.cause else []
    if now.status == "refused":
        return told
    if not asked.is_sweep:
        told.append(
            words.sentence(answer(now.trials, asked.bounds, now.teacher), asked.bounds, now.teacher, words.Voice())
        )
    if cut := sum(trial.state == "cut" for trial in now.trials):
        told.append(f"{formatting.Amount(cut):trial was|trials were} cut early: without a model, but not without cost.")
    for figure, shares in now.importance.items():
        told.append(
            f"What the {FIGURES[figure]} depends on: " + ", ".join(f"{k} {100 * v:.0f} %" for k, v in shares.items())
        )
    return told


def trial_table(asked: Specification, now: Progress) -> Table:
    """A row a trial: its settings, its figures on validation; `+` marks the front, `>` the recommended one."""
    found = answer(now.trials, asked.bounds, now.teacher)
    leading = {trial.number for trial in found.front}
    table = Table(title=Text(asked.name), caption="validation accuracy; > recommended, + on the front")
    for head in ("", *(vary.path for vary in asked.vary), "accuracy", "lost", "file", "latency"):
        table.add_column(head, justify="right" if head else "left", overflow="fold")
    for trial in now.trials:
        best = found.recommended is not None and trial.number == found.recommended.number
        mark = ">" if best else "+" if trial.number in leading else ""
        cells = [told_value(trial.values[v.path]) if v.path in trial.values else "" for v in asked.vary]
        table.add_row(f"{trial.number + 1} {mark}", *cells, *_figures(trial, now.teacher))
    return table


def _figures(trial: Trial, teacher: float | None) -> Sequence[str]:
    if not trial.is_measured:
        return (trial.state, "", "", "")
    lost = trial.lost(teacher)
    latency = formatting.NOT_MEASURED if trial.latency is None else f"{formatting.two_digits(trial.latency)} ms"
    latency += f" on {trial.timed_on}" if trial.unlike else ""
    drop = formatting.NOT_MEASURED if lost is None else f"{lost:.1f}"
    return (
        formatting.percent(trial.accuracy),
        drop,
        formatting.size(trial.bytes),
        f"{'~' if trial.noisy else ''}{latency}",
    )


def line(search: Search) -> str:
    """A search as a row of the list."""
    try:
        asked = search.specification()
    except UserError as error:
        return f"{search.id}  damaged      {error.fix}"
    now = search.progress()
    kind = "sweep" if asked.is_sweep else "search"
    done = sum(trial.state != "running" for trial in now.trials)
    best = answer(now.trials, asked.bounds, now.teacher).recommended
    told = "" if best is None or asked.is_sweep else f"  {words.figures(best, now.teacher, words.Voice())}"
    return f"{search.id}  {now.status:<9}  {kind}  {done} of {asked.trials}{told}  {asked.name}"
