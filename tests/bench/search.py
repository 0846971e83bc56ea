"""Search against random trials and against the four presets, on the demo's data: at most 60 kB, at most 2 points lost.

    python -m tests.bench.search --keep FOLDER [--seeds 3] [--trials 12] [--minutes 9]

The searches have equal numbers of trials, of the same knobs over the same ranges; a preset is one run. All share one
workspace, so a step that two of them have in common is trained once, and seconds of one search are no measure of it.
`--keep` is that workspace: what is done there is not done again, and `--minutes` ends this call after the trial that
is going on. Models are chosen on the validation images; the table tells what they come to on the test images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from core.catalog import load_catalog
from core.recipe import Recipe, parse_recipe
from core.runs import Run
from core.search import store
from core.search.answer import answer, front
from core.search.bounds import Bounds
from core.search.driver import as_it_is
from core.search.loop import Loop
from core.search.specification import Specification, search
from core.search.store import Search
from core.search.study import Study
from core.search.trial import Progress, StatusName, Trial, outcome
from core.state import Status
from core.workspace import Workspace, new_id
from dashboard.design import presets
from tests.bench.compression import performed

DEMO = Path(__file__).resolve().parents[2] / "assets" / "recipes" / "demo.toml"
BOUNDS = Bounds(bytes=60_000, drop=2.0)
VARY = (
    "steps.1.temperature=1:20:log",
    "steps.1.weight=0.3:1",
    "steps.1.width=8,16,24",
    "steps.2.ratio=0.2:0.8",
    "steps.2.epochs=4:15",
    "steps.3.method=static,weight_only",
)
WORST = 0.5  # test accuracy from which the hypervolume counts
UNTIL_LATER = 3  # exit code of a call that ended before everything was done


@dataclass
class InThisProcess:
    """A search's trials, one worker each, without the workspace's queue; stops taking up trials at `until`."""

    workspace: Workspace
    search: Search
    until: float

    def new_run(self) -> str:
        return new_id(after=self.workspace.run_ids())

    def spent(self) -> float:
        return 0.0

    def stopped(self) -> StatusName | None:
        return "resting" if time.monotonic() > self.until else None

    def results(self, going: Sequence[tuple[Trial, Recipe]]) -> Sequence[Trial] | None:
        if self.stopped():
            return None
        trial, recipe = going[0]
        called = replace(recipe, name=f"{recipe.name} · {self.search.tag} · {trial.number + 1}")
        return [outcome(trial, performed(self.workspace, called).summary())]


@dataclass(frozen=True)
class Row:
    """What one way came to with one seed: all its trials, with the run of each."""

    way: str
    seed: int
    trials: tuple[Trial, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="a workspace to keep, and to go on from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--table", action="store_true", help="run nothing: the table of what is there")
    given = parser.parse_args()
    workspace, until = Workspace.open_or_create(given.keep), time.monotonic() + 60 * given.minutes
    for seed in range(given.seeds):
        if given.table:
            continue
        whole = by_presets(workspace, seed, until)
        for sampler in ("gp", "random"):
            whole = by_search(workspace, specified(seed, sampler, given.trials), until) and whole
        if not whole:
            raise SystemExit(UNTIL_LATER)
    table(workspace, given.seeds, given.trials)


def demo(seed: int) -> Recipe:
    """The demo's recipe."""
    return replace(parse_recipe(DEMO.read_text(encoding="utf-8")), seed=seed, name=f"demo, seed {seed}")


def bare(recipe: Recipe) -> Recipe:
    """Without the twin, a control that nobody takes and that costs as much as the student."""
    steps = (
        replace(step, options={**step.options, "twin": False}) if step.stage == "distill" else step
        for step in recipe.steps
    )
    return replace(recipe, steps=tuple(steps))


def specified(seed: int, sampler: str, trials: int) -> Specification:
    return search(bare(demo(seed)), VARY, load_catalog(), BOUNDS, trials=trials, sampler=sampler, seed=seed)


def by_search(workspace: Workspace, asked: Specification, until: float) -> bool:
    """Goes on with that search, or begins it; whether it is done."""
    made = _known(workspace, asked) or store.create(workspace, asked)
    before = made.progress()
    if not before.is_over:
        catalog = load_catalog()
        study = Study(asked, made.journal, as_it_is(asked, catalog))
        runner = InThisProcess(workspace, made, until)
        before = Loop(asked, study, runner, catalog, made.write, before).run()
    return before.is_over


def by_presets(workspace: Workspace, seed: int, until: float) -> bool:
    """Runs those presets that were not run with this seed; whether all are done."""
    for preset in presets.PRESETS:
        recipe = bare(presets.prepared(demo(seed), preset))
        if _finished(workspace, recipe) is None:
            if time.monotonic() > until:
                return False
            performed(workspace, recipe)
    return True


def _known(workspace: Workspace, asked: Specification) -> Search | None:
    return next((one for one in store.searches(workspace) if one.specification() == asked), None)


def _finished(workspace: Workspace, recipe: Recipe) -> Run | None:
    runs = map(workspace.run, workspace.run_ids())
    same = (run for run in runs if parse_recipe(run.recipe_text).hash() == recipe.hash())
    return next((run for run in same if run.state().status is Status.FINISHED), None)


# the table


def rows(workspace: Workspace, seed: int, trials: int) -> Iterator[Row]:
    """The three ways with one seed, as far as they are done."""
    for sampler in ("gp", "random"):
        found = _known(workspace, specified(seed, sampler, trials))
        if found is not None and found.progress().is_over:
            yield Row("search" if sampler == "gp" else "random trials", seed, found.progress().trials)
    runs = [_finished(workspace, bare(presets.prepared(demo(seed), preset))) for preset in presets.PRESETS]
    if all(runs):
        made = (Trial(number=n, run=run.id, values={}) for n, run in enumerate(runs) if run is not None)
        yield Row("four presets", seed, tuple(outcome(each, workspace.run(each.run).summary()) for each in made))


def hypervolume(trials: Sequence[Trial], tested: dict[str, float]) -> float:
    """The share of the rectangle from no bytes to the bound, and from WORST to all right on test, that the validation
    front within the bound on bytes covers."""
    most = float(BOUNDS.bytes or 1)
    fits = [trial for trial in trials if trial.is_measured and (trial.bytes or 0) <= most]
    area, best, before = 0.0, 0.0, 0.0
    for trial in front(fits):
        area += best * ((trial.bytes or 0) - before)
        best, before = max(best, tested[trial.run] - WORST), float(trial.bytes or 0)
    return (area + best * (most - before)) / (most * (1 - WORST))


def table(workspace: Workspace, seeds: int, trials: int) -> None:
    """A line a way and seed, and the means of each way."""
    print(f"{'way':<14} {'seed':<5} {'trials':<7} {'within':<7} {'taken':<34} hypervolume")
    told = [row for seed in range(seeds) for row in rows(workspace, seed, trials)]
    for row in sorted(told, key=lambda each: (each.way, each.seed)):
        teacher = Progress(trials=row.trials).teacher
        found, tested = answer(row.trials, BOUNDS, teacher), _tested(workspace, row.trials)
        best = found.recommended
        taken = "none meets both bounds"
        if best is not None:
            taken = f"{100 * tested[best.run]:.1f} % on test, {best.bytes:,} bytes"
        share = hypervolume(row.trials, tested)
        print(f"{row.way:<14} {row.seed:<5} {len(row.trials):<7} {found.within:<7} {taken:<34} {share:.3f}")
    for way in dict.fromkeys(row.way for row in told):
        mine = [row for row in told if row.way == way]
        shares = [hypervolume(row.trials, _tested(workspace, row.trials)) for row in mine]
        print(f"{way}: hypervolume {mean(shares):.3f} over {len(mine)} seeds")


def _tested(workspace: Workspace, trials: Sequence[Trial]) -> dict[str, float]:
    """The test accuracy of each trial's last model."""
    found = {}
    for trial in trials:
        points = workspace.run(trial.run).summary().points
        last = max(points, key=lambda point: point.step, default=None)
        if last is not None and last.accuracy is not None:
            found[trial.run] = last.accuracy
    return found


if __name__ == "__main__":
    main()
