"""The outputs of a network in torch or of a saved file for images, and their accuracy: the engine's only evaluator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine.context import Context, Progress
from core.engine.data import Split
from core.engine.data.augment import prepare
from core.engine.measure.runtime import predict
from core.engine.model import Model, Preprocessing
from core.events import Work

AT_ONCE = 256  # images per batch in torch
CPU = torch.device("cpu")
Network: TypeAlias = nn.Module | ort.InferenceSession


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy, accuracy, and the logits [N, C] they are computed from, on the CPU."""

    loss: float
    accuracy: float
    logits: Tensor

    @property
    def right(self) -> int:
        """The number of correct predictions."""
        return round(self.accuracy * len(self.logits))


def evaluate(
    network: Network,
    split: Split,
    preprocessing: Preprocessing,
    *,
    device: torch.device = CPU,
    at_once: int = AT_ONCE,
    step: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Evaluates `network`, in evaluation mode on `device` or as a session of a saved file, on a split; `step` is called
    with the number of images done. In torch, batches have `at_once` images, and the loss is summed batch by batch."""
    logits = logits_of(network, split.images, preprocessing, device=device, at_once=at_once, step=step)
    return scored(logits, split.labels, at_once if isinstance(network, nn.Module) else 0)


def scored(logits: Tensor, labels: Tensor, at_once: int = 0) -> Evaluation:
    """Loss and accuracy of logits [N, C] for labels [N]; the loss is summed over blocks of `at_once` images, 0: all."""
    right = int((logits.argmax(1) == labels).sum())
    if not at_once:
        return Evaluation(float(F.cross_entropy(logits, labels)), right / len(labels), logits)
    blocks = zip(torch.split(logits, at_once), torch.split(labels, at_once), strict=True)
    total = sum(float(F.cross_entropy(block, truth, reduction="sum")) for block, truth in blocks)
    return Evaluation(total / len(labels), right / len(labels), logits)


def logits_of(
    network: Network,
    images: Tensor,
    preprocessing: Preprocessing,
    *,
    device: torch.device = CPU,
    at_once: int = AT_ONCE,
    step: Callable[[int], None] = lambda done: None,
    cores: int = 1,
) -> Tensor:
    """Logits [N, C] of uint8 images [N, channels, H, W], on the CPU; a session answers `cores` batches at a time."""
    if not isinstance(network, nn.Module):
        return predict(network, images, preprocessing, step=step, cores=cores)
    net, rows = network.to(device).eval(), []
    with torch.inference_mode():
        for block in torch.split(images, at_once):
            rows.append(net(prepare(block.to(device), preprocessing)).float().cpu())
            step(sum(map(len, rows)))
    return torch.cat(rows)


def answers(model: Model, images: Tensor, context: Context, what: Work, part: int = 0, parts: int = 1) -> Tensor:
    """Logits [N, C] of uint8 images [N, channels, H, W], on the CPU, reported as `what`; raises CancelledError."""

    def step(done: int) -> None:
        context.stop_if_cancelled()
        context.report(Progress(what, done, len(images), part, parts))

    return logits_of(model.net, images, model.preprocessing, device=context.device, step=step)
