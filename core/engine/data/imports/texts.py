"""Import of texts: a table becomes a dataset of drawn images, with the accuracy of a bag of words for comparison."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.engine.data.dataset import SPLITS
from core.engine.data.imports.class_folders import Arrangement, Wishes, merged
from core.engine.data.imports.cleaning import Filled
from core.engine.data.imports.decoder_pool import Decoded
from core.engine.data.imports.images import (
    Delivery,
    check_encoding,
    check_shape,
    checked_name,
    import_images,
    store,
)
from core.engine.data.imports.imported import OwnDataset
from core.engine.data.imports.tables import Table, is_table, read_table
from core.engine.data.imports.unlabelled import refuse_class_wishes
from core.engine.data.imports.video import EVERY, for_videos_alone, import_video, is_video, without_classes
from core.engine.data.lettering import draw, lacking, plain, room
from core.engine.data.photos import Progress
from core.errors import UserError
from core.questions.import_data import Imported

SIDE = 96  # pixels of a drawn text: 64 letters of 12 pixels, 256 of 6
SIDES = (16, 1024)
LISTED = 10
WORDS = r"(?u)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w\w+"  # words; single characters in scripts without spaces


@dataclass(frozen=True)
class Bag:
    """Accuracies of a bag of words on validation and test, from 0 to 1."""

    validation: float
    test: float

    def remark(self) -> str:
        """The remark on a dataset of drawn texts."""
        return (
            f"texts are drawn as images here; for comparison, a bag of words (TF-IDF and logistic regression on the "
            f"words themselves) has an accuracy of {self.test:.1%} on test and {self.validation:.1%} on validation"
        )


def import_data(
    path: Path,
    name: str,
    folder: Path,
    *,
    side: int = 0,
    wishes: Wishes = Wishes(),  # noqa: B008 (frozen)
    shape: str = "crop",
    encoding: str | None = None,
    unlabelled: bool = False,
    every: float = EVERY,
    progress: Progress | None = None,
) -> Imported:
    """Imports `path` as the dataset `name`: a text file as a CSV table of texts to draw, a video as its frames,
    anything else as images.

    `side` is that of the squares texts are drawn in, in pixels, 0 for 96; `wishes` and `shape` are for folders of
    images, except `wishes.merge`; a video must be `unlabelled`, and gives one frame in `every` seconds. Raises
    UserError if the import is refused.
    """
    if is_video(path):
        _without_classes(path, side, wishes, unlabelled=unlabelled)
        return import_video(path, name, folder, every=every, shape=shape, progress=progress)
    for_videos_alone(path, every)
    if is_table(path):
        _for_images_alone(path, wishes, shape, unlabelled=unlabelled)
        return import_texts(
            path, name, folder, side=side or SIDE, merge=wishes.merge, encoding=encoding, progress=progress
        )
    _for_texts_alone(path, side)
    return import_images(
        path, name, folder, wishes=wishes, shape=shape, encoding=encoding, unlabelled=unlabelled, progress=progress
    )


def _for_texts_alone(path: Path, side: int) -> None:
    if side:
        given, allowed = f"{side} for {path.name}", "0: images keep their own size"
        raise UserError("no_table", "side", given, allowed, "Leave it out, or give a CSV file of texts.")


def _without_classes(path: Path, side: int, wishes: Wishes, *, unlabelled: bool) -> None:
    _for_texts_alone(path, side)
    if not unlabelled:
        raise without_classes(path)
    refuse_class_wishes(wishes)


def _for_images_alone(path: Path, wishes: Wishes, shape: str, *, unlabelled: bool) -> None:
    check_shape(shape)
    given = {
        "shape": shape != "crop",
        "classes_from": bool(wishes.classes_from),
        "splits": not wishes.splits,
        "unlabelled": unlabelled,
    }
    for field, changed in given.items():
        if changed:
            fix = "Leave it out: a table's classes are its labels, and its texts are drawn in squares."
            raise UserError("no_folders", field, f"it, for the table {path.name}", "a folder or zip of images", fix)


def import_texts(
    path: Path,
    name: str,
    folder: Path,
    *,
    side: int = SIDE,
    merge: bool = False,
    encoding: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Imports the rows of the CSV file at `path`, columns `text` and `label`, each drawn in a square of `side` pixels;
    `merge` merges similar labels."""
    least, most = SIDES
    if not least <= side <= most:
        fix = f"The nearest allowed value is {min(max(side, least), most)}."
        raise UserError("out_of_range", "side", side, f"a whole number from {least} to {most}", fix)
    check_encoding(encoding)
    name = checked_name(name, folder)
    table = read_table(path, encoding)
    layout = Arrangement(_labels(table, merge), dict.fromkeys(table.texts))
    warnings = [*table.warnings, *_legibility(table, side)]
    delivery = Delivery(layout, table.skipped, warnings, lambda card: _comparison(card, table), encoding=table.encoding)
    return store(name, folder, delivery, lambda place: Filled(_drawn(table, side, place, progress)))


def bag_of_words(texts: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[int]]) -> Bag | None:
    """scikit-learn's TF-IDF and logistic regression, fitted on train; None if there are no words.

    `texts` and `labels` by split. The regression's C is left at its default, so nothing is tuned.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(token_pattern=WORDS)
    try:
        counted = words.fit_transform(texts["train"])
    except ValueError:  # an empty vocabulary
        return None
    with warnings.catch_warnings():  # scikit-learn takes many classes of few texts for a regression, and says so
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model = LogisticRegression(max_iter=1000).fit(counted, labels["train"])
    scores = [float(model.score(words.transform(texts[part]), labels[part])) for part in ("validation", "test")]
    return Bag(*scores)


def _labels(table: Table, merge: bool) -> dict[str, str]:
    """The label of each row, similar ones merged; raises UserError if there are some and `merge` is False."""
    final, remarks = merged(Counter(table.labels.values()), merge)
    table.warnings += remarks
    classes = sorted(set(final.values()))
    if len(classes) < 2:
        given = f"only the label {classes[0]}"
        raise UserError("one_class", "path", given, "two labels or more", "Add rows with another label.")
    return {row: final[label] for row, label in table.labels.items()}


def _legibility(table: Table, side: int) -> list[str]:
    """Warnings about parts of the texts that cannot be seen."""
    warnings = []
    cut = sum(len(plain(text)) > room(side) for text in table.texts.values())
    if cut:
        warnings.append(f"{cut} texts are cut off: a side of {side} pixels holds {room(side)} characters")
    missing = lacking(iter(table.texts.values()))
    if missing:
        listed = ", ".join(f"{c} ({n} times)" for c, n in missing.most_common(LISTED))
        more = " …" if len(missing) > LISTED else ""
        warnings.append(
            f"{missing.total()} characters were drawn without accents or left blank, because no font on this machine "
            f"has them: {listed}{more}"
        )
    return warnings


def _drawn(table: Table, side: int, place: Path, progress: Progress | None) -> dict[str, Decoded]:
    """The pictures by row, each written once into `place`."""
    found: dict[str, Decoded] = {}
    stored: dict[str, str] = {}
    for done, (row, text) in enumerate(table.texts.items(), 1):
        pixels = draw(text, side)
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        if digest not in stored:
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            stored[digest] = f"{hashlib.sha256(out.getvalue()).hexdigest()}.png"
            (place / stored[digest]).write_bytes(out.getvalue())
        found[row] = Decoded("PNG", side, side, 1, digest, stored[digest], (), b"")
        if progress:
            progress("decoding", done, len(table.texts))
    return found


def _comparison(card: OwnDataset, table: Table) -> list[str]:
    """The accuracy of a bag of words on the same splits."""
    parts = {split: [image for image in card.images if image.split == split] for split in SPLITS}
    texts = {split: [table.texts[image.name] for image in images] for split, images in parts.items()}
    labels = {split: [image.label for image in images] for split, images in parts.items()}
    if len(Counter(labels["train"])) < 2:
        return []
    bag = bag_of_words(texts, labels)
    return [bag.remark()] if bag else []
