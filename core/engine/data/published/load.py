"""Published datasets: downloaded once, unpacked, split, and cached as one file per image size.

Addresses and MD5 sums are those of torchvision's classes (a test compares them), except for CIFAR, whose binary
archives are read instead of the pickled ones. Archive sizes are approximate; they help people decide on a download.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from core.engine.data.cache import Part, read_cache, write_cache
from core.engine.data.dataset import SEED, Cut, Dataset, DatasetInfo, Indices, Split, draw
from core.engine.data.known import KnownDataset
from core.engine.data.photos import Progress, photo_part
from core.engine.data.published.photo_sets import Layout, Listing, list_photos
from core.engine.data.published.readers import Arrays
from core.engine.data.published.unpack import DAMAGED, unpack
from core.engine.download import download
from core.errors import UserError
from core.files import make_folder, move, remove_tree, write_atomic
from core.own.datasets import UNPACKED
from core.storage.sealed import file_hash, read_sealed, seal

VERSION = 1  # of the splits below; a new version gets new caches
VALIDATION, TEST = 0.1, 0.15  # taken out of training where a set brings none (0.15 each where it brings neither)
UNSTATED = "not stated by its authors; see the source"


@dataclass(frozen=True)
class Archive:
    """One file to download. `into` is the folder, inside the dataset's own, where it is unpacked."""

    url: str
    md5: str | None
    bytes: int
    into: str = ""

    @property
    def file(self) -> str:
        """The file name, from the end of the address."""
        return self.url.rsplit("/", 1)[-1]


def idx_archives(base: str, *files: tuple[str, int]) -> tuple[Archive, ...]:
    """MNIST's four files at the address `base`: images, labels, test images, test labels, as (MD5 sum, bytes)."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(Archive(f"{base}{n}-ubyte.gz", md5, size) for n, (md5, size) in zip(names, files, strict=True))


class Published(KnownDataset):
    """A dataset that is downloaded from its `archives` on first use."""

    archives: ClassVar[tuple[Archive, ...]]

    @property
    def download_bytes(self) -> int:
        """The approximate size of its archives in bytes."""
        return sum(archive.bytes for archive in self.archives)

    def info(self, folder: Path | None) -> DatasetInfo:
        """Its description, with the bytes that remain to download."""
        return self.described("download", 0 if self.is_here(folder) else self.download_bytes)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The dataset at `image_size` (photos) or its own size, downloaded into `folder` if necessary.

        Raises UserError `offline` without a connection, and those of `download` and `unpack`.
        """
        size = self.size or image_size
        path = self.cache_path(folder, size)
        cached = read_cache(path)
        if cached is None:
            self.fill(folder / self.name, size, path, progress)
            cached = read_cache(path)
        assert cached is not None
        return cached

    def bring(self, folder: Path, progress: Progress) -> None:
        """Downloads it without a run, unless it is already here. `progress` may raise to stop it; received bytes are
        kept for the next try."""
        if not self.is_here(folder):
            self.fill(folder / self.name, self.size or 0, self.cache_path(folder, self.size or 0), progress)

    @abstractmethod
    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Downloads what is missing into `home` and writes the cache `path` for images of `size` pixels a side."""

    def is_here(self, folder: Path | None) -> bool:
        """Whether the dataset can be loaded offline, at any size."""
        if folder is None:
            return False
        return self.cache_path(folder, self.size or 0).is_file() or (folder / self.name / "files").is_dir()

    def cache_path(self, folder: Path, size: int) -> Path:
        """The cache file of the dataset at `size`, inside its own folder in `folder`."""
        return folder / self.name / f"{self.content_hash()[:16]}-{size}.safetensors"

    def content_hash(self) -> str:
        """Identifies the content before the download, by the archives' checksums and the version of the splits."""
        facts = [self.name, VERSION, [archive.md5 or archive.url for archive in self.archives]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def card(self, classes: Sequence[str], size: int) -> Dataset:
        """The dataset without images, for writing its cache."""
        nothing = Split(torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
        empty = self.whole(tuple(classes), (nothing, nothing, nothing), size)
        return replace(empty, content_hash=self.content_hash())

    def fetch(self, home: Path, progress: Progress) -> list[Path]:
        """The archives in `home`, downloaded if missing; raises UserError `offline`."""
        return [self._fetched(archive, home / "archives", progress) for archive in self.archives]

    def _fetched(self, archive: Archive, folder: Path, progress: Progress) -> Path:
        def report(done: int, total: int | None) -> None:
            progress(f"downloading {archive.file}", done, total)

        try:
            return download(archive.url, make_folder(folder) / archive.file, md5=archive.md5, progress=report)
        except UserError as error:
            if error.code != "unreachable":
                raise
            given, allowed = f"{self.name} ({error.given})", "a dataset on this machine, or a connection to download it"
            fix = "Connect and try again (received bytes are kept), or use digits or fashion-mini, which are bundled."
            raise UserError("offline", "dataset", given, allowed, fix) from error


class SmallImages(Published):
    """Images of one size, read directly from the archives; subclasses define a description, `archives` and `read`."""

    @abstractmethod
    def read(self, files: list[Path]) -> Arrays:
        """The content of the archives."""

    def stored(self, files: list[Path]) -> tuple[Dataset, dict[str, Part]]:
        """(the dataset without images, its splits) to be cached; validation images are drawn from training."""
        arrays = self.arrays(files)
        return self.card(arrays.classes, arrays.images.shape[3]), _array_parts(arrays)

    def arrays(self, files: list[Path]) -> Arrays:
        """The result of `read`; raises UserError if a file does not have the expected content."""
        try:
            return self.read(files)
        except (ValueError, KeyError, OSError, *DAMAGED) as error:
            if isinstance(error, UserError):
                raise
            allowed, fix = "the archives as published", "Delete them and download them again."
            raise UserError("damaged_file", "dataset", self.name, allowed, fix) from error

    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Writes the arrays of the archives into the cache, then deletes the archives."""
        dataset, parts = self.stored(self.fetch(home, progress))
        write_cache(path, dataset, parts)
        remove_tree(home / "archives")


def _array_parts(arrays: Arrays) -> dict[str, Part]:
    held_out, kept = draw(arrays.labels, round(VALIDATION * len(arrays.labels)), SEED)
    return {
        "train": Part.of(arrays.images[kept], arrays.labels[kept]),
        "validation": Part.of(arrays.images[held_out], arrays.labels[held_out]),
        "test": Part.of(arrays.test_images, arrays.test_labels),
    }


class Photos(Published):
    """Photos of any size, unpacked and then decoded at the requested size; subclasses define a description, `archives`
    and `layout`."""

    size: ClassVar[int | None] = None
    layout: ClassVar[Layout]

    def unpacked(self, root: Path) -> None:
        """Called once the archives are unpacked below `root`; by default does nothing."""
        return

    def bring(self, folder: Path, progress: Progress) -> None:
        """As for every published dataset; photos are stored as they are and decoded when a run needs them."""
        home = folder / self.name
        if not self.is_here(folder):
            self._unpack(home, home / "files", progress)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """As for every published dataset; photos are cropped to the centre."""
        return replace(super().load(image_size, folder, progress), cut=Cut())

    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Decodes every photo into the cache; the unpacked files are kept for other sizes."""
        files = home / "files"
        if not files.is_dir():
            self._unpack(home, files, progress)
        listing = split_listing(list_photos(self.layout, files))
        total, done = sum(map(len, listing.labels.values())), 0

        def tick(images: int) -> None:
            nonlocal done
            done += images
            progress("decoding", done, total)

        known, parts = _digests(home), {}
        for split in ("train", "validation", "test"):
            paths = listing.paths[split]
            digests = [known.get(photo.relative_to(files).as_posix(), "") for photo in paths]
            parts[split] = photo_part(paths, listing.labels[split], size, self.channels, tick, digests=digests)
        write_cache(path, self.card(listing.classes, size), parts)

    def _unpack(self, home: Path, files: Path, progress: Progress) -> None:
        """Unpacks into a temporary folder, moves it into place by one rename, and only then deletes the archives."""
        archives = self.fetch(home, progress)
        partial = home / "files.part"
        remove_tree(partial)
        make_folder(partial)
        for archive, file in zip(self.archives, archives, strict=True):
            into = make_folder(partial / archive.into)
            if file.name.endswith((".zip", ".tgz", ".tar.gz")):
                unpack(file, into, lambda done: progress("unpacking", done, self.images))
            else:
                (into / file.name).write_bytes(file.read_bytes())
        self.unpacked(partial)
        write_atomic(home / UNPACKED, seal(json.dumps(_hashes(partial)).encode()))
        move(partial, files)
        remove_tree(home / "archives")


def _hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def _digests(home: Path) -> dict[str, str]:
    """The SHA-256 of every unpacked file by its path; empty for datasets unpacked before hashes were stored.

    Raises UserError `damaged_file`.
    """
    try:
        found: dict[str, str] = json.loads(read_sealed(home / UNPACKED))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fix = f"Delete the folder datasets/{home.name} of the workspace: the dataset is then downloaded again."
        given = f"{home.name}/{UNPACKED}"
        raise UserError("damaged_file", "dataset", given, "the hashes of the dataset's files", fix) from error
    return found


def split_listing(listing: Listing) -> Listing:
    """The listing with all three splits: missing ones are drawn from the training photos, stratified."""
    paths, labels, groups = dict(listing.paths), dict(listing.labels), listing.groups
    share = VALIDATION if "test" in paths else TEST
    for split in ("test", "validation"):
        if split in paths:
            continue
        held_out, kept = _held_out(labels["train"], groups, round(share * len(listing.labels["train"])))
        paths |= {split: [paths["train"][i] for i in held_out], "train": [paths["train"][i] for i in kept]}
        labels |= {split: labels["train"][held_out], "train": labels["train"][kept]}
        groups = [groups[i] for i in kept] if groups else []
    return replace(listing, paths=paths, labels=labels, groups=groups)


def _held_out(labels: Indices, groups: Sequence[str], total: int) -> tuple[Indices, Indices]:
    """As `draw`, but in whole groups if there are any (their sizes then decide the exact number)."""
    if not groups:
        return draw(labels, total, SEED)
    names, firsts, codes = np.unique(np.array(groups), return_index=True, return_inverse=True)
    chosen, _ = draw(labels[firsts], max(1, round(total / len(labels) * len(names))), SEED)
    inside = np.isin(codes, chosen)
    return np.flatnonzero(inside), np.flatnonzero(~inside)
