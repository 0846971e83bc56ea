"""What a classifier takes for what: its confusion matrix, and the figures that are read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from core.statistics.intervals import wilson

Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ClassShare:
    """Of the images of a class, counted from 0, so many of how many are `right`."""

    label: int
    right: int
    images: int

    @property
    def share(self) -> float:
        """The recall of the class."""
        return self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share."""
        return wilson(self.share, self.images)


def confusion(labels: Sequence[int], answers: Sequence[int], classes: int) -> Matrix:
    """How many images of each class (row) were answered with each class (column), of labels and answers [N]."""
    rows = [[0] * classes for _ in range(classes)]
    for label, answer in zip(labels, answers, strict=True):
        rows[label][answer] += 1
    return tuple(map(tuple, rows))


def by_class(matrix: Matrix) -> tuple[ClassShare, ...]:
    """The right answers of each class that has images."""
    found = (ClassShare(label, row[label], sum(row)) for label, row in enumerate(matrix))
    return tuple(one for one in found if one.images)


def balanced_accuracy(matrix: Matrix) -> float:
    """The mean recall over the classes that have images (Brodersen et al. 2010)."""
    return fmean(one.share for one in by_class(matrix))


def macro_f1(matrix: Matrix) -> float:
    """The mean F1 = 2 · right / (images + answers) over the classes that have images or answers."""
    answered = [sum(column) for column in zip(*matrix, strict=True)]
    sizes = [sum(row) + given for row, given in zip(matrix, answered, strict=True)]
    return fmean(2 * matrix[label][label] / size for label, size in enumerate(sizes) if size)


def worst_class(matrix: Matrix) -> ClassShare:
    """The class with the lowest recall, of several the first."""
    return min(by_class(matrix), key=lambda one: one.share)
