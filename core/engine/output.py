"""The output of a network for a batch: logits, features of its stages, and the embedding before its head."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Output:
    """logits [N, C]; features, shallow to deep, each [N, channels, height, width] or [N, tokens, width];
    embedding [N, D], the input of the last layer. A cached teacher may hold logits only."""

    logits: Tensor
    features: list[Tensor] = field(default_factory=list)
    embedding: Tensor | None = None
