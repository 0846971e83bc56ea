"""Splits imported images into train, validation and test: stratified, seeded, with no picture in two splits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from core.errors import Choice, UserError

PRIORITY = ("train", "validation", "test")  # a picture in several given splits stays in the first of these
LISTED = 10


@dataclass(frozen=True)
class Shares:
    """The shares of each class, from 0 to 1, for validation and test, and the seed of the random order."""

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0

    def of(self, split: str) -> float:
        """The share of `validation` or `test`."""
        return self.test if split == "test" else self.validation


@dataclass(frozen=True)
class Picture:
    """One image: its path, its class (`name`), its given split (None: to be drawn), and the hash of its pixels. Images
    of one `group` (of one object, for example) share a split; '' is no group."""

    path: str
    name: str
    split: str | None
    pixels: str
    group: str = ""


def group_of(path: str, name: str, separator: str) -> str:
    """The group of a file of the class `name`: its name up to the last `separator`; '' where it has none."""
    start, found, _ = PurePosixPath(path).stem.rpartition(separator) if separator else ("", "", "")
    return f"{name}/{start}" if found and start else ""


def assign(
    pictures: Sequence[Picture],
    shares: Shares = Shares(),
) -> tuple[dict[str, str], list[str]]:
    """The split of every path, and warnings.

    Images with equal pixels form one group and share a split, and so do images of one `group` without a split. Of each
    class's groups, `shares` become test and validation, at least one each if there are three or more; a group in
    several classes counts for the smallest of them. Guarantees for each class are checked at the end. Raises UserError
    `too_few_images` if no class has three different images or groups, `class_not_in_train` if given splits leave a
    class without training images.
    """
    warnings = list(_duplicates(_by_pixels(pictures).values()))
    named, pictures = any(picture.group for picture in pictures), _together(pictures)
    groups = _by_pixels(pictures)
    given = {pixels: _given(group) for pixels, group in groups.items()}
    if "test" not in given.values() and "validation" in given.values():
        given = {pixels: "test" if split == "validation" else split for pixels, split in given.items()}
        warnings.append("no test split was given: the given validation images are used as the test split")
    members, lacking = _members(groups), [split for split in ("test", "validation") if split not in given.values()]
    chosen: dict[str, str] = {}
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        free = (pixels for pixels in members[name] if pixels not in chosen)
        chosen |= _divide(sorted(free, key=_order(shares.seed)), given, lacking, shares)
    _train_for_all(members, chosen, given, shares)
    if set(chosen.values()) != set(PRIORITY):
        largest = max(map(len, members.values()))
        fix = "Add images: train, validation and test need at least one image each."
        what = "groups of images" if named else "different images"
        raise UserError("too_few_images", "path", f"{largest} {what} in a class", "at least 3", fix)
    warnings += _promises(groups, members, chosen)
    return {picture.path: chosen[picture.pixels] for picture in pictures}, warnings


def join(pictures: Sequence[Picture]) -> dict[str, str]:
    """The split of every path after pictures without a split were added to a dataset; existing pictures keep theirs.

    New pictures of a class fill its test and validation splits up to the usual shares; duplicates of existing pictures,
    and those of their group, join their splits.
    """
    homes = {picture.group: picture.split for picture in pictures if picture.group and picture.split}
    pictures = _together([replace(p, split=p.split or homes.get(p.group)) for p in pictures])
    groups = _by_pixels(pictures)
    chosen = {pixels: split for pixels, group in groups.items() if (split := _given(group)) is not None}
    shares, members = Shares(), _members(groups)
    for _, found in sorted(members.items()):
        free = sorted((pixels for pixels in found if pixels not in chosen), key=_order(shares.seed))
        for split in ("test", "validation"):
            there = sum(chosen.get(pixels) == split for pixels in found)
            wanted = max(len(found) >= 3, round(shares.of(split) * len(found)))
            count = min(max(0, wanted - there), max(0, len(free) - 1))
            chosen |= dict.fromkeys(free[:count], split)
            free = free[count:]
        chosen |= dict.fromkeys(free, "train")
    return {picture.path: chosen[picture.pixels] for picture in pictures}


def known_of(pictures: Sequence[Picture], splits: Mapping[str, str]) -> list[str]:
    """Warnings about pictures with the given splits, by path."""
    groups = _by_pixels(pictures)
    chosen = {picture.pixels: splits[picture.path] for picture in pictures}
    return [*_duplicates(groups.values()), *_promises(groups, _members(groups), chosen)]


def _by_pixels(pictures: Iterable[Picture]) -> dict[str, list[Picture]]:
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.pixels].append(picture)
    return groups


def _together(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures, those of one group (without a split of their own) as if they had the same pixels: all that groups
    and equal pixels join, one to the next, has the pixels of its least."""
    least = {picture.pixels: picture.pixels for picture in pictures}

    def root(pixels: str) -> str:
        while least[pixels] != pixels:
            pixels = least[pixels]
        return pixels

    first: dict[str, str] = {}
    for picture in pictures:
        if picture.group and picture.split is None:
            one, other = sorted((root(first.setdefault(picture.group, picture.pixels)), root(picture.pixels)))
            least[other] = one
    return [replace(picture, pixels=root(picture.pixels)) for picture in pictures]


def _members(groups: Mapping[str, Sequence[Picture]]) -> dict[str, set[str]]:
    """The groups of each class; a group with pictures in several classes is a member of each."""
    members: dict[str, set[str]] = defaultdict(set)
    for pixels, group in groups.items():
        for picture in group:
            members[picture.name].add(pixels)
    return members


def _train_for_all(
    members: Mapping[str, set[str]], chosen: dict[str, str], given: Mapping[str, str | None], shares: Shares
) -> None:
    """Ensures that every class has a training image, by moving drawn images; given splits are not changed."""
    if not {None, "train"} & set(given.values()):
        meaning = "all images are split anew, whatever folder they lie in"
        way = Choice({"splits": False}, "--no-splits", meaning, {})
        fix = f"Add a folder of training images, or use {way.flags}: {meaning}."
        given_splits = "images for validation and test alone"
        raise UserError("no_training_images", "path", given_splits, "training images too", fix, choices=[way])
    for name, groups in sorted(members.items()):
        if any(chosen[pixels] == "train" for pixels in groups):
            continue
        drawn = sorted((pixels for pixels in groups if given[pixels] in (None, "train")), key=_order(shares.seed))
        if not drawn:
            fix = "Put images of this class into the training folder too, or leave the class out."
            raise UserError("class_not_in_train", "path", name, "training images for every class", fix)
        chosen[drawn[0]] = "train"


def _promises(
    groups: Mapping[str, Sequence[Picture]], members: Mapping[str, set[str]], chosen: Mapping[str, str]
) -> Iterable[str]:
    """Warnings about classes that lack images, one sentence per kind."""
    thin = sorted(name for name, found in members.items() if len(found) < 3)
    if thin:
        yield f"fewer than 3 different images, so not in every split: {_list(thin)}"
    for split in ("validation", "test"):
        lacking = sorted(n for n, found in members.items() if not any(chosen[p] == split for p in found))
        if lacking:
            yield f"no {split} image, so nothing is known of how well it is recognised there: {_list(lacking)}"
    copied = {name: _only_copies(name, found, groups) for name, found in members.items()}
    for name, others in sorted(copied.items()):
        if others:
            yield f"the class {name} consists only of copies of images of {_list(others)}: no model can tell them apart"


def _only_copies(name: str, found: set[str], groups: Mapping[str, Sequence[Picture]]) -> list[str]:
    """The other classes that contain all of a class's images too; none if it has an image of its own."""
    others = [{picture.name for picture in groups[pixels]} - {name} for pixels in found]
    return sorted(set().union(*others)) if all(others) else []


def _order(seed: int) -> Callable[[str], bytes]:
    """A sort key for a random order that depends on the seed and the pixels only, not on names or order of files."""
    return lambda pixels: hashlib.sha256(f"{seed} {pixels}".encode()).digest()


def _given(group: Sequence[Picture]) -> str | None:
    splits = {picture.split for picture in group}
    return next((split for split in PRIORITY if split in splits), None)


def _divide(
    members: Sequence[str], given: Mapping[str, str | None], wanted: Sequence[str], shares: Shares
) -> dict[str, str]:
    """The splits of one class: given ones are kept; those that are `wanted`, because no class has them, are drawn from
    its training images, all splits from its free ones."""
    chosen = {pixels: split for pixels in members if (split := given[pixels]) is not None}
    free = [pixels for pixels in members if given[pixels] is None]
    if not free:
        free = [pixels for pixels in members if given[pixels] == "train"]
    else:
        wanted = ["test", "validation"]
    for split in wanted:
        count = min(max(1, round(shares.of(split) * len(members))), len(free) - 1)
        chosen |= dict.fromkeys(free[: max(0, count)], split)
        free = free[max(0, count) :]
    return chosen | dict.fromkeys(free, "train")


def _duplicates(groups: Iterable[Sequence[Picture]]) -> Iterable[str]:
    """One sentence per kind of duplicates, with the files."""
    several = [group for group in groups if len(group) > 1]
    crossing = [group for group in several if len({p.name for p in group}) > 1]
    leaking = [group for group in several if len({p.split for p in group}) > 1]
    plain = [group for group in several if len({(p.name, p.split) for p in group}) == 1]
    for found, what in (
        (crossing, "the same image in two classes"),
        (leaking, "the same image in two given splits (kept in the first of train, validation, test)"),
        (plain, "the same image twice in a class"),
    ):
        if found:
            pairs = [" = ".join(p.path for p in group) for group in found]
            yield f"{what}, {len(found)} times: {_list(pairs, '; ')}"


def _list(names: Sequence[str], between: str = ", ") -> str:
    return between.join(names[:LISTED]) + (" …" if len(names) > LISTED else "")
