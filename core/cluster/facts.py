"""What is installed on a machine, and whether a run there would be the same as here."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.hardware.machine import processor

PACKAGES = ("condenser", "torch", "torchvision", "onnxruntime")  # what a figure of a run depends on
CORE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Facts:
    """The processor, and the versions by name; `code` is a hash of the program's own files."""

    processor: str
    versions: Mapping[str, str]
    code: str


def facts() -> Facts:
    """Those of this machine."""
    versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    return Facts(processor(), versions, _code())


def unlike(there: Facts, here: Facts) -> str:
    """Why runs there would not be those of here, both versions named; empty if they would."""
    names = (name for name in PACKAGES if there.versions.get(name) != here.versions.get(name))
    told = [f"{name} {there.versions.get(name) or 'missing'} there, {here.versions.get(name)} here" for name in names]
    if not told and there.code != here.code:
        told = [
            f"Condenser {here.versions.get('condenser')} on both, but other files: {there.code} there, {here.code} here"
        ]
    return "; ".join(told)


@cache
def _code() -> str:
    digest = sha256()
    for path in sorted(CORE.rglob("*.py")):
        digest.update(path.relative_to(CORE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
