"""Networks of timm beyond the catalog's list that a person added to a workspace: their facts, as the engine counted
them, one sealed file each, so that recipes which name them are checked without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.catalog import Facts
from core.classroom.lent import refuse_lent
from core.errors import UserError, nearest
from core.files import remove_file, write_atomic
from core.storage.sealed import DamagedError, read_sealed, seal

START = "added-"


def keep(facts: Facts, folder: Path) -> None:
    """Adds a network to the workspace whose models are in `folder`; one of the same name is replaced."""
    data = json.dumps(dict(facts), ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
    write_atomic(file_of(str(facts["name"]), folder), seal(data))


def added(folder: Path) -> dict[str, dict[str, Any]]:
    """Their facts by name; a file that is damaged is left out, for it can be made again."""
    found = (_read(path) for path in added_files(folder))
    return {str(facts["name"]): facts for facts in found if facts is not None}


def forget(name: str, folder: Path) -> Mapping[str, Any]:
    """Takes a network out again and gives its facts, by which `keep` brings it back; raises UserError."""
    known = added(folder)
    if name not in known:
        raise UserError("unknown_backbone", "backbone", name, "a network that was added", nearest(name, known))
    refuse_lent(file_of(name, folder), "network", name)
    remove_file(file_of(name, folder))
    return known[name]


def added_files(folder: Path) -> list[Path]:
    """The files of all of them, damaged ones too."""
    return sorted(folder.glob(f"{START}*.json"))


def is_added(path: Path) -> bool:
    """Whether a file holds the facts of the network that its name stands for."""
    return _read(path) is not None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(read_sealed(path))
    except (OSError, ValueError, DamagedError):
        return None
    whole = isinstance(facts, dict) and {"name", "params", "macs", "weights", "classes", "image_size"} <= facts.keys()
    return facts if whole and file_of(str(facts["name"]), path.parent) == path else None


def file_of(name: str, folder: Path) -> Path:
    """Where the facts of the network with that name are kept."""
    return folder / f"{START}{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}.json"
