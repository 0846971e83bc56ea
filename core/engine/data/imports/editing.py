"""Changes to an imported dataset: each makes a new version of its card. Images are never deleted, so that earlier
versions remain usable for the runs that began with them."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.classroom.lent import refuse_lent
from core.engine.data.dataset import SPLITS
from core.engine.data.imports.class_folders import Wishes, merged
from core.engine.data.imports.cleaning import Filled, cleaned
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.file_names import blank
from core.engine.data.imports.images import (
    at_least_two,
    check_encoding,
    check_shape,
    checked_name,
    gathered,
    require_images,
    silent,
    sweep,
)
from core.engine.data.imports.imported import (
    VERSIONS,
    OwnDataset,
    OwnImage,
    Stored,
    find_home,
    normal_name,
    own_datasets,
    read_own,
    read_version,
)
from core.engine.data.imports.inspection import sides_of
from core.engine.data.imports.remarks import about_shape, remarks, shape_of, unequal
from core.engine.data.imports.splitting import Picture, Shares, assign, group_of, join, known_of
from core.engine.data.imports.unlabelled import (
    refuse_class_wishes,
    require_enough,
    require_labelled,
    require_unlabelled,
    tidied,
)
from core.engine.data.imports.video import for_videos_alone, frames, is_video, readable, without_classes
from core.engine.data.photos import Progress
from core.errors import UserError, nearest, shorten
from core.files import lock, make_folder, move_into, remove_all, remove_tree, write_atomic
from core.own.dataset_edits import (
    AddImages,
    Edit,
    LeaveOut,
    MergeClasses,
    MoveImages,
    Rename,
    RenameClass,
    Reshape,
    Resplit,
    Revert,
)
from core.own.datasets import CARD
from core.questions.dataset_edit import Edited
from core.storage.sealed import seal

LOCK = "edit.lock"
LONGEST_CLASS = 255  # characters
MOST_SHARE = 0.8  # of validation and test together
Files = tuple[OwnImage, str]  # an image and the name of its class


def edit_dataset(name: str, edit: Edit, folder: Path, progress: Progress | None = None) -> Edited:
    """Changes the imported dataset `name` in `folder`; raises UserError if that is not possible. `progress` may raise
    to stop. After any error the dataset is as it was."""
    home = find_home(name, folder)
    if home is None:
        known = own_datasets(folder)
        raise UserError("unknown_dataset", "dataset", name, "a dataset of your own", nearest(normal_name(name), known))
    refuse_lent(home, "dataset", name)
    with lock(home / LOCK):
        stored = read_own(home)
        if isinstance(edit, AddImages):
            return _add(stored, edit, folder, progress or silent)
        return _replace(stored, _changed(stored, edit, folder))


def _changed(stored: Stored, edit: Edit, folder: Path) -> OwnDataset:
    """The card after a change that needs no new image."""
    card = stored.card
    match edit:
        case LeaveOut():
            return _without(card, _known_images(card, edit.images))
        case MoveImages():
            names, to = _known_images(card, edit.images), _class_name(card, edit.to)
            return _classified(card, ((image, to if image.name in names else old) for image, old in _files(card)))
        case RenameClass():
            _known_class(card, edit.name)
            to = _new_class(card, edit.to)
            return _classified(card, ((image, to if old == edit.name else old) for image, old in _files(card)))
        case MergeClasses():
            for each in edit.classes:
                _known_class(card, each)
            to = edit.to if edit.to in edit.classes else _new_class(card, edit.to)
            return _classified(card, ((image, to if old in edit.classes else old) for image, old in _files(card)))
        case Rename():
            return _renamed(card, edit.to, folder)
        case Resplit():
            return _resplit(card, edit)
        case Reshape():
            check_shape(edit.shape)
            return card.model_copy(update={"shape": edit.shape})
        case Revert():
            former = _former(stored, edit.to)
            return former.model_copy(update={"name": card.name, "former_names": card.former_names})
    raise AssertionError(edit)


# the changes


def _without(card: OwnDataset, names: set[str]) -> OwnDataset:
    left = [(image, label) for image, label in _files(card) if image.name not in names]
    skipped = [{"file": shorten(name, 300), "reason": "left out by you"} for name in sorted(names)]
    return _classified(card.model_copy(update={"skipped": [*card.skipped, *skipped]}), left)


def _renamed(card: OwnDataset, to: str, folder: Path) -> OwnDataset:
    if normal_name(to) == card.name:
        return card
    mine = [*card.former_names, card.name]
    kept = normal_name(to) if normal_name(to) in mine else checked_name(to, folder)
    return card.model_copy(update={"name": kept, "former_names": [name for name in mine if name != kept]})


def _resplit(card: OwnDataset, edit: Resplit) -> OwnDataset:
    require_labelled(card, "other splits")
    for field, share in (("validation", edit.validation), ("test", edit.test)):
        if not 0 < share <= MOST_SHARE:
            raise UserError(
                "out_of_range", field, share, f"a share above 0, at most {MOST_SHARE}", "The usual is 0.15."
            )
    if edit.validation + edit.test > MOST_SHARE:
        given = f"{edit.validation:g} + {edit.test:g}"
        raise UserError("out_of_range", "test", given, f"at most {MOST_SHARE} together", "Leave more for training.")
    splits, _ = assign(_pictures(card, keep=False), Shares(edit.validation, edit.test, edit.seed))
    images = [image.model_copy(update={"split": splits[image.name]}) for image in card.images]
    return card.model_copy(update={"images": images})


def _former(stored: Stored, version: str) -> OwnDataset:
    wanted = version or stored.card.before
    if not wanted:
        fix = "It was not changed since it was imported."
        raise UserError("unknown_version", "dataset", stored.card.name, "a dataset with an earlier version", fix)
    return read_version(stored.home, wanted).card


def _files(card: OwnDataset) -> Iterable[Files]:
    """The images with their classes; "" is that of an image without a label."""
    return ((image, card.classes[image.label] if image.label >= 0 else "") for image in card.images)


def _classified(card: OwnDataset, files: Iterable[Files]) -> OwnDataset:
    """The card with these images in these classes, which are numbered again in alphabetical order. Of a set without
    labels those with a class are for testing."""
    listed = list(files)
    classes = sorted({label for _, label in listed} - {""})
    number = {"": -1, **{label: place for place, label in enumerate(classes)}}
    images = [image.model_copy(update={"label": number[label]}) for image, label in listed]
    if card.unlabelled:
        splits = ("test" if image.label >= 0 else "train" for image in images)
        images = [image.model_copy(update={"split": split}) for image, split in zip(images, splits, strict=True)]
    return card.model_copy(update={"classes": classes, "images": images})


# checking names


def _known_images(card: OwnDataset, names: Sequence[str]) -> set[str]:
    known = {image.name for image in card.images}
    for name in names:
        if name not in known:
            raise UserError("unknown_image", "images", name, "an image of this dataset", nearest(name, known))
    if not names:
        raise UserError("unknown_image", "images", "", "one image or more", "Name them as they were imported.")
    return set(names)


def _known_class(card: OwnDataset, name: str) -> None:
    if name not in card.classes:
        raise UserError("unknown_class", "class", name, "a class of this dataset", nearest(name, card.classes))


def _class_name(card: OwnDataset, name: str) -> str:
    """The name of an existing or new class; raises UserError."""
    return name if name in card.classes else _new_class(card, name)


def _new_class(card: OwnDataset, name: str) -> str:
    """The name for a new class; raises UserError if it is invalid or taken."""
    kept = normal_name(name)
    if blank(kept) or not kept.isprintable() or len(kept) > LONGEST_CLASS:
        allowed = f"1 to {LONGEST_CLASS} visible characters"
        raise UserError("blank_class", "class", name, allowed, "Give the class a short name.")
    if kept in card.classes:
        raise UserError("class_taken", "class", kept, "a name no other class has", "Merge the two classes instead.")
    return kept


# more images


@dataclass(frozen=True)
class Taken:
    """What is to be added: the clean pictures, the class of each by its path ("" without one), files that cannot be
    used, and warnings. `deep`: some have 16 bits."""

    filled: Filled
    classes: Mapping[str, str]
    skipped: list[dict[str, str]]
    warnings: list[str]
    deep: bool = False


def _add(stored: Stored, edit: AddImages, folder: Path, report: Progress) -> Edited:
    _refuse_wishes(stored.card, edit)
    sweep(folder)
    stage = folder / f".import-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        taken = _taken(stored.card, edit, make_folder(stage / "images"), report)
        _require_readable(taken.filled.images, taken.skipped)
        _same_depth(stored.card, taken.filled.white, deep=taken.deep)
        card = _grown(stored, taken.filled.images, taken.classes, merge=edit.merge)
        about = [*taken.warnings, *remarks(taken.filled.images)]
        card = card.model_copy(
            update={"skipped": [*card.skipped, *taken.skipped], "warnings": [*card.warnings, *about]}
        )
        _check(tidied(card) if card.unlabelled else card)
        new = move_into(stage / "images", stored.home / "images")
        try:
            return _replace(stored, card, taken.skipped)
        except BaseException:
            if read_own(stored.home).card == stored.card:  # its flush may have failed after it was in its place
                remove_all(new)
            raise
    finally:
        remove_tree(stage)


def _refuse_wishes(card: OwnDataset, edit: AddImages) -> None:
    """Raises UserError for choices that this set, or what is to be added, does not have."""
    check_encoding(edit.encoding or None)
    video = is_video(Path(edit.path))
    if video or edit.unlabelled:
        require_unlabelled(card.name, unlabelled=card.unlabelled)
    if not video:
        for_videos_alone(Path(edit.path), edit.every)
    elif not edit.unlabelled:
        raise without_classes(Path(edit.path))
    else:
        readable(edit.every)
    if edit.unlabelled:
        refuse_class_wishes(Wishes(edit.classes_from, edit.splits, edit.merge), edit.label)


def _taken(card: OwnDataset, edit: AddImages, place: Path, report: Progress) -> Taken:
    """The images of a folder or zip, or the frames of a video, each written once into `place`."""
    path = Path(edit.path)
    if is_video(path):
        filled = frames(path, edit.every, place, report)
        return Taken(filled, dict.fromkeys(filled.images, ""), [], list(filled.warnings))
    label = _class_name(card, edit.label) if edit.label else ""
    wishes = Wishes(edit.classes_from, edit.splits, edit.merge)
    with gathered(path, edit.encoding or None, wishes, report, label, unlabelled=edit.unlabelled) as given:
        require_images(given.layout, given.skipped, given.ignored)
        filled = cleaned(given.wanted, place, given.skipped, report)
    return Taken(filled, given.layout.classes, given.skipped, given.warnings, deep=bool(filled.warnings))


def _require_readable(images: Mapping[str, Decoded], skipped: Sequence[Mapping[str, str]]) -> None:
    if not images:
        fix = f"The first: {skipped[0]['file']}: {skipped[0]['reason']}."
        raise UserError("no_images", "path", f"{len(skipped)} files, none readable", "readable images", fix)


def _same_depth(card: OwnDataset, white: int, *, deep: bool) -> None:
    if deep and white != card.white:
        given = f"16-bit images whose white is {white}, while that of the dataset is {card.white}"
        fix = "Import all images together as a new dataset."
        raise UserError("other_depth", "path", given, "images of the same depth", fix)


def _grown(stored: Stored, images: Mapping[str, Decoded], labels: Mapping[str, str], *, merge: bool) -> OwnDataset:
    """The card with more images; existing ones keep their split."""
    card = stored.card
    counts = Counter({**card.counts(), **{name: 1 for name in labels.values() if name and name not in card.classes}})
    final = {"": "", **merged(counts, merge)[0]}
    names = _free_names(images, {image.name for image in card.images})
    added: list[Files] = [
        (OwnImage(file=image.file, label=0, split="", name=names[path]), final[labels[path]])
        for path, image in images.items()
    ]
    sides = {(image.width, image.height) for image in images.values()}
    side = card.side if sides == {(card.side, card.side)} else 0
    channels = max(card.channels, *(image.channels for image in images.values()))
    files = [*((image, final[label]) for image, label in _files(card)), *added]
    grown = _classified(card.model_copy(update={"side": side, "channels": channels}), files)
    if card.unlabelled:
        return grown
    splits = join(_pictures(grown, keep=True))
    placed = [image.model_copy(update={"split": splits[image.name]}) for image in grown.images]
    return grown.model_copy(update={"images": placed})


def _free_names(paths: Iterable[str], taken: set[str]) -> dict[str, str]:
    """A name for each path that no image in `taken` has."""
    found = {}
    for path in paths:
        name, number = path, 1
        while name in taken:
            number += 1
            name = f"{path} ({number})"
        taken.add(name)
        found[path] = name
    return found


# the new version


def _pictures(card: OwnDataset, *, keep: bool) -> list[Picture]:
    """The pictures of the card. Equal pixels share one file, so its name serves as their hash."""
    return [
        Picture(
            image.name,
            label,
            (image.split or None) if keep else None,
            image.file,
            group_of(image.name, label, card.group_by),
        )
        for image, label in _files(card)
    ]


def _check(card: OwnDataset) -> None:
    """Raises UserError if the dataset could not be used for training."""
    if card.unlabelled:
        require_enough(card.images)
        return
    at_least_two(card.classes)
    trained = {image.label for image in card.images if image.split == "train"}
    fix = "Split the images again first, or leave out the whole class."
    for number, name in enumerate(card.classes):
        if number not in trained:
            raise UserError("class_not_in_train", "class", name, "training images for every class", fix)
    for split in SPLITS:
        if not any(image.split == split for image in card.images):
            raise UserError("too_few_images", "images", f"no image for {split}", "at least one in each split", fix)


def _replace(stored: Stored, card: OwnDataset, skipped: list[dict[str, str]] | None = None) -> Edited:
    """Replaces the card by the changed one; the former card is kept under its content hash."""
    former = stored.card
    card = tidied(card) if card.unlabelled else card
    _check(card)
    before, after = former.content_hash(), card.content_hash()
    if before != after:
        card = card.model_copy(update={"before": before, "warnings": _new_warnings(stored, card)})
        folder = make_folder(stored.home / VERSIONS)
        write_atomic(folder / f"{before}.json", seal(former.model_dump_json().encode()))
    if card != former:
        write_atomic(stored.home / CARD, seal(card.model_dump_json().encode()))
    return Edited(
        card.name,
        len(card.classes),
        len(card.images),
        after,
        before,
        skipped or [],
        list(card.warnings),
        card.unlabelled,
    )


def _new_warnings(stored: Stored, card: OwnDataset) -> list[str]:
    """The former card's warnings, without those that no longer apply, and with those of the new card."""
    over = set(_warnings(stored.home, stored.card))
    left = [each for each in card.warnings if each not in over and not about_shape(each)]
    return list(dict.fromkeys([*left, *_warnings(stored.home, card)]))


def _warnings(home: Path, card: OwnDataset) -> list[str]:
    splits = {image.name: image.split for image in card.images}
    sides = sides_of(home, card).values()
    if card.unlabelled:
        return list(shape_of(sides, card.shape))
    return [*known_of(_pictures(card, keep=False), splits), *unequal(card.counts()), *shape_of(sides, card.shape)]
