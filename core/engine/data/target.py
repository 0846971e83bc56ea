"""The target domain of a recipe: other images of the same classes, whose labels are not used for training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.data.dataset import Dataset, Split
from core.engine.data.selection import choose
from core.errors import UserError
from core.rules.target import nothing_in_common
from core.statistics.chance import Chance

NAMED = 6  # classes listed in a warning
LEAST = 2  # images of a split


@dataclass(frozen=True)
class Unlabelled:
    """The part of the target that methods may use: its training `images` uint8 [M, C, H, W], and the source classes
    they can belong to (`shared`)."""

    images: Tensor
    shared: tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """`unlabelled` is for adaptation, `test` for reporting, empty if the target has no labels; labels are numbers of
    the source's classes."""

    unlabelled: Unlabelled
    test: Split
    content_hash: str


def matched(source: Dataset, target: Dataset, warn: Callable[[str, str], None]) -> Target:
    """The target with its classes matched to the source's by name.

    A warning lists classes that only one of them has; the target's images of such classes are left out. Raises
    UserError if no class has the same name, or if fewer than 2 images remain.
    """
    if target.unlabelled:
        return _without_labels(source, target, warn)
    numbers = {name: number for number, name in enumerate(source.classes)}
    shared = tuple(sorted(numbers[name] for name in target.classes if name in numbers))
    if not shared:
        raise nothing_in_common(source.name, source.classes, target.name, target.classes)
    if len(shared) < max(len(source.classes), len(target.classes)):
        warn("classes_overlap", _overlap(source, target, [source.classes[number] for number in shared]))
    places = torch.tensor([numbers.get(name, -1) for name in target.classes])
    train, test = (_renumbered(split, places) for split in (target.train, target.test))
    if min(len(train), len(test)) < LEAST:
        given = f"{target.name}: {len(train)} training and {len(test)} test images of shared classes"
        fix = f"Name a target with more images of the classes of dataset = {source.name}."
        raise UserError("too_few_images", "target", given, "at least 2 of each", fix)
    return Target(Unlabelled(train.images, shared), test, target.content_hash)


def _without_labels(source: Dataset, target: Dataset, warn: Callable[[str, str], None]) -> Target:
    """A target whose training images have no labels: any class of the source may be in them. Reported on are those of
    its images that have a label of a class of the source, which may be none."""
    numbers = {name: number for number, name in enumerate(source.classes)}
    known = [name for name in target.classes if name in numbers]
    if target.classes and not known:
        raise nothing_in_common(source.name, source.classes, target.name, target.classes)
    if len(target.train) < LEAST:
        given = f"{target.name}: {len(target.train)} images without a label"
        raise UserError("too_few_images", "target", given, f"at least {LEAST}", "Add images to it.")
    places = torch.tensor([numbers.get(name, -1) for name in target.classes], dtype=torch.int64)
    test = _renumbered(target.test, places) if known else target.test.subset([])
    warn("unlabelled_target", _reported_on(target, test, [name for name in target.classes if name not in numbers]))
    every = tuple(range(len(source.classes)))
    return Target(Unlabelled(target.train.images, every), test, target.content_hash)


def _reported_on(target: Dataset, test: Split, left: list[str]) -> str:
    if not len(test):
        return f"{target.name} has no labels: the accuracy on it is not known and not reported."
    classes = len(torch.unique(test.labels))
    of = f"{classes} {'class' if classes == 1 else 'classes'}"
    message = f"The accuracy on {target.name} is that on its {len(test)} labelled images of {of}."
    return f"{message} Those of other classes are left out: {_named(left)}." if left else message


def chance_of(data: Dataset, target: Target | None = None) -> Chance:
    """The chance levels of validation, test and the target's test images."""
    classes = len(data.classes)
    shares = [max(1 / classes, _commonest(split)) for split in (data.test, data.validation)]
    there = max(1 / classes, _commonest(target.test)) if target and len(target.test) else None
    return Chance(classes=classes, test=shares[0], validation=shares[1], target=there)


def _commonest(split: Split) -> float:
    """The share of the most frequent class."""
    return int(torch.bincount(split.labels).max()) / len(split) if len(split) else 0.0


def _renumbered(split: Split, places: Tensor) -> Split:
    labels = places[split.labels]
    kept = labels >= 0
    if torch.equal(labels, split.labels):
        return split
    return Split(choose(split.images, kept), labels[kept])


def _overlap(source: Dataset, target: Dataset, shared: list[str]) -> str:
    message = f"Adapting on the {len(shared)} classes that {source.name} and {target.name} share."
    if extra := [name for name in target.classes if name not in shared]:
        message += f" Other classes of {target.name} are left out of training and test: {_named(extra)}."
    if missing := [name for name in source.classes if name not in shared]:
        message += f" {target.name} does not have these classes: {_named(missing)}."
    return message


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
