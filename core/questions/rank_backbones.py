"""Request: rank backbones for a dataset by transferability scores and by a probe on the same features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.comparison.difference import Accuracy, Difference, judged
from core.questions.request import Request


@dataclass(frozen=True)
class Row:
    """One backbone's scores on `images` training images, and the validation accuracy of a linear probe trained on them
    with its 95 % interval (absent in answers of earlier versions).

    Higher is better; scores compare backbones on one dataset, never across datasets. `pretrained` is False for random
    weights, either as a control or because there are no others. `leep` and `nce` need a backbone with classes of its
    own, and are None otherwise.
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
    probe_low: float | None = None
    probe_high: float | None = None

    def beside(self, other: Row) -> Difference | None:
        """The probe's accuracy minus that of another row, judged by the intervals: the probes' answers are not kept."""
        return judged(self._accuracy, other._accuracy, lambda: None)

    @property
    def _accuracy(self) -> Accuracy:
        return Accuracy(self.probe_accuracy, self.probe_low, self.probe_high)


@dataclass(frozen=True)
class Agreement:
    """How well a score's order of backbones agrees with the probe's: Kendall's τ-b and Spearman's ρ, from −1 to 1, over
    `backbones` rows; `controls`: whether those with random weights are included. `chance` is the two-sided p-value of
    τ: how likely unrelated orders agree or disagree as much (absent in answers of earlier versions)."""

    score: str
    kendall: float
    spearman: float
    backbones: int
    controls: bool
    chance: float | None = None


@dataclass(frozen=True)
class Ranking:
    """One row per backbone, the best probe first, and the agreement of each score with the probe."""

    rows: tuple[Row, ...]
    agreement: tuple[Agreement, ...]


@dataclass(frozen=True)
class RankRequest(Request[Ranking]):
    """Ranks `backbones` on at most `limit` labelled training images (0 or None: all). `image_size` is the side in
    pixels for all but small networks; 0 or None takes each one's own. With `controls` each pretrained backbone is also
    ranked with random weights."""

    kind: ClassVar[str] = "rank"
    overtaken: ClassVar[bool] = True

    dataset: str
    backbones: tuple[str, ...]
    limit: int | None = None
    image_size: int | None = None
    controls: bool = False
