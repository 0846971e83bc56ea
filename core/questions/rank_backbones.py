"""Which backbone suits a dataset: transferability scores, and the accuracy of a probe on the same features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.request import Request


@dataclass(frozen=True)
class Row:
    """One backbone's scores on the training images used, and what a probe on them gets right on validation.

    The higher a score the better; scores compare backbones on one dataset, never across datasets. `pretrained` is
    False for fresh random weights, a control or all there is. `leep` and `nce` need a backbone with classes of its own;
    without them they are absent (None).
    """

    backbone: str
    pretrained: bool
    probe_accuracy: float
    logme: float
    h_score: float
    transrate: float
    knn_accuracy: float
    leep: float | None
    nce: float | None
    images: int


@dataclass(frozen=True)
class Agreement:
    """How well a score orders backbones as the probe does: Kendall's τ-b and Spearman's ρ, from −1 to 1, over
    `backbones` rows; `controls` says whether those with random weights are among them."""

    score: str
    kendall: float
    spearman: float
    backbones: int
    controls: bool


@dataclass(frozen=True)
class Ranking:
    """A row a backbone, the best probe first, and how each score agrees with the probe."""

    rows: tuple[Row, ...]
    agreement: tuple[Agreement, ...]


@dataclass(frozen=True)
class RankRequest(Request[Ranking]):
    """The scores of `backbones` on at most `limit` labelled training images (0 or None: all). `image_size` is the side
    in pixels for all but small networks, 0 or None each one's own; with `controls` each pretrained backbone is ranked a
    second time, with fresh random weights."""

    kind: ClassVar[str] = "rank"
    overtaken: ClassVar[bool] = True

    dataset: str
    backbones: tuple[str, ...]
    limit: int | None = None
    image_size: int | None = None
    controls: bool = False
