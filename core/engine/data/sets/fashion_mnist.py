"""Fashion-MNIST, from Debian's package if it is installed, otherwise downloaded on first use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.data.cache import Part
from core.engine.data.dataset import SEED, SPLITS, Dataset, DatasetInfo, Indices, Split, draw
from core.engine.data.photos import Progress
from core.engine.data.published.load import SmallImages, idx_archives
from core.engine.data.published.readers import Arrays, read_idx_files
from core.engine.data.sets.fashion_mini import FashionMini, fashion_mini_indices
from core.options import Words

INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist


class FashionMnist(SmallImages):
    """Fashion-MNIST as 54,000 / 6,000 / 10,000 images (Xiao et al. 2017, arXiv:1708.07747)."""

    title = Words("Fashion-MNIST", "Fashion-MNIST")
    classes = 10
    images = 70_000
    size = 28
    channels = 1
    licence = FashionMini.licence
    source = FashionMini.source
    class_names = FashionMini.class_names
    archives = idx_archives(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
        ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    )

    def info(self, folder: Path | None) -> DatasetInfo:
        """Its description; nothing remains to download if Debian's package is installed."""
        return self.described("installed", 0) if installed() else super().info(folder)

    def load(self, image_size: int, folder: Path, progress: Progress) -> Dataset:
        """The dataset, from Debian's package if it is installed."""
        if installed():
            return self.split([INSTALLED / archive.file for archive in self.archives])
        return super().load(image_size, folder, progress)

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_idx_files(files, self.class_names)

    def stored(self, files: list[Path]) -> tuple[Dataset, dict[str, Part]]:
        """As `split` has it."""
        data = self.split(files)
        parts: dict[str, Split] = {split: getattr(data, split) for split in SPLITS}
        return data, {n: Part.of(part.images.numpy(), part.labels.numpy()) for n, part in parts.items()}

    def split(self, files: list[Path]) -> Dataset:
        """The dataset of the four files."""
        arrays = self.arrays(files)
        images, tests = arrays.images[:, 0], arrays.test_images[:, 0]
        return self.apart(images, arrays.labels, tests, arrays.test_labels)

    def apart(
        self, images: NDArray[np.uint8], labels: Indices, test_images: NDArray[np.uint8], test_labels: Indices
    ) -> Dataset:
        """The dataset of images [N, 28, 28]. Validation holds fashion-mini's validation images and none of its training
        images, so neither set's training images are ever among the other's validation or test images."""
        mini = fashion_mini_indices()
        free = np.setdiff1d(np.arange(len(labels)), np.concatenate([mini["train"], mini["validation"]]))
        drawn, _ = draw(labels[free], len(labels) // 10 - len(mini["validation"]), SEED)
        held_out = np.sort(np.concatenate([free[drawn], mini["validation"]]))
        whole = _split(images, labels)
        train = whole.subset(np.setdiff1d(np.arange(len(labels)), held_out))
        return self.whole(self.class_names, (train, whole.subset(held_out), _split(test_images, test_labels)), 28)


def installed() -> bool:
    """Whether Debian's package of Fashion-MNIST is installed."""
    return all((INSTALLED / archive.file).is_file() for archive in FashionMnist.archives)


def _split(images: NDArray[np.uint8], labels: Indices) -> Split:
    return Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))
