"""The study: what to try next, kept in Optuna's journal. The one module that imports Optuna.

By default the next trial comes from models of each figure (`surrogate.py`). Of the planted problem of the tests it
found the optimum to 0.01 % in 60 trials (mean of 5 seeds), TPE to 2.5 %, NSGA-II to 1.5 %, random trials to 4.3 %.

Optuna's samplers, there to compare with, are told one objective with Deb's rule (2000,
doi:10.1016/S0045-7825(99)00389-8): what meets the bounds is better than what does not, among the former the better goal
wins, among the latter the smaller violation. A trial's number and its run are one line of the journal, written before
the run exists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as Asked

from core.errors import UserError
from core.files import write_atomic
from core.options import Value
from core.search.pruning import Curve
from core.search.space import Vary
from core.search.specification import Specification, cells
from core.search.surrogate import Takes, believed, methods_first, propose
from core.search.trial import Trial

NAME = "search"
DECIDED = "trial"  # of a trial: its number and its run
STARTUP = 10  # random trials at most before the others
POPULATION = 12  # of NSGA-II: three generations and more in forty trials
LEAST_FOR_IMPORTANCE = 8
TREES = 32
REDUCTION = 3  # of Hyperband: one in so many goes on


@dataclass(frozen=True)
class Proposal:
    """What to try next, before its run is decided."""

    trial: Asked
    values: Mapping[str, Value]

    @property
    def key(self) -> int:
        """Optuna's own number."""
        return self.trial.number


@dataclass(frozen=True)
class Decided:
    """A trial as it was decided: its number among those that count, its run, its values."""

    key: int  # Optuna's own number
    number: int
    run: str
    values: Mapping[str, Value]
    is_told: bool


class Study:
    """Optuna's study of one search; whoever makes it holds the search's lock. Raises UserError `damaged_search`."""

    def __init__(
        self, specification: Specification, journal: Path, start: Mapping[str, Value], epochs: int = 0
    ) -> None:
        """`epochs` is how many the watched step has at most, for a pruner."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.specification = specification
        _end_torn_line(journal)
        try:
            storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=_Held(str(journal))))
            self._study = optuna.create_study(
                storage=storage, study_name=NAME, direction="maximize", load_if_exists=True
            )
            fresh = not self._study.get_trials(deepcopy=False)
        except Exception as error:
            raise _damaged(journal, error) from error
        self._study.pruner = _pruner(specification, epochs)
        if fresh and start:
            self._enqueue(start)
        if specification.is_sweep:
            for cell in cells(specification.vary)[len(self._study.get_trials(deepcopy=False)) :]:
                self._enqueue(cell)

    def _enqueue(self, values: Mapping[str, Value]) -> None:
        varied = [vary for vary in self.specification.vary if vary.path in values]
        self._study.enqueue_trial({vary.path: _key(vary, values[vary.path]) for vary in varied})

    def is_used_up(self) -> bool:
        """Whether a sweep has no combination left; no for a search."""
        left = (trial.state is TrialState.WAITING for trial in self._study.get_trials(deepcopy=False))
        return self.specification.is_sweep and not any(left)

    def decided(self) -> list[Decided]:
        """The trials that count, in their order: those whose run was decided."""
        found = (_decided(trial, self.specification.vary) for trial in self._study.get_trials(deepcopy=False))
        return sorted((each for each in found if each is not None), key=lambda each: each.number)

    def propose(
        self, trials: Sequence[Trial], teacher: float | None, takes: Takes, going: Sequence[Trial] = ()
    ) -> Proposal:
        """A new trial, after those `trials` and beside those that are `going`; a knob that `takes` says the chosen
        methods lack is not asked for. The same trials before it give the same proposal."""
        count = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = _sampler(self.specification, count)
        if self._is_modelled(trials):
            given = self.specification
            known = [*trials, *believed(trials, going, given.vary)]
            self._enqueue(propose(known, given.vary, given.bounds, teacher, _seed(given, count), takes))
        asked = self._study.ask()
        values: dict[str, Value] = {}
        for vary in methods_first(self.specification.vary):
            if takes(values, vary):
                values[vary.path] = _suggested(asked, vary)
        return Proposal(asked, values)

    def _is_modelled(self, trials: Sequence[Trial]) -> bool:
        """Whether the next trial is chosen by our own models: once there is enough to learn from, and nothing waits."""
        waits = any(trial.state is TrialState.WAITING for trial in self._study.get_trials(deepcopy=False))
        measured = sum(self.specification.bounds.judges(trial) for trial in trials)
        return self.specification.sampler == "gp" and not waits and measured >= _startup(self.specification)

    def decide(self, proposal: Proposal, number: int, run: str) -> Decided:
        """Writes down which run will try it."""
        text = json.dumps({"number": number, "run": run, "values": dict(proposal.values)})
        proposal.trial.set_user_attr(DECIDED, text)
        return Decided(proposal.trial.number, number, run, proposal.values, False)

    def tell(self, key: int, score: float | None) -> None:
        """What a trial came to, None where it failed; once."""
        state = TrialState.FAIL if score is None else None
        self._study.tell(key, score, state=state, skip_if_finished=True)

    def is_behind(self, run: str, curve: Curve) -> bool:
        """Whether the pruner cuts the trial of that run, whose best accuracies so far are told; the journal keeps
        them."""
        trial = next(each for each in self._study.get_trials(deepcopy=False) if _run(each) == run)
        asked = Asked(self._study, trial._trial_id)
        for epoch, accuracy in curve:
            if epoch not in trial.intermediate_values:
                asked.report(accuracy, epoch)
        return bool(curve) and asked.should_prune()

    def cut(self, key: int) -> None:
        """That a trial was cut; once."""
        self._study.tell(key, state=TrialState.PRUNED, skip_if_finished=True)

    def drop_undecided(self) -> None:
        """Ends proposals that were cut off before a run was decided: they never count."""
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state is TrialState.RUNNING and DECIDED not in trial.user_attrs:
                self.tell(trial.number, None)


def importance(rows: Sequence[tuple[Mapping[str, Value], float]], varied: Sequence[Vary]) -> dict[str, float]:
    """The share of the spread of a figure that each knob explains (fANOVA, Hutter 2014), the greatest first; of knobs
    that every row has. Empty with fewer than eight rows, or where all figures are equal."""
    if len(rows) < LEAST_FOR_IMPORTANCE or len({figure for _, figure in rows}) < 2:
        return {}
    common = [vary for vary in varied if all(vary.path in values for values, _ in rows)]
    used = [vary for vary in common if len({values[vary.path] for values, _ in rows}) > 1]
    if not used:
        return {}
    study = optuna.create_study(direction="maximize")
    for values, figure in rows:
        params = {vary.path: _key(vary, values[vary.path]) for vary in used}
        given = {vary.path: _distribution(vary) for vary in used}
        study.add_trial(optuna.create_trial(value=figure, params=params, distributions=given))
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {path: float(share) for path, share in found.items()}


class _Held(JournalFileOpenLock):
    """No lock of its own: the search's is held by the driver, and freed by the kernel however it dies. Optuna's stays
    behind after a kill, and holds the next one up for half a minute."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _end_torn_line(journal: Path) -> None:
    """Takes off what a crash left of a last line: it would spoil the next one."""
    if journal.exists():
        data = journal.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            write_atomic(journal, whole)


def _damaged(journal: Path, error: Exception) -> UserError:
    given = f"{journal.name}: {type(error).__name__} {error}"
    fix = "Its runs are whole. Ask for a new search: steps whose models are cached are not trained again."
    return UserError("damaged_search", "search", given, "the journal as it was written", fix)


def _decided(trial: FrozenTrial, varied: Sequence[Vary]) -> Decided | None:
    text = trial.user_attrs.get(DECIDED)
    if text is None:
        return None
    found = json.loads(text)
    return Decided(trial.number, found["number"], found["run"], found["values"], trial.state.is_finished())


def _run(trial: FrozenTrial) -> str:
    text = trial.user_attrs.get(DECIDED)
    return "" if text is None else str(json.loads(text)["run"])


def _pruner(specification: Specification, epochs: int) -> BasePruner:
    """Median: below the median of the others at the same epoch, after a quarter of the epochs (Golovin 2017,
    doi:10.1145/3097983.3098043); Hyperband: Li 2018, arXiv 1603.06560."""
    if specification.pruner == "median":
        return MedianPruner(n_startup_trials=_startup(specification), n_warmup_steps=max(1, epochs // 4))
    if specification.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=max(epochs, 1), reduction_factor=REDUCTION)
    return NopPruner()


def _sampler(specification: Specification, count: int) -> BaseSampler:
    """By seed and number of trials alone: a search that was killed goes on as it would have."""
    seed = _seed(specification, count)
    if specification.sampler == "tpe":
        several = specification.slots > 1
        return TPESampler(seed=seed, n_startup_trials=_startup(specification), constant_liar=several)
    if specification.sampler == "nsga2":
        return NSGAIISampler(seed=seed, population_size=POPULATION)
    return RandomSampler(seed=seed)


def _seed(specification: Specification, count: int) -> int:
    return specification.seed * 1_000_003 + count


def _startup(specification: Specification) -> int:
    """How many random trials come before there is something to learn from."""
    return max(4, min(STARTUP, specification.trials // 4))


def _distribution(vary: Vary) -> BaseDistribution:
    if vary.choices:
        return CategoricalDistribution(range(len(vary.choices)))
    if vary.whole:
        return IntDistribution(round(vary.low), round(vary.high), log=vary.log)
    return FloatDistribution(vary.low, vary.high, log=vary.log)


def _suggested(trial: Asked, vary: Vary) -> Value:
    if vary.choices:
        return vary.choices[trial.suggest_categorical(vary.path, range(len(vary.choices)))]
    if vary.whole:
        return trial.suggest_int(vary.path, round(vary.low), round(vary.high), log=vary.log)
    return vary.told(trial.suggest_float(vary.path, vary.low, vary.high, log=vary.log))


def _key(vary: Vary, value: Value) -> float:
    """A value as Optuna has it: of choices their place."""
    return vary.choices.index(value) if vary.choices else float(value) if not vary.whole else int(value)
