"""What every dataset that the program knows has: a card, and a way to load it.

A dataset is one file in `sets/` with one concrete subclass of `Bundled`, `SmallImages` or `Photos`; the file's name,
with hyphens, is the dataset's. It then is in the catalog, on the pages and in recipes with no other edit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from core.engine.data.dataset import Dataset, DatasetInfo, Split, Where, hash_splits
from core.engine.data.photos import Progress
from core.options import Words


class KnownDataset(ABC):
    """A dataset with its card. `classes` and `images` are counts, `size` the side in pixels or None for photos, which
    come at the size asked for; `class_names` are empty where only loading shows them."""

    title: ClassVar[Words]
    classes: ClassVar[int]
    images: ClassVar[int]
    size: ClassVar[int | None]
    channels: ClassVar[int]
    licence: ClassVar[str]
    source: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The name of its file, with hyphens."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    @property
    def download_bytes(self) -> int:
        """What fetching it takes, whether or not it is on this machine; 0 of one that comes with the program."""
        return 0

    @abstractmethod
    def info(self, folder: Path | None) -> DatasetInfo:
        """Its card on this machine; `folder` is the workspace's datasets folder."""

    @abstractmethod
    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """All of it, photos at `image_size`; `progress` hears (what, done, total or None)."""

    def described(self, where: Where, bytes: int) -> DatasetInfo:
        """Its card, given where it comes from and the bytes that remain to download."""
        return DatasetInfo(
            name=self.name, title=self.title.en, title_zh=self.title.zh, classes=self.classes, images=self.images,
            size=self.size, channels=self.channels, licence=self.licence, source=self.source, where=where, bytes=bytes,
            at_hand=not bytes, class_names=self.class_names, download_bytes=self.download_bytes,
        )  # fmt: skip

    def whole(
        self, classes: tuple[str, ...], splits: tuple[Split, Split, Split], size: int, notes: tuple[str, ...] = ()
    ) -> Dataset:
        """The dataset with its training, validation and test split, named by a hash over all of it."""
        train, validation, test = splits
        return Dataset(
            name=self.name, title=self.title.en, classes=classes, train=train, validation=validation, test=test,
            licence=self.licence, source=self.source, size=size, channels=self.channels,
            content_hash=hash_splits(classes, *splits), notes=notes,
        )  # fmt: skip


class Bundled(KnownDataset):
    """A dataset that needs no download; a file gives its card, `class_names` and `splits`."""

    @abstractmethod
    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """Training, validation and test images, the same at every call; drawn at `image_size` where `size` is None."""

    def info(self, folder: Path | None) -> DatasetInfo:
        """Its card: it is here."""
        return self.described("bundled", 0)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """All of it, from the program's own files."""
        return self.whole(self.class_names, self.splits(image_size), self.size or image_size)
