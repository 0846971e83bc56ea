"""Chance level: the accuracy that can be had without looking at an image. Only an accuracy above it means anything."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from core.catalog import load_catalog


class Chance(BaseModel):
    """The chance level of each split, from 0 to 1: the larger of 1 / `classes` (guessing) and the share of the most
    frequent class (always answering with it).

    `target` is that of the target's test split, None without a target. `counted` is False if only the number of
    classes is known, as for runs stored before the splits were counted; all levels are then 1 / `classes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    classes: int
    test: float
    validation: float
    target: float | None = None
    counted: bool = True

    def is_majority(self, share: float) -> bool:
        """Whether `share` comes from the most frequent class and not from guessing."""
        return share > 1 / self.classes + 1e-9


def assumed(dataset: str, target: str = "") -> Chance | None:
    """1 / classes for a dataset of the catalog; None if the catalog does not know the number of classes."""
    classes = load_catalog().datasets.get(dataset, {}).get("classes")
    if not isinstance(classes, int) or classes < 1:
        return None
    share = 1 / classes
    return Chance(classes=classes, test=share, validation=share, target=share if target else None, counted=False)
