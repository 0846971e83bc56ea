"""One cache file per dataset and image size: uint8 images and labels as safetensors, memory-mapped when read.

The layout is that of safetensors (https://huggingface.co/docs/safetensors): 8 bytes of header length, JSON, raw
tensors. Files are streamed, so that datasets larger than memory can be cached, and checked by SHA-256 when read: `seal`
is the hash of the whole file with zeros in place of the seal; older files have the hash of the tensors only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.data.dataset import SPLITS, Dataset, Indices, Split
from core.engine.data.selection import mapped
from core.files import make_folder, remove_file, replacing

Pixels = NDArray[np.uint8]
BLANK = "0" * 64
CHECKED = 2 * 2**30  # bytes up to which the hash is checked on every read: about a second


@dataclass(frozen=True)
class Part:
    """One split to cache: its labels, and `fill`, which writes its images into a uint8 [N, C, size, size] array."""

    labels: Indices
    fill: Callable[[Pixels], None]

    @classmethod
    def of(cls, images: Pixels, labels: Indices) -> Part:
        """A split whose images are in memory: uint8 [N, C, size, size]."""
        return cls(labels, lambda out: np.copyto(out, images))


def write_cache(path: Path, card: Dataset, parts: Mapping[str, Part]) -> None:
    """Writes the splits atomically; `card` gives everything but the images."""
    facts = {"name", "title", "licence", "source", "content_hash"}
    metadata = {key: str(getattr(card, key)) for key in facts}
    metadata |= {"classes": json.dumps(card.classes), "notes": json.dumps(card.notes), "seal": BLANK}
    header, offset = {"__metadata__": metadata}, 0
    for split in SPLITS:
        count = len(parts[split].labels)
        for key, kind, shape in (
            (f"{split}.labels", "I64", [count]),
            (f"{split}.images", "U8", [count, card.channels, card.size, card.size]),
        ):
            end = offset + math.prod(shape) * (8 if kind == "I64" else 1)
            header[key] = {"dtype": kind, "shape": shape, "data_offsets": [offset, end]}  # type: ignore[dict-item]
            offset = end
    make_folder(path.parent)
    with replacing(path) as temporary:
        _fill(temporary, header, offset, parts)


def _fill(path: Path, header: dict[str, Any], size: int, parts: Mapping[str, Part]) -> None:
    start = len(_packed(header))
    with open(path, "wb") as file:
        file.truncate(start + size)
    body = np.memmap(path, np.uint8, "r+", start, (size,))
    for split, part in parts.items():
        _view(body, header[f"{split}.labels"])[:] = part.labels
        part.fill(_view(body, header[f"{split}.images"]))
    body.flush()
    digest = hashlib.sha256(_packed(header))
    digest.update(body.data)
    header["__metadata__"]["seal"] = digest.hexdigest()
    del body
    with open(path, "r+b") as file:
        file.write(_packed(header))


def _packed(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _view(body: Pixels, entry: dict[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    return body[begin:end].view(np.int64 if entry["dtype"] == "I64" else np.uint8).reshape(entry["shape"])


def read_cache(path: Path) -> Dataset | None:
    """The dataset in a cache file; None if there is none. A damaged file is removed, because it can be made again."""
    if not path.is_file():
        return None
    try:
        return _read(path)
    except (ValueError, KeyError, TypeError, OSError):
        remove_file(path)
        return None


def _read(path: Path) -> Dataset:
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length < size:
            raise ValueError("no header")
        text = file.read(length)
        header = json.loads(text)
    body: Pixels = np.memmap(path, np.uint8, "r", 8 + length)  # not counted against a limit of the process's memory
    metadata = header["__metadata__"]
    if size <= CHECKED and not _matches(text, body, metadata):
        raise ValueError("the content does not match its hash")
    splits = [
        Split(*(mapped(_view(body, header[f"{split}.{key}"])) for key in ("images", "labels"))) for split in SPLITS
    ]
    return Dataset(
        name=metadata["name"],
        title=metadata["title"],
        classes=tuple(json.loads(metadata["classes"])),
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        licence=metadata["licence"],
        source=metadata["source"],
        size=splits[0].images.shape[3],
        channels=splits[0].images.shape[1],
        content_hash=metadata["content_hash"],
        notes=tuple(json.loads(metadata["notes"])),
    )


def _matches(text: bytes, body: Pixels, metadata: Mapping[str, str]) -> bool:
    if "seal" not in metadata:
        return hashlib.sha256(body.data).hexdigest() == metadata["sha256"]
    blank = text.replace(metadata["seal"].encode(), BLANK.encode(), 1)
    digest = hashlib.sha256(len(text).to_bytes(8, "little") + blank)
    digest.update(body.data)
    return digest.hexdigest() == metadata["seal"]
