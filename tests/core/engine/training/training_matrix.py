"""A child process that trains one network after another and names each before it begins.

    python -m tests.core.engine.training.training_matrix THREADS SIDE:WIDTH:NAME …

Whoever starts it looks at how it ends: a crash leaves the name of what
crashed as the last line of its output.
"""

from __future__ import annotations

import faulthandler
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from core.engine.backbones import find, load_backbone
from core.engine.context import Context, silent
from core.engine.data import Dataset, Split
from core.engine.method import Method, build
from core.engine.model import Model
from core.engine.training.precision import bfloat16_of
from core.recipe import Step
from dashboard.design.presets import PRESETS

CHANNELS = {28: 1}  # grey; larger images are in colour
LAST = 17  # images of every last batch: batches of 33 and 17
CLASSES = ("a", "b", "c", "d")
STAGES: dict[str, tuple[Step, ...]] = {
    "fine_tune": (Step("transfer", "fine_tune"),),
    "lp_ft": (Step("transfer", "lp_ft"),),
    "fitnet": (Step("transfer", "fine_tune"), Step("distill", "fitnet")),
    "mutual": (Step("distill", "mutual"),),
    "taylor": (Step("prune", "taylor"),),
    "depth": (Step("prune", "blocks"),),
    "magnitude": (Step("prune", "magnitude"),),
    "qat": (Step("quantize", "qat"),),
}


Case = tuple[int, int, str]  # side of the images in pixels, width of the network, name of the chain


def parsed(word: str) -> Case:
    side, width, name = word.split(":")
    return int(side), int(width), name


def chains() -> dict[str, tuple[Step, ...]]:
    """Steps by name: every preset, its transfer before it, and further methods that train."""
    presets = {preset.name: (Step("transfer", "fine_tune"), *preset.steps) for preset in PRESETS}
    return {**presets, **STAGES}


def main(threads: int, cases: list[Case]) -> None:
    """Trains each chain at its size and width."""
    faulthandler.enable()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    with tempfile.TemporaryDirectory() as folder:
        for side, width, name in cases:
            print(f"{name}, {side} px, width {width}, {threads} threads", flush=True)
            here = Path(folder) / f"{name}-{side}-{width}"
            train(chains()[name], here, threads, side, width)
    print("finished", flush=True)


def train(steps: tuple[Step, ...], folder: Path, threads: int, side: int, width: int) -> None:
    """One epoch of every step, on 50 images in batches of 33 and 17; students and incoming networks are `width` wide at
    first, so that cuts leave odd widths."""
    context = _context(folder, threads, side)
    model = _network(context, width)
    for number, method in enumerate(methods_of(steps, width)):
        here = replace(context, place=(0, number), folder=folder / str(number))
        model = method.apply(model, here)
        for make in _controls(method, model, here):
            make()


def _controls(method: Method, model: Model, context: Context) -> Iterator[Callable[[], Model]]:
    """The twins of a distillation, which train like the student."""
    if "student" in type(method).model_fields:
        yield from method.controls(model, context).values()


def methods_of(steps: tuple[Step, ...], width: int) -> Iterator[Method]:
    for step in steps:
        probe = build(step.stage, step.method)
        known = {option.name: option for option in probe.options()}
        options = dict(step.options)
        for name, value in {"epochs": 1, "batch": 33, "views": 1, "width": width, "calibration_images": 16}.items():
            if name in known:
                options[name] = value
        yield build(step.stage, step.method, **options)


def _network(context: Context, width: int) -> Model:
    channels, side = context.data.channels, context.data.size
    torch.manual_seed(0)
    net = load_backbone("resnet8", len(CLASSES), "none", side, width=width, channels=channels)
    return Model(net, "resnet8", CLASSES, find("resnet8").preprocessing(side, channels), width)


def _context(folder: Path, threads: int, side: int) -> Context:
    channels = CHANNELS.get(side, 3)
    draw = torch.Generator().manual_seed(side)

    def split(count: int) -> Split:
        pixels = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=draw)
        return Split(pixels, torch.arange(count) % len(CLASSES))

    data = Dataset(
        "noise", "Noise", CLASSES, split(33 + LAST), split(LAST), split(LAST), "", "", side, channels, f"noise-{side}"
    )
    return Context(
        data=data,
        labelled=data.train,
        pool=data.train.images[:0],
        device=torch.device("cpu"),
        threads=threads,
        precision="auto",
        image_size=0,
        weights="none",
        folder=folder,
        cache=folder / "cache",
        place=(0, 0),
        report=silent,
        warn=lambda code, message: None,
        cancelled=lambda: False,
        bfloat16=bfloat16_of(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), [parsed(word) for word in sys.argv[2:]])
