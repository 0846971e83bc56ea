"""Every dataset by name, and the one way to load one."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

from core.engine.data.bundled import (
    DIGIT_CLASSES,
    FASHION_CLASSES,
    FASHION_LICENCE,
    FASHION_SOURCE,
    GLYPHS_LICENCE,
    GLYPHS_SOURCE,
    TEXT_LICENCE,
    TEXT_SOURCE,
    load_digits,
    load_fashion_mini,
    load_glyphs,
    load_text_sample,
)
from core.engine.data.dataset import Dataset, DatasetInfo
from core.engine.data.imports.imported import find_home, load_own, normal_name, own_datasets, own_info, read_version
from core.engine.data.photos import Progress
from core.engine.data.published.load import at_hand, installed, load_installed, load_published
from core.engine.data.published.sets import PUBLISHED, Published
from core.errors import UserError, nearest

SIZES = (8, 1024)  # pixels of a square photo's side
_BUNDLED = {
    "digits": DatasetInfo(
        name="digits",
        title="Handwritten digits, 8×8",
        title_zh="手写数字，8×8",
        classes=10,
        images=1797,
        size=8,
        channels=1,
        licence="CC BY 4.0 (UCI)",
        source="https://archive.ics.uci.edu/dataset/80",
        where="bundled",
        bytes=0,
        at_hand=True,
        class_names=DIGIT_CLASSES,
    ),
    "glyphs": DatasetInfo(
        name="glyphs",
        title="Digits in printed fonts, 8×8",
        title_zh="印刷字体的数字，8×8",
        classes=10,
        images=6560,
        size=8,
        channels=1,
        licence=GLYPHS_LICENCE,
        source=GLYPHS_SOURCE,
        where="bundled",
        bytes=0,
        at_hand=True,
        class_names=DIGIT_CLASSES,
    ),
    "fashion-mini": DatasetInfo(
        name="fashion-mini",
        title="Fashion-MNIST, a bundled part",
        title_zh="Fashion-MNIST 的一部分（内置）",
        classes=10,
        images=8000,
        size=28,
        channels=1,
        licence=FASHION_LICENCE,
        source=FASHION_SOURCE,
        where="bundled",
        bytes=0,
        at_hand=True,
        class_names=FASHION_CLASSES,
    ),
    "text-topics": DatasetInfo(
        name="text-topics",
        title="Sentences about four topics, drawn as images",
        title_zh="四个主题的句子，画成图片",
        classes=4,
        images=1200,
        size=None,
        channels=1,
        licence=TEXT_LICENCE,
        source=TEXT_SOURCE,
        where="bundled",
        bytes=0,
        at_hand=True,
    ),
}


def datasets(workspace_datasets: Path | None = None) -> dict[str, DatasetInfo]:
    """Bundled sets first, then published ones, then those imported into the workspace's datasets folder."""
    found = dict(_BUNDLED)
    found |= {name: _info(published, workspace_datasets) for name, published in PUBLISHED.items()}
    if workspace_datasets is not None:
        found |= {name: own_info(stored) for name, stored in own_datasets(workspace_datasets).items()}
    return found


def load_dataset(
    name: str,
    image_size: int,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    version: str = "",
) -> Dataset:
    """The dataset called `name`, as square uint8 images.

    Small sets of one size come at that size; photos come at `image_size`, their shorter side resized and the middle
    kept; texts are drawn at it. `folder` is the workspace's datasets folder: imported sets live there and fetched ones
    are put there. `progress` is told (what, done, total or None). `version` is the content hash of an imported set that
    was changed since; empty for the newest. Raises UserError on an unknown name, size or version, and offline.
    """
    least, most = SIZES
    if not least <= image_size <= most:
        fix = f"The nearest allowed value is {min(max(image_size, least), most)}."
        raise UserError("out_of_range", "image_size", image_size, f"a whole number from {least} to {most}", fix)
    report = progress or _silent
    if name == "digits":
        return load_digits()
    if name == "fashion-mini":
        return load_fashion_mini()
    if name == "glyphs":
        return load_glyphs()
    if name == "text-topics":
        return load_text_sample(image_size)
    if name == "fashion-mnist" and installed():
        return load_installed()
    folder = folder or default_folder()
    if name in PUBLISHED:
        return load_published(PUBLISHED[name], image_size, folder, report)
    home = find_home(name, folder)
    if home is None:
        known = datasets(folder)
        raise UserError("unknown_dataset", "dataset", name, "a dataset of the list", nearest(normal_name(name), known))
    return load_own(read_version(home, version), image_size, report)


def default_folder() -> Path:
    """The datasets folder of the default workspace."""
    workspace = os.environ.get("CONDENSER_WORKSPACE")
    return Path(workspace or user_data_dir("condenser", appauthor=False)) / "datasets"


def _info(published: Published, folder: Path | None) -> DatasetInfo:
    on_disk = published.form == "fashion" and installed()
    here = on_disk or at_hand(published, folder)
    return DatasetInfo(
        name=published.name,
        title=published.title,
        title_zh=published.title_zh,
        classes=published.classes,
        images=published.images,
        size=published.size,
        channels=published.channels,
        licence=published.licence,
        source=published.source,
        where="installed" if on_disk else "download",
        bytes=0 if here else published.bytes,
        download_bytes=published.bytes,
        at_hand=here,
        class_names=FASHION_CLASSES if published.form == "fashion" else (),
    )


def _silent(what: str, done: int, total: int | None) -> None:
    return None
