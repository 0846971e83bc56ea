"""A lesson with what is known for it: the learner's diary and own runs, prepared results; its texts filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.errors import UserError
from core.lessons import diary as diaries
from core.lessons.blocks import SEEDS, Claim, Lesson, LessonRun
from core.lessons.diary import Diary, Prediction, fits
from core.lessons.prepared import of_seed, over_seeds
from core.lessons.references import Condition, Look, Reference, filled, in_runs
from core.options import Value
from core.runs import Run, RunSummary
from core.text.escaping import UserText
from dashboard.learn.pictured import picture_look
from dashboard.session import read_only, recall, remember, widget, workspace

PICTURE = 90  # the place of the picture chooser among those of Design
PICTURE_KEY = f"effects_image_{PICTURE}"
BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:\\%|[kMG]?B|ms|[kMG])(?![A-Za-z]))")  # figure and unit share a line
BOLD = re.compile(r"\*\*(.+?)\*\*")


@dataclass(frozen=True)
class Book:
    """`mine` are the learner's own finished runs, `runs` all of them that are still there, by key; `fault` is what is
    wrong with their diary."""

    lesson: Lesson
    diary: Diary
    runs: Mapping[str, Run]
    mine: Mapping[str, RunSummary]
    fault: UserError | None = None

    @property
    def value(self) -> Value | None:
        """Where the knob stands."""
        knob = self.lesson.knob
        if knob is None:
            return None
        held = widget(knob_key(self.lesson), recall(knob_key(self.lesson), knob.start))
        return held if held in knob.values else knob.start

    @property
    def turned(self) -> tuple[LessonRun, ...]:
        """The runs of the knob's value; without a knob the others."""
        return tuple(self.lesson.of_value(self.value)) if self.value is not None else self.lesson.others

    @property
    def has_prepared(self) -> bool:
        """Whether results came with the lesson."""
        return bool(of_seed(self.lesson, SEEDS[0]))

    @property
    def prepared(self) -> Look:
        """Figures of the prepared results; of a lesson without any, those of the learner's own."""
        return _pictured(over_seeds(self.lesson)) if self.has_prepared else self.own

    @property
    def seeds(self) -> list[Look]:
        """Figures of the prepared results, seed by seed."""
        return seeds_of(self.lesson)

    @property
    def own(self) -> Look:
        return _pictured(in_runs(self.mine))

    def predicted(self, place: int) -> Prediction | None:
        """What was predicted there; None where that was the answer to another question."""
        made = self.diary.predictions.get(str(place))
        return made if made is not None and fits(self.lesson.predictions[place], made) else None

    def answered(self, place: int) -> int | None:
        """Which answer was chosen there; None where there is no such answer now."""
        given = self.diary.answers.get(str(place))
        return given if given is not None and given < len(self.lesson.questions[place].answers) else None

    def told(self, text: str) -> str:
        """A text of the lesson for Markdown: its figures filled in, **bold** kept, everything else as it was typed."""
        parts = BOLD.split(filled(text, self.prepared))
        told = "".join(f"**{UserText(p).md()}**" if n % 2 else _kept_ends(p) for n, p in enumerate(parts))
        return BEFORE_UNIT.sub("\u00a0", told)


def _kept_ends(text: str) -> str:
    """Escaped, with the spaces at its ends, which stand beside what is bold."""
    before, after = " " * text.startswith(" "), " " * (text.endswith(" ") and bool(text.strip()))
    return f"{before}{UserText(text).md()}{after}"


def knob_key(lesson: Lesson) -> str:
    return f"learn_knob_{lesson.id}"


def open_book(lesson: Lesson) -> Book:
    """The lesson as this workspace knows it."""
    fault, diary = None, Diary(lesson=lesson.id)
    try:
        diary = diaries.read_diary(workspace(), lesson.id)
    except UserError as error:
        fault = error
    unkept: Diary | None = recall(f"learn.diary.{lesson.id}", None)
    if unkept is not None:
        diary = unkept
    known = {key: run for key, run in diaries.own_runs(workspace(), diary).items() if key in lesson.runs}
    same = {key: run for key, run in known.items() if _is_of(lesson.runs[key], run)}
    return Book(lesson, diary, same, diaries.own_results(same), fault)


def _is_of(wanted: LessonRun, run: Run) -> bool:
    """Whether a run was made from the recipe that the lesson has now."""
    try:
        return run.recipe().hash() == wanted.recipe.hash()
    except (UserError, OSError, ValueError):
        return False


def keep(diary: Diary, change: Callable[[Diary], Diary]) -> None:
    """Keeps a change of the diary in the workspace, beside what other pages wrote into it since it was read; where that
    cannot be written to, for this visit."""
    key = f"learn.diary.{diary.lesson}"
    if read_only():
        remember(key, change(diary))
        return
    try:
        if recall(key, None) is None:
            diaries.change_diary(workspace(), diary, change)
        else:
            diaries.write_diary(workspace(), change(diary))
    except OSError:
        remember(key, change(diary))
        return
    remember(key, None)


def seeds_of(lesson: Lesson) -> list[Look]:
    """Figures of the prepared results, seed by seed."""
    return [in_runs(found) for seed in SEEDS if (found := of_seed(lesson, seed))]


def holding(lesson: Lesson, claim: Claim) -> tuple[int, int]:
    """For how many of the prepared seeds all conditions of a claim hold, and how many there are; a claim about pictures
    counts pictures."""
    if any(ref.is_picture for condition in claim.holds for ref in condition.references()):
        looks = [picture_look(image) for image in range(10)]
    else:
        looks = seeds_of(lesson)
    told = [all_hold(claim.holds, look) for look in looks]
    return sum(held is True for held in told), sum(held is not None for held in told)


def all_hold(conditions: tuple[Condition, ...], look: Look) -> bool | None:
    """Whether all are true; None where a figure is missing."""
    found = [condition.holds(look) for condition in conditions]
    return None if None in found else all(found)


def _pictured(look: Look) -> Look:
    of_picture = picture_look(int(widget(PICTURE_KEY, 0) or 0))

    def both(wanted: Reference) -> float | None:
        return of_picture(wanted) if wanted.is_picture else look(wanted)

    return both
