"""Datasets, import of a person's own images, augmentation and preparation of batches."""

from core.engine.data.augment import AUGMENTATIONS, augment, erase, prepare, prepare_numpy, resize
from core.engine.data.catalog import datasets, load_dataset
from core.engine.data.dataset import Dataset, DatasetInfo, Split, few_labels, few_shots, labelled_part
from core.engine.data.imports.images import import_images
from core.engine.data.imports.imported import own_datasets, own_names, version_of
from core.engine.data.imports.texts import import_data
from core.engine.data.sets.fashion_mini import fashion_mini_indices
from core.engine.data.target import Target, Unlabelled, chance_of, matched
from core.questions.import_data import Imported

__all__ = [
    "AUGMENTATIONS",
    "Dataset",
    "DatasetInfo",
    "Imported",
    "Split",
    "Target",
    "Unlabelled",
    "augment",
    "chance_of",
    "datasets",
    "erase",
    "fashion_mini_indices",
    "few_labels",
    "few_shots",
    "import_data",
    "import_images",
    "labelled_part",
    "load_dataset",
    "matched",
    "own_datasets",
    "own_names",
    "prepare",
    "prepare_numpy",
    "resize",
    "version_of",
]
