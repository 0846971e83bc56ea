"""How fast the engine's ways are against the plain ones: `make bench`. A table of ratios with n and spread, no test.

Both sides run in turns in one process with one thread, so that a busy machine slows both alike.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine import build
from core.engine.backbones import find, load_backbone
from core.engine.backbones.heads import head_layer
from core.engine.context import Context, silent
from core.engine.data import load_dataset, prepare
from core.engine.distill.divergence import softened_divergence
from core.engine.export.graph import write_graph
from core.engine.measure.latency import ratio, time_files
from core.engine.measure.runtime import open_session
from core.engine.model import Model
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration, Quantize
from core.engine.training.precision import autocast
from core.engine.transfer.linear_probe import LinearProbe
from core.hardware.machine import processor

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """How many times faster `ours` is than `plain`: the median of pairs and their quartiles."""

    what: str
    plain: str
    ours: str
    ratios: list[float]

    def __str__(self) -> str:
        low, _, high = quantiles(self.ratios, n=4)
        spread = f"{low:.2f}–{high:.2f}"
        figures = f"{median(self.ratios):5.2f}×  {spread:<11} {len(self.ratios)}"
        return f"{self.what:<34} {self.plain:<30} {self.ours:<34} {figures}"


def in_turns(plain: Work, ours: Work, pairs: int = 7) -> list[float]:
    """Seconds of `plain` over seconds of `ours`, pair by pair, after one uncounted pair."""
    ratios = []
    for pair in range(pairs + 1):
        seconds = []
        for work in (plain, ours):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        if pair:
            ratios.append(seconds[0] / seconds[1])
    return ratios


def classifier(name: str, size: int, channels: int | None = None, width: int = 0, weights: str = "none") -> Model:
    """A backbone, mostly without pretrained weights: a network's speed does not depend on them."""
    torch.manual_seed(0)
    net = load_backbone(name, 10, weights, size, channels=channels, width=width)
    return Model(net, name, tuple("abcdefghij"), find(name).preprocessing(size, channels), width)


def features(folder: Path) -> Row:
    """Extracting features with a frozen backbone."""
    model = classifier("efficientnet_lite0", 96)
    write_graph(model, folder / "lite0-96.onnx")
    session = open_session(folder / "lite0-96.onnx", 1)
    images = torch.rand(32, 3, 96, 96)

    def eager() -> None:
        with torch.inference_mode():
            model.net(images)

    ratios = in_turns(eager, lambda: session.run(None, {"image": images.numpy()}))
    return Row("features, lite0 at 96 px", "eager float32", "exported graph in onnxruntime", ratios)


EPOCHS, PIECE = 10, 320  # of the plain loop; images of one timed piece of it


def probe(folder: Path) -> tuple[Row, list[str]]:
    """A linear probe of one penalty on a frozen backbone against ten epochs of the loop a person would write: each
    image through the backbone in every epoch, Adam on the head, accuracy on validation after each.

    Ours is timed whole, the export of the backbone's graph included; of the plain loop pieces are, before and behind
    it, for ten epochs would take half an hour: a piece's seconds times all images over its own. Then ours again, with
    the features in the cache: building the network, the search for the head, judging it; the median of five, by the
    clock and in seconds of the processor, which others on a shared machine lengthen less.
    """
    size = 224  # the backbone's own
    data = load_dataset("fashion-mini", size)

    def context(cache: Path) -> Context:
        return Context(
            data=data,
            labelled=data.train,
            pool=data.train.images[:0],
            device=torch.device("cpu"),
            threads=1,
            precision="float32",
            image_size=size,
            weights="none",
            folder=folder,
            cache=cache,
            place=(0, 0),
            report=silent,
            warn=lambda code, message: None,
            cancelled=lambda: False,
        )

    def ours(l2: float) -> tuple[float, float]:
        began, worked = time.perf_counter(), time.process_time()
        model = classifier("efficientnet_lite0", size, weights="default")  # how long a search takes depends on them
        LinearProbe(l2=l2).apply(model, context(folder / "probe"))
        return time.perf_counter() - began, time.process_time() - worked

    def plain() -> float:
        model = classifier("efficientnet_lite0", size, weights="default")
        net, head = model.net.eval().requires_grad_(False), head_layer(model.net)
        optimizer = torch.optim.Adam([p.requires_grad_() for p in head.parameters()], 1e-3)
        began = time.perf_counter()
        for index in torch.split(torch.arange(PIECE), 64):
            logits = net(prepare(data.train.images[index], model.preprocessing))
            optimizer.zero_grad()
            F.cross_entropy(logits, data.train.labels[index]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return time.perf_counter() - began

    plain()  # warm
    before, (whole, _), behind = [plain(), plain()], ours(0.1), [plain(), plain()]
    scale = EPOCHS * (len(data.train) + len(data.validation)) / PIECE
    ratios = [piece * scale / whole for piece in before + behind]
    row = Row(f"{EPOCHS} epochs, probe, lite0 at {size} px", "through the net each epoch", "features once", ratios)
    return row, [again(what, [ours(l2) for _ in range(5)]) for what, l2 in (("one penalty", 0.1), ("all seven", 0.0))]


def again(what: str, runs: list[tuple[float, float]]) -> str:
    """A line on runs that find their features in the cache: (seconds, the processor's) of each."""
    seconds, worked = (median(run[i] for run in runs) for i in (0, 1))
    return f"  the probe once more, {what}: {seconds:.2f} s, {worked:.2f} s of the processor, n = {len(runs)}"


def training() -> Row:
    """A training step of a small dense network."""
    images, target = torch.rand(128, 1, 28, 28), torch.arange(128) % 10

    def step(channels_last: bool, precision: torch.dtype) -> Work:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        net = classifier("resnet8", 28, 1, 32).net.train().to(memory_format=layout)
        batch = images.contiguous(memory_format=layout)
        optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, fused=True)

        def work() -> None:
            with autocast(torch.device("cpu"), precision):
                logits = net(batch)
            optimizer.zero_grad()
            F.cross_entropy(logits.float(), target).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return work

    ratios = in_turns(step(False, torch.float32), step(True, torch.bfloat16))
    return Row("training, resnet8 width 32", "float32, contiguous", "bfloat16, channels last", ratios)


def distillation(
    what: str, teacher: nn.Module, student: nn.Module, large: Tensor, small: Tensor, precision: torch.dtype
) -> Row:
    """A distillation step as a person would write it, the teacher next to the student, against one of `training.loop`
    with the teacher's answers cached; images of both [N, C, S, S], the same number format for all.

    Filling the cache, a pass of the teacher over each fixed view, is not in it: see `whole_distillation`.
    """
    plain, ours = distillation_steps(teacher, student, large, small, precision)
    kind = "bfloat16" if precision == torch.bfloat16 else "float32"
    plainly, cached = f"teacher in every step, {kind}", f"its answers cached, {kind}"
    return Row(f"distillation, {what}", plainly, cached, in_turns(plain, ours, 15))


def distillation_steps(
    teacher: nn.Module, student: nn.Module, large: Tensor, small: Tensor, precision: torch.dtype
) -> tuple[Work, Work]:
    """A step of the plain loop, and one of ours."""
    teacher.eval()
    known = torch.rand(len(small), 10)
    device = torch.device("cpu")

    def answer() -> Tensor:
        with torch.no_grad(), autocast(device, precision):
            told: Tensor = teacher(large)
        return told.float()

    def step(net: nn.Module, batch: Tensor, taught: Callable[[], Tensor], *, fused: bool) -> Work:
        optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, nesterov=True, fused=fused)

        def work() -> None:
            with autocast(device, precision):
                logits = net(batch)
            loss = softened_divergence(logits.float(), taught(), 4.0)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return work

    last = torch.channels_last  # and a fused optimizer: as core.engine.training.loop.fit has it
    twin = copy.deepcopy(student).train().to(memory_format=last)
    plain = step(student.train(), small, answer, fused=False)
    return plain, step(twin, small.contiguous(memory_format=last), lambda: known, fused=True)


def lite0_to_resnet8() -> Row:
    """As in the demo: photos' size for the teacher, the data's own for the student."""
    teacher, student = classifier("efficientnet_lite0", 64).net, classifier("resnet8", 28, 1).net
    images = torch.rand(64, 3, 64, 64), torch.rand(64, 1, 28, 28)
    return distillation("lite0 → resnet8", teacher, student, *images, torch.float32)


def resnet18_to_a_quarter(precision: torch.dtype) -> Row:
    """A resnet18 and the same with a quarter of its channels, on the same images."""
    images = torch.rand(64, 3, 64, 64)
    teacher = classifier("resnet18", 64).net
    return distillation("resnet18 → a quarter", teacher, quarter(images), images, images, precision)


def quarter(images: Tensor) -> nn.Module:
    """A resnet18 with a quarter of its channels."""
    return prune_channels(classifier("resnet18", images.shape[-1]).net, images[:1], 0.75)


def whole_distillation(folder: Path) -> Row:
    """All of a distillation by its defaults, 15 epochs over 4 fixed views, validation aside: the plain loop's steps
    against ours and the cache's filling by the teacher's saved file. Of each a batch is timed, in turns."""
    images = torch.rand(64, 3, 64, 64)
    teacher = classifier("resnet18", 64)
    write_graph(teacher, folder / "teacher.onnx")
    session = open_session(folder / "teacher.onnx", 1)
    plain, ours = distillation_steps(teacher.net, quarter(images), images, images, torch.float32)
    epochs, views = 15, 4

    def ours_whole() -> None:
        for number in range(epochs):
            ours()
            if number < views:
                session.run(None, {"image": images.numpy()})

    def plain_whole() -> None:
        for _ in range(epochs):
            plain()

    ratios = in_turns(plain_whole, ours_whole, 5)
    what = "the same, all of 15 epochs"
    return Row(what, "teacher in every step, float32", "asked once a view, in onnxruntime", ratios)


def inference(folder: Path, name: str, size: int, prune: float = 0.0) -> list[Row]:
    """A deployed file at batch 1 against eager float32, and against the float file in the same runtime."""
    model = classifier(name, size)
    dense = model.net
    if prune:
        p = model.preprocessing
        model = model.with_net(prune_channels(model.net, torch.zeros(2, p.channels, size, size), prune, round_to=8))
    source, target = folder / f"{name}.onnx", folder / f"{name}-int8.onnx"
    write_graph(model, source)
    method = build("quantize", "static", calibration="minmax", calibration_images=16)
    assert isinstance(method, Quantize)
    batch: NDArray[np.float32] = np.random.default_rng(0).random((16, 3, size, size), dtype=np.float32)
    method.convert(source, target, Calibration(lambda: iter([batch])))
    session = open_session(target, 1)
    one = {"image": batch[:1]}
    label = f"{name} at {size} px" + (f", {prune:.0%} pruned" if prune else "")
    against_eager = in_turns(many(eager(dense, batch)), many(lambda: session.run(None, one)))
    timed = [time_files({"fp32": source, "int8": target}, 1, seconds=1.0) for _ in range(7)]
    same = [ratio(t["fp32"], t["int8"]) for t in timed]
    return [
        Row(label, "eager float32", "int8 in onnxruntime", against_eager),
        Row(label, "float32 in onnxruntime", "int8 in onnxruntime", same),
    ]


def eager(net: nn.Module, batch: NDArray[np.float32]) -> Work:
    """The network in torch, one image."""
    image = torch.from_numpy(batch[:1])

    def work() -> None:
        with torch.inference_mode():
            net(image)

    return work


def many(work: Work, times: int = 30) -> Work:
    """The work repeated, so that a clock can see it."""
    return lambda: [work() for _ in range(times)]


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    print(f"{processor()}, 1 thread, torch {torch.__version__}")
    print(f"{'what':<34} {'plain':<30} {'ours':<34} ratio   quartiles   n")
    with TemporaryDirectory() as folder:
        path = Path(folder)
        print(features(path), flush=True)
        row, lines = probe(path)
        print(row, *lines, sep="\n", flush=True)
        quarters = [partial(resnet18_to_a_quarter, precision) for precision in (torch.float32, torch.bfloat16)]
        rows: list[Callable[[], Row]] = [training, lite0_to_resnet8, *quarters, partial(whole_distillation, path)]
        for measure in rows:
            print(measure(), flush=True)
        for name, size, share in (
            ("efficientnet_lite0", 224, 0.0),
            ("resnet18", 32, 0.0),
            ("resnet18", 32, 0.5),
            ("mobilenet_v3_small", 224, 0.0),
        ):
            print(*inference(path, name, size, share), sep="\n", flush=True)


if __name__ == "__main__":
    main()
