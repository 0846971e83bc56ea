"""Who is cut, and when: against the median rule written out, step by step, and in real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest

from core.catalog import load_catalog
from core.errors import UserError
from core.events import AnyEvent, Progress, RunCancelled, StepStarted, Warned, Work
from core.processes.searches import driver, ensure_driver
from core.recipe import parse_recipe
from core.search import store
from core.search.bounds import Bounds
from core.search.pruning import CUT, curve, most_epochs, was_cut, watched
from core.search.reading import parse
from core.search.specification import Specification, search
from core.search.study import Study
from core.search.trial import Trial
from core.state import RunState, Status, fold
from core.workspace import Workspace
from tests.core.search.fake_worker import IN_EPOCHS
from tests.core.search.planted import RECIPE, VARY, recipe
from tests.core.search.test_driver import FAKE, finished, until, workspace

CATALOG = load_catalog()
EPOCHS = 12
FINALS = (0.5, 0.7, 0.6, 0.8, 0.55, 0.9, 0.75, 0.4, 0.95, 0.65)
__all__ = ["workspace"]  # the fixture


def asked(pruner: str, **more: object) -> Specification:
    given: dict[str, object] = {"sampler": "random", "trials": 10, "pruner": pruner, **more}
    return search(recipe(), VARY, CATALOG, Bounds(), **given)  # type: ignore[arg-type]


def reaches(final: float) -> list[tuple[int, float]]:
    return [(epoch, final * epoch / EPOCHS) for epoch in range(1, EPOCHS + 1)]


def tried(study: Study, finals: Sequence[float]) -> list[int]:
    """Up to which epoch each trial came, looked at after each."""
    came = []
    for number, final in enumerate(finals):
        proposal = study.propose((), None, lambda values, vary: True)
        decided = study.decide(proposal, number, f"run-{number}")
        whole = reaches(final)
        last = next((n for n in range(1, EPOCHS + 1) if study.is_behind(decided.run, whole[:n])), None)
        if last is None:
            study.tell(decided.key, final)
        else:
            study.cut(decided.key)
        came.append(last or EPOCHS)
    return came


def by_the_median(finals: Sequence[float]) -> list[int]:
    """The rule written out: after four whole trials and a quarter of the epochs, what is below the median goes."""
    whole: list[float] = []
    came = []
    for final in finals:
        cut = len(whole) >= 4 and final < median(whole)
        came.append(EPOCHS // 4 if cut else EPOCHS)
        whole += [] if cut else [final]
    return came


def test_the_median_pruner_cuts_what_is_below_the_median_of_the_whole_trials(tmp_path: Path) -> None:
    study = Study(asked("median"), tmp_path / "journal.log", {}, EPOCHS)
    assert tried(study, FINALS) == by_the_median(FINALS)
    assert by_the_median(FINALS).count(EPOCHS) < len(FINALS)


def test_hyperband_cuts_more_of_the_worse_and_never_the_best_so_far(tmp_path: Path) -> None:
    finals = [*FINALS] * 3
    came = tried(Study(asked("hyperband", trials=30), tmp_path / "journal.log", {}, EPOCHS), finals)
    cut = [final for final, last in zip(finals, came, strict=True) if last < EPOCHS]
    assert cut
    assert max(finals) not in cut
    assert sum(came) < 0.8 * EPOCHS * len(finals)


def test_without_a_pruner_nothing_is_cut(tmp_path: Path) -> None:
    study = Study(asked("none"), tmp_path / "journal.log", {}, EPOCHS)
    assert set(tried(study, FINALS)) == {EPOCHS}


def test_a_study_that_was_killed_cuts_as_it_would_have(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    first = Study(asked("median"), journal, {}, EPOCHS)
    tried(first, FINALS[:4])
    decided = first.decide(first.propose((), None, lambda values, vary: True), 4, "run-4")
    assert not first.is_behind("run-4", reaches(0.3)[:2])
    again = Study(asked("median"), journal, {}, EPOCHS)
    assert again.is_behind("run-4", reaches(0.3)[:3])
    again.cut(decided.key)
    assert [each.is_told for each in again.decided()] == [True] * 5


# which step is watched


@pytest.mark.parametrize(
    ("vary", "step"),
    [
        (("steps.1.temperature=1:20",), 1),  # of 30 epochs and 6
        (("steps.2.ratio=.2:.8",), 2),
        (("steps.3.bits=4,8",), None),
    ],
)
def test_the_longest_training_from_the_first_knob_on_is_watched(vary: tuple[str, ...], step: int | None) -> None:
    text = RECIPE.replace("temperature = 9.0", "temperature = 9.0\nepochs = 30")
    text = text.replace("ratio = 0.5", "ratio = 0.5\nepochs = 6")
    given = parse_recipe(text)
    assert watched(given, parse(vary, given, CATALOG), CATALOG) == step


def test_a_pruner_that_could_cut_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="no epoch"):
        search(recipe(), ("steps.3.bits=4,8",), CATALOG, Bounds(), pruner="median")
    with pytest.raises(UserError, match="median"):
        search(recipe(), VARY, CATALOG, Bounds(), pruner="meridian")


def test_the_most_epochs_are_those_of_the_range() -> None:
    varied = parse(("steps.1.epochs=5:50",), recipe(), CATALOG)
    assert most_epochs(recipe(), varied, CATALOG, 1) == max(50, most_epochs(recipe(), (), CATALOG, 1))


# what the log says


def told(seed: int, epoch: int, accuracy: float | None, what: Work = "training", control: str = "") -> Progress:
    return Progress(1, seed, what, epoch, 9, 0, 5, validation_accuracy=accuracy, control=control)


def state(*events: AnyEvent) -> RunState:
    return fold([StepStarted(1, "distill", "kd", "kd", 9), *events])


def test_the_curve_is_the_best_so_far_of_the_own_seed_and_of_no_control() -> None:
    found = state(
        told(3, 1, 0.5),
        told(3, 2, 0.4),
        told(4, 3, 0.9),
        told(3, 3, 0.9, control="twin"),
        told(3, 4, 0.9, what="teacher"),
        told(3, 3, 0.6),
        told(3, 5, None),
    )
    assert list(curve(found, 1, 3)) == [(1, 0.5), (2, 0.5), (3, 0.6)]
    assert list(curve(found, 2, 3)) == []


def test_only_a_cancelled_run_with_its_warning_was_cut() -> None:
    warned = Warned(1, CUT, "behind")
    assert was_cut(state(warned, RunCancelled())) == "behind"
    assert was_cut(state(RunCancelled())) == ""
    assert was_cut(state(warned)) == ""


# in real processes


@pytest.mark.thorough
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cut_trial_is_a_cancelled_run_that_says_so_and_counts_once(
    workspace: Workspace,
    killed: bool,
) -> None:
    (workspace.path / IN_EPOCHS).touch()
    made = store.create(workspace, asked("median", trials=6, seed=1))
    ensure_driver(workspace, made, FAKE)
    if killed:
        until(lambda: len(made.progress().trials) >= 5)
        who = driver(made)
        assert who is not None
        with suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)
    finished(workspace, made)
    now = made.progress()
    assert [trial.number for trial in now.trials] == list(range(6))
    assert sorted(trial.run for trial in now.trials) == workspace.run_ids()
    cut = [trial for trial in now.trials if trial.state == "cut"]
    assert cut, [(trial.state, trial.accuracy) for trial in now.trials]
    best = max(trial.accuracy or 0.0 for trial in now.trials)
    for trial in cut:
        prove_cut(workspace, trial, best)


def prove_cut(workspace: Workspace, trial: Trial, best: float) -> None:
    run = workspace.run(trial.run)
    assert run.state().status is Status.CANCELLED
    assert trial.seconds is not None
    assert not trial.is_measured
    (warned,) = (each for each in run.state().warnings if each.code == CUT)
    assert warned.message == trial.why
    assert "median" in trial.why
    assert max(accuracy for _, accuracy in curve(run.state(), 1, 0)) < best
