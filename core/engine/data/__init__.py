"""Data sets, import of a person's own images, augmentation and preparation of batches."""

from core.engine.data.augment import AUGMENTATIONS, augment, prepare, prepare_numpy, resize
from core.engine.data.bundled import fashion_mini_indices
from core.engine.data.catalog import datasets, load_dataset
from core.engine.data.dataset import Dataset, DatasetInfo, Split, few_labels
from core.engine.data.importing import Imported, import_images
from core.engine.data.own import own_datasets
from core.engine.data.texts import import_data

__all__ = [
    "AUGMENTATIONS",
    "Dataset",
    "DatasetInfo",
    "Imported",
    "Split",
    "augment",
    "datasets",
    "fashion_mini_indices",
    "few_labels",
    "import_data",
    "import_images",
    "load_dataset",
    "own_datasets",
    "prepare",
    "prepare_numpy",
    "resize",
]
