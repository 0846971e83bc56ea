"""Inspects an imported dataset image by image: sizes, duplicates, leaks between splits, strips of samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.engine.data.imports.imported import OwnDataset, OwnImage, Stored
from core.engine.data.imports.near_duplicates import MOST, SIDE, Pixels, grey_copy, near_groups
from core.engine.data.imports.remarks import LOST
from core.engine.data.photos import FORMATS, square
from core.engine.data.strips import strip
from core.files import safe_join
from core.own.dataset_report import MOST_STRIPS, SAMPLES_SHOWN, Alike, ClassCount, Member, Report, Skipped

LISTED = 40  # groups of duplicates
MEMBERS = 8  # images listed per group
AT_ONCE = 256  # images between two reports of progress
THREADS = 4
Sides = tuple[int, int]
Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Inspection:
    """The report on a dataset, and its pictures: PNG bytes by part (`samples`, `class-0`, `group-0`)."""

    report: Report
    pictures: dict[str, bytes]


@dataclass(frozen=True)
class _Seen:
    """Width and height of a stored file, and its small grey copy if one was made."""

    sides: Sides
    copy: Pixels | None = None


def sides_of(home: Path, card: OwnDataset) -> dict[str, Sides]:
    """Width and height of every stored file, from its header; unreadable files are left out."""
    found = {}
    for file in {image.file for image in card.images}:
        try:
            with Image.open(safe_join(home, "images", file), formats=FORMATS) as opened:
                found[file] = opened.size
        except (OSError, ValueError, SyntaxError):
            continue
    return found


def inspect(stored: Stored, report: Tick) -> Inspection:
    """The full inspection of a dataset; `report` may raise to stop it."""
    card = stored.card
    seen = _look(stored, report)
    exact = _exact(card)
    near = _near(card, seen)
    groups = sorted([*exact, *near], key=_worst)
    lost = [1 - min(each.sides) / max(each.sides) for each in seen.values()] or [0.0]
    sides = sorted(min(each.sides) for each in seen.values()) or [0]
    found = Report(
        dataset=card.name,
        version=card.content_hash(),
        before=card.before,
        images=len(card.images),
        channels=card.channels,
        shape=card.shape,
        classes=_classes(card),
        smallest=sides[0],
        median=sides[len(sides) // 2],
        largest=max((max(each.sides) for each in seen.values()), default=0),
        lost=sum(lost) / len(lost),
        cut=sum(share > LOST for share in lost) / len(lost),
        alike=tuple(_described(card, group, is_exact) for is_exact, group in groups[:LISTED]),
        alike_exact=len(exact),
        alike_near=len(near),
        crossing_classes=sum(_classes_in(g) > 1 for _, g in groups),
        crossing_splits=sum(_splits_in(g) > 1 for _, g in groups),
        compared=min(len(seen), MOST),
        skipped=tuple(Skipped.model_validate(each) for each in card.skipped),
        warnings=tuple(card.warnings),
        unlabelled=sum(image.label < 0 for image in card.images) if card.unlabelled else None,
    )
    return Inspection(found, dict(_pictures(stored, [group for _, group in groups[:LISTED]], report)))


Group = Sequence[OwnImage]


def _look(stored: Stored, report: Tick) -> dict[str, _Seen]:
    """All readable files by name, the first MOST of them with a grey copy."""
    files = list(dict.fromkeys(image.file for image in stored.card.images))
    found: dict[str, _Seen] = {}

    def look(place: int) -> tuple[str, _Seen | None]:
        return files[place], _see(safe_join(stored.home, "images", files[place]), compared=place < MOST)

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(files), AT_ONCE):
            report("comparing images", start, len(files))
            places = range(start, min(start + AT_ONCE, len(files)))
            found |= {file: seen for file, seen in pool.map(look, places) if seen is not None}
    report("comparing images", len(files), len(files))
    return found


def _see(path: Path, *, compared: bool) -> _Seen | None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            sides = image.size
            if not compared:
                return _Seen(sides)
            image.draft("L", (2 * SIDE, 2 * SIDE))
            return _Seen(sides, grey_copy(image))
    except (OSError, ValueError, SyntaxError):
        return None


def _exact(card: OwnDataset) -> list[tuple[bool, Group]]:
    by_file: dict[str, list[OwnImage]] = defaultdict(list)
    for image in card.images:
        by_file[image.file].append(image)
    return [(True, group) for group in by_file.values() if len(group) > 1]


def _near(card: OwnDataset, seen: dict[str, _Seen]) -> list[tuple[bool, Group]]:
    """Groups of different files that are nearly the same; equal files count once."""
    first = {image.file: image for image in reversed(card.images)}
    copies = {file: each.copy for file, each in seen.items() if each.copy is not None}
    files = list(copies)
    groups = near_groups(np.stack(list(copies.values()))) if copies else []
    return [(False, [first[files[place]] for place in group]) for group in groups]


def _classes_in(group: Group) -> int:
    return len({image.label for image in group})


def _splits_in(group: Group) -> int:
    return len({image.split for image in group})


def _worst(found: tuple[bool, Group]) -> tuple[bool, bool, bool]:
    """A sort key: groups that span classes come first, then those that span splits."""
    exact, group = found
    return _classes_in(group) < 2, _splits_in(group) < 2, not exact


def _described(card: OwnDataset, group: Group, is_exact: bool) -> Alike:
    members = tuple(
        Member(name=image.name, label=card.classes[image.label] if image.label >= 0 else "", split=image.split)
        for image in group[:MEMBERS]
    )
    return Alike(
        exact=is_exact, count=len(group), members=members, classes=_classes_in(group), splits=_splits_in(group)
    )


def _classes(card: OwnDataset) -> tuple[ClassCount, ...]:
    counted = Counter((image.label, image.split) for image in card.images)
    return tuple(
        ClassCount(name=name, **{split: counted[label, split] for split in ("train", "validation", "test")})
        for label, name in enumerate(card.classes)
    )


def _pictures(stored: Stored, groups: Sequence[Group], report: Tick) -> Iterator[tuple[str, bytes]]:
    card = stored.card
    by_class: dict[int, dict[str, OwnImage]] = defaultdict(dict)
    for image in card.images:
        if len(by_class[image.label]) < SAMPLES_SHOWN:
            by_class[image.label].setdefault(image.file, image)
    shown = [list(by_class[label].values()) for label in range(len(card.classes))]
    yield "samples", strip(_tiles(stored, _spread([*shown, list(by_class[-1].values())])))
    for label, images in enumerate(shown[:MOST_STRIPS]):
        report("drawing samples", label, min(len(shown), MOST_STRIPS))
        yield f"class-{label}", strip(_tiles(stored, images))
    for number, group in enumerate(groups):
        yield f"group-{number}", strip(_tiles(stored, group[:MEMBERS]))


def _spread(shown: Sequence[Sequence[OwnImage]]) -> list[OwnImage]:
    """Samples of the dataset: one per class, then a second one, until there are enough."""
    rounds = (images[place] for place in range(SAMPLES_SHOWN) for images in shown if place < len(images))
    return [image for image, _ in zip(rounds, range(SAMPLES_SHOWN), strict=False)]


def _tiles(stored: Stored, images: Sequence[OwnImage]) -> Iterator[Image.Image]:
    """The images made square as for the dataset; an unreadable one becomes a grey tile."""
    for image in images:
        try:
            with Image.open(safe_join(stored.home, "images", image.file), formats=FORMATS) as opened:
                yield square(opened.convert("RGB"), min(max(opened.size), 256), stored.card.shape)
        except (OSError, ValueError, SyntaxError):
            yield Image.new("RGB", (8, 8), (128, 128, 128))
