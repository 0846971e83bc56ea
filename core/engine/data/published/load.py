"""Published datasets: fetched once, unpacked, split, and kept as one file a size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core.engine.data.bundled import SEED, split_fashion_mnist
from core.engine.data.cache import Part, read_cache, write_cache
from core.engine.data.dataset import Cut, Dataset, Indices, Split, draw
from core.engine.data.photos import Progress, photo_part
from core.engine.data.published.photo_sets import Listing, list_photos, unpack_inner
from core.engine.data.published.readers import Arrays, read_arrays, read_idx_files
from core.engine.data.published.sets import FASHION_MNIST, PUBLISHED, Archive, Published
from core.engine.data.published.unpack import unpack
from core.engine.download import download
from core.errors import UserError
from core.files import make_folder, move, remove_tree

INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
VERSION = 1  # of the splits below: a new one makes new caches
VALIDATION, TEST = 0.1, 0.15  # taken out of training where a set brings none (0.15 each where it brings neither)


def installed() -> bool:
    """Whether Debian's Fashion-MNIST is at hand."""
    return all((INSTALLED / archive.file).is_file() for archive in FASHION_MNIST.archives)


def at_hand(published: Published, folder: Path | None) -> bool:
    """Whether the set loads without a network, at any size."""
    if folder is None:
        return False
    home = folder / published.name
    return cache_path(home, published, published.size or 0).is_file() or (home / "files").is_dir()


def content_hash(published: Published) -> str:
    """Names the content before it is fetched: the archives' own sums and the version of our splits."""
    facts = [published.name, VERSION, [archive.md5 or archive.url for archive in published.archives]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def load_installed() -> Dataset:
    """All of Fashion-MNIST from Debian's package."""
    return _fashion([INSTALLED / archive.file for archive in FASHION_MNIST.archives])


def load_published(published: Published, image_size: int, folder: Path, progress: Progress) -> Dataset:
    """The set at `image_size` (photos) or its own size, fetched into `folder` if need be.

    Raises UserError `offline` where nothing answers, and those of `download` and `unpack`.
    """
    home, size = folder / published.name, published.size or image_size
    path = cache_path(home, published, size)
    cached = read_cache(path)
    photos = published.form == "photos"
    if cached is None:
        if photos:
            _photos(published, home, size, path, progress)
        else:
            _small(published, home, path, progress)
        cached = read_cache(path)
    assert cached is not None
    return replace(cached, cut=Cut()) if photos else cached


def fetch(name: str, folder: Path, progress: Progress) -> None:
    """Puts a published set on this machine without a run; nothing where it is there. Photos stay as they came, to be
    decoded when a run needs them. `progress` may raise to end it; what was received is kept for the next try."""
    published = PUBLISHED[name]
    if at_hand(published, folder) or (published.form == "fashion" and installed()):
        return
    home = folder / published.name
    if published.form == "photos":
        _unpack_all(published, home, home / "files", progress)
    else:
        _small(published, home, cache_path(home, published, published.size or 0), progress)


def cache_path(home: Path, published: Published, size: int) -> Path:
    """The one file that holds the set at `size`, below its own folder `home`."""
    return home / f"{content_hash(published)[:16]}-{size}.safetensors"


def _fashion(files: list[Path]) -> Dataset:
    arrays = read_idx_files(files, ())
    return split_fashion_mnist(arrays.images[:, 0], arrays.labels, arrays.test_images[:, 0], arrays.test_labels)


def _small(published: Published, home: Path, path: Path, progress: Progress) -> None:
    """Arrays straight from the archives into the cache; then the archives are no longer needed."""
    files = [_fetch(archive, home / "archives", published, progress) for archive in published.archives]
    if published.form == "fashion":
        dataset = _fashion(files)
        parts = {name: _part(getattr(dataset, name)) for name in ("train", "validation", "test")}
        write_cache(path, dataset, parts)
    else:
        arrays = read_arrays(published.form, published.name, files)
        write_cache(path, _card(published, arrays.classes, arrays.images.shape[3]), _array_parts(arrays))
    remove_tree(home / "archives")


def _part(split: Split) -> Part:
    return Part.of(split.images.numpy(), split.labels.numpy())


def _array_parts(arrays: Arrays) -> dict[str, Part]:
    held_out, kept = draw(arrays.labels, round(VALIDATION * len(arrays.labels)), SEED)
    return {
        "train": Part.of(arrays.images[kept], arrays.labels[kept]),
        "validation": Part.of(arrays.images[held_out], arrays.labels[held_out]),
        "test": Part.of(arrays.test_images, arrays.test_labels),
    }


def _photos(published: Published, home: Path, size: int, path: Path, progress: Progress) -> None:
    files = home / "files"
    if not files.is_dir():
        _unpack_all(published, home, files, progress)
    listing = split_listing(list_photos(published.name, files))
    total, done = sum(map(len, listing.labels.values())), 0

    def tick(images: int) -> None:
        nonlocal done
        done += images
        progress("decoding", done, total)

    parts = {
        split: photo_part(listing.paths[split], listing.labels[split], size, published.channels, tick)
        for split in ("train", "validation", "test")
    }
    write_cache(path, _card(published, listing.classes, size), parts)


def _unpack_all(published: Published, home: Path, files: Path, progress: Progress) -> None:
    """Unpacked beside, moved into place by one rename, and only then are the archives dropped."""
    archives = [_fetch(archive, home / "archives", published, progress) for archive in published.archives]
    partial = home / "files.part"
    remove_tree(partial)
    make_folder(partial)
    for archive, file in zip(published.archives, archives, strict=True):
        into = make_folder(partial / archive.into)
        if file.name.endswith((".zip", ".tgz", ".tar.gz")):
            unpack(file, into, lambda done: progress("unpacking", done, published.images))
        else:
            (into / file.name).write_bytes(file.read_bytes())
    unpack_inner(published.name, partial)
    move(partial, files)
    remove_tree(home / "archives")


def _fetch(archive: Archive, folder: Path, published: Published, progress: Progress) -> Path:
    def report(done: int, total: int | None) -> None:
        progress(f"downloading {archive.file}", done, total)

    try:
        return download(archive.url, make_folder(folder) / archive.file, md5=archive.md5, progress=report)
    except UserError as error:
        if error.code != "unreachable":
            raise
        raise UserError(
            "offline",
            "dataset",
            f"{published.name} ({error.given})",
            "a dataset that is at hand, or a connection to fetch this one",
            "Connect and try again (what was received is kept), or take digits or fashion-mini: they are bundled.",
        ) from error


def _card(published: Published, classes: Sequence[str], size: int) -> Dataset:
    nothing = Split(torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    return Dataset(
        name=published.name,
        title=published.title,
        classes=tuple(classes),
        train=nothing,
        validation=nothing,
        test=nothing,
        licence=published.licence,
        source=published.source,
        size=size,
        channels=published.channels,
        content_hash=content_hash(published),
    )


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
