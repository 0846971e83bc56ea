"""Base classes of the datasets that the program knows.

A dataset is one file in `sets/` with one concrete subclass of `Bundled`, `SmallImages` or `Photos`; its name is that of
the file, with hyphens. The catalog, the pages and recipes then include it without any other edit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from core.engine.data.dataset import Dataset, DatasetInfo, Split, Where, hash_splits
from core.engine.data.photos import Progress
from core.options import Words


class KnownDataset(ABC):
    """A dataset with its description. `classes` and `images` are counts, `size` is the side in pixels, or None for
    photos, which come at the requested size; `class_names` are empty if they are known only after loading."""

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
        """The size of its download, whether or not it is on this machine; 0 for bundled datasets."""
        return 0

    @abstractmethod
    def info(self, folder: Path | None) -> DatasetInfo:
        """Its description on this machine; `folder` is the workspace's datasets folder."""

    @abstractmethod
    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The dataset, photos at `image_size`; `progress` is called with (what, done, total or None)."""

    def described(self, where: Where, bytes: int) -> DatasetInfo:
        """Its description, given its source and the bytes that remain to download."""
        return DatasetInfo(
            name=self.name,
            title=self.title.en,
            title_zh=self.title.zh,
            classes=self.classes,
            images=self.images,
            size=self.size,
            channels=self.channels,
            licence=self.licence,
            source=self.source,
            where=where,
            bytes=bytes,
            at_hand=not bytes,
            class_names=self.class_names,
            download_bytes=self.download_bytes,
        )

    def whole(
        self, classes: tuple[str, ...], splits: tuple[Split, Split, Split], size: int, notes: tuple[str, ...] = ()
    ) -> Dataset:
        """The dataset made of its training, validation and test split, with a hash of everything."""
        train, validation, test = splits
        return Dataset(
            name=self.name,
            title=self.title.en,
            classes=classes,
            train=train,
            validation=validation,
            test=test,
            licence=self.licence,
            source=self.source,
            size=size,
            channels=self.channels,
            content_hash=hash_splits(classes, *splits),
            notes=notes,
        )


class Bundled(KnownDataset):
    """A dataset that needs no download; subclasses define its description, `class_names` and `splits`."""

    @abstractmethod
    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        """Training, validation and test images, the same at every call; at `image_size` if `size` is None."""

    def info(self, folder: Path | None) -> DatasetInfo:
        """Its description; nothing remains to download."""
        return self.described("bundled", 0)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The dataset, from the program's own files."""
        return self.whole(self.class_names, self.splits(image_size), self.size or image_size)
