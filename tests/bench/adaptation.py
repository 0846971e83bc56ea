"""Adaptation from printed to handwritten digits: every method beside source only, settings chosen on the source alone.

    python -m tests.bench.adaptation [--seeds 3] [--epochs 8] [--only dann] [--labels 0]

Of each method's settings the one with the best mean accuracy on the source's validation images is taken (of equals the
stronger one, listed later); its accuracy on both test splits is told. Target labels choose nothing. Prints every
setting, so that one can see what a choice on the target would have given, and a table in the end.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import torch

from core.controls import SOURCE_ONLY
from core.engine import build
from core.engine.context import Context, silent
from core.engine.data import few_labels, load_dataset, matched
from core.engine.pipeline.first_model import start
from core.engine.training.loop import evaluate
from core.engine.transfer.adaptation import Adaptation
from core.options import Value

SHARED: dict[str, Value] = {"learning_rate": 0.01, "backbone_rate": 1.0}
GRID: dict[str, tuple[Mapping[str, Value], ...]] = {
    SOURCE_ONLY: ({},),
    "coral": tuple({"weight": weight} for weight in (1.0, 10.0, 100.0)),
    "mk_mmd": tuple({"weight": weight} for weight in (0.1, 0.3, 1.0)),
    "dann": tuple({"weight": weight} for weight in (0.1, 0.3, 1.0)),
    "adabn": ({},),
    "tent": tuple({"target_rate": rate} for rate in (0.0003, 0.001, 0.003)),
}


@dataclass(frozen=True)
class Score:
    """Accuracies: on the source's validation and test images, and on the target's test images."""

    validation: float
    source: float
    target: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--labels", type=int, default=0, help="of the source; 0 uses all")
    parser.add_argument("--only", default="", help="one method, beside source only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    methods = [name for name in GRID if given.only in ("", name) or name == SOURCE_ONLY]
    chosen = {name: choose(name, given.seeds, given.epochs, given.labels) for name in methods}
    print(f"\n{'method':<12} {'source test':<14} {'target test':<14} target, beside source only, by seed")
    for name, scores in chosen.items():
        gains = [100 * (s.target - base.target) for s, base in zip(scores, chosen[SOURCE_ONLY], strict=True)]
        told = "" if name == SOURCE_ONLY else f"{mean(gains):+.1f} ({', '.join(f'{gain:+.1f}' for gain in gains)})"
        print(f"{name:<12} {spread([s.source for s in scores])}   {spread([s.target for s in scores])}   {told}")


def choose(method: str, seeds: int, epochs: int, labels: int) -> list[Score]:
    """The scores by seed of the setting with the best source validation accuracy."""
    best: list[Score] = []
    for setting in GRID[method]:
        scores = [score(method, setting, seed, epochs, labels) for seed in range(seeds)]
        told = {part: 100 * mean(getattr(s, part) for s in scores) for part in ("validation", "source", "target")}
        print(method, dict(setting), *(f"{part} {value:.2f}" for part, value in told.items()), flush=True)
        if not best or mean(s.validation for s in scores) >= mean(s.validation for s in best):
            best = scores
    return best


def score(method: str, setting: Mapping[str, Value], seed: int, epochs: int, labels: int) -> Score:
    """One training, from random weights."""
    made = build("transfer", "coral" if method == SOURCE_ONLY else method, **SHARED, **setting, epochs=epochs)
    assert isinstance(made, Adaptation)
    data, other = load_dataset("glyphs", 8), load_dataset("digits", 8)
    target = matched(data, other, lambda code, message: print(message))
    labelled = few_labels(data.train, labels, 10, seed)[0] if labels else data.train
    with tempfile.TemporaryDirectory() as folder:
        context = Context(
            data=data,
            labelled=labelled,
            pool=data.train.images[:0],
            device=torch.device("cpu"),
            threads=1,
            precision="float32",
            image_size=8,
            weights="none",
            folder=Path(folder),
            cache=Path(folder),
            place=(seed, 0),
            report=silent,
            warn=lambda code, message: print(message),
            cancelled=lambda: False,
            target=target.unlabelled,
        )
        model = start("resnet8", context)
        trained = made.controls(model, context)[SOURCE_ONLY]() if method == SOURCE_ONLY else made.apply(model, context)
        parts = (data.validation, data.test, target.test)
        return Score(*(evaluate(trained, part, context).accuracy for part in parts))


def spread(shares: list[float]) -> str:
    """Mean ± standard deviation over the seeds, in percent."""
    around = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{around} %"


if __name__ == "__main__":
    main()
