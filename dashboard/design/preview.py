"""What these knobs will give, before any training: asked of the engine as a job, and shown beside the chain."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from core.catalog import load_catalog
from core.errors import UserError, UserErrors
from core.files import remove_tree
from core.jobs import Job
from core.processes.workers import supervisor
from core.questions.preview import Preview, PreviewRequest, Row
from core.recipe import Recipe, Step
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components, engine_words, faults, step_names, terms
from dashboard.charts.style import MARKS
from dashboard.i18n import say, spoken
from dashboard.session import read_only, recall, remember, workspace

POLL = 0.3  # seconds
SETTLE = 0.5  # seconds without a change before one asks again
PATIENCE = 60.0  # seconds: a worker that has to import torch first takes about ten
KEEP = 1.0  # seconds that an answered job's folder stays, so that the supervisor sees the answer too
LONG = 120.0  # seconds; from here on minutes are told
SUBJECT = ("dataset", "target", "pool", "backbone", "weights")  # with another of these, other numbers
COLUMNS = ("step", "params", "macs", "file")  # of the table
UNBROKEN = "\u00a0"


@dataclass(frozen=True)
class Answer:
    """What came back for a recipe: an outlook, or why there is none, with the details of what went wrong."""

    text: str
    found: Preview | UserError | UserErrors
    details: str = ""


@dataclass(frozen=True)
class Asking:
    """Where this session's asking stands; times are those of `time.monotonic`."""

    wanted: str = ""  # the recipe on the page
    since: float = 0.0
    asked: str = ""
    job: str = ""  # that is being answered
    at: float = 0.0
    answer: Answer | None = None
    over: tuple[tuple[str, float], ...] = ()  # jobs to be cleared away

    def due(self, now: float) -> bool:
        """Whether to ask: nothing is being answered, and a person has stopped changing things."""
        fresh = self.answer is not None and self.answer.text == self.wanted
        return bool(self.wanted) and not self.job and not fresh and (not self.answer or now - self.since >= SETTLE)

    def waiting(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self.job) or bool(self.wanted and (self.answer is None or self.answer.text != self.wanted))


def panel(recipe: Recipe | None) -> None:
    """The preview of a checked recipe; of none while the draft is wrong."""
    wanted = "" if recipe is None else replace(recipe, name="").to_toml()
    steps = () if recipe is None else recipe.steps
    with st.container(border=True, gap="small", key="design_preview"):
        st.markdown(say("design.preview"), help=terms.of_words(*(f"design.column_{name}" for name in COLUMNS)))
        obstacle = _obstacle(recipe)
        if obstacle:
            st.info(obstacle, icon=":material/info:")
        _turn("" if obstacle else wanted)
        kept = asking()
        poll = POLL if kept.waiting() or kept.over else None
        st.fragment(_live, run_every=poll)("" if obstacle else wanted, steps)


def in_short() -> str:
    """The last network's file and the time, `≈ 38.1 kB · 2:10`; why there is none yet; empty where there is none."""
    kept = asking()
    answer = kept.answer if _about_the_same(kept) else None
    if answer is None or not isinstance(answer.found, Preview):
        return say("design.short_waiting") if kept.waiting() else ""
    sizes = [row.bytes for row in answer.found.rows if row.bytes is not None]
    parts = [f"≈ {formatting.size(sizes[-1])}".replace(" ", UNBROKEN)] if sizes else []
    if answer.found.seconds is not None:
        parts.append(formatting.duration(answer.found.seconds))
    return dimmed(" · ".join(parts), answer.text != kept.wanted)


def asking() -> Asking:
    """How far this session's asking is."""
    return recall("design.preview_asking", Asking())


def attended() -> bool:
    """Whether somebody is there to answer."""
    return supervisor(workspace()) is not None


def _obstacle(recipe: Recipe | None) -> str:
    """Why nothing is asked now; empty if nothing stands in the way."""
    if read_only():
        return say("design.preview_read_only")
    if recipe is None:
        return say("design.preview_wrong")
    return "" if attended() else say("design.preview_alone")


def _live(wanted: str, steps: Sequence[Step]) -> None:
    """What is drawn again and again while one waits; the whole page once the answer is here, which ends the polling."""
    before = asking()
    _turn(wanted)
    after = asking()
    show(after, steps)
    if (before.waiting() or before.over) and not after.waiting() and not after.over:
        st.rerun()


# asking


def _turn(wanted: str) -> None:
    """Takes what has come, gives up what is outdated, asks what is due."""
    now = time.monotonic()
    kept = asking()
    if wanted != kept.wanted:
        kept = replace(kept, wanted=wanted, since=now)
    kept = _collected(kept, now)
    if kept.due(now):
        job = workspace().ask(PreviewRequest(wanted))
        kept = replace(kept, asked=wanted, job=job.id, at=now)
    remember("design.preview_asking", replace(kept, over=tuple(_not_cleared(kept, now))))


def _collected(kept: Asking, now: float) -> Asking:
    job = _job(kept.job)
    if job is None:
        return replace(kept, job="")
    over = (*kept.over, (kept.job, now))
    if job.done():
        return replace(kept, job="", over=over, answer=Answer(kept.asked, answered(job), job.details()))
    if now - kept.at > PATIENCE:
        job.cancel()
        late = UserError("no_answer", PreviewRequest.kind, f"No answer within {PATIENCE:.0f} seconds.", "", "")
        return replace(kept, job="", over=over, answer=Answer(kept.asked, late))
    if kept.asked != kept.wanted:
        job.cancel()
        return replace(kept, job="", over=over)
    return kept


def answered(job: Job) -> Preview | UserError | UserErrors:
    """The job's answer as the page needs it."""
    try:
        return PreviewRequest.answer_from_document(job.result())
    except (UserError, UserErrors) as error:
        return error


def _not_cleared(kept: Asking, now: float) -> Iterator[tuple[str, float]]:
    """Clears away the folders of jobs that are over; yields those for which it is too early."""
    for name, since in kept.over:
        job = _job(name)
        if job is None:
            continue
        if now - since < (KEEP if job.done() else PATIENCE):
            yield name, since
        elif job.done():
            with suppress(OSError):  # else the supervisor tidies up
                remove_tree(job.folder)


def _job(name: str) -> Job | None:
    try:
        return workspace().job(name) if name else None
    except (UserError, UserErrors):
        return None


# showing


def show(kept: Asking, steps: Sequence[Step] = ()) -> None:
    """The answer; dimmed, and said so, where it is one to an earlier recipe of the same data and backbone. Beside an
    error, or another dataset, the numbers of a former recipe would be taken for those of this one."""
    answer = kept.answer if _about_the_same(kept) else None
    old = answer is not None and answer.text != kept.wanted
    if answer is None:
        if kept.waiting():
            st.caption(say("design.preview_waiting"))
        return
    if isinstance(answer.found, UserError | UserErrors):
        if not old:
            faults.refused(in_words(answer.found, steps), answer.details)
    else:
        _outlook(answer.found, old)
    if old and kept.waiting():
        st.caption(say("design.preview_again"))
    elif not old and isinstance(answer.found, Preview):
        st.caption(say("design.preview_now"))


def in_words(error: UserError | UserErrors, steps: Sequence[Step]) -> UserErrors:
    """What the engine refuses, its paths of steps in words."""
    return UserErrors(step_names.mistakes(error.errors if isinstance(error, UserErrors) else (error,), steps))


def _about_the_same(kept: Asking) -> bool:
    """Whether the answer there is belongs to the data and the backbone on the page."""
    if kept.answer is None or not kept.wanted:
        return False
    asked, wanted = (tomllib.loads(text) for text in (kept.answer.text, kept.wanted))
    return all(asked.get(name) == wanted.get(name) for name in SUBJECT)


def _outlook(found: Preview, old: bool) -> None:
    st.table(table(found, old), hide_index=True, border="horizontal", alt=say("design.preview_alt"))
    st.markdown(dimmed(cost(found), old))
    for reason in dict.fromkeys(row.why for row in found.rows if row.why and not row.exact):
        st.caption(say("design.about_because", why=engine_words.md(reason)))
    for note in found.notes:
        st.caption(say(f"design.note_{note.code}", **{k: UserText(v).md() for k, v in note.values.items()}))


def table(found: Preview, old: bool = False) -> pd.DataFrame:
    """A row a step: mark and name, parameters, multiply-accumulates, bytes of the file."""
    columns = [say(f"design.column_{name}") for name in COLUMNS]
    rows = [[dimmed(cell, old) for cell in _cells(row)] for row in found.rows]
    return pd.DataFrame(rows, columns=columns)


def _cells(row: Row) -> tuple[str, ...]:
    """The size of a file is always an estimate, as its column says; the other two where the row is not exact."""
    about = "" if row.exact else "≈ "
    mark = f":{components.TEXT_COLORS.get(row.stage, 'gray')}[{MARKS.get(row.stage, '○')}]"
    params, macs = (about + formatting.count(number) for number in (row.params, row.macs))
    numbers = (cell.replace(" ", UNBROKEN) for cell in (params, macs, formatting.size(row.bytes)))
    return f"{mark} {UserText(_name(row)).md()}", *numbers


def _name(row: Row) -> str:
    """The point's name, its method in the person's language."""
    method = load_catalog().methods.get(row.stage, {}).get(row.method)
    if method is None or not row.name.endswith(method.title.en):
        return row.name or row.method
    return row.name.removesuffix(method.title.en) + spoken(method.title)


def cost(found: Preview) -> str:
    """Time, memory, device and image size; what is not known is left out."""
    parts = []
    if found.seconds is not None:
        parts.append(_time(found.seconds, found.seconds_low, found.seconds_high))
    if found.memory_bytes is not None:
        parts.append(say("design.memory", size=formatting.size(found.memory_bytes)))
    if found.device:
        parts.append(UserText(found.device.upper()).md())
    if found.image_size:
        parts.append(say("design.seen", side=found.image_size))
    return " · ".join(parts)


def _time(seconds: float, low: float | None, high: float | None) -> str:
    """Seconds and their span; minutes where two of them may pass."""
    short = (seconds if high is None else high) < LONG
    told = formatting.two_digits if short else formatting.duration
    span = "" if low is None or high is None else say("design.span", low=told(low), high=told(high))
    return say("design.about_seconds" if short else "design.about_minutes", time=told(seconds), span=span)


def dimmed(text: str, old: bool) -> str:
    """The text in grey where it is outdated."""
    return f":gray[{text}]" if old and text else text
