"""One stored file, checked against the hash it was written with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from core.damage import Condition, Finding
from core.processes.workers import IDENTITY_FILES, read_identity
from core.sealed import file_hash, read_sealed, unseal
from core.tensors import is_finite

PROCESS = "Nothing needs to be done: the next process writes it again."


def under(folder: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of a folder by their path in the one that it lies in."""
    for found in findings:
        yield replace(found, file=f"{folder}/{found.file}")


def identities(folder: Path) -> Iterator[Finding]:
    """Who works on the folder: a process and when it began."""
    for name in IDENTITY_FILES:
        if (folder / name).exists():
            bad = read_identity(folder / name) is None
            yield Finding(name, *((Condition.DAMAGED, PROCESS) if bad else (Condition.OK,)))


def document(root: Path, relative: str, fix: str) -> Finding:
    """A JSON document with a seal around it."""
    try:
        found = unseal((root / relative).read_bytes())
        json.loads(found.body)
    except (OSError, ValueError):
        return Finding(relative, Condition.DAMAGED, fix)
    return Finding(relative, Condition.OK if found.sealed else Condition.UNSEALED)


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
