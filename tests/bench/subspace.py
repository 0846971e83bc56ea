"""Subspace alignment from printed to handwritten digits, beside a linear probe and PCA, on a frozen backbone.

    python -m tests.bench.subspace [--seeds 3] [--labels 1000] [--backbone resnet8_fashion]

Penalty and number of directions are chosen on the source's validation images as each classifier sees them; target
labels choose nothing. Of subspace alignment two accuracies on the source are told: as the classifier learned it, and
that of the file, which treats every image as one of the target.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from core.engine import build
from core.engine.backbones import find
from core.engine.context import Context, Progress, silent
from core.engine.data import few_labels, load_dataset, matched
from core.engine.pipeline.first_model import start
from core.engine.training.loop import evaluate
from core.options import Value
from tests.bench.adaptation import Score, spread

METHODS: dict[str, tuple[str, dict[str, Value]]] = {
    "linear_probe": ("linear_probe", {}),
    "pca": ("transform", {"kind": "pca"}),
    "whitening": ("transform", {"kind": "whitening"}),
    "subspace_alignment": ("transform", {"kind": "subspace_alignment"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=1000, help="of the source, drawn anew for each seed; 0 uses all")
    parser.add_argument("--backbone", default="resnet8_fashion")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(f"{'method':<20} {'learned (validation)':<22} {'source test':<16} target test")
    with tempfile.TemporaryDirectory() as folder:
        for name in METHODS:
            scores = [score(name, seed, given.labels, given.backbone, Path(folder)) for seed in range(given.seeds)]
            told = (spread([getattr(s, part) for s in scores]) for part in ("validation", "source", "target"))
            print(f"{name:<20}", *(f"{text:<18}" for text in told), flush=True)


def score(name: str, seed: int, labels: int, backbone: str, folder: Path) -> Score:
    """One search; `validation` is the best accuracy on the source as the classifier learned it."""
    best = [0.0]

    def report(progress: Progress) -> None:
        best[0] = max(best[0], progress.figures.validation_accuracy or 0.0)

    method, options = METHODS[name]
    size = find(backbone).image_size
    data, other = load_dataset("glyphs", size), load_dataset("digits", size)
    target = matched(data, other, lambda code, message: print(message))
    labelled = few_labels(data.train, labels, len(data.classes), seed)[0] if labels else data.train
    context = Context(
        data=data,
        labelled=labelled,
        pool=data.train.images[:0],
        device=torch.device("cpu"),
        threads=1,
        precision="float32",
        image_size=size,
        weights="default",
        folder=folder,
        cache=folder,
        place=(seed, 0),
        report=report,
        warn=lambda code, message: print(message),
        cancelled=lambda: False,
        target=target.unlabelled,
    )
    model = build("transfer", method, **options).apply(start(backbone, context), context)
    quiet = replace(context, report=silent)
    return Score(best[0], *(evaluate(model, part, quiet).accuracy for part in (data.test, target.test)))


if __name__ == "__main__":
    main()
