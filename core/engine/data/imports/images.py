"""Import of images: checked, decoded in a child process, split, and moved into place by one rename."""

from __future__ import annotations

import codecs
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.engine.data.catalog import datasets
from core.engine.data.imports.class_folders import Arrangement, Wishes, arrange, no_labels
from core.engine.data.imports.cleaning import Filled, cleaned, plain_path, skip
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.encodings import GUESSES
from core.engine.data.imports.file_names import blank, folded
from core.engine.data.imports.file_type import PICTURES, READ_FORMATS, kind_of
from core.engine.data.imports.imported import SCHEMA, OwnDataset, OwnImage, find_home, home_of, normal_name
from core.engine.data.imports.remarks import accounts, imbalance, remarks, shapes, without_images
from core.engine.data.imports.sources import Found, opened
from core.engine.data.imports.splitting import Picture, assign, group_of
from core.engine.data.imports.unlabelled import (
    layout_of,
    refuse_class_wishes,
    require_enough,
    tidied,
)
from core.engine.data.imports.zip_reader import DamagedEntry
from core.engine.data.photos import Progress
from core.errors import UserError, nearest
from core.files import make_folder, move, remove_tree, write_atomic
from core.questions.import_data import Imported
from core.storage.sealed import seal

LONGEST_NAME = 80
SHAPES = ("crop", "pad", "stretch")


def import_images(
    path: Path,
    name: str,
    folder: Path,
    *,
    wishes: Wishes = Wishes(),  # noqa: B008 (frozen)
    shape: str = "crop",
    encoding: str | None = None,
    unlabelled: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Imports the images at `path` (a folder or zip, one folder per class) as the dataset `name` in `folder`.

    `wishes` are a person's choices about the folders; `shape` is how pictures become square: crop, pad or stretch;
    `encoding` is that of names in a zip that do not state theirs; with `unlabelled` no image has a class, whatever its
    folder. `progress` may raise to stop the import. Raises UserError if the import is refused. After any error `folder`
    is as it was.
    """
    check_shape(shape)
    check_encoding(encoding)
    if unlabelled:
        refuse_class_wishes(wishes)
    name = checked_name(name, folder)
    report = progress or silent
    with gathered(path, encoding, wishes, report, unlabelled=unlabelled) as given:
        require_images(given.layout, given.skipped, given.ignored)
        if not unlabelled:
            _require_classes(given.layout)
        delivery = Delivery(
            given.layout,
            given.skipped,
            given.warnings,
            shape=shape,
            ignored=given.ignored,
            encoding=given.encoding,
            group_by=wishes.group_by,
            unlabelled=unlabelled,
        )
        return store(name, folder, delivery, lambda place: cleaned(given.wanted, place, given.skipped, report))


@dataclass(frozen=True)
class Gathered:
    """The images of a folder or zip before decoding: their classes, the files to decode, and those left out."""

    layout: Arrangement
    wanted: list[Found]
    skipped: list[dict[str, str]]
    warnings: list[str]
    ignored: dict[str, int]
    encoding: str


@contextmanager
def gathered(
    path: Path, encoding: str | None, wishes: Wishes, report: Progress, label: str = "", *, unlabelled: bool = False
) -> Iterator[Gathered]:
    """The images at `path`, readable inside the block; with a `label` all of them belong to that class, with
    `unlabelled` to none. Raises UserError if the import is refused."""
    with opened(path, encoding, lambda files: report("counting files", files, None)) as source:
        candidates, skipped = _candidates(source.files, report)
        paths = [found.path for found in candidates]
        if unlabelled:
            layout = layout_of(paths)
        elif label:
            layout = Arrangement(dict.fromkeys(paths, label), dict.fromkeys(paths))
        else:
            layout = arrange(paths, wishes, map(plain_path, source.folders))
        skipped += [skip(left, reason) for left, reason in layout.left_out.items()]
        wanted = [found for found in candidates if found.path in layout.classes]
        yield Gathered(layout, wanted, skipped, source.warnings, dict(source.ignored), source.encoding)


@dataclass(frozen=True)
class Delivery:
    """The input of `store`: class and split of each picture by its path, skipped files, warnings, and `remark`, which
    adds warnings once the splits are drawn."""

    layout: Arrangement
    skipped: list[dict[str, str]]
    warnings: list[str]
    remark: Callable[[OwnDataset], list[str]] = lambda card: []
    shape: str = "crop"
    ignored: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    group_by: str = ""
    unlabelled: bool = False


def store(name: str, folder: Path, delivery: Delivery, fill: Callable[[Path], Filled]) -> Imported:
    """Creates the dataset `name` in `folder` atomically; `fill` writes its pictures into the given folder and returns
    them by path. Raises UserError if no split is possible, and then `folder` is as it was."""
    sweep(folder)
    stage = folder / f".import-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        make_folder(stage / "images")
        filled = fill(stage / "images")
        accounted = accounts(delivery.layout, filled.images, delivery.skipped)
        card = _card(name, delivery, filled, list(without_images(accounted)))
        card = card.model_copy(update={"warnings": [*card.warnings, *delivery.remark(card)]})
        write_atomic(stage / "dataset.json", seal(card.model_dump_json().encode()))
        os.sync()  # one flush for thousands of small files, before the rename
        move(stage, home_of(name, folder))
    except BaseException:
        remove_tree(stage)
        raise
    return Imported(
        name,
        len(card.classes),
        len(card.images),
        card.skipped,
        card.warnings,
        delivery.ignored,
        accounted,
        card.shape,
        card.white,
        delivery.encoding,
        card.unlabelled,
    )


def sweep(folder: Path) -> None:
    """Removes what killed imports left behind."""
    for stage in folder.glob(".import-*"):
        process = stage.name.split("-")[1]
        if not (process.isdecimal() and psutil.pid_exists(int(process))):
            remove_tree(stage)


def checked_name(name: str, folder: Path) -> str:
    """The name as it is stored; raises UserError if it is invalid or taken."""
    kept = normal_name(name)
    if blank(kept) or not kept.isprintable() or len(kept) > LONGEST_NAME:
        allowed = f"1 to {LONGEST_NAME} visible characters"
        raise UserError("bad_name", "name", name, allowed, "Give the dataset a short name.")
    taken = {folded(known): known for known in datasets(folder)}
    if folded(kept) in taken or home_of(kept, folder).exists() or find_home(kept, folder) is not None:
        given = taken.get(folded(kept), kept)
        fix = "Choose another name, or delete that dataset first."
        raise UserError("name_taken", "name", given, "a name no other dataset has", fix)
    return kept


def check_shape(shape: str) -> None:
    """Raises UserError for an unknown way to make pictures square."""
    if shape not in SHAPES:
        raise UserError("unknown_choice", "shape", shape, f"one of {', '.join(SHAPES)}", nearest(shape, SHAPES))


def check_encoding(encoding: str | None) -> None:
    """Raises UserError for an unknown text encoding."""
    try:
        known = not encoding or codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        known = False
    if not known:
        allowed = f"an encoding such as utf-8, {', '.join(dict.fromkeys(each.encoding for each in GUESSES))}"
        raise UserError("unknown_choice", "encoding", encoding, allowed, "Leave it out to have it guessed.")


def _candidates(files: list[Found], report: Progress) -> tuple[list[Found], list[dict[str, str]]]:
    """The files that are images by their first bytes, and the others with the reason why they are skipped."""
    candidates, skipped = [], []
    for done, found in enumerate(files):
        report("checking files", done, len(files))
        try:
            reason = found.skip or _foreign(found.head())
        except DamagedEntry as problem:
            reason = f"damaged: {problem}"
        if reason:
            skipped.append(skip(found.path, reason))
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
        return f"{'empty' if kind == 'empty' else 'not recognised as an image'}; supported: {readable}"
    return f"{kind}, not a picture we read; supported: {readable}"


def silent(what: str, done: int, total: int | None) -> None:
    """A progress function that does nothing."""
    return


def _require_classes(layout: Arrangement) -> None:
    """Raises UserError if all images have one class, as those in a single folder, and names the ways on."""
    classes = sorted(set(layout.classes.values()))
    if len(classes) < 2:
        way = no_labels(len(layout.classes))
        fix = f"Add a folder with images of another class. If these images have no labels, use {way.flags}."
        raise UserError("one_class", "path", f"only the class {classes[0]}", "two classes or more", fix, choices=[way])


def require_images(layout: Arrangement, skipped: list[dict[str, str]], ignored: Mapping[str, int]) -> None:
    """Raises UserError if no file is an image."""
    if not layout.classes:
        given = f"{len(skipped)} files, none an image" if skipped else "no files"
        hidden = f"; {sum(ignored.values())} hidden or system files were ignored" if ignored else ""
        first = f" The first was skipped: {skipped[0]['file']}: {skipped[0]['reason']}." if skipped else ""
        fix = f"Give a folder or zip with one folder of images per class.{first}"
        if skipped and all(each["reason"].partition(",")[0] in PICTURES for each in skipped):
            given = f"{len(skipped)} files in formats of pictures that are not read"
            fix = f"Save them as JPEG or PNG first.{first}"
        raise UserError("no_images", "path", given + hidden, f"images ({', '.join(READ_FORMATS)})", fix)


def at_least_two(classes: list[str]) -> None:
    """Raises UserError if there is only one class."""
    if len(classes) < 2:
        fix = "Add a folder with images of another class."
        raise UserError("one_class", "path", f"only the class {classes[0]}", "two classes or more", fix)


def _card(name: str, delivery: Delivery, filled: Filled, empty: list[str]) -> OwnDataset:
    """The card of the stored images; raises UserError if no split is possible."""
    layout, decoded, skipped = delivery.layout, filled.images, delivery.skipped
    if not decoded:
        fix = f"Check the images. The first: {skipped[0]['file']}: {skipped[0]['reason']}."
        raise UserError("no_images", "path", f"{len(skipped)} files, none readable", "readable images", fix)
    if delivery.unlabelled:
        return _unlabelled_card(name, delivery, filled)
    classes = sorted({layout.classes[path] for path in decoded})
    at_least_two(classes)
    splits, short = assign(
        [
            Picture(
                path,
                layout.classes[path],
                layout.splits[path],
                image.pixels,
                group_of(path, layout.classes[path], delivery.group_by),
            )
            for path, image in decoded.items()
        ]
    )
    label = {known: index for index, known in enumerate(classes)}
    images = [
        OwnImage(file=image.file, label=label[layout.classes[path]], split=splits[path], name=path)
        for path, image in decoded.items()
    ]
    emptied = sorted(set(layout.classes.values()) - set(classes))
    left = [f"left out, because no image could be read: the class {', '.join(emptied)}"] if emptied else []
    about = [*remarks(decoded), *filled.warnings, *shapes(decoded.values(), delivery.shape)]
    return OwnDataset(
        schema_version=SCHEMA,
        name=name,
        classes=classes,
        channels=max(image.channels for image in decoded.values()),
        side=common_side(decoded.values()),
        images=images,
        skipped=skipped,
        warnings=[*delivery.warnings, *layout.warnings, *left, *empty, *short, *about, *imbalance(layout, decoded)],
        shape=delivery.shape,
        white=filled.white,
        group_by=delivery.group_by,
    )


def common_side(images: Iterable[Decoded]) -> int:
    """The side in pixels if all images are squares of one size, otherwise 0."""
    sides = {side for image in images for side in (image.width, image.height)}
    return sides.pop() if len(sides) == 1 else 0


def _unlabelled_card(name: str, delivery: Delivery, filled: Filled) -> OwnDataset:
    """The card of a set without labels; raises UserError if it has too few images."""
    decoded = filled.images
    about = [*remarks(decoded), *filled.warnings, *shapes(decoded.values(), delivery.shape)]
    card = tidied(
        OwnDataset(
            schema_version=SCHEMA,
            name=name,
            classes=[],
            channels=max(image.channels for image in decoded.values()),
            side=common_side(decoded.values()),
            images=[OwnImage(file=image.file, label=-1, split="train", name=path) for path, image in decoded.items()],
            skipped=delivery.skipped,
            warnings=[*delivery.warnings, *delivery.layout.warnings, *about],
            shape=delivery.shape,
            white=filled.white,
            unlabelled=True,
        )
    )
    require_enough(card.images)
    return card
