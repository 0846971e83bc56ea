"""A problem of closed form in a recipe's own knobs, and a runner that answers by it instead of training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count

from core.recipe import Recipe, parse_recipe
from core.search.trial import StatusName, Trial

RECIPE = """
name = "planted"
dataset = "digits"
backbone = "resnet8"

[[steps]]
stage = "transfer"
method = "fine_tune"

[[steps]]
stage = "distill"
method = "kd"
student = "resnet8"
temperature = 9.0

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5

[[steps]]
stage = "quantize"
method = "weight_only"
bits = 8
"""
VARY = (
    "steps.2.ratio=0.1:0.9",
    "steps.3.bits=2,4,8",
    "steps.1.temperature=1:20:log",
    "steps.1.learning_rate=0.001:1:log",
)
TEACHER = 0.95
COARSE = {2: 0.12, 4: 0.02, 8: 0.0}  # accuracy lost by rounding to so many bits


def recipe() -> Recipe:
    return parse_recipe(RECIPE)


def figures(ratio: float, bits: int, temperature: float, learning_rate: float) -> tuple[float, int, float]:
    """Accuracy, bytes and milliseconds."""
    soft = 0.02 * math.log(temperature / 4) ** 2
    rate = 0.03 * (math.log10(learning_rate) + 1.5) ** 2
    accuracy = TEACHER - 0.30 * ratio**3 - COARSE[bits] - soft - rate
    return accuracy, round(400_000 * (1 - ratio) * bits / 8 + 8_000), 0.4 + 2.4 * (1 - ratio)


def of_recipe(recipe: Recipe) -> tuple[float, int, float, float]:
    """The planted knobs as a recipe sets them."""
    steps = [dict(step.options) for step in recipe.resolved().steps]
    ratio, bits, temperature, rate = (
        steps[2]["ratio"],
        steps[3]["bits"],
        steps[1]["temperature"],
        steps[1]["learning_rate"],
    )
    return float(ratio), int(bits), float(temperature), float(rate)


def optimum(most_bytes: float, most_latency: float) -> float:
    """The best accuracy within the bounds, by trying a fine grid; temperature and rate have their optimum apart."""
    tried = (figures(step / 10_000, bits, 4.0, 10**-1.5) for step in range(1000, 9001) for bits in COARSE)
    return max(accuracy for accuracy, size, latency in tried if size <= most_bytes and latency <= most_latency)


class Planted:
    """Answers at once; after `stop_after` trials it is told to rest."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[Trial] = []
        self.stop_after = stop_after
        self._ids: Iterator[int] = count()

    def new_run(self) -> str:
        return f"{next(self._ids):013x}-000000"

    def spent(self) -> float:
        return float(len(self.asked))

    def stopped(self) -> StatusName | None:
        return "resting" if self.stop_after is not None and len(self.asked) >= self.stop_after else None

    def results(self, going: Sequence[tuple[Trial, Recipe]]) -> Sequence[Trial] | None:
        if self.stopped() is not None:
            return None
        return [self.result(*going[0])]

    def result(self, trial: Trial, recipe: Recipe) -> Trial:
        self.asked.append(trial)
        accuracy, size, latency = figures(*of_recipe(recipe))
        return trial.model_copy(
            update={
                "state": "finished",
                "accuracy": accuracy,
                "bytes": size,
                "latency": latency,
                "teacher": TEACHER,
                "step": 3,
                "seconds": 1.0,
            }
        )
