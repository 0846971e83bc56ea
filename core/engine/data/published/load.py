"""Published datasets: fetched once, unpacked, split, and kept as one file a size.

Addresses and MD5 sums are those of torchvision's classes (a test compares them), but for CIFAR, whose binary archives
are read instead of the pickled ones. The bytes of archives are about right: they are for a person deciding on a
download.
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

from core.datasets import UNPACKED
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
from core.sealed import file_hash, read_sealed, seal

VERSION = 1  # of the splits below: a new one makes new caches
VALIDATION, TEST = 0.1, 0.15  # taken out of training where a set brings none (0.15 each where it brings neither)
UNSTATED = "not stated by its authors; see the source"


@dataclass(frozen=True)
class Archive:
    """One file to fetch. `into` is the folder, below the dataset's own, where it is unpacked."""

    url: str
    md5: str | None
    bytes: int
    into: str = ""

    @property
    def file(self) -> str:
        """The file's name, as the address ends."""
        return self.url.rsplit("/", 1)[-1]


def idx_archives(base: str, *files: tuple[str, int]) -> tuple[Archive, ...]:
    """MNIST's four files at the address `base`: images, labels, test images, test labels, as (MD5 sum, bytes)."""
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(Archive(f"{base}{n}-ubyte.gz", md5, size) for n, (md5, size) in zip(names, files, strict=True))


class Published(KnownDataset):
    """A dataset that is fetched from its `archives` when first asked for."""

    archives: ClassVar[tuple[Archive, ...]]

    @property
    def download_bytes(self) -> int:
        """About the bytes of its archives."""
        return sum(archive.bytes for archive in self.archives)

    def info(self, folder: Path | None) -> DatasetInfo:
        """Its card, with what remains to download."""
        return self.described("download", 0 if self.is_here(folder) else self.download_bytes)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The set at `image_size` (photos) or its own size, fetched into `folder` if need be.

        Raises UserError `offline` where nothing answers, and those of `download` and `unpack`.
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
        """Puts it on this machine without a run; nothing where it is there. `progress` may raise to end it; what was
        received is kept for the next try."""
        if not self.is_here(folder):
            self.fill(folder / self.name, self.size or 0, self.cache_path(folder, self.size or 0), progress)

    @abstractmethod
    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Fetches what is missing into `home` and writes the cache `path` for images of `size` pixels a side."""

    def is_here(self, folder: Path | None) -> bool:
        """Whether the set loads without a network, at any size."""
        if folder is None:
            return False
        return self.cache_path(folder, self.size or 0).is_file() or (folder / self.name / "files").is_dir()

    def cache_path(self, folder: Path, size: int) -> Path:
        """The one file that holds the set at `size`, below its own folder in `folder`."""
        return folder / self.name / f"{self.content_hash()[:16]}-{size}.safetensors"

    def content_hash(self) -> str:
        """Names the content before it is fetched: the archives' own sums and the version of our splits."""
        facts = [self.name, VERSION, [archive.md5 or archive.url for archive in self.archives]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def card(self, classes: Sequence[str], size: int) -> Dataset:
        """The dataset without images, to be written into its cache."""
        nothing = Split(torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
        empty = self.whole(tuple(classes), (nothing, nothing, nothing), size)
        return replace(empty, content_hash=self.content_hash())

    def fetch(self, home: Path, progress: Progress) -> list[Path]:
        """The archives in `home`, fetched where they are not there; raises UserError `offline`."""
        return [self._fetched(archive, home / "archives", progress) for archive in self.archives]

    def _fetched(self, archive: Archive, folder: Path, progress: Progress) -> Path:
        def report(done: int, total: int | None) -> None:
            progress(f"downloading {archive.file}", done, total)

        try:
            return download(archive.url, make_folder(folder) / archive.file, md5=archive.md5, progress=report)
        except UserError as error:
            if error.code != "unreachable":
                raise
            given, allowed = f"{self.name} ({error.given})", "a dataset that is at hand, or a connection to fetch it"
            fix = "Connect and try again (what was received is kept), or take digits or fashion-mini: they are bundled."
            raise UserError("offline", "dataset", given, allowed, fix) from error


class SmallImages(Published):
    """Images of one size, read straight from the archives; a file gives its card, `archives` and `read`."""

    @abstractmethod
    def read(self, files: list[Path]) -> Arrays:
        """The content of the archives."""

    def stored(self, files: list[Path]) -> tuple[Dataset, dict[str, Part]]:
        """(the dataset without images, its splits) as they go into the cache; validation is drawn from training."""
        arrays = self.arrays(files)
        return self.card(arrays.classes, arrays.images.shape[3]), _array_parts(arrays)

    def arrays(self, files: list[Path]) -> Arrays:
        """`read`; raises UserError on a file that does not hold what it should."""
        try:
            return self.read(files)
        except (ValueError, KeyError, OSError, *DAMAGED) as error:
            if isinstance(error, UserError):
                raise
            allowed, fix = "the archives as published", "Delete them and fetch them again."
            raise UserError("damaged_file", "dataset", self.name, allowed, fix) from error

    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Arrays straight from the archives into the cache; then the archives are no longer needed."""
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
    """Photos of any size, unpacked and then decoded at the size asked for; a file gives its card, `archives` and
    `layout`."""

    size: ClassVar[int | None] = None
    layout: ClassVar[Layout]

    def unpacked(self, root: Path) -> None:
        """What is left to do once the archives are unpacked below `root`; by default nothing."""
        return

    def bring(self, folder: Path, progress: Progress) -> None:
        """As every published set; the photos stay as they came, to be decoded when a run needs them."""
        home = folder / self.name
        if not self.is_here(folder):
            self._unpack(home, home / "files", progress)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """As every published set, the middle of each photo kept."""
        return replace(super().load(image_size, folder, progress), cut=Cut())

    def fill(self, home: Path, size: int, path: Path, progress: Progress) -> None:
        """Every photo decoded into the cache; the unpacked files stay, for other sizes."""
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
        """Unpacked next to it, moved into place by one rename, and only then are the archives dropped."""
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
    """The SHA-256 of every file below a folder by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def _digests(home: Path) -> dict[str, str]:
    """The SHA-256 of every unpacked file by its path; none for a set that was unpacked before they were kept.

    Raises UserError `damaged_file`.
    """
    try:
        found: dict[str, str] = json.loads(read_sealed(home / UNPACKED))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fix = f"Delete the folder datasets/{home.name} of the workspace: the set is fetched again."
        given = f"{home.name}/{UNPACKED}"
        raise UserError("damaged_file", "dataset", given, "the hashes of the set's files", fix) from error
    return found


def split_listing(listing: Listing) -> Listing:
    """The listing with all three splits: what a set does not bring is drawn, stratified, from its training photos."""
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
    """`draw`, by whole groups where there are any (their sizes then decide the exact number)."""
    if not groups:
        return draw(labels, total, SEED)
    names, firsts, codes = np.unique(np.array(groups), return_index=True, return_inverse=True)
    chosen, _ = draw(labels[firsts], max(1, round(total / len(labels) * len(names))), SEED)
    inside = np.isin(codes, chosen)
    return np.flatnonzero(inside), np.flatnonzero(~inside)
