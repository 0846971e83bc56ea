"""A lesson in parts: what the learner meets, in order. Every block knows its line in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from core.lessons.references import Condition, Reference, run_key
from core.options import Option, Value
from core.recipe import Recipe

SEEDS = (0, 1, 2)  # of prepared results
ChartKind = Literal["sweep", "points", "curves", "map", "soft_labels", "channels", "levels"]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, or with `heading` a heading; its placeholders are open."""

    line: int
    text: str
    heading: bool = False


@dataclass(frozen=True)
class Choice:
    """A prediction in words, and when it comes true; None: when no other does."""

    text: str
    when: Condition | None


@dataclass(frozen=True)
class Predict:
    """A question to answer before the results are seen: a number from `low` to `high` in its unit about a figure, or
    one of the `choices`."""

    line: int
    question: str
    about: Reference | None = None
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Knob:
    """The option that the learner turns: of each of `recipes`, at the path `option` (`steps.1.ratio`)."""

    line: int
    recipes: tuple[str, ...]
    names: tuple[str, ...]
    path: str
    option: Option
    values: tuple[Value, ...]
    start: Value
    title: str = ""


@dataclass(frozen=True)
class RunBlock:
    """One more run to compare with."""

    line: int
    name: str
    title: str


@dataclass(frozen=True)
class Chart:
    """One of the product's charts. `run` is a run's key, empty: that of the knob's value; `show` are points and figures
    (`prune.accuracy`) of a sweep, `points` the points whose features a map draws."""

    line: int
    kind: ChartKind
    run: str = ""
    show: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence, and the conditions that make it true."""

    line: int
    sentence: str
    holds: tuple[Condition, ...]


@dataclass(frozen=True)
class Answer:
    """An answer to a question, whether it is right, and why or why not."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A question to check what was understood."""

    line: int
    question: str
    answers: tuple[Answer, ...]


Block = Paragraph | Predict | Knob | RunBlock | Chart | Claim | Question


@dataclass(frozen=True)
class Paper:
    """The paper that a lesson follows; `url` is its https address."""

    authors: str
    year: int
    title: str
    url: str


@dataclass(frozen=True)
class LessonRun:
    """A run that a lesson refers to: its recipe (of seed 0), what it is called, and the knob's value, if any."""

    key: str
    title: str
    recipe: Recipe
    value: Value | None = None

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """The recipe's hash with each of the prepared SEEDS."""
        return tuple(replace(self.recipe, seed=seed).hash() for seed in SEEDS)


@dataclass(frozen=True)
class Lesson:
    """A lesson in one language; `runs` are by their keys, in the order of the file; `text` is the file itself."""

    id: str
    language: str
    title: str
    question: str
    minutes: int
    remember: tuple[str, ...]
    paper: Paper
    blocks: tuple[Block, ...]
    runs: Mapping[str, LessonRun]
    text: str
    terms: tuple[str, ...] = ()
    own: bool = field(default=False, compare=False)

    @property
    def knob(self) -> Knob | None:
        return next((block for block in self.blocks if isinstance(block, Knob)), None)

    @property
    def predictions(self) -> tuple[Predict, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Predict))

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Claim))

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(block for block in self.blocks if isinstance(block, Question))

    def of_value(self, value: Value) -> Iterator[LessonRun]:
        """The runs of the knob's value, one for each of its recipes."""
        if self.knob is not None:
            yield from (self.runs[run_key(name, value)] for name in self.knob.recipes)

    @property
    def first_of_values(self) -> tuple[LessonRun, ...]:
        """The runs of the knob's first recipe, one for each value."""
        knob = self.knob
        return () if knob is None else tuple(self.runs[run_key(knob.recipes[0], value)] for value in knob.values)

    @property
    def others(self) -> tuple[LessonRun, ...]:
        """The runs to compare with, which no knob turns."""
        return tuple(run for run in self.runs.values() if run.value is None)
