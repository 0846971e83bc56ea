"""How the right answers of a file are spread over classes and ranks, read off the logits that gave its accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.points import Spread
from core.statistics.confusion import balanced_accuracy, confusion, macro_f1, worst_class

FEW = 10  # classes from which on the first five answers say something
FIVE = 5


def spread(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> Spread:
    """The figures for logits [N, C] and labels [N]."""
    matrix = confusion(labels.tolist(), logits.argmax(1).tolist(), len(classes))
    worst = worst_class(matrix)
    top5 = float((ranks(logits, labels) < FIVE).float().mean()) if len(classes) >= FEW else None
    return Spread(
        balanced_accuracy=balanced_accuracy(matrix),
        macro_f1=macro_f1(matrix),
        worst_class=classes[worst.label],
        worst_recall=worst.share,
        top5_accuracy=top5,
    )


def ranks(logits: Tensor, labels: Tensor) -> Tensor:
    """The place [N] of the label among the answers of each image, 0 for the first; of equal ones that with the smaller
    index comes first, as in argmax."""
    own = logits.gather(1, labels[:, None])
    earlier = torch.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(1)
