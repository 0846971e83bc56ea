"""How long each backbone takes for one image on this machine, as far as a person had it measured; kept per machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from core.files import lock, make_folder, write_atomic
from core.hardware.machine import machine
from core.storage.sealed import DamagedError, read_sealed, seal

FOLDER = "times"


@dataclass(frozen=True)
class BackboneTime:
    """Of the exported float32 file in onnxruntime, batch 1, one thread: milliseconds `p50` and `p95` over `n` runs at
    `image_size` pixels a side; `noisy` where the machine was busy. `bytes` is the file's size."""

    backbone: str
    image_size: int
    p50: float
    p95: float
    n: int
    noisy: bool
    bytes: int


TIMES = TypeAdapter(dict[str, BackboneTime])


def times(cache: Path) -> Mapping[str, BackboneTime]:
    """What was measured on this machine, by backbone; nothing where the file is damaged."""
    try:
        return TIMES.validate_json(read_sealed(_file(cache)))
    except (OSError, ValidationError, DamagedError):
        return {}


def keep_time(found: BackboneTime, cache: Path) -> None:
    """Keeps a measurement, in place of an earlier one of the same backbone."""
    path = _file(cache)
    make_folder(path.parent)
    with lock(path):
        known = {**times(cache), found.backbone: found}
        data = json.dumps({name: asdict(one) for name, one in sorted(known.items())}, allow_nan=False)
        write_atomic(path, seal(data.encode()))


def _file(cache: Path) -> Path:
    here = machine()
    words = json.dumps([here.processor, here.cores, here.runtimes])
    return cache / FOLDER / f"backbones-{hashlib.sha256(words.encode()).hexdigest()[:16]}.json"
