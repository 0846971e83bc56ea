"""What to try next, from a model of each figure: Gaussian processes of accuracy, bytes and latency over the knobs.

The next trial is the candidate with the greatest expected improvement (Jones 1998, doi:10.1023/A:1008306431147) times
the probability of meeting the bounds (Gardner 2014, "Bayesian optimization with inequality constraints"). A bound on
bytes is learned from the bytes themselves, which are smooth in the knobs, not from whether it was met.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.options import Value
from core.search.bounds import Bounds
from core.search.space import Vary
from core.search.trial import Trial

RANDOM, NEAR = 300, 60  # candidates over the whole space, and around each of the best
LEADERS = 3
STEP = 0.05  # deviation of a candidate near a leader, as a share of a range
SWITCH = 0.2  # how often such a candidate takes another choice
APART = 0.7  # distance of two choices, as a share of a range, along each of their axes
LENGTHS = (0.3, 0.6, 1.2, 2.4)  # length scales that are tried, in ranges
NOISES = (1e-4, 1e-2, 1e-1)  # variances of the noise that are tried, as shares of the figure's own
MOST = 300  # trials a model is made of, the newest

Array = NDArray[np.float64]
Takes = Callable[[Mapping[str, Value], Vary], bool]


@dataclass(frozen=True)
class Belief:
    """What a model expects at each candidate: mean and standard deviation [N]."""

    mean: Array
    deviation: Array

    def below(self, bound: float) -> Array:
        """The probability [N] of being at most `bound`."""
        return _cumulated((bound - self.mean) / self.deviation)

    def improvement(self, best: float) -> Array:
        """The expected amount [N] by which it exceeds `best`."""
        z = (self.mean - best) / self.deviation
        found: Array = self.deviation * (z * _cumulated(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
        return found


def propose(
    trials: Sequence[Trial], varied: Sequence[Vary], bounds: Bounds, teacher: float | None, seed: int, takes: Takes
) -> dict[str, Value]:
    """The values to try after these trials, of which at least two can be compared."""
    dice = np.random.default_rng(seed)
    known = [trial for trial in trials if bounds.judges(trial)][-MOST:]
    within = [trial for trial in known if bounds.keeps(trial, teacher)]
    leaders = sorted(within or known, key=lambda t: _goal(t, bounds), reverse=True)[:LEADERS]
    candidates = [_drawn(varied, dice, takes) for _ in range(RANDOM)]
    candidates += [_moved(leader.values, varied, dice, takes) for leader in leaders for _ in range(NEAR)]
    tried = {_mark(trial.values) for trial in trials}
    candidates = [values for values in candidates if _mark(values) not in tried] or candidates
    places = np.array([_encoded(values, varied) for values in candidates])
    seen = np.array([_encoded(trial.values, varied) for trial in known])

    def belief(figure: Callable[[Trial], float]) -> Belief:
        return model(seen, np.array([figure(trial) for trial in known]), places)

    likely = _likely(belief, bounds, teacher)
    if within:
        best = max(_goal(trial, bounds) for trial in within)
        likely = likely * belief(lambda trial: _goal(trial, bounds)).improvement(best)
    return candidates[int(np.argmax(likely))]


def believed(trials: Sequence[Trial], going: Sequence[Trial], varied: Sequence[Vary]) -> list[Trial]:
    """Trials that are still `going`, as the models expect them to end, so that the next one is not placed beside them
    ("kriging believer", Ginsbourger 2010, doi:10.1007/978-3-642-10701-6_6)."""
    known = [trial for trial in trials if trial.is_measured][-MOST:]
    if not known or not going:
        return []
    places = np.array([_encoded(trial.values, varied) for trial in going])

    def mean(figure: Callable[[Trial], float], of: Sequence[Trial] = known) -> Array:
        seen = np.array([_encoded(trial.values, varied) for trial in of])
        return model(seen, np.array([figure(trial) for trial in of]), places).mean

    timed = [trial for trial in known if trial.latency is not None and not trial.unlike]
    accuracy, size = mean(lambda trial: trial.accuracy or 0.0), mean(lambda trial: math.log(trial.bytes or 1))
    latency = mean(lambda trial: math.log(trial.latency or 1e-6), timed) if timed else None
    return [
        trial.model_copy(
            update={
                "state": "finished",
                "accuracy": float(accuracy[n]),
                "bytes": round(math.exp(size[n])),
                "latency": None if latency is None else math.exp(latency[n]),
            }
        )
        for n, trial in enumerate(going)
    ]


def model(seen: Array, figures: Array, places: Array) -> Belief:
    """A Gaussian process (Matérn 5/2) of `figures` [T] at `seen` [T, D], asked at `places` [N, D]; its length scale and
    noise are the likeliest of a few."""
    middle, spread = float(figures.mean()), float(figures.std()) or 1.0
    scaled = (figures - middle) / spread
    fits = (_fit(seen, scaled, length, noise) for length in LENGTHS for noise in NOISES)
    _, length, root, weights = min(fits, key=lambda fit: fit[0])
    across = _kernel(places, seen, length)
    known = np.linalg.solve(root, across.T)
    variance = np.maximum(1 - (known**2).sum(0), 1e-9)
    return Belief(middle + spread * (across @ weights), spread * np.sqrt(variance))


def _fit(seen: Array, scaled: Array, length: float, noise: float) -> tuple[float, float, Array, Array]:
    """Negative log likelihood, length scale, root of the covariance [T, T], weights [T]."""
    covariance = _kernel(seen, seen, length) + noise * np.eye(len(seen))
    root = np.asarray(np.linalg.cholesky(covariance), np.float64)
    weights: Array = np.linalg.solve(root.T, np.linalg.solve(root, scaled))
    return float(scaled @ weights / 2 + np.log(np.diag(root)).sum()), length, root, weights


def _kernel(one: Array, other: Array, length: float) -> Array:
    squares = ((one[:, None] - other[None]) ** 2).sum(-1) / length**2
    distance = np.sqrt(5 * np.maximum(squares, 1e-12))
    found: Array = (1 + distance + distance**2 / 3) * np.exp(-distance)
    return found


def _likely(belief: Callable[[Callable[[Trial], float]], Belief], bounds: Bounds, teacher: float | None) -> Array:
    """The probability [N] of meeting every bound, the models of different figures taken as independent."""
    found: Array = np.ones(1)
    if bounds.bytes is not None:
        found = found * belief(lambda trial: math.log(trial.bytes or 1)).below(math.log(bounds.bytes))
    if bounds.latency is not None:
        found = found * belief(lambda trial: math.log(trial.latency or 1e-6)).below(math.log(bounds.latency))
    if bounds.drop is not None and teacher is not None:
        found = found * belief(lambda trial: -(trial.accuracy or 0.0)).below(bounds.drop / 100 - teacher)
    return found


def _goal(trial: Trial, bounds: Bounds) -> float:
    """What is to be as great as possible."""
    return -math.log(trial.bytes or 1) if bounds.goal == "bytes" else trial.accuracy or 0.0


# candidates


def _drawn(varied: Sequence[Vary], dice: np.random.Generator, takes: Takes) -> dict[str, Value]:
    """Values anywhere, methods first."""
    values: dict[str, Value] = {}
    for vary in methods_first(varied):
        if takes(values, vary):
            values[vary.path] = _any(vary, dice)
    return values


def _moved(
    base: Mapping[str, Value], varied: Sequence[Vary], dice: np.random.Generator, takes: Takes
) -> dict[str, Value]:
    """Values a little beside those of a leader."""
    values: dict[str, Value] = {}
    for vary in methods_first(varied):
        if not takes(values, vary):
            continue
        value = base.get(vary.path)
        if value is None or (vary.choices and dice.random() < SWITCH):
            value = _any(vary, dice)
        elif not vary.choices:
            value = vary.at(min(max(vary.share(value) + STEP * float(dice.normal()), 0.0), 1.0))
        values[vary.path] = value
    return values


def _any(vary: Vary, dice: np.random.Generator) -> Value:
    return vary.choices[int(dice.integers(len(vary.choices)))] if vary.choices else vary.at(float(dice.random()))


def methods_first(varied: Sequence[Vary]) -> list[Vary]:
    """Whether a knob is there follows from the methods."""
    return sorted(varied, key=lambda vary: not vary.path.endswith(".method"))


def _encoded(values: Mapping[str, Value], varied: Sequence[Vary]) -> list[float]:
    """A range as a number from 0 to 1, choices as one axis each; a knob that is not there as the middle."""
    found: list[float] = []
    for vary in varied:
        value = values.get(vary.path)
        if vary.choices:
            found += [APART * (choice == value) for choice in vary.choices]
        else:
            found.append(0.5 if value is None else vary.share(value))
    return found


def _mark(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))


def _cumulated(z: Array) -> Array:
    """The normal distribution function, element by element."""
    found: Array = np.array([(1 + math.erf(each / math.sqrt(2))) / 2 for each in z])
    return found
