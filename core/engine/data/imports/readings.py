"""Finds the folder levels that could be the classes, by their content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from core.engine.data.imports.file_names import folded
from core.engine.data.imports.folders import Parts, Tree, is_container

TOP, INNER = "top", "inner"
COVERED = 0.9  # share of the images that must be in folders of a level for it to be the class level
STRAY = 0.1  # share of a folder's images that may be next to its class folders
COPIED = 0.9  # share of files that also exist in the folder of the same name for a folder to be a copy


@dataclass(frozen=True)
class Reading:
    """Where the class is taken from: the folder of `level`, from 1, or the innermost folder (0). Levels are counted
    inside the imported path, without split folders and single folders around everything."""

    level: int

    @property
    def word(self) -> str:
        """The option value that chooses it: `top`, `inner` or a number."""
        return {0: INNER, 1: TOP}.get(self.level, str(self.level))

    def of(self, rest: Parts) -> str | None:
        """The class of images in the folder `rest`; None if it has none at this level."""
        return rest[self.level - 1] if rest and len(rest) >= self.level else None

    def is_folder(self, rest: Parts, *, leaf: bool) -> bool:
        """Whether this folder is on the class level."""
        return bool(rest) and (len(rest) == self.level if self.level else leaf)


def readings(tree: Tree, counts: Mapping[Parts, Parts], splits: Mapping[Parts, str | None]) -> list[Reading]:
    """The plausible readings, at least one: `counts` gives the path of each image folder without splits and wrappers.

    A level is plausible if it has two or more names, nine in ten images are in its folders, its names are not all years
    or containers, and, with given splits, most of its names are in train. Readings that divide the images equally count
    once. If a dataset is next to a copy of itself, with equal file names, the inner folders are the classes.
    """
    deepest = max((len(rest) for rest in counts.values()), default=0)
    if deepest < 2:
        return [Reading(1)]
    if _nested_copy(tree, counts):
        return [Reading(0)]
    even = all(len(rest) in (0, deepest) for rest in counts.values())
    levels = [Reading(level) for level in range(1, deepest + (0 if even else 1))] + [Reading(0)]
    possible = [reading for reading in levels if _plausible(reading, tree, counts, splits)]
    return _different(possible, counts) or [Reading(1)]


def _plausible(reading: Reading, tree: Tree, counts: Mapping[Parts, Parts], splits: Mapping[Parts, str | None]) -> bool:
    names: Counter[str] = Counter()
    trained, total = set(), 0
    for folder, rest in counts.items():
        name, images = reading.of(rest), tree.images[folder]
        total += images if rest else 0
        if name is not None:
            names[name] += images
            trained |= {name} if splits[folder] in (None, "train") else set()
    if len(names) < 2 or names.total() < COVERED * total or all(map(is_container, names)):
        return False
    if any(splits.values()) and (len(trained) < 2 or 2 * len(trained) <= len(names)):
        return False
    return reading.level > 0 or not _own_images(tree, counts)


def _own_images(tree: Tree, counts: Mapping[Parts, Parts]) -> bool:
    """Whether a folder around other folders directly contains more than stray images: then it is the class."""
    own: Counter[Parts] = Counter()
    below: Counter[Parts] = Counter()
    for folder, rest in counts.items():
        own[rest] += tree.images[folder]
        for depth in range(1, len(rest)):
            below[rest[:depth]] += tree.images[folder]
    return any(own[rest] > STRAY * (own[rest] + inner) for rest, inner in below.items())


def _different(possible: list[Reading], counts: Mapping[Parts, Parts]) -> list[Reading]:
    """The outermost reading for each way to divide the images."""
    seen: dict[frozenset[frozenset[Parts]], Reading] = {}
    for reading in possible:
        groups: dict[str | None, set[Parts]] = defaultdict(set)
        for folder, rest in counts.items():
            groups[reading.of(rest)].add(folder)
        seen.setdefault(frozenset(map(frozenset, groups.values())), reading)
    return list(seen.values())


def _nested_copy(tree: Tree, counts: Mapping[Parts, Parts]) -> bool:
    """Whether deeper folders repeat the classes of the dataset (`cats`, `dogs`, `backup/cats`)."""
    single = {folded(rest[0]) for rest in counts.values() if len(rest) == 1}
    deep = [(folder, rest) for folder, rest in counts.items() if len(rest) > 1]
    if len(single) < 2 or any(folded(rest[-1]) not in single or folded(rest[0]) in single for _, rest in deep):
        return False
    if all(is_container(name) for _, rest in deep for name in rest[:-1]):
        return True
    names: dict[str, set[str]] = defaultdict(set)
    for folder, rest in counts.items():
        if len(rest) == 1:
            names[folded(rest[0])] |= tree.files[folder]
    copied = sum(len(tree.files[folder] & names[folded(rest[-1])]) for folder, rest in deep)
    return copied >= COPIED * sum(tree.images[folder] for folder, _ in deep)
