"""Reads untrusted files of weights: lists their tensors, and loads the requested ones.

A safetensors file contains only numbers and is read here; a PyTorch file is opened in a child process (`own_child`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from core.engine.confined_child import GLANCE, STILL, Conversation, StoppedError, end_child, start_child
from core.engine.data.imports.file_type import HEAD, kind_of
from core.errors import UserError

CHILD = Path(__file__).with_name("own_child.py")
MOST_BYTES = 16 * 2**30  # of a file
MOST_ANSWER = 64 * 2**20  # bytes of a child's list of tensors
SECONDS = 240.0  # of the child's processor time; less than its own limit, so that the reason is known
ALLOWED = "a .safetensors file, or a .pt or .pth file that holds tensors only"
SAVE = "Where it was trained, save only its weights: torch.save(model.state_dict(), 'weights.pth')."
COPY = "Save or copy the file again."
REASONS: Mapping[str, tuple[str, str, str]] = {  # code of the child: (our code, what was found, what to do)
    "code": ("weights_code", "wants {} to be called when it is opened; nothing was run", SAVE),
    "script": ("weights_code", "is a TorchScript program; nothing was run", SAVE),
    "tar": ("weights_code", "is in the tar format of torch before 2017, which cannot be opened safely", SAVE),
    "pickle": ("weights_code", "holds more than tensors; nothing was run ({})", SAVE),
    "broken": ("weights_damaged", "is incomplete or not a PyTorch file ({})", COPY),
    "memory": ("weights_too_large", "asks for more memory than its size explains", COPY),
    "nested": ("weights_damaged", "holds too deeply nested containers", SAVE),
    "entries": ("weights_too_large", "holds {} entries, more than any network", COPY),
    "compressed": ("weights_damaged", "has a compressed entry, which torch never writes ({})", COPY),
    "overlap": ("weights_damaged", "declares more bytes than it has", COPY),
    "odd": ("weights_type", "holds a sparse, quantized or complex tensor ({})", "Save the weights in float32."),
    "stretched": ("weights_too_large", "has a tensor that is declared larger than its data ({})", SAVE),
    "time": ("weights_too_large", "takes too long to read", COPY),
    "crash": ("weights_damaged", "crashes the reader", COPY),
}


@dataclass(frozen=True)
class Spec:
    """Shape and dtype (torch's name, such as `float32`) of a tensor that was not read yet."""

    shape: tuple[int, ...]
    kind: str


Place = tuple[str, ...]  # keys of the containers that a dictionary of tensors lies in
Specs = Mapping[str, Spec]


@dataclass(frozen=True)
class OpenedWeights:
    """The dictionaries of tensors in a file, by place; `take` loads some tensors of one of them."""

    groups: Mapping[Place, Specs]
    take: Callable[[Place, Sequence[str]], dict[str, Tensor]]


@contextmanager
def opened(path: Path, stop_if_cancelled: Callable[[], None]) -> Iterator[OpenedWeights]:
    """The content of a file of weights. Raises UserError `weights_format`, `weights_damaged`, `weights_code`,
    `weights_type`, `weights_too_large`, `missing_path`, and whatever `stop_if_cancelled` raises."""
    try:
        kind, size = _kind(path), path.stat().st_size
    except OSError as error:
        given = f"{path.name} ({error.strerror})"
        raise UserError("missing_path", "path", given, "a file that you may read", "Check the path.") from error
    if size > MOST_BYTES:
        allowed = f"at most {MOST_BYTES // 2**30} GiB"
        raise UserError("weights_too_large", "path", f"{path.name}, {size:,} bytes", allowed, SAVE)
    if kind == "safetensors":
        yield _plain(path)
    elif kind == "torch":
        with _child(path, size, stop_if_cancelled) as found:
            yield found
    else:
        raise UserError("weights_format", "path", f"{path.name}, which is {kind}", ALLOWED, SAVE)


def _kind(path: Path) -> str:
    """`torch`, `safetensors`, or another type, by the first bytes of the file."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if _is_safetensors(head, path):
        return "safetensors"
    kind = kind_of(head)
    if kind in ("ZIP", "tar") or (head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")):
        return "torch"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "HDF5 (Keras)"
    return {"empty": "empty", "unknown": "of an unknown format", "text": "text"}.get(kind, f"a {kind} file")


def _is_safetensors(head: bytes, path: Path) -> bool:
    """Whether it has a header length and JSON, or the suffix; with the suffix alone, the file is damaged."""
    return path.suffix == ".safetensors" or head[8:9] == b"{"


def _plain(path: Path) -> OpenedWeights:
    try:
        held = load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError, OSError, MemoryError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise _refused(path, "weights_damaged", f"is incomplete or not safetensors ({reason})", COPY) from error
    groups: dict[Place, Specs] = {
        (): {key: Spec(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for key, t in held.items()}
    }
    return OpenedWeights(groups, lambda place, keys: {key: held[key] for key in keys})


@contextmanager
def _child(path: Path, size: int, stop_if_cancelled: Callable[[], None]) -> Iterator[OpenedWeights]:
    child = start_child(CHILD, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    try:
        talk = _conversation(path, child, stop_if_cancelled)
        rows = _listed(path, talk)
        numbers = {(tuple(place[:-1]), place[-1]): number for number, (place, _, _) in enumerate(rows) if place}
        groups: dict[Place, dict[str, Spec]] = {}
        for place, shape, kind in rows:
            if place:
                groups.setdefault(tuple(place[:-1]), {})[place[-1]] = Spec(tuple(shape), kind)

        def take(place: Place, keys: Sequence[str]) -> dict[str, Tensor]:
            wanted = [numbers[place, key] for key in keys]
            found = load(_asked(path, talk, json.dumps(wanted).encode(), size * 2 + MOST_ANSWER))
            return {key: found[str(number)] for key, number in zip(keys, wanted, strict=True)}

        yield OpenedWeights(groups, take)
    finally:
        end_child(child)


def _conversation(path: Path, child: subprocess.Popen[bytes], stop_if_cancelled: Callable[[], None]) -> Conversation:
    try:
        return Conversation(child, SECONDS, STILL, GLANCE, stop_if_cancelled)
    except EOFError as error:
        raise _because(path, "crash", "") from error


def _listed(path: Path, talk: Conversation) -> list[tuple[list[str], list[int], str]]:
    answer = json.loads(_asked(path, talk, os.fsencode(path.absolute()), MOST_ANSWER))
    if "refused" in answer:
        raise _because(path, str(answer["refused"]), str(answer["detail"]))
    return [(list(map(str, place)), list(map(int, shape)), str(kind)) for place, shape, kind in answer["tensors"]]


def _asked(path: Path, talk: Conversation, question: bytes, most: int) -> bytes:
    try:
        talk.write_part(question)
        return talk.read_part(most)
    except (TimeoutError, StoppedError) as error:
        raise _because(path, "time", "") from error
    except (EOFError, OSError, ValueError) as error:
        raise _because(path, "crash", "") from error


def _because(path: Path, reason: str, detail: str) -> UserError:
    code, found, fix = REASONS.get(reason, REASONS["crash"])
    return _refused(path, code, found.format(detail), fix)


def _refused(path: Path, code: str, found: str, fix: str) -> UserError:
    return UserError(code, "path", f"{path.name} {found}", ALLOWED, fix)


def in_float32(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with all floating-point tensors converted to float32."""
    return {key: t.to(torch.float32) if t.is_floating_point() else t for key, t in tensors.items()}
