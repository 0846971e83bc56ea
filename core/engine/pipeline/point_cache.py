"""A cache of measured points with their files, for other runs of the same steps on the same machine.

Points with a noisy latency are not stored. The receipt of a reused point says when it was measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.engine.measure.record import TIMINGS
from core.files import make_folder, write_atomic
from core.points import Point
from core.storage.sealed import read_kept, write_kept

CARD, LOGITS = "kept.json", "kept logits"  # beside the files, whose names have no blanks


@dataclass(frozen=True)
class KeptPoint:
    """A point with the `files` beside its artifact, by name; `told` are the names recorded in the run's log. `logits`
    [N, C] of the validation images; `quantized`: the float32 file is that of an earlier step; `measured`: seconds since
    1970."""

    point: Point
    files: Mapping[str, bytes]
    told: tuple[str, ...]
    logits: Tensor
    quantized: bool
    measured: float = field(default_factory=time.time)

    @classmethod
    def of(cls, point: Point, told: tuple[Path, ...], logits: Tensor, *, quantized: bool) -> KeptPoint:
        """The point with the files `told`, the first of which is its artifact, and its timings."""
        paths = {*told, told[0].with_name(TIMINGS)}
        files = {path.name: path.read_bytes() for path in paths if path.is_file()}
        return cls(point, files, tuple(dict.fromkeys(path.name for path in told)), logits, quantized)

    def put_into(self, folder: Path) -> None:
        """Writes the files."""
        for name, data in self.files.items():
            write_atomic(make_folder(folder) / name, data)

    @property
    def note(self) -> str:
        """When it was measured, for the receipt."""
        moment = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.measured))
        return f"Measured on {moment} UTC on this machine, by an earlier run of the same steps; not measured again."

    def dated(self, artifact: str) -> Point:
        """The point with this note on its receipt; `artifact` is the path of its file, relative to the run."""
        receipt = {**self.point.receipt}
        notes = receipt.get("notes")
        receipt["notes"] = [*(notes if isinstance(notes, list) else []), self.note]
        return self.point.model_copy(update={"receipt": receipt, "artifact": artifact})


@dataclass(frozen=True)
class PointCache:
    """Points by the key of their step and the `conditions` they were measured under: machine, runtime, code."""

    folder: Path
    conditions: str

    def take(self, key: str) -> KeptPoint | None:
        """The stored point; None if there is none or it is damaged."""
        data = read_kept(self._path(key))
        if data is None:
            return None
        found = load(data)
        with suppress(ValueError, KeyError):
            card = json.loads(_bytes(found.pop(CARD)))
            point, logits = Point.model_validate_json(json.dumps(card["point"])), found.pop(LOGITS)
            files = {name: _bytes(tensor) for name, tensor in found.items()}
            return KeptPoint(point, files, tuple(card["told"]), logits, card["quantized"], card["measured"])
        return None

    def holds(self, key: str) -> bool:
        """Whether there is an entry, intact or damaged."""
        return self._path(key).exists()

    def put(self, key: str, kept: KeptPoint) -> None:
        """Stores a point unless its latency is noisy; a full disk is no error."""
        latency = kept.point.latency_ms
        if latency is None or latency.noisy:
            return
        card = {
            "point": kept.point.to_json(),
            "told": kept.told,
            "quantized": kept.quantized,
            "measured": kept.measured,
        }
        held = {name: _tensor(data) for name, data in kept.files.items()}
        held |= {CARD: _tensor(json.dumps(card).encode()), LOGITS: kept.logits.contiguous()}
        with suppress(OSError):
            make_folder(self.folder)
            write_kept(self._path(key), save(held))

    def _path(self, key: str) -> Path:
        return self.folder / f"{sha256(f'{key}/{self.conditions}'.encode()).hexdigest()[:32]}.kept"


def _tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _bytes(tensor: Tensor) -> bytes:
    return bytes(tensor.numpy().tobytes())
