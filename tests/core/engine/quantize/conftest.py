"""A tiny network with every kind of layer that quantization touches, saved once, and real images for it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from core.engine.backbones import find, load_backbone
from core.engine.context import Context, silent
from core.engine.data import Dataset
from core.engine.export.graph import write_graph
from core.engine.measure.runtime import prepared
from core.engine.model import Model, Preprocessing
from core.engine.quantize import Calibration
from core.engine.training.loop import Examples, Schedule, fit
from tests.sessions import opened

SIZE = 32


class Tiny(nn.Module):
    """Conv + BN + ReLU6, depthwise + BN + ReLU, residual sum, tokens (MatMul [9, 5]), linear; one dead channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 9, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(9)
        self.deep, self.deep_norm = nn.Conv2d(9, 9, 3, padding=1, groups=9, bias=False), nn.BatchNorm2d(9)
        self.tokens, self.head = nn.Linear(9, 5), nn.Linear(5, 4)
        for norm in (self.norm, self.deep_norm):
            nn.init.uniform_(norm.running_mean, -0.3, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)
        nn.init.zeros_(self.deep.weight[3])

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.relu6(self.norm(self.stem(images)))
        x = x + torch.relu(self.deep_norm(self.deep(x)))
        x = torch.relu(self.tokens(x.flatten(2).transpose(1, 2)))
        logits: Tensor = self.head(x.mean(1))
        return logits


@dataclass(frozen=True)
class Saved:
    net: Tiny
    path: Path
    images: NDArray[np.float32]

    def calibration(self) -> list[NDArray[np.float32]]:
        return [self.images[:40], self.images[40:64]]


def run(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits of the file as a user's program gets them that opens it as the model card says."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = opened(path, options)
    logits: NDArray[np.float32] = session.run(None, {"image": images})[0]
    return logits


@pytest.fixture(name="run", scope="session")
def run_fixture():  # type: ignore[no-untyped-def]
    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    torch.manual_seed(0)
    net = Tiny().eval()
    path = tmp_path_factory.mktemp("tiny") / "model.onnx"
    half = (0.5, 0.5, 0.5)
    write_graph(Model(net, "tiny", ("a", "b", "c", "ü"), Preprocessing(SIZE, 3, half, half)), path)
    photos = load_sample_images().images
    crops = [photos[i % 2][y : y + 64 : 2, x : x + 64 : 2] for i, (y, x) in enumerate(_corners(128))]
    images = (np.stack(crops).transpose(0, 3, 1, 2) / 255 - 0.5) / 0.5
    return Saved(net, path, images.astype(np.float32))


def _corners(count: int) -> list[tuple[int, int]]:
    random = np.random.default_rng(0)
    return [(int(random.integers(0, 363)), int(random.integers(0, 576))) for _ in range(count)]


@dataclass(frozen=True)
class Learned:
    """A small network that knows the digits, its float file, and the context it learned at."""

    model: Model
    context: Context

    @property
    def source(self) -> Path:
        assert self.context.source is not None
        return self.context.source

    def planted(self, path: Path, factor: float) -> Path:
        """The float file of the same function with one channel inside the second stage `factor` times larger, which
        the layer after it takes back: harmless in float; rounded, a scale spans that channel and loses the others."""
        net = copy.deepcopy(self.model.net)
        block = net.get_submodule("stage2.0")
        with torch.no_grad():
            block.bn1.weight[3] *= factor  # type: ignore[index, operator, union-attr]
            block.bn1.bias[3] *= factor  # type: ignore[index, operator, union-attr]
            block.conv2.weight[:, 3] /= factor  # type: ignore[index, operator, union-attr]
        write_graph(self.model.with_net(net), path)
        return path

    @property
    def calibration(self) -> Calibration:
        return Calibration(lambda: prepared(self.context.labelled.images[:128], self.model.preprocessing))


@pytest.fixture(scope="session")
def learned(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("learned")
    torch.manual_seed(0)
    net = load_backbone("resnet8", 10, "none", 8, width=8, channels=1)
    model = Model(net, "resnet8", digits.classes, find("resnet8").preprocessing(8, 1), 8)
    context = Context(
        data=digits,
        labelled=digits.train,
        pool=digits.train.images[:0],
        device=torch.device("cpu"),
        threads=1,
        precision="float32",
        image_size=0,
        weights="none",
        folder=folder / "checkpoints",
        cache=folder / "cache",
        place=(0, 0),
        report=silent,
        warn=lambda code, message: None,
        cancelled=lambda: False,
        source=folder / "float.onnx",
    )
    schedule = Schedule(6, 64, 0.1)

    def loss(output, batch):  # type: ignore[no-untyped-def]
        return nn.functional.cross_entropy(output.logits, batch.target)

    model = fit(model, Examples.of(digits.train), loss, schedule, context)
    assert context.source is not None
    write_graph(model, context.source)
    return Learned(model, context)


@pytest.fixture(scope="session")
def planted(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel whose activations are 3,000 times the others'."""
    return learned.planted(tmp_path_factory.mktemp("planted") / "model.onnx", 3000.0)
