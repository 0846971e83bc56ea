"""Imported networks: each is a sealed card and its weights, in a folder named by a hash of its name.

In recipes and lists such a network is called `own/` followed by the name its owner gave it.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.classroom.lent import refuse_lent
from core.errors import UserError, nearest, shorten
from core.files import make_folder, move, remove_tree, touch
from core.own.datasets import normal_name
from core.storage.sealed import DamagedError, read_sealed

PREFIX = "own/"
CARD, WEIGHTS = "network.json", "network.safetensors"
SCHEMA = 1
MOST_NAME = 64  # characters
MOST_LABELS = 4 * 2**20  # bytes of a file of labels
NOT_ITS_OWN = ("accuracy", "download_bytes", "width", "width_power")  # facts of the architecture, not of the weights
OTHER = " ._-"  # characters a name may contain besides letters and digits


class OwnNetwork(BaseModel):
    """The content of network.json: the catalog's `architecture` that the weights belong to, and the preprocessing.

    `width` and `channels` are those of a small network. `named`: whether a person named the classes; otherwise they are
    numbered from 0. `size` is in pixels a side, `crop` the share of a picture's side that the centre crop keeps. `file`
    and `file_sha256` describe the imported file, `sha256` and `bytes` the weights as they are stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    schema_version: int
    name: str
    architecture: str
    width: int
    channels: int
    classes: list[str]
    named: bool
    size: int
    mean: list[float]
    std: list[float]
    crop: float
    params: int
    macs: int
    sha256: str
    bytes: int
    file: str
    file_sha256: str
    notes: list[str]


@dataclass(frozen=True)
class StoredNetwork:
    """An imported network and its folder."""

    home: Path
    card: OwnNetwork

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.home / WEIGHTS


def bare_name(name: str) -> str:
    """The name of a network without `own/`."""
    return normal_name(name).removeprefix(PREFIX)


def network_home(name: str, folder: Path) -> Path:
    """The folder of the network with this name, whether or not it exists."""
    return folder / f"own-{hashlib.sha256(bare_name(name).encode('utf-8', 'replace')).hexdigest()[:16]}"


def new_name(name: str, folder: Path) -> str:
    """The name as it is stored; raises UserError `bad_name` or `name_taken`."""
    kept = bare_name(name)
    plain = all(c.isalnum() or c in OTHER or unicodedata.category(c).startswith("M") for c in kept)
    if not kept or len(kept) > MOST_NAME or not plain:
        allowed = f"1 to {MOST_NAME} letters, digits, spaces, dots, hyphens and underscores"
        raise UserError("bad_name", "name", name, allowed, "Give the network a short name, such as mine.")
    if network_home(kept, folder).exists():
        fix = f"Choose another name, or remove that one: condenser remove-model '{kept}'."
        raise UserError("name_taken", "name", kept, "a name no other network has", fix)
    return kept


def read_network(home: Path) -> StoredNetwork:
    """The card of an imported network; raises UserError `damaged_network`."""
    try:
        card = OwnNetwork.model_validate_json(read_sealed(home / CARD))
    except (ValidationError, DamagedError, OSError) as error:
        raise damaged_network(home) from error
    return StoredNetwork(home, card)


def find_network(name: str, folder: Path) -> StoredNetwork:
    """The network of this name; raises UserError `unknown_network` or `damaged_network`."""
    home = network_home(name, folder)
    if not home.is_dir():
        known = [PREFIX + stored.card.name for stored in own_networks(folder)]
        fix = nearest(PREFIX + bare_name(name), known) if known else "Import one first: condenser import-model."
        raise UserError("unknown_network", "model", name, "the name of an imported network", fix)
    return read_network(home)


def own_networks(folder: Path) -> list[StoredNetwork]:
    """All imported networks in the order of their names; damaged ones are left out (`damaged_networks`)."""
    return sorted(_readable(folder), key=lambda stored: stored.card.name)


def _readable(folder: Path) -> Iterator[StoredNetwork]:
    for home in folder.glob("own-*"):
        try:
            yield read_network(home)
        except UserError:
            continue


def damaged_networks(folder: Path) -> list[Path]:
    """The folders of imported networks that appear in no list, because their cards cannot be read."""
    whole = {stored.home for stored in own_networks(folder)}
    return [home for home in sorted(folder.glob("own-*")) if home not in whole]


def damaged_network(home: Path) -> UserError:
    """The error for an imported network whose card cannot be read."""
    fix = f"Delete the folder models/{home.name} of the workspace and import the network again."
    return UserError("damaged_network", "model", home.name, f"an intact {CARD}", fix)


def remove_network(name: str, folder: Path, trash: Path) -> str:
    """Moves a network to the trash, which keeps it for a week, and returns its name; raises UserError
    `unknown_network`, or `lent` for one of the teacher's. Damaged networks can be removed too."""
    home = network_home(name, folder)
    if not home.is_dir():
        find_network(name, folder)
    refuse_lent(home, "network", name)
    target = make_folder(trash) / home.name
    remove_tree(target)
    move(home, target)
    touch(target)  # the trash is emptied by age
    return bare_name(name)


def restore_network(name: str, folder: Path, trash: Path) -> None:
    """Brings a removed network back; raises UserError `name_taken`, or `unknown_network` where the trash lacks it."""
    home = network_home(new_name(name, folder), folder)
    if not (trash / home.name).is_dir():
        raise UserError("unknown_network", "model", name, "a network in the trash", "Import it again from its file.")
    move(trash / home.name, home)


def facts(card: OwnNetwork, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The network as a catalog entry; `architecture` is the catalog entry of its architecture."""
    known = {name: value for name, value in architecture.items() if name not in NOT_ITS_OWN}
    return {
        **known,
        "name": PREFIX + card.name,
        "title": f"{card.name} ({architecture['title']})",
        "family": "own",
        "architecture": card.architecture,
        "own_width": card.width,
        "channels": card.channels,
        "image_size": card.size,
        "mean": list(card.mean),
        "std": list(card.std),
        "crop": card.crop,
        "params": card.params,
        "macs": card.macs,
        "accuracy": None,
        "classes": len(card.classes),
        "class_names": list(card.classes),
        "named": card.named,
        "licence": "your own",
        "source": f"imported from {card.file}",
        "weights": "own",
        "download_bytes": 0,
    }


def catalog_entries(folder: Path, backbones: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Catalog entries of the imported networks by name; those whose architecture is not in `backbones` are left out."""
    networks = [stored.card for stored in own_networks(folder)]
    known = [card for card in networks if card.architecture in backbones]
    return {PREFIX + card.name: facts(card, backbones[card.architecture]) for card in known}


def read_labels(path: Path) -> list[str]:
    """Class names in the order of the outputs: a text file with one per line, a JSON list such as a bundle's
    labels.json, or a JSON object of names and numbers such as a `class_to_idx`. Raises UserError `bad_labels`."""
    try:
        data = _limited(path)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _bad_labels(f"{path.name} ({error.strerror})", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise _bad_labels(f"{path.name} (not UTF-8)", "Save it as UTF-8 text.") from error
    names = _from_json(text, path.name) if text.lstrip().startswith(("[", "{")) else text.splitlines()
    while names and not names[-1].strip():
        names.pop()
    return checked_labels([normal_name(name) for name in names])


def checked_labels(names: list[str]) -> list[str]:
    """`names`, if each is unique, not empty and on one line; raises UserError `bad_labels`."""
    if not names:
        raise _bad_labels("no name", "Write one class name per line.")
    for number, name in enumerate(names, 1):
        if not name or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
            raise _bad_labels(
                f"line {number}: {shorten(name)}", "Write a name without control characters on each line."
            )
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise _bad_labels(f"{shorten(twice)} twice", "Give each class a name of its own.")
    return names


def _limited(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_LABELS + 1)
    if len(data) > MOST_LABELS:
        raise _bad_labels(f"{path.name}, over {MOST_LABELS // 2**20} MiB", "Give a file with one class name per line.")
    return data


def _from_json(text: str, name: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        found = _numbered(found)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        given = f"{name}: JSON, but no list of texts and no names with the numbers 0, 1, 2 …"
        raise _bad_labels(given, 'Write ["cat", "dog"], or one name per line.')
    return [" ".join(one.splitlines()) for one in found]


def _numbered(found: Mapping[str, Any]) -> list[Any] | None:
    """The names of `{"cat": 0, "dog": 1}` or `{"0": "cat", "1": "dog"}` by their numbers; None unless these are 0, 1,
    2 and so on, each once."""
    if all(type(value) is int for value in found.values()):
        pairs = [(value, name) for name, value in found.items()]
    else:
        pairs = [(int(key[:9]) if key.isascii() and key.isdecimal() else -1, value) for key, value in found.items()]
    if sorted(number for number, _ in pairs) != list(range(len(pairs))):
        return None
    return [name for _, name in sorted(pairs, key=lambda pair: pair[0])]


def _bad_labels(given: str, fix: str) -> UserError:
    return UserError("bad_labels", "labels", given, "one class name per line, in the order of the outputs", fix)
