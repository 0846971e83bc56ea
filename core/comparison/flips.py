"""Images that two models answer differently, and mistakes in the order of how sure a model is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.comparison.difference import Paired


@dataclass(frozen=True)
class Flips:
    """Places of images by what became of their answer: `gained` and `lost` are now and were right, `swapped` went from
    one wrong answer to another, `kept_wrong` have the same wrong answer as before."""

    gained: tuple[int, ...]
    lost: tuple[int, ...]
    swapped: tuple[int, ...]
    kept_wrong: tuple[int, ...]

    @property
    def paired(self) -> Paired:
        """The counts for McNemar's test."""
        return Paired(len(self.gained), len(self.lost))

    @property
    def changed(self) -> int:
        """How many images have another answer than before."""
        return len(self.gained) + len(self.lost) + len(self.swapped)


def flips(labels: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Flips:
    """Compares two models' answers [N] to the same images with labels [N]."""
    found: dict[str, list[int]] = {"gained": [], "lost": [], "swapped": [], "kept_wrong": []}
    for place, (label, old, new) in enumerate(zip(labels, before, after, strict=True)):
        if label not in (old, new):
            found["kept_wrong" if old == new else "swapped"].append(place)
        elif old != new:
            found["gained" if new == label else "lost"].append(place)
    return Flips(**{name: tuple(places) for name, places in found.items()})


def surest_mistakes(labels: Sequence[int], answers: Sequence[int], confidences: Sequence[float]) -> tuple[int, ...]:
    """The places of wrong answers, the most confident first."""
    wrong = (place for place, (label, answer) in enumerate(zip(labels, answers, strict=True)) if label != answer)
    return tuple(sorted(wrong, key=lambda place: (-confidences[place], place)))
