"""What a network in torch answers to many images, batch after batch."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.context import Context, Progress
from core.engine.data.augment import prepare
from core.engine.model import Model
from core.events import Work

AT_ONCE = 256  # images of a batch


def answers(model: Model, images: Tensor, context: Context, what: Work, part: int = 0, parts: int = 1) -> Tensor:
    """Logits [N, C] of uint8 images [N, channels, H, W], on the CPU, reported as `what`; raises CancelledError."""
    net, rows = model.net.to(context.device).eval(), []
    with torch.inference_mode():
        for block in torch.split(images, AT_ONCE):
            rows.append(net(prepare(block.to(context.device), model.preprocessing)).float().cpu())
            context.stop_if_cancelled()
            context.report(Progress(what, sum(map(len, rows)), len(images), part, parts))
    return torch.cat(rows)
