"""One stored file, checked against the hash it was written with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from core.integrity.damage import Condition, Finding
from core.processes.workers import IDENTITY_FILES, read_identity
from core.storage.sealed import DamagedError, file_hash, open_document, read_sealed
from core.storage.tensors import is_finite

HASH = re.compile(r"[0-9a-f]{64}")
FILES = frozenset((".json", ".jsonl", ".toml", ".npz", ".onnx", ".safetensors", ".kept", ".png", ".jpg", ".pt2"))
PROCESS = "Nothing needs to be done: the next process writes it again."


def under(folder: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of a folder by their path in the one that it lies in."""
    for found in findings:
        yield replace(found, file=f"{folder}/{found.file}")


def is_there(path: Path) -> bool:
    """Whether anything has that name, even a link that leads nowhere."""
    return path.exists() or path.is_symlink()


def identities(folder: Path) -> Iterator[Finding]:
    """Who works on the folder: a process and when it began."""
    for name in IDENTITY_FILES:
        if is_there(folder / name):
            bad = read_identity(folder / name) is None
            yield Finding(name, *((Condition.DAMAGED, PROCESS) if bad else (Condition.OK,)))


Whole = Callable[[Any], bool]  # whether the content of a document has what its kind needs


def document(root: Path, relative: str, fix: str, whole: Whole = lambda told: True) -> Finding:
    """A JSON document with a seal around it; without one, it must at least be `whole`."""
    try:
        found = open_document((root / relative).read_bytes())
        if not (found.sealed or whole(json.loads(found.body))):
            raise DamagedError("a part is missing")
    except (OSError, ValueError):
        return Finding(relative, Condition.DAMAGED, fix)
    return Finding(relative, Condition.OK if found.sealed else Condition.UNSEALED)


def fits(model: type[BaseModel], told: Any) -> bool:
    """Whether a document is one of that model."""
    try:
        model.model_validate_json(json.dumps(told))
    except ValidationError:
        return False
    return True


def has_hash(told: Any) -> bool:
    """Whether a document holds the SHA-256 of the file beside it."""
    return HASH.fullmatch(str(told.get("sha256", ""))) is not None


def has_hashes(told: Any) -> bool:
    """Whether a document is a list of files, each with its SHA-256."""
    return bool(told) and all(HASH.fullmatch(str(digest)) for digest in told.values())


def misplaced(folder: Path, known: Collection[str] = ()) -> Iterator[Finding]:
    """What lies where a file should be and is none: a folder with the name of a file, a link that leads nowhere. Those
    in `known`, by their paths in `folder`, were reported before."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        lost = path.is_symlink() and not path.exists()
        named = path.suffix in FILES and path.is_dir() and not path.is_symlink()
        if (lost or named) and relative not in known and not path.name.startswith("."):
            what = "a link that leads nowhere" if lost else "a folder in the place of a file"
            yield Finding(relative, Condition.DAMAGED, f"It is {what}: remove it, or put the file back.")


def hashed(root: Path, relative: str, digest: str, fix: str) -> Finding:
    """A file whose SHA-256 is kept elsewhere; tensors must be finite too."""
    path = root / relative
    try:
        found = file_hash(path)
    except FileNotFoundError:
        return Finding(relative, Condition.MISSING, fix)
    except OSError:
        return Finding(relative, Condition.DAMAGED, fix)
    whole = found == digest and (path.suffix != ".safetensors" or is_finite(path))
    return Finding(relative, *((Condition.OK,) if whole else (Condition.DAMAGED, fix)))


def files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def listed(path: Path) -> dict[str, str]:
    """The hashes in a sealed document; none if it is missing or damaged, which is reported separately."""
    try:
        found = json.loads(read_sealed(path))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
