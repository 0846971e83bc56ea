"""Files of weights that must be refused, made here: what each does when it is opened without care is harmless."""

from __future__ import annotations

import argparse
import builtins
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

MARKER = "was-run"  # a file that a pickle makes when its code is run


class Calls:
    """Pickled, it asks for `function(*arguments)` to be called by whoever opens it."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.asked = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.asked


def system(folder: Path) -> Calls:
    return Calls(os.system, f"touch '{folder / MARKER}'")


def evaluated(folder: Path) -> Calls:
    return Calls(builtins.eval, f"open({str(folder / MARKER)!r}, 'w').close()")


def saved(path: Path, content: object, *, legacy: bool = False) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


def state() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(1000.0), "bias": torch.zeros(3)}


def whole_module(path: Path) -> None:
    saved(path, nn.Linear(3, 2))


def script(path: Path) -> None:
    """The form of torch.jit.save: a program under code/."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}))
        archive.writestr("net/constants.pkl", pickle.dumps(()))
        archive.writestr("net/code/__torch__.py", "class Net(Module):\n  pass\n")
        archive.writestr("net/version", "3\n")


def tar(path: Path, folder: Path) -> None:
    """torch before 2017: a tar with `storages`, `tensors` and `pickle`."""
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(system(folder))
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """A good file of torch's with its entries changed, at `path`."""
    source = io.BytesIO()
    torch.save(state(), source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))


def lying_size(path: Path, numbers: int = 2**31 - 1) -> None:
    """A storage that says it has so many numbers, of which 1,000 are there."""

    def change(name: str, data: bytes) -> bytes:
        number = b"M" + struct.pack("<H", 1000)
        return data.replace(number, b"J" + struct.pack("<i", numbers)) if name.endswith("data.pkl") else data

    rewritten(path, change)


def lying_a_little(path: Path) -> None:
    """What torch would read beyond the numbers is no tensor of the file."""
    lying_size(path, 1200)


def bomb(path: Path) -> None:
    """64 MiB of zeros in 64 kB."""
    rewritten(path, lambda name, data: bytes(2**26) if name.endswith("data/0") else data, zipfile.ZIP_DEFLATED)


def overlapping(path: Path) -> None:
    """Entries that share the same bytes: the list says more than the file has."""
    rewritten(path, lambda name, data: bytes(2**16) if name.endswith("data/0") else data)
    data = bytearray(path.read_bytes())
    start = data.rfind(b"PK\x05\x06")
    first = struct.unpack_from("<I", data, start + 16)[0]
    listed, count = bytes(data[first:start]), struct.unpack_from("<H", data, start + 10)[0]
    data[start:start] = listed
    end = start + len(listed)
    struct.pack_into("<HHI", data, end + 8, 2 * count, 2 * count, 2 * len(listed))
    path.write_bytes(bytes(data))


def stretched(path: Path) -> None:
    """One number said to be 10¹² of them."""
    saved(path, {"weight": torch.zeros(1).expand(10**12)})


def nested(path: Path) -> None:
    """Lists in lists, 100,000 deep."""
    path.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")


def cut(path: Path, share: float, *, legacy: bool = False) -> None:
    saved(path, state(), legacy=legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def safetensors_lying(path: Path) -> None:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))


def namespace(path: Path) -> None:
    saved(path, {"args": argparse.Namespace(lr=0.1), "state_dict": state()})
