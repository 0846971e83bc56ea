"""Imported datasets: folders named by a hash of the name the person chose, and what they contain."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.catalog import Facts
from core.errors import UserError, UserErrors
from core.storage.sealed import read_sealed

CARD = "dataset.json"  # describes the content; sealed
HASH = re.compile(r"[0-9a-f]{64}")
UNPACKED = "files.json"  # next to the files of a published dataset: the SHA-256 of each


def normal_name(name: str) -> str:
    """The name as it is stored and compared: NFC-normalized, without spaces at its ends."""
    return unicodedata.normalize("NFC", name).strip()


def home_of(name: str, folder: Path) -> Path:
    """The folder of the dataset with this name, whether or not it exists."""
    return folder / f"own-{hashlib.sha256(normal_name(name).encode('utf-8', 'replace')).hexdigest()[:16]}"


def find_home(name: str, folder: Path) -> Path | None:
    """The folder of the imported dataset with this name or former name; None if there is none.

    A renamed dataset stays in its folder, and no other may take one of its former names.
    """
    direct = home_of(name, folder)
    if direct.is_dir():
        return direct
    wanted = normal_name(name)
    return next((home for home in sorted(folder.glob("own-*")) if wanted in all_names(home)), None)


def all_names(home: Path) -> tuple[str, ...]:
    """The name and the former names of an imported dataset; none if its card is damaged."""
    try:
        card = json.loads(read_sealed(home / CARD))
        return (card["name"], *card.get("former_names", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def images_of(home: Path) -> dict[str, str]:
    """The class of every image of an imported dataset, by the image's original name, "" for one without a label; empty
    if the card is damaged."""
    try:
        card = json.loads(read_sealed(home / CARD))
        classes = [*card["classes"], ""]  # label −1 is the last
        return {str(image["name"]): str(classes[image["label"]]) for image in card["images"]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def names_in(home: Path, split: str, version: str = "") -> list[str]:
    """The names that the images of a split came with, in the stored order; of the version with that content hash, where
    the set was changed since. None where the card is damaged."""
    former = home / "versions" / f"{version}.json"
    path = former if HASH.fullmatch(version) and former.is_file() else home / CARD
    try:
        return [str(image["name"]) for image in json.loads(read_sealed(path))["images"] if image["split"] == split]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def damaged(home: Path) -> UserError:
    """The error for an imported dataset whose labels cannot be read."""
    fix = f"Delete the folder datasets/{home.name} of the workspace and import the images again."
    return UserError("damaged_dataset", "dataset", home.name, "an intact dataset.json", fix)


@contextmanager
def reporting_damage(folder: Path) -> Iterator[None]:
    """If a recipe is refused in the block for an unknown dataset that was in fact imported: reports instead that its
    labels are damaged, which is why it is unknown."""
    try:
        yield
    except UserErrors as error:
        homes = {one: home_of(one.given, folder) for one in error.errors if one.code == "unknown_dataset"}
        if not any(home.is_dir() for home in homes.values()):
            raise
        raise UserErrors(
            damaged(homes[one]) if one in homes and homes[one].is_dir() else one for one in error.errors
        ) from error


def is_dataset(told: Any) -> bool:
    """Whether a document says what an imported dataset holds: its name, its classes, and each image with its file, its
    class, its split and its name."""
    kinds = {"name": str, "classes": list, "channels": int, "images": list}
    if not all(isinstance(told.get(name), kind) for name, kind in kinds.items()):
        return False
    parts = {"file": str, "label": int, "split": str, "name": str}
    return all(
        isinstance(image, dict) and all(isinstance(image.get(name), kind) for name, kind in parts.items())
        for image in told["images"]
    )


def imported_datasets(folder: Path) -> dict[str, Facts]:
    """The imported datasets by name, with classes and counts; damaged ones are left out. A set without labels is
    `unlabelled`: `train` counts its unlabelled images, `tests` those with a label, `classes` the classes of these."""
    found: dict[str, Facts] = {}
    for path in sorted(folder.glob(f"own-*/{CARD}")):
        try:
            card = json.loads(read_sealed(path))
            found[card["name"]] = {
                "name": card["name"],
                "title": card["name"],
                "classes": len(card["classes"]),
                "images": len(card["images"]),
                "where": "own",
                "class_names": list(card["classes"]),
                "train": sum(image["split"] == "train" for image in card["images"]),
            }
            if card.get("unlabelled"):
                tests = sum(image["split"] == "test" for image in card["images"])
                found[card["name"]] = {**found[card["name"]], "unlabelled": True, "tests": tests}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def damaged_datasets(folder: Path) -> list[Path]:
    """The folders of imported datasets that appear in no list, because their labels cannot be read."""
    found = []
    for home in sorted(folder.glob("own-*")):
        try:
            whole = is_dataset(json.loads(read_sealed(home / CARD)))
        except (OSError, ValueError):
            whole = False
        if not whole:
            found.append(home)
    return found
