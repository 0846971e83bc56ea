"""The datasets that a person imported: folders named by a hash of the person's name for them, and what they hold."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.catalog import Facts
from core.errors import UserError, UserErrors
from core.sealed import read_sealed

CARD = "dataset.json"  # what it holds; sealed
HASH = re.compile(r"[0-9a-f]{64}")
UNPACKED = "files.json"  # beside the files of a published set: the SHA-256 of each


def normal_name(name: str) -> str:
    """The name as it is kept and compared: composed Unicode, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def home_of(name: str, folder: Path) -> Path:
    """Where the dataset of this name lives, whether or not it is there."""
    return folder / f"own-{hashlib.sha256(normal_name(name).encode('utf-8', 'replace')).hexdigest()[:16]}"


def find_home(name: str, folder: Path) -> Path | None:
    """Where the imported dataset of this name lives; also under a name it had before. None where there is none.

    A set that is renamed stays where it is, and no other may take a name that it had.
    """
    direct = home_of(name, folder)
    if direct.is_dir():
        return direct
    wanted = normal_name(name)
    return next((home for home in sorted(folder.glob("own-*")) if wanted in _names(home)), None)


def _names(home: Path) -> tuple[str, ...]:
    """The name of an imported dataset and those it had before; none where its card is damaged."""
    try:
        card = json.loads(read_sealed(home / CARD))
        return (card["name"], *card.get("former_names", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def images_of(home: Path) -> dict[str, str]:
    """The class of every image of an imported dataset, by the name it came with; none where the card is damaged."""
    try:
        card = json.loads(read_sealed(home / CARD))
        return {str(image["name"]): str(card["classes"][image["label"]]) for image in card["images"]}
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
    """What to say of an imported dataset whose labels cannot be read."""
    fix = f"Delete the folder datasets/{home.name} of the workspace and import the images again."
    return UserError("damaged_dataset", "dataset", home.name, "a whole dataset.json", fix)


@contextmanager
def telling_damage(folder: Path) -> Iterator[None]:
    """Where a recipe is refused in the block because it names an unknown dataset, and one was imported under that
    name: says that its labels are damaged, which is why nobody knows it."""
    try:
        yield
    except UserErrors as error:
        homes = {one: home_of(one.given, folder) for one in error.errors if one.code == "unknown_dataset"}
        if not any(home.is_dir() for home in homes.values()):
            raise
        raise UserErrors(
            damaged(homes[one]) if one in homes and homes[one].is_dir() else one for one in error.errors
        ) from error


def imported_datasets(folder: Path) -> dict[str, Facts]:
    """The datasets a person imported, by name, with classes and counts; damaged ones are left out."""
    found: dict[str, Facts] = {}
    for path in sorted(folder.glob(f"own-*/{CARD}")):
        try:
            card = json.loads(read_sealed(path))
            found[card["name"]] = {
                "name": card["name"], "title": card["name"], "classes": len(card["classes"]),
                "images": len(card["images"]), "where": "own", "class_names": list(card["classes"]),
                "train": sum(image["split"] == "train" for image in card["images"]),
            }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def damaged_datasets(folder: Path) -> list[Path]:
    """The folders of imported datasets whose labels cannot be read, and which no list shows therefore."""
    found = []
    for home in sorted(folder.glob("own-*")):
        try:
            read_sealed(home / CARD)
        except (OSError, ValueError):
            found.append(home)
    return found
