"""Numbers in a recipe that are too large for its dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.catalog import Catalog
from core.errors import UserError, nearest
from core.rules.pool import pool_images
from core.rules.shared import Given, whole


def count_faults(
    dataset: str, labels: int, shots: int, pool: str, steps: Sequence[Given], catalog: Catalog
) -> Iterator[UserError]:
    """Options that need more images than the dataset, and for some steps the pool, has; nothing if the catalog does not
    know its counts."""
    facts = catalog.dataset(dataset)
    images = whole(facts, "train") or whole(facts, "images")  # of all splits if those of train are not known
    classes = whole(facts, "classes")
    allowed = f"0 for all, or {classes or 1} to the number of training images"
    if images and labels > images:
        yield UserError("more_labels_than_data", "labels", labels, allowed, f"{dataset} has {images} images.")
    if classes and 0 < labels < classes:
        yield UserError("fewer_labels_than_classes", "labels", labels, allowed, f"{dataset} has {classes} classes.")
    yield from _shot_faults(dataset, labels, shots, images, classes)
    labels = labels or shots * (classes or 1)
    for n, (stage, method, options) in enumerate(steps):
        if (
            not pool
            and stage == "transfer"
            and any(o.name == "confidence" for o in catalog.method(stage, method).options)
        ):
            yield from _pool_faults(labels, images, method, f"steps.{n}.method")
        learned = _distilled(images, pool, catalog)  # a distillation learns from unlabelled images too
        if images and labels and stage == "transfer":
            learned = min(labels, images)
        names = facts.get("class_names") or ()
        if (omitted := options.get("omit")) and names and omitted not in names:
            allowed = f"nothing, or one of the classes of {dataset}: {', '.join(names[:20])}"
            yield UserError("unknown_class", f"steps.{n}.omit", omitted, allowed, nearest(str(omitted), names))
        if (labels or pool) and options.get("omit") and options.get("pool", True):
            yield _seen_in_the_pool(n, str(options["omit"]), labels, pool)
        batch = options.get("batch")
        if learned and isinstance(batch, int) and batch > learned:
            fix = f"There are {learned} images to learn from: choose a smaller batch."
            yield UserError("batch_larger_than_data", f"steps.{n}.batch", batch, f"at most {learned}", fix)
        asked = options.get("calibration_images")
        if images and isinstance(asked, int) and asked > images:
            fix = f"{dataset} has {images} images: set calibration_images to {images} or less."
            place = f"steps.{n}.calibration_images"
            yield UserError("calibration_larger_than_data", place, asked, f"at most {images}", fix)


def _distilled(images: int | None, pool: str, catalog: Catalog) -> int | None:
    """The images that a distillation learns from; None if the catalog does not know."""
    if not pool:
        return images
    more = pool_images(catalog.dataset(pool))
    return images + more if images and more else None


def _seen_in_the_pool(step: int, omitted: str, labels: int, pool: str) -> UserError:
    unlabelled = f"the recipe's pool = {pool}" if pool else f"labels = {labels}"
    given = f"{omitted} with pool = true and {unlabelled}: the unlabelled images may show that class"
    fix = f"Set steps.{step}.pool = false, or {'leave the pool out' if pool else 'labels = 0'}."
    return UserError("conflicting_options", f"steps.{step}.omit", given, "omit without a pool", fix)


def _shot_faults(dataset: str, labels: int, shots: int, images: int | None, classes: int | None) -> Iterator[UserError]:
    """No class can give more images than it has; the smallest has at most the average."""
    if labels and shots:
        fix = "Set one of the two to 0."
        yield UserError("conflicting_options", "shots", f"{shots} with labels = {labels}", "0 with labels", fix)
    elif images and classes and shots > images // classes:
        most = images // classes
        fix = f"The {classes} classes of {dataset} have {images} images: the smallest has at most {most}."
        yield UserError("more_shots_than_images", "shots", shots, f"0 for all, or 1 to {most}", fix)


def _pool_faults(labels: int, images: int | None, method: str, place: str) -> Iterator[UserError]:
    """A step with `confidence` needs unlabelled images."""
    if not labels or (images and labels >= images):
        given = labels or "0, so every image has a label"
        fix = (
            f"Set labels to fewer than the training images, name a pool, or choose another {place}, such as fine_tune."
        )
        yield UserError("no_pool", "labels", given, f"a number, as {place} = {method} needs unlabelled images", fix)
