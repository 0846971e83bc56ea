"""All datasets by name, and the function that loads them."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

from core.engine.data.dataset import Dataset, DatasetInfo
from core.engine.data.imports.imported import find_home, load_own, normal_name, own_datasets, own_info, read_version
from core.engine.data.photos import Progress
from core.engine.data.sets import known_datasets
from core.errors import UserError, nearest
from core.rules.pool import without_labels

SIZES = (8, 1024)  # pixels a side of a square photo


def datasets(workspace_datasets: Path | None = None) -> dict[str, DatasetInfo]:
    """All datasets: bundled ones first, then published ones, then those imported into the workspace's datasets
    folder."""
    found = {name: known.info(workspace_datasets) for name, known in known_datasets().items()}
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
    unlabelled: bool = False,
) -> Dataset:
    """The dataset called `name`, as square uint8 images.

    Datasets of small images keep their size; photos are resized to `image_size` on their shorter side and cropped to
    the centre; texts are drawn at that size. `folder` is the workspace's datasets folder, which holds imported and
    downloaded datasets. `progress` is called with (what, done, total or None). `version` is the content hash of an
    imported dataset that was changed since; empty for the newest. `unlabelled`: whether a set without labels is
    accepted. Raises UserError on an unknown name, size or version, or if a download is needed and fails.
    """
    least, most = SIZES
    if not least <= image_size <= most:
        fix = f"The nearest allowed value is {min(max(image_size, least), most)}."
        raise UserError("out_of_range", "image_size", image_size, f"a whole number from {least} to {most}", fix)
    report, folder = progress or _silent, folder or default_folder()
    if name in known_datasets():
        return known_datasets()[name].load(image_size, folder, report)
    home = find_home(name, folder)
    if home is None:
        known = datasets(folder)
        raise UserError("unknown_dataset", "dataset", name, "a dataset in the list", nearest(normal_name(name), known))
    stored = read_version(home, version)
    if stored.card.unlabelled and not unlabelled:
        raise without_labels("dataset", name)
    return load_own(stored, image_size, report)


def default_folder() -> Path:
    """The datasets folder of the default workspace."""
    workspace = os.environ.get("CONDENSER_WORKSPACE")
    return Path(workspace or user_data_dir("condenser", appauthor=False)) / "datasets"


def _silent(what: str, done: int, total: int | None) -> None:
    return None
