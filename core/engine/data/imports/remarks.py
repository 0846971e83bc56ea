"""Remarks on imported pictures, one sentence per kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from core.engine.data.imports.class_folders import Arrangement
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.file_names import shown

IMBALANCE = 20  # ratio of the largest to the smallest class from which a warning is given
LISTED = 10  # names per warning
SMALL = 8  # pixels of the shorter side below which a warning is given
LOST, OFTEN = 0.25, 0.1  # reported if more than OFTEN of the pictures lose more than LOST of their area
CUT = "lose more than a quarter when they are cut to their middle square"
PADDED, STRETCHED = "padded to squares", "stretched to squares"
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
}
NOTES = {
    "rotated": "rotated upright by their EXIF data",
    "animated": "animated or with several pages: the first frame was used",
    "transparent": "transparent: put on white",
    "16 bits": "16 bits per channel: scaled to 8",
}


def remarks(decoded: Mapping[str, Decoded]) -> Iterator[str]:
    """What was done to images, and what is unusual about them."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path, image in decoded.items():
        for note in image.notes:
            kinds[NOTES[note]].append(path)
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES.get(image.kind, (f".{image.kind.lower()}",)):
            kinds["with a suffix of another format (the content was used)"].append(path)
        if min(image.width, image.height) < SMALL:
            kinds[f"smaller than {SMALL} pixels"].append(path)
    for what, paths in kinds.items():
        more = " …" if len(paths) > LISTED else ""
        yield f"{len(paths)} {'image' if len(paths) == 1 else 'images'} {what}: {', '.join(paths[:LISTED])}{more}"


def imbalance(layout: Arrangement, decoded: Mapping[str, Decoded]) -> Iterator[str]:
    """As `unequal`, for decoded images."""
    yield from unequal(Counter(layout.classes[path] for path in decoded))


def unequal(counts: Mapping[str, int]) -> Iterator[str]:
    """A warning if one class has many times more images than another."""
    (most, largest), (least, smallest) = (ranked := Counter(counts).most_common())[0], ranked[-1]
    if largest >= IMBALANCE * smallest:
        yield f"classes are unequal: {least} has {smallest} images, {most} has {largest}"


def shapes(images: Iterable[Decoded], shape: str) -> Iterator[str]:
    """A warning if many pictures lose or gain much when they become square."""
    yield from shape_of([(image.width, image.height) for image in images], shape)


def shape_of(sides: Iterable[tuple[int, int]], shape: str) -> Iterator[str]:
    """The same for pictures with these widths and heights."""
    outside = [1 - min(each) / max(each) for each in sides]
    much = sum(share > LOST for share in outside) / len(outside)
    mean = sum(outside) / len(outside)
    if much <= OFTEN:
        return
    if shape == "crop":
        yield (
            f"{much:.0%} of the pictures {CUT} ({mean:.0%} "
            "of a picture on average); use --shape pad or --shape stretch to keep all of it"
        )
    elif shape == "pad":
        yield f"{PADDED}: {mean:.0%} of a square is grey on average"
    else:
        yield f"{STRETCHED}: {much:.0%} of the pictures are squeezed to less than three quarters"


def about_shape(warning: str) -> bool:
    """Whether a warning comes from `shape_of`."""
    return CUT in warning or warning.startswith((PADDED, STRETCHED))


def accounts(
    layout: Arrangement, decoded: Iterable[str], skipped: Sequence[Mapping[str, str]]
) -> list[dict[str, str | int]]:
    """Each folder of the class level with its class, split and number of images, and the reason if it has none."""
    images = Counter(folder for path in decoded for folder in _above(path) if folder in layout.folders)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in skipped:
        for folder in (*_above(entry["file"]), entry["file"]):
            if folder in layout.folders:
                reasons[folder][entry["reason"]] += 1
    found: list[dict[str, str | int]] = []
    for folder, (name, split) in sorted(layout.folders.items()):
        why = "" if images[folder] else _reason(reasons[folder])
        found.append({"folder": folder, "class": name, "split": split or "", "images": images[folder], "reason": why})
    return found


def without_images(accounted: Iterable[Mapping[str, str | int]]) -> Iterator[str]:
    """A warning that lists class folders without usable images, with reasons."""
    empty = [f"{shown(str(each['folder']))} ({each['reason']})" for each in accounted if not each["images"]]
    if empty:
        more = " …" if len(empty) > LISTED else ""
        yield f"class folders without usable images: {'; '.join(empty[:LISTED])}{more}"


def _reason(reasons: Counter[str]) -> str:
    if not reasons:
        return "empty, or only hidden files"
    return ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))


def _above(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
