"""Import of a person's own images: judged, decoded in a child process, split, and moved into place by one rename."""

from __future__ import annotations

import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from core.engine.data.archive import DamagedEntry
from core.engine.data.catalog import datasets
from core.engine.data.decoding import Decoded, Unreadable, decode_all
from core.engine.data.layout import Arrangement, arrange
from core.engine.data.names import blank, folded
from core.engine.data.own import SCHEMA, OwnDataset, OwnImage, home_of, normal_name
from core.engine.data.photos import Progress
from core.engine.data.signature import READ_FORMATS, kind_of
from core.engine.data.sources import Found, opened
from core.engine.data.splitting import Picture, assign
from core.errors import UserError, shorten
from core.files import make_folder, move, remove_tree, write_atomic
from core.sealed import seal

LONGEST_NAME = 80
IMBALANCE = 20  # from this ratio of the largest class to the smallest a warning is given
LISTED = 10  # names in one warning
SMALL = 8  # pixels of the shorter side, below which a warning is given
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
}
NOTES = {
    "rotated": "turned upright as their EXIF data say",
    "animated": "animated or with several pages: the first frame was taken",
    "transparent": "transparent: laid on white",
    "16 bits": "16 bits a pixel: scaled to 8",
}


@dataclass(frozen=True)
class Imported:
    """What became of a folder or zip. `dataset` is the name to load it by; `classes` and `images` are counts."""

    dataset: str
    classes: int
    images: int
    skipped: list[dict[str, str]]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def import_images(
    path: Path,
    name: str,
    folder: Path,
    *,
    merge: bool = False,
    encoding: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """The images at `path` (a folder or zip, one folder a class) as the data set `name` in `folder`.

    `merge` joins classes whose names differ only in case or Unicode form; `encoding` is that of a zip's unmarked
    names. Raises UserError where the whole is refused, and then `folder` is as it was.
    """
    name = checked_name(name, folder)
    with opened(path, encoding) as source:
        candidates, skipped = _candidates(source.files)
        layout = arrange([found.path for found in candidates], merge)
        skipped += [_skip(left, reason) for left, reason in layout.left_out.items()]
        wanted = [found for found in candidates if found.path in layout.classes]
        _require_classes(layout, skipped)
        delivery = Delivery(layout, skipped, source.warnings)
        return store(name, folder, delivery, lambda place: _decoded(wanted, place, skipped, progress))


@dataclass(frozen=True)
class Delivery:
    """What is to become a data set: the class and split of each picture by its path, what is left out, warnings, and
    `remark`, which says more once the splits are drawn."""

    layout: Arrangement
    skipped: list[dict[str, str]]
    warnings: list[str]
    remark: Callable[[OwnDataset], list[str]] = lambda card: []


def store(name: str, folder: Path, delivery: Delivery, fill: Callable[[Path], dict[str, Decoded]]) -> Imported:
    """The data set `name` in `folder`, moved there whole; `fill` writes its pictures into a given folder and tells them
    by path. Raises UserError where no split is possible, and then `folder` is as it was."""
    sweep(folder)
    stage = folder / f".import-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        make_folder(stage / "images")
        decoded = fill(stage / "images")
        card = _card(name, delivery.layout, decoded, delivery.skipped, delivery.warnings)
        card = card.model_copy(update={"warnings": [*card.warnings, *delivery.remark(card)]})
        write_atomic(stage / "dataset.json", seal(card.model_dump_json().encode()))
        os.sync()  # one flush for thousands of small files, before the rename makes them a data set
        move(stage, home_of(name, folder))
    except BaseException:
        remove_tree(stage)
        raise
    return Imported(name, len(card.classes), len(card.images), card.skipped, card.warnings)


def sweep(folder: Path) -> None:
    """Removes what an import that was killed left behind."""
    for stage in folder.glob(".import-*"):
        process = stage.name.split("-")[1]
        if not (process.isdecimal() and psutil.pid_exists(int(process))):
            remove_tree(stage)


def checked_name(name: str, folder: Path) -> str:
    """The name as it is kept; raises UserError where it is no name or another data set has it."""
    kept = normal_name(name)
    if blank(kept) or not kept.isprintable() or len(kept) > LONGEST_NAME:
        allowed = f"1 to {LONGEST_NAME} visible characters"
        raise UserError("bad_name", "name", name, allowed, "Give the data set a short name.")
    taken = {folded(known): known for known in datasets(folder)}
    if folded(kept) in taken or home_of(kept, folder).exists():
        given = taken.get(folded(kept), kept)
        fix = "Choose another name, or delete that data set first."
        raise UserError("name_taken", "name", given, "a name no other data set has", fix)
    return kept


def _candidates(files: list[Found]) -> tuple[list[Found], list[dict[str, str]]]:
    """Files that are images by their first bytes, and the others with the reason they are skipped."""
    candidates, skipped = [], []
    for found in files:
        reason = found.skip or _foreign(found.head())
        if reason:
            skipped.append(_skip(found.path, reason))
        else:
            candidates.append(found)
    return candidates, skipped


def _foreign(head: bytes) -> str:
    kind = kind_of(head)
    if kind in READ_FORMATS:
        return ""
    readable = ", ".join(READ_FORMATS)
    if kind == "ZIP":
        return "a zip inside: unpack it first"
    if kind in ("empty", "unknown"):
        return f"{'empty' if kind == 'empty' else 'not an image'}; read are {readable}"
    return f"{kind}, not a picture we read; read are {readable}"


def _skip(path: str, reason: str) -> dict[str, str]:
    return {"file": shorten(path.encode("utf-8", "replace").decode(), 300), "reason": reason}


def _require_classes(layout: Arrangement, skipped: list[dict[str, str]]) -> None:
    classes = sorted(set(layout.classes.values()))
    if not classes:
        given = f"{len(skipped)} files, none an image" if skipped else "no files"
        first = f" The first was skipped: {skipped[0]['file']}: {skipped[0]['reason']}." if skipped else ""
        fix = f"Give a folder or zip with one folder of images a class.{first}"
        raise UserError("no_images", "path", given, f"images ({', '.join(READ_FORMATS)})", fix)
    _at_least_two(classes)


def _at_least_two(classes: list[str]) -> None:
    if len(classes) < 2:
        fix = "Add a folder with images of another class."
        raise UserError("one_class", "path", f"only the class {classes[0]}", "two classes or more", fix)


def _decoded(
    wanted: list[Found], folder: Path, skipped: list[dict[str, str]], progress: Progress | None
) -> dict[str, Decoded]:
    """The clean images by path, each written once; what cannot be read goes to `skipped`."""
    clean: dict[str, Decoded] = {}
    stored: dict[str, str] = {}
    done = 0
    for path, answer in decode_all(_contents(wanted, skipped), len(wanted)):
        done += 1
        if progress:
            progress("decoding", done, len(wanted))
        if isinstance(answer, Unreadable):
            skipped.append(_skip(path, answer.reason))
            continue
        if answer.pixels not in stored:
            stored[answer.pixels] = answer.file
            (folder / answer.file).write_bytes(answer.data)
        clean[path] = replace(answer, file=stored[answer.pixels], data=b"")
    return clean


def _contents(wanted: list[Found], skipped: list[dict[str, str]]) -> Iterator[tuple[str, bytes]]:
    for found in wanted:
        try:
            yield found.path, found.read()
        except DamagedEntry as problem:
            skipped.append(_skip(found.path, f"damaged: {problem}"))


def _card(
    name: str,
    layout: Arrangement,
    decoded: dict[str, Decoded],
    skipped: list[dict[str, str]],
    warnings: list[str],
) -> OwnDataset:
    """The description of the stored images; raises UserError where no split is possible."""
    classes = sorted({layout.classes[path] for path in decoded})
    if not classes:
        fix = f"Mend the images. The first: {skipped[0]['file']}: {skipped[0]['reason']}."
        raise UserError("no_images", "path", f"{len(skipped)} files, none readable", "readable images", fix)
    _at_least_two(classes)
    splits, told = assign(
        [Picture(path, layout.classes[path], layout.splits[path], image.pixels) for path, image in decoded.items()]
    )
    label = {known: index for index, known in enumerate(classes)}
    images = [
        OwnImage(file=image.file, label=label[layout.classes[path]], split=splits[path], name=path)
        for path, image in decoded.items()
    ]
    sides = {(image.width, image.height) for image in decoded.values()}
    side = next(iter(sides)) if len(sides) == 1 else (0, 1)
    emptied = sorted(set(layout.classes.values()) - set(classes))
    left = [f"no readable image in the class {', '.join(emptied)}: left out"] if emptied else []
    return OwnDataset(
        schema_version=SCHEMA,
        name=name,
        classes=classes,
        channels=max(image.channels for image in decoded.values()),
        side=side[0] if side[0] == side[1] else 0,
        images=images,
        skipped=skipped,
        warnings=[*warnings, *layout.warnings, *left, *told, *_remarks(decoded), *_imbalance(layout, decoded)],
    )


def _remarks(decoded: dict[str, Decoded]) -> Iterator[str]:
    """What was done to images, and what is odd about them, one sentence a kind."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path, image in decoded.items():
        for note in image.notes:
            kinds[NOTES[note]].append(path)
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES.get(image.kind, (f".{image.kind.lower()}",)):
            kinds["named as another format than they are (the content was believed)"].append(path)
        if min(image.width, image.height) < SMALL:
            kinds[f"smaller than {SMALL} pixels"].append(path)
    for what, paths in kinds.items():
        more = " …" if len(paths) > LISTED else ""
        yield f"{len(paths)} {'image' if len(paths) == 1 else 'images'} {what}: {', '.join(paths[:LISTED])}{more}"


def _imbalance(layout: Arrangement, decoded: dict[str, Decoded]) -> Iterator[str]:
    counts = Counter(layout.classes[path] for path in decoded)
    (most, largest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if largest >= IMBALANCE * smallest:
        yield f"classes are unequal: {least} has {smallest} images, {most} has {largest}"
