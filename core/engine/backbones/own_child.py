"""The child process that opens untrusted `.pt` and `.pth` files, so that hostile content cannot reach anything.

It is started as a plain script (`python -I`) that imports torch and no module of this project. The file is opened with
`weights_only=True`: its pickle may build tensors, texts, numbers and containers; nothing else is ever called. The child
reads `length, path` from its standard input and answers `length, JSON`: a list of the tensors by their place in the
file, or the reason why it cannot be read. Then it reads `length, JSON list of numbers` and answers `length,
safetensors` with the tensors of these numbers. Lengths are 8 bytes, little-endian.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import resource
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor

ROOM = 2**30  # bytes in addition to the memory of torch and of the file's tensors
COPIES = 4  # of the file's content that may be in memory at once
MOST_ENTRIES = 100_000
DEEPEST = 8  # nested containers
SECONDS = 300  # of processor time
CALLED = re.compile(r"(?:GLOBAL|global|class|function) [\"'`]?([\w.]+)")


class Refused(ValueError):
    """Why a file is refused: a `code`, and the offending content as `detail`."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def read(path: str) -> dict[str, Tensor]:
    """The tensors in the file, by their place in it as a JSON list of keys; raises Refused."""
    try:
        stored = check_archive(path)
        found = dict(tensors(torch.load(path, map_location="cpu", weights_only=True), (), 0))
        if stored is not None:
            refuse_lying(found, stored)
        return found
    except Refused:
        raise
    except (pickle.UnpicklingError, AttributeError, ImportError, TypeError) as error:
        raise _pickled(str(error)) from error
    except MemoryError as error:
        raise Refused("memory") from error
    except RecursionError as error:
        raise Refused("nested") from error
    except Exception as error:
        raise _broken(str(error)) from error


def _pickled(told: str) -> Refused:
    if "TorchScript" in told:
        return Refused("script")
    if ".tar" in told:
        return Refused("tar")
    if (named := CALLED.search(told)) is not None:
        return Refused("code", named[1])
    return Refused("pickle", " ".join(told.split())[:200])


def _broken(told: str) -> Refused:
    if "TorchScript" in told:
        return Refused("script")
    if ".tar" in told:
        return Refused("tar")
    if "memory" in told or "allocate" in told:
        return Refused("memory")
    return Refused("broken", " ".join(told.split())[:200])


def check_archive(path: str) -> Counter[int] | None:
    """The sizes in bytes of the entries of a zip file; None for any other file. Raises Refused if it declares more
    bytes than it has; torch.save never compresses."""
    if not _starts_as_zip(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            check_names(entries)
            if sum(entry.file_size for entry in entries) > os.path.getsize(path):
                raise Refused("overlap")
            check_sums(archive, entries)
    except Refused:
        raise
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise Refused("broken", str(error)) from error
    return Counter(entry.file_size for entry in entries)


def check_names(entries: list[zipfile.ZipInfo]) -> None:
    """Raises Refused for too many entries, for a program among them, and for a compressed one."""
    if len(entries) > MOST_ENTRIES:
        raise Refused("entries", f"{len(entries):,}")
    names = [entry.filename for entry in entries]
    if any(name.rpartition("/")[2] == "constants.pkl" for name in names) or any("/code/" in name for name in names):
        raise Refused("script")
    packed = next((e for e in entries if e.compress_type != zipfile.ZIP_STORED or e.file_size != e.compress_size), None)
    if packed is not None:
        raise Refused("compressed", packed.filename[:80])


def check_sums(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Raises Refused for an entry that does not match its checksum, which torch does not compare. A file may have been
    saved without any (`torch.serialization.set_crc32_options`)."""
    if any(entry.CRC for entry in entries) and (wrong := archive.testzip()) is not None:
        raise Refused("broken", f"{wrong[:80]} does not match its checksum")


def refuse_lying(found: Mapping[str, Tensor], stored: Counter[int]) -> None:
    """Raises Refused if a storage is declared larger than in the file: torch would read beyond it."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in found.values()}
    if Counter(size for size in storages.values() if size) - stored:
        raise Refused("stretched", "a storage")


def _starts_as_zip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def tensors(found: Any, place: tuple[str, ...], depth: int) -> Iterator[tuple[str, Tensor]]:
    """(place, tensor) of every tensor in `found`, containers opened; raises Refused for unusual tensors."""
    if isinstance(found, Tensor):
        refuse_odd(found, place)
        yield json.dumps(place), found.detach()
        return
    if depth > DEEPEST:
        return
    if isinstance(found, Mapping):
        for key, value in list(found.items())[:MOST_ENTRIES]:
            if isinstance(key, str):
                yield from tensors(value, (*place, key), depth + 1)
    elif isinstance(found, list | tuple):
        for number, value in enumerate(found[:MOST_ENTRIES]):
            yield from tensors(value, (*place, str(number)), depth + 1)


def refuse_odd(tensor: Tensor, place: tuple[str, ...]) -> None:
    """Raises Refused for a sparse, quantized, complex or meta tensor, or one that is larger than its storage."""
    name = ".".join(place)[:120]
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
        raise Refused("odd", name)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():  # a few numbers expanded to many
        raise Refused("stretched", name)


def listing(found: Mapping[str, Tensor]) -> dict[str, Any]:
    """The tensors as (place, shape, dtype), for the answer in JSON."""
    rows = [[json.loads(place), list(t.shape), str(t.dtype).removeprefix("torch.")] for place, t in found.items()]
    return {"tensors": rows}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Serves one file: its list of tensors, then the requested ones."""
    path = _part(source).decode("utf-8", "surrogateescape")
    confine(os.path.getsize(path))
    try:
        found = read(path)
    except Refused as refused:
        _answer(sink, json.dumps({"refused": refused.code, "detail": refused.detail}).encode())
        return
    _answer(sink, json.dumps(listing(found)).encode())
    values = list(found.values())
    wanted = json.loads(_part(source) or b"[]")
    _answer(sink, save({str(n): values[n].clone(memory_format=torch.contiguous_format) for n in wanted}))


def _part(source: BinaryIO) -> bytes:
    return source.read(int.from_bytes(source.read(8), "little"))


def _answer(sink: BinaryIO, data: bytes) -> None:
    sink.write(len(data).to_bytes(8, "little"))
    sink.write(data)
    sink.flush()


def confine(size: int) -> None:
    """Limits this process: no bytes written to files, no child processes, limited time, memory for `size` bytes
    several times."""
    limits = {
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_AS: _taken() + COPIES * size + ROOM,
    }
    for limit, value in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (value, value))


def _taken() -> int:
    """Bytes of address space used so far; if that is unknown, more than torch maps on any system."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 64 * 2**30


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # stdout is the protocol, and stderr is not read
    torch.set_num_threads(1)
    serve(sys.stdin.buffer, sys.stdout.buffer)
