"""Where the answers of a saved file, image by image, are kept beside its run, and by what they are named.

A kept file is a NumPy archive: `test_probabilities` and `validation_probabilities` float32 [N, C], a row an image in
the stored order of the split, `test_labels` and `validation_labels` int64 [N], `suspects` int64 [K, 3], the images with
a likely wrong label (0 for validation or 1 for test, the place, the class it is taken for), and `about`, a JSON text.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter

from core.errors import UserError
from core.run_files.artifacts import AGAIN, known_hash
from core.run_files.sides import Side
from core.storage.sealed import file_hash

FORMAT = 1  # of what is kept; another one is made anew
FOLDER = "answers"  # in a run's folder
BINS = 15  # of confidence


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence is within (`low`, `high`]: their mean confidence, the share of right ones, their number.
    An empty bin has 0 for both shares."""

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """Confidence held against right answers on the test images: the reliability diagram, the expected calibration error
    (Guo et al. 2017, arXiv:1706.04599) and the mean negative log-likelihood in nats."""

    error: float
    nll: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Scaling:
    """One temperature for all logits, chosen on the validation images, whose NLL it takes from `before` to `after`.
    `unbounded`: every validation answer is right, so that none is the best, and it stays at 1."""

    temperature: float
    before: float
    after: float
    unbounded: bool = False


@dataclass(frozen=True)
class About:
    """What goes with the probabilities of a file: the names of its classes, the dataset's content hash, how many test
    images are `answered_anew`, that is otherwise than when the file was measured, and its calibration on the test
    images as it is and with the temperature that fits the validation images best."""

    classes: tuple[str, ...]
    content_hash: str
    answered_anew: int
    calibration: Calibration
    scaled: Calibration
    scaling: Scaling


ABOUT = TypeAdapter(About)


def kept_at(side: Side) -> Path:
    """Where the answers of a point's file are kept: the name stands for the file, the images and this format.

    Raises UserError `damaged_artifact` or `missing_artifact` where nothing tells what the file should be.
    """
    recipe, state = side.run.recipe(), side.run.state()
    images = (recipe.dataset, str(recipe.image_size), recipe.backbone, state.environment.get("dataset_version", ""))
    named = "\n".join((str(FORMAT), _hash(side), *images))
    return side.run.folder / FOLDER / f"{sha256(named.encode()).hexdigest()[:32]}.kept"


def _hash(side: Side) -> str:
    """The content of the point's file, as the log has it; of a run from before it did, as it is now."""
    path = side.point.artifact or ""
    try:
        return known_hash(side.run, path) or file_hash(side.run.folder / path)
    except OSError as error:
        raise UserError("missing_artifact", "artifact", path, "a file that is still there", AGAIN) from error
