"""Trains the small backbones bundled in assets/backbones, on Fashion-MNIST, and writes what they reached beside them.

    .venv/bin/python assets/train_backbones.py [NAME…] [--threads 2]

Learns from the 54,000 training images of `fashion-mnist`, chooses the epoch on its 6,000 validation images, and tells
accuracy on its 10,000 test images; none of fashion-mini's validation or test images is among those learned from.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from core.engine.backbones import load_backbone
from core.engine.context import Context, Progress
from core.engine.data import load_dataset
from core.engine.data.sets.fashion_mnist import FashionMnist
from core.engine.model import Model, Preprocessing
from core.engine.output import Output
from core.engine.seeds import counter_seed
from core.engine.training.loop import Batch, Examples, Schedule, evaluate, fit
from core.files import make_folder, write_atomic

FOLDER = Path(__file__).resolve().parent / "backbones"
MEAN, STD = 0.286, 0.353  # of Fashion-MNIST's training pixels


@dataclass(frozen=True)
class Plan:
    """Which network, and how long."""

    architecture: str
    width: int
    epochs: int


PLANS = {"resnet8_fashion": Plan("resnet8", 32, 12), "resnet20_fashion": Plan("resnet20", 16, 10)}


def main() -> None:
    """Trains the named backbones, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PLANS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)  # a dying channel must not slow every convolution
    for name in given.names or PLANS:
        train(name, PLANS[name], given.threads)


def train(name: str, plan: Plan, threads: int) -> None:
    """Trains one backbone and writes NAME.safetensors and NAME.json."""
    data = load_dataset("fashion-mnist", 28)
    context = Context(
        data=data,
        labelled=data.train,
        pool=data.train.images[:0],
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        threads=threads,
        precision="auto",
        image_size=28,
        weights="none",
        folder=Path(mkdtemp()),
        cache=Path(mkdtemp()),
        place=(0, name),
        report=report,
        warn=lambda code, message: print(message),
        cancelled=lambda: False,
    )
    torch.manual_seed(counter_seed(*context.place, "first weights"))
    net = load_backbone(plan.architecture, 10, "none", 28, width=plan.width, channels=1)
    model = Model(net, plan.architecture, data.classes, Preprocessing(28, 1, (MEAN,), (STD,)), plan.width)
    schedule = Schedule(plan.epochs, 128, 0.1, weight_decay=5e-4, augment="flip_crop")
    trained = fit(model, Examples.of(data.train), cross_entropy, schedule, context)
    facts = {
        "accuracy": round(100 * evaluate(trained, data.test, context).accuracy, 2),
        "validation_accuracy": round(100 * evaluate(trained, data.validation, context).accuracy, 2),
        "mean": [MEAN],
        "std": [STD],
        "params": sum(p.numel() for p in net.parameters()),
        "classes": list(data.classes),
        "licence": f"Apache-2.0; trained on Fashion-MNIST ({FashionMnist.licence})",
        "trained": f"{plan.epochs} epochs of {len(data.train)} images, torch {torch.__version__}",
    }
    make_folder(FOLDER)
    tensors = {key: value.detach().cpu().contiguous() for key, value in trained.net.state_dict().items()}
    write_atomic(FOLDER / f"{name}.safetensors", save(tensors))
    write_atomic(FOLDER / f"{name}.json", (json.dumps(facts, indent=1) + "\n").encode())
    print(name, facts["accuracy"])


def cross_entropy(output: Output, batch: Batch) -> Tensor:
    """Plain cross-entropy with the labels."""
    return F.cross_entropy(output.logits, batch.target)


def report(progress: Progress) -> None:
    """One line an epoch."""
    figures = progress.figures
    if figures.validation_accuracy is not None:
        speed = figures.samples_per_second or 0
        epochs = f"{progress.epoch}/{progress.epochs}"
        print(f"{epochs}: validation {figures.validation_accuracy:.4f}, {speed:.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
