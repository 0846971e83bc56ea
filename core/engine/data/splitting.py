"""Train, validation and test for a person's images: stratified, seeded, and no picture in two of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.errors import UserError

SEED = 0
VALIDATION, TEST = 0.15, 0.15
PRIORITY = ("train", "validation", "test")  # a picture found in several given splits stays in the first of these
LISTED = 10


@dataclass(frozen=True)
class Picture:
    """One image: where it came from, its class, the split it was given in (None: to be drawn), its pixels' hash."""

    path: str
    name: str
    split: str | None
    pixels: str


def assign(pictures: Sequence[Picture]) -> tuple[dict[str, str], list[str]]:
    """The split of every path, and what a person should know about it.

    Equal pixels are one group and share a split. Of a class's groups, 15 % each become test and validation, at least
    one each from three groups on. Raises UserError `too_few_images` where no class has three different images.
    """
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.pixels].append(picture)
    warnings = list(_duplicates(groups.values()))
    given = {pixels: _given(group) for pixels, group in groups.items()}
    if "test" not in given.values() and "validation" in given.values():
        given = {pixels: "test" if split == "validation" else split for pixels, split in given.items()}
        warnings.append("no test split was given: the given validation images became the test split")
    by_class: dict[str, list[str]] = defaultdict(list)
    for pixels, group in groups.items():
        by_class[group[0].name].append(pixels)
    chosen: dict[str, str] = {}
    for name, members in by_class.items():
        chosen |= _divide(sorted(members, key=_order), given)
        if "train" not in {chosen[pixels] for pixels in members}:
            fix = "Put images of this class into the training folder too, or leave the class out."
            raise UserError("class_not_in_train", "path", name, "training images for every class", fix)
    if set(chosen.values()) != set(PRIORITY):
        largest = max(len(members) for members in by_class.values())
        fix = "Add images: train, validation and test need at least one each."
        raise UserError("too_few_images", "path", f"{largest} different images in a class", "at least 3", fix)
    thin = sorted(name for name, members in by_class.items() if len(members) < 3)
    if thin:
        warnings.append(f"fewer than 3 different images, so not in every split: {_list(thin)}")
    return {picture.path: chosen[picture.pixels] for picture in pictures}, warnings


def _order(pixels: str) -> bytes:
    """A fixed random order that does not depend on the names or order of the files."""
    return hashlib.sha256(f"{SEED} {pixels}".encode()).digest()


def _given(group: Sequence[Picture]) -> str | None:
    splits = {picture.split for picture in group}
    return next((split for split in PRIORITY if split in splits), None)


def _divide(members: Sequence[str], given: dict[str, str | None]) -> dict[str, str]:
    """The splits of one class: given ones stay, missing ones are drawn from its training or free images."""
    chosen = {pixels: split for pixels in members if (split := given[pixels]) is not None}
    wanted = [split for split in ("test", "validation") if split not in given.values()]
    free = [pixels for pixels in members if given[pixels] is None]
    if not free:
        free = [pixels for pixels in members if given[pixels] == "train"]
    else:
        wanted = ["test", "validation"]
    for split in wanted:
        share = TEST if split == "test" else VALIDATION
        count = min(max(1, round(share * len(members))), len(free) - 1)
        chosen |= dict.fromkeys(free[: max(0, count)], split)
        free = free[max(0, count) :]
    return chosen | dict.fromkeys(free, "train")


def _duplicates(groups: Iterable[Sequence[Picture]]) -> Iterable[str]:
    """One sentence a kind of duplicate, with the files."""
    several = [group for group in groups if len(group) > 1]
    crossing = [group for group in several if len({p.name for p in group}) > 1]
    leaking = [group for group in several if len({p.split for p in group}) > 1]
    for found, what in (
        (crossing, "the same image in two classes"),
        (leaking, "the same image in two given splits (kept in the first of train, validation, test)"),
        ([g for g in several if g not in crossing and g not in leaking], "the same image twice in a class"),
    ):
        if found:
            pairs = [" = ".join(p.path for p in group) for group in found]
            yield f"{what}, {len(found)} times: {_list(pairs, '; ')}"


def _list(names: Sequence[str], between: str = ", ") -> str:
    return between.join(names[:LISTED]) + (" …" if len(names) > LISTED else "")
