"""How many steps an epoch of a small set needs: a student taught with the default schedule from about a hundred images.

    python -m tests.bench.small_sets [--seeds 3] [--only photos] [--settings 0:16,16:16,32:16]

A setting is least_steps : smallest batch. Three small sets (handwritten digits, pieces of clothing, synthetic textured
colour photographs of 72 pixels), each with its own few validation images for the choice of the epoch, as a person has
them. The settings are to be compared on `held out`, images that neither trained nor chose the epoch; `test` is told.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from core.engine import build
from core.engine.context import Context, silent
from core.engine.data import Dataset, Split, few_labels, load_dataset
from core.engine.pipeline.first_model import start
from core.engine.training import schedule
from core.engine.training.loop import evaluate

SIDE = 72  # pixels of a photograph
SETS: dict[str, Callable[[int], tuple[Dataset, Split]]] = {
    "digits": lambda seed: bundled("digits", 8, 88, seed),
    "clothing": lambda seed: bundled("fashion-mini", 28, 100, seed),
    "photos": lambda seed: photographs(88, seed),
}


@dataclass(frozen=True)
class Score:
    """Accuracies of the student in per cent: on images held out for the comparison, and on test; and seconds."""

    held_out: float
    test: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("", *SETS), default="")
    parser.add_argument("--settings", default="0:16,8:16,16:16,16:32,16:8,32:16")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    settings = [(int(least), int(batch)) for least, _, batch in (s.partition(":") for s in given.settings.split(","))]
    print(f"{'set':10s}{'least':>7s}{'batch':>7s}{'held out':>10s}{'test':>8s}{'seconds':>9s}")
    for name in [given.only] if given.only else SETS:
        for least, batch in settings:
            scores = [taught(name, seed, least, batch) for seed in range(given.seeds)]
            found = [mean(column) for column in zip(*((s.held_out, s.test, s.seconds) for s in scores), strict=True)]
            print(f"{name:10s}{least:7d}{batch:7d}{found[0]:9.1f} {found[1]:7.1f} {found[2]:8.1f}", flush=True)


def taught(name: str, seed: int, least: int, batch: int) -> Score:
    """A student of a linear probe on a large backbone, from all images the set has."""
    schedule.SMALLEST_BATCH = batch
    data, held_out = SETS[name](seed)
    with tempfile.TemporaryDirectory() as folder:
        context = bench_of(data, seed, Path(folder))
        teacher = build("transfer", "linear_probe").apply(start("efficientnet_lite0", context), context)
        size = 32 if data.size > 64 else 0
        method = build("distill", "kd", student_size=size, twin=False, least_steps=least)
        began = time.process_time()
        student = method.apply(teacher, replace(context, place=(seed, 1), folder=Path(folder) / "student"))
        seconds = time.process_time() - began
        judged = [100 * evaluate(student, split, context).accuracy for split in (held_out, data.test)]
    return Score(judged[0], judged[1], seconds)


def bench_of(data: Dataset, seed: int, folder: Path) -> Context:
    return Context(
        data=data,
        labelled=data.train,
        pool=data.train.images[:0],
        device=torch.device("cpu"),
        threads=1,
        precision="float32",
        image_size=64,
        weights="default",
        folder=folder / "probe",
        cache=folder / "cache",
        place=(seed, 0),
        report=silent,
        warn=lambda code, message: None,
        cancelled=lambda: False,
    )


def bundled(name: str, size: int, labels: int, seed: int) -> tuple[Dataset, Split]:
    """So many training images of a bundled set, 20 for validation, and the other validation images."""
    data = load_dataset(name, size)
    train, _ = few_labels(data.train, labels, len(data.classes), seed)
    shuffled = torch.randperm(len(data.validation), generator=torch.Generator().manual_seed(seed))
    few, rest = (
        Split(data.validation.images[index], data.validation.labels[index]) for index in (shuffled[:20], shuffled[20:])
    )
    return replace(data, train=train, validation=few, content_hash=f"{name}-{labels}-{seed}"), rest


def photographs(count: int, seed: int) -> tuple[Dataset, Split]:
    """Four textures in random colours, light and noise: 20 images for validation, 200 held out, 400 to test."""
    draw = torch.Generator().manual_seed(1000 + seed)
    train, few, rest, test = (textures(number, draw) for number in (count, 20, 200, 400))
    data = replace(
        load_dataset("digits", 8),
        name="photos",
        title="Textures",
        classes=("rows", "columns", "grid", "rings"),
        train=train,
        validation=few,
        test=test,
        content_hash=f"photos-{count}-{seed}",
    )
    return data, rest


def textures(count: int, draw: torch.Generator) -> Split:
    """uint8 images [N, 3, 72, 72] of the four classes in turn."""
    y, x = torch.meshgrid(torch.arange(SIDE) / SIDE, torch.arange(SIDE) / SIDE, indexing="ij")
    images, labels = [], []
    for number in range(count):
        length, phase, tilt, here, there = torch.rand(5, generator=draw).tolist()
        wave = 2 * math.pi * (4 + 4 * length)
        rows = torch.sin(wave * (y + (tilt - 0.5) * x / 2) + 2 * math.pi * phase)
        columns = torch.sin(wave * (x + (tilt - 0.5) * y / 2) + 2 * math.pi * phase)
        rings = torch.sin(wave * ((x - here) ** 2 + (y - there) ** 2).sqrt() + 2 * math.pi * phase)
        share = ((rows, columns, rows * columns, rings)[number % 4] + 1) / 2
        one, other = torch.rand((2, 3, 1, 1), generator=draw)
        light = 0.6 + 0.4 * (here * x + there * y)
        noise = 0.15 * torch.randn((3, SIDE, SIDE), generator=draw)
        images.append((((one * share + other * (1 - share)) * light + noise).clamp(0, 1) * 255).byte())
        labels.append(number % 4)
    return Split(torch.stack(images), torch.tensor(labels))


if __name__ == "__main__":
    main()
