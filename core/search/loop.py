"""A search, read top to bottom: propose, decide which run tries it, have it run, tell; until trials or time are over.

What is decided is written before it is done, and what came of a run is read from the run: the loop may be killed
between any two lines, and the next one goes on with the same trial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.catalog import Catalog
from core.errors import UserErrors
from core.options import Value
from core.recipe import Recipe
from core.search import space
from core.search.answer import score
from core.search.specification import Specification
from core.search.store import STOPPED
from core.search.study import Decided, Study, importance
from core.search.trial import Progress, StatusName, Trial, placed

TRIALS, TIME, EXHAUSTED = "trials", "time", "exhausted"
MOST_REPEATS = 200  # proposals in a row that were tried already or are refused, before a search gives up
OFTEN, WEIGH_EVERY = 20, 5  # trials up to which importance is told after each, and then after so many
Write = Callable[[Progress], None]


class Runner(Protocol):
    """Who has the recipes of trials run."""

    def new_run(self) -> str:
        """An id for a run that does not exist yet."""

    def results(self, going: Sequence[tuple[Trial, Recipe]]) -> Sequence[Trial] | None:
        """Those trials with what their runs came to that are over, one at least; runs that have not begun are begun
        now, in this order. None where the search was told to stop."""

    def spent(self) -> float:
        """Seconds since the loop began."""

    def stopped(self) -> StatusName | None:
        """`cancelled` or `resting` once a person, or the end of the process, stops the search."""


@dataclass
class Loop:
    """One search at work; `write` keeps each state of it."""

    specification: Specification
    study: Study
    runner: Runner
    catalog: Catalog
    write: Write
    before: Progress
    trials: list[Trial] = field(default_factory=list)
    going: list[Decided] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    _taken: dict[tuple[object, str], bool] = field(default_factory=dict)
    _weighed: tuple[int, dict[str, dict[str, float]]] = field(default=(0, {}))

    def __post_init__(self) -> None:
        self._base = self.specification.base()

    def run(self) -> Progress:
        """Goes on from where the study stands; returns the last state, which was written."""
        self.study.drop_undecided()
        waiting = self._recall()
        while True:
            cause = self._fill(waiting)
            if not self.going:
                return self._keep("finished", cause)
            if (stopped := self._wait()) is not None:
                return self._keep(stopped, STOPPED if stopped == "cancelled" else "")

    def _fill(self, waiting: list[Decided]) -> str:
        """Decides trials until as many go on as may; why there is no further one, empty where there may be."""
        while len(self.going) < self.specification.slots:
            if not waiting:
                if cause := self._over():
                    return cause
                if (decided := self._next()) is None:
                    return EXHAUSTED
                waiting.append(decided)
            self.going.append(waiting.pop(0))
        return ""

    def _recall(self) -> list[Decided]:
        """Takes up what was told before; returns what was decided and is not known to be over."""
        known = {trial.number: trial for trial in self.before.trials if trial.state != "running"}
        waiting = []
        for decided in self.study.decided():
            self.tried.add(self._mark(decided.values))
            if decided.is_told and decided.number in known:
                self.trials.append(known[decided.number])
            else:
                waiting.append(decided)
        return waiting

    def _over(self) -> str:
        given = self.specification
        if self._count() >= given.trials:
            return TRIALS
        late = given.minutes is not None and self._spent() >= 60 * given.minutes
        return TIME if late else ""

    def _next(self) -> Decided | None:
        """A proposal that was not tried yet, and the run that will try it; None where there is none left."""
        count = self.specification.combinations()
        for _ in range(MOST_REPEATS):
            if self.study.is_used_up() or (count is not None and len(self.tried) >= count):
                return None
            beside = [_begun(each) for each in self.going]
            proposal = self.study.propose(self.trials, self._teacher(), self._takes, beside)
            mark = self._mark(proposal.values)
            if mark in self.tried:
                self.study.tell(proposal.key, self._known_score(proposal.values))
                continue
            self.tried.add(mark)
            if self._goes_together(proposal.values):
                return self.study.decide(proposal, self._count(), self.runner.new_run())
            self.study.tell(proposal.key, None)
        return None

    def _count(self) -> int:
        """How many trials were decided: they are numbered in that order."""
        return len(self.trials) + len(self.going)

    def _goes_together(self, values: Mapping[str, Value]) -> bool:
        """Whether they make a recipe; where not, nothing is run and it is no trial."""
        try:
            space.checked(self._recipe(values), self.catalog)
        except UserErrors:
            return False
        return True

    def _takes(self, values: Mapping[str, Value], vary: space.Vary) -> bool:
        """Whether the methods among `values` leave that knob; remembered, since it is asked of every candidate."""
        methods = tuple((path, value) for path, value in values.items() if path.endswith(".method"))
        if (methods, vary.path) not in self._taken:
            self._taken[methods, vary.path] = space.takes(self._recipe(dict(methods)), vary.path, self.catalog)
        return self._taken[methods, vary.path]

    def _known_score(self, values: Mapping[str, Value]) -> float | None:
        same = next((trial for trial in self.trials if dict(trial.values) == dict(values)), None)
        return None if same is None else self._score(same)

    def _wait(self) -> StatusName | None:
        """Has those that go on run until one is over, and tells the study; a status where the search was stopped."""
        self._keep("running")
        recipes = [(_begun(each), self._recipe(each.values)) for each in self.going]
        found = self.runner.results(recipes)
        if found is None:
            return self.runner.stopped() or "resting"
        for done in found:
            self._tell(done)
        self._keep("running")
        return self.runner.stopped()

    def _tell(self, done: Trial) -> None:
        done = placed(done, self.trials)
        decided = next(each for each in self.going if each.number == done.number)
        self.going.remove(decided)
        self.trials = sorted([*self.trials, done], key=lambda trial: trial.number)
        if done.state == "cut":
            self.study.cut(decided.key)
        else:
            self.study.tell(decided.key, self._score(done))

    def _score(self, trial: Trial) -> float | None:
        return score(trial, self.specification.bounds, self._teacher())

    def _teacher(self) -> float | None:
        return Progress(trials=tuple(self.trials)).teacher

    def _recipe(self, values: Mapping[str, Value]) -> Recipe:
        return space.applied(self._base, values, self.catalog)

    def _mark(self, values: Mapping[str, Value]) -> str:
        """The same for values that make the same models."""
        return self._recipe(values).hash(self.catalog)

    def _spent(self) -> float:
        return self.before.spent + self.runner.spent()

    def _keep(self, status: StatusName, cause: str = "") -> Progress:
        running = map(_begun, self.going if status == "running" else ())
        now = Progress(
            status=status,
            cause=cause,
            trials=tuple(sorted([*self.trials, *running], key=lambda trial: trial.number)),
            spent=round(self._spent(), 3),
            importance=self._importance(status),
        )
        self.write(now)
        return now

    def _importance(self, status: StatusName) -> dict[str, dict[str, float]]:
        """Of the trials so far, anew after each, later after each few, and at the end."""
        count = len(self.trials)
        if self._weighed[0] != count and (count < OFTEN or count % WEIGH_EVERY == 0 or status != "running"):
            self._weighed = count, importances(self.trials, self.specification.vary)
        return self._weighed[1]


def importances(trials: Sequence[Trial], varied: Sequence[space.Vary]) -> dict[str, dict[str, float]]:
    """How much each knob matters for the accuracy and for the bytes; without a figure that says nothing yet."""
    measured = [trial for trial in trials if trial.is_measured]
    figures = {
        "accuracy": [(t.values, t.accuracy) for t in measured if t.accuracy is not None],
        "bytes": [(t.values, float(t.bytes)) for t in measured if t.bytes is not None],
    }
    found = {name: importance(rows, varied) for name, rows in figures.items()}
    return {name: shares for name, shares in found.items() if shares}


def _begun(decided: Decided) -> Trial:
    return Trial(number=decided.number, run=decided.run, values=dict(decided.values))
