"""What is known of a dataset before any training: the answer to a question of that name, and where it is kept.

The engine looks at every image once a version; what it found is kept in the cache as files that carry their hash:
the report, a strip of samples for each class, and one for each group of images that are alike.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.datasets import CARD, find_home
from core.sealed import read_kept
from core.workspace import Workspace

FORMAT = 1  # of what is kept; another one is made anew
MOST_STRIPS = 60  # classes with samples
SAMPLES_SHOWN = 8  # images in a strip


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ClassCount(_Fact):
    """A class and its images in each split."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def images(self) -> int:
        return self.train + self.validation + self.test


class Member(_Fact):
    """One image of a group: the name it came with, its class and split."""

    name: str
    label: str
    split: str


class Alike(_Fact):
    """Images that are the same pixel by pixel (`exact`), or nearly; `count` of them, of which the first are listed."""

    exact: bool
    count: int
    members: tuple[Member, ...]
    classes: int
    splits: int


class Skipped(_Fact):
    file: str
    reason: str


class Report(_Fact):
    """`version` is the content hash. Sides in pixels, as stored; `lost` is the share of a picture that a crop to its
    middle square takes on average, `cut` the share of pictures that lose more than a quarter. `alike_exact` and
    `alike_near` count groups, `crossing_classes` and `crossing_splits` those with images of several; `alike` lists the
    worst. `compared` images were looked at for near duplicates."""

    dataset: str
    version: str
    before: str = ""
    images: int
    channels: int
    shape: str
    classes: tuple[ClassCount, ...]
    smallest: int
    median: int
    largest: int
    lost: float
    cut: float
    alike: tuple[Alike, ...]
    alike_exact: int
    alike_near: int
    crossing_classes: int
    crossing_splits: int
    compared: int
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]

    def total(self, split: str) -> int:
        """Images of a split."""
        return sum(int(getattr(each, split)) for each in self.classes)


# where it is kept


def key_of(workspace: Workspace, name: str) -> str:
    """Names what is kept of a dataset: of a person's own by the bytes of its card, which name every image."""
    home = find_home(name, workspace.datasets)
    told = (home / CARD).read_bytes() if home is not None else name.encode()
    return hashlib.sha256(b"%d " % FORMAT + told).hexdigest()[:32]


def kept_path(cache: Path, key: str, part: str) -> Path:
    """`part` is `report`, `samples`, `class-3` or `group-0`."""
    return cache / "datasets" / f"{key}-{part}.kept"


def kept_report(workspace: Workspace, name: str) -> Report | None:
    """The report on this version of the set; None where nobody has made it yet."""
    try:
        found = read_kept(kept_path(workspace.cache, key_of(workspace, name), "report"))
        return None if found is None else Report.model_validate_json(found)
    except (OSError, ValidationError):
        return None


def kept_picture(workspace: Workspace, name: str, part: str) -> bytes | None:
    """A strip of images as PNG."""
    try:
        return read_kept(kept_path(workspace.cache, key_of(workspace, name), part))
    except OSError:
        return None
