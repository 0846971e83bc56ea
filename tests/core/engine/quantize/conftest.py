"""A tiny network with every kind of layer that quantization touches, saved once, and real images for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from core.engine.export.graph import write_graph
from core.engine.model import Model, Preprocessing

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
    """The logits of the file as a user's program gets them: default options, but for the number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
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
