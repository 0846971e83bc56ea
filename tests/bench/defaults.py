"""Whether defaults are the best of their kind: views of a teacher, what a pruned network recovers from, round_to.

    python -m tests.bench.defaults QUESTION [--seeds 3] [--keep FOLDER] [--nets A,B] [--sets A,B] [--labels few,many]

QUESTION is views, recovery or round_to. Every cell is a network, a set and an amount of labels; in each, the settings
of the question are run as recipes, as `condenser run` runs them, with the same seeds. The first setting is the default;
the others are compared with it seed by seed, on validation, with test told beside. The last lines give the mean
difference over all cells and seeds with its 95 % interval (Student's t over cells): a default is to be changed only
where that excludes 0, or where a cheaper setting is no worse. `--keep` is a workspace: what is finished there is not
run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

from scipy.stats import t as students_t

from core.options import Value
from core.points import Point
from core.recipe import Recipe, recipe_from
from core.runs import Run
from core.workspace import Workspace
from tests.bench.compression import performed

Step = Mapping[str, Value]
TRAIN: Step = {"stage": "transfer", "method": "fine_tune", "epochs": 10, "backbone_rate": 1.0, "learning_rate": 0.05}
PRUNE: Step = {"stage": "prune", "method": "l2", "ratio": 0.5}
SETS: dict[str, Mapping[str, Value]] = {
    "digits": {"dataset": "digits", "image_size": 16},
    "fashion-mini": {"dataset": "fashion-mini", "image_size": 28},
}
LABELS = {"few": 200, "many": 0}  # 0: all
NETS = ("resnet8", "resnet20")


@dataclass(frozen=True)
class Question:
    """The settings to compare, the default first, and the chain that takes one of them for a network; `of` is the step
    (from 0) whose point is judged."""

    settings: tuple[Value, ...]
    of: int

    def steps(self, name: str, net: str, value: Value) -> tuple[str, list[Step]]:
        """The backbone and the steps of a recipe."""
        if name == "views":
            student: Step = {"stage": "distill", "method": "kd", "student": net, "epochs": 10, "views": value}
            return "resnet8", [TRAIN, student]
        if name == "recovery":
            return net, [TRAIN, {**PRUNE, "recovery": value}]
        return net, [TRAIN, {**PRUNE, "round_to": value}, {"stage": "quantize", "method": "static"}]


QUESTIONS = {
    "views": Question((4, 1, 2), 1),
    "recovery": Question(("teacher", "labels"), 1),
    "round_to": Question((1, 4, 8, 16), 2),
}


@dataclass(frozen=True)
class Cell:
    """A network, a set and an amount of labels."""

    net: str
    dataset: str
    labels: str

    def __str__(self) -> str:
        return f"{self.net}, {self.dataset}, {self.labels}"


@dataclass(frozen=True)
class Answer:
    """The points of one setting in one cell by seed, and the seconds that the judged step of the first seed took."""

    points: list[Point]
    seconds: float

    def percent(self, name: str) -> list[float]:
        return [100 * (getattr(point, name) or 0.0) for point in self.points]


def recipe_of(name: str, cell: Cell, value: Value, seeds: int) -> Recipe:
    backbone, steps = QUESTIONS[name].steps(name, cell.net, value)
    return recipe_from(
        {
            "schema": 1,
            "name": f"{name} {value}: {cell}",
            **SETS[cell.dataset],
            "backbone": backbone,
            "weights": "none",
            "labels": LABELS[cell.labels],
            "seeds": seeds,
            "threads": 1,
            "precision": "float32",
            "steps": [dict(step) for step in steps],
        }
    )


def answer_of(run: Run, step: int) -> Answer:
    """The points of `step` of each seed, the recipe's own first; a step reused from a cache took no time."""
    state = run.state()
    found = sorted((m for m in state.measured if m.role != "control" and m.point.step == step), key=lambda m: m.seed)
    own = next(one for one in state.steps if one.step == step)
    return Answer([m.point for m in found], 0.0 if own.reused else own.seconds or 0.0)


def told(cell: Cell, value: Value, answer: Answer, default: Answer) -> str:
    """One line: validation, its difference to the default seed by seed, test, bytes, latency, seconds."""
    here, there = answer.percent("validation_accuracy"), default.percent("validation_accuracy")
    gaps = ", ".join(f"{a - b:+.2f}" for a, b in zip(here, there, strict=True))
    first = answer.points[0]
    latency = f"{first.latency_ms.p50:.3f}{'~' if first.latency_ms.noisy else ''}" if first.latency_ms else ""
    return (
        f"{cell!s:<40} {value!s:<8} {mean(here):6.2f}  ({gaps:<22})  {mean(answer.percent('accuracy')):6.2f}"
        f"  {first.bytes or 0:>9,}  {latency:>7}  {answer.seconds:6.1f}"
    )


def summary(value: Value, gaps: Sequence[float]) -> str:
    """The mean of the cells' differences with its 95 % interval."""
    if len(gaps) < 2:
        return f"{value}: {mean(gaps):+.2f} points of validation, one cell"
    half = float(students_t.ppf(0.975, len(gaps) - 1)) * stdev(gaps) / len(gaps) ** 0.5
    low, high = mean(gaps) - half, mean(gaps) + half
    verdict = "no difference is shown" if low <= 0 <= high else "better" if low > 0 else "worse"
    return f"{value}: {mean(gaps):+.2f} points of validation ({low:+.2f} to {high:+.2f}, {len(gaps)} cells): {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a workspace to keep, and to go on from")
    for name, known in (("nets", NETS), ("sets", SETS), ("labels", LABELS)):
        parser.add_argument(f"--{name}", default=",".join(known))
    given = parser.parse_args()
    question = QUESTIONS[given.question]
    default, *others = question.settings
    cells = [Cell(*parts) for parts in product(*(one.split(",") for one in (given.nets, given.sets, given.labels)))]
    gaps: dict[Value, list[float]] = {value: [] for value in others}
    print(f"{'cell':<40} {'setting':<8} {'valid.':>6}  {'by seed, to the default':<24}  {'test':>6}  {'bytes':>9}")
    with TemporaryDirectory() as folder:
        store = Workspace.open_or_create(given.keep or Path(folder))
        for cell in cells:
            found = {
                value: answer_of(performed(store, recipe_of(given.question, cell, value, given.seeds)), question.of)
                for value in question.settings
            }
            for value, answer in found.items():
                print(told(cell, value, answer, found[default]), flush=True)
            base = mean(found[default].percent("validation_accuracy"))
            for value in others:
                gaps[value].append(mean(found[value].percent("validation_accuracy")) - base)
    print(f"\nBeside {default}, the default:")
    print("\n".join(summary(value, gaps[value]) for value in others))


if __name__ == "__main__":
    main()
