"""The report on an imported dataset before any training; `core.workspace_files.report_cache` keeps it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MOST_STRIPS = 60  # classes that get samples
SAMPLES_SHOWN = 8  # images in a strip


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ClassCount(_Fact):
    """A class and its number of images in each split."""

    name: str
    train: int
    validation: int
    test: int

    @property
    def images(self) -> int:
        """The number of images in all splits."""
        return self.train + self.validation + self.test


class Member(_Fact):
    """One image of a group: the name it was imported under, its class and its split."""

    name: str
    label: str
    split: str


class Alike(_Fact):
    """A group of `count` images with the same pixels (`exact`) or nearly the same; the first of them are listed in
    `members`. `classes` and `splits`: how many of each the group spans."""

    exact: bool
    count: int
    members: tuple[Member, ...]
    classes: int
    splits: int


class Skipped(_Fact):
    """A file that is not in the dataset, and why."""

    file: str
    reason: str


class Report(_Fact):
    """`version` is the content hash, `before` that of the previous one. `smallest`, `median` and `largest` are sides
    in pixels, as stored; `lost` is the mean share of a picture that a centre crop removes, `cut` the share of pictures
    that lose more than a quarter. `alike_exact` and `alike_near` count groups of duplicates, `crossing_classes` and
    `crossing_splits` those that span several; `alike` lists the worst. Near duplicates were searched among the first
    `compared` images. Of a set without labels `unlabelled` counts the images without one, and `classes` hold the
    others, which are all for testing; of any other set it is None."""

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
    unlabelled: int | None = None

    def total(self, split: str) -> int:
        """Images of a split."""
        return sum(int(getattr(each, split)) for each in self.classes)
