"""Sets without labels: any folder, zip or video becomes one; some of its images may have a label, to report on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.engine.data.imports.class_folders import UNLABELLED, Arrangement, Wishes
from core.engine.data.imports.imported import OwnDataset, OwnImage
from core.errors import UserError, shorten

LEAST = 2  # unlabelled images: a batch of one has no variance
LISTED = 5  # folders in a remark


def layout_of(paths: Sequence[str]) -> Arrangement:
    """Every image without a class, in the training split; folders are only told."""
    folders = sorted({path.rpartition("/")[0] for path in paths} - {""})
    found = Arrangement(dict.fromkeys(paths, ""), dict.fromkeys(paths, "train"))
    if len(folders) > 1:
        more = " …" if len(folders) > LISTED else ""
        found.warnings.append(
            f"its {len(folders)} folders are not used as classes: {', '.join(folders[:LISTED])}{more}"
        )
    return found


def refuse_class_wishes(wishes: Wishes, label: str = "") -> None:
    """Raises UserError for choices about classes, which such a set does not have, and for a class of all images."""
    given = {
        "class": bool(label),
        "classes_from": bool(wishes.classes_from),
        "splits": not wishes.splits,
        "merge": wishes.merge,
        "group_by": bool(wishes.group_by),
    }
    for field, asked in given.items():
        if asked:
            fix = f"Leave it out: images without labels have no classes and no splits. Or leave {UNLABELLED} out."
            raise UserError("no_folders", field, f"it, with {UNLABELLED}", "images with labels", fix)


def tidied(card: OwnDataset) -> OwnDataset:
    """The card of an unlabelled set with each image once; one with a label goes before one without."""
    first: dict[str, str] = {}
    kept: list[OwnImage] = []
    left: list[dict[str, str]] = []
    for image in sorted(card.images, key=lambda image: image.label < 0):
        if image.label < 0 and image.file in first:
            left.append({"file": shorten(image.name, 300), "reason": f"the same image as another: {first[image.file]}"})
        else:
            first.setdefault(image.file, image.name)
            kept.append(image)
    if not left:
        return card
    return card.model_copy(update={"images": kept, "skipped": [*card.skipped, *left]})


def require_enough(images: Iterable[OwnImage]) -> None:
    """Raises UserError if there are too few images without a label."""
    count = sum(image.label < 0 for image in images)
    if count < LEAST:
        fix = "Add images."
        raise UserError("too_few_images", "path", f"{count} different images without a label", f"at least {LEAST}", fix)


def require_unlabelled(name: str, *, unlabelled: bool) -> None:
    """Raises UserError if images without labels are to be added to a set that has labels."""
    if not unlabelled:
        fix = f"Import them as a set of their own with {UNLABELLED}, and name it as the recipe's pool or target."
        raise UserError("labelled_set", "unlabelled", f"images without labels for {name}", "a set without labels", fix)


def require_labelled(card: OwnDataset, what: str) -> None:
    """Raises UserError if a set without labels is asked for what needs labels."""
    if card.unlabelled:
        fix = "Its images without a label are for learning, those with one for testing; nothing else is to be set."
        raise UserError("without_labels", "dataset", f"{what} for {card.name}", "a dataset with labels", fix)
