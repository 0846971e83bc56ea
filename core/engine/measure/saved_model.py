"""A saved file opened to be asked one picture at a time: its session, its classes, and how it wants its pixels."""

from __future__ import annotations

import io
import time
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NotImplemented
from pydantic import TypeAdapter

from core.engine.measure.latency import Timing
from core.engine.measure.runtime import open_session
from core.engine.model import Preprocessing
from core.errors import UserError
from core.points import Latency
from core.run_files.artifacts import AGAIN, read_artifact
from core.run_files.sides import Side, side
from core.runs import Run
from core.workspace import Workspace

KEPT_OPEN = 16  # sessions
BUDGET = 0.06  # seconds in which a file is timed
FEWEST, MOST = 3, 31  # counted runs

UNUSABLE = (Fail, InvalidGraph, InvalidProtobuf, NotImplemented)
CARDS = TypeAdapter(dict[str, Any])
Image = NDArray[np.float32]  # [1, channels, S, S]


@dataclass(frozen=True)
class SavedModel:
    """`pixels` is a bundle's preprocessing.json; `data` is the ONNX file, as it was measured."""

    side: Side
    data: bytes
    session: ort.InferenceSession
    classes: tuple[str, ...]
    pixels: Mapping[str, Any]
    threads: int

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing.from_json(dict(self.pixels))

    def kept(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a file beside it, `core.run_files.bundle.SAMPLES` or PREDICTIONS; raises UserError where that
        is gone or not as it was saved."""
        path = str(PurePosixPath(self.side.point.artifact or "").with_name(name))
        data = read_artifact(self.side.run, path)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                return dict(found)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError("damaged_artifact", "artifact", path, "a file as it was saved", AGAIN) from error

    def batch(self, images: Image) -> NDArray[np.float32]:
        """[N, classes], of images [N, channels, S, S]."""
        found: NDArray[np.float32] = self.session.run(["logits"], {self.session.get_inputs()[0].name: images})[0]
        return found

    def logits(self, image: Image) -> NDArray[np.float32]:
        """[classes], of one image."""
        found: NDArray[np.float32] = self.batch(image)[0]
        return found

    def probabilities(self, image: Image) -> NDArray[np.float64]:
        """[classes], of one image."""
        return softmax(self.logits(image))

    def timed(self, image: Image) -> Latency:
        """The median of a few runs with `image`, after one that is not counted."""
        self.logits(image)
        milliseconds: list[float] = []
        began, used = time.perf_counter(), time.process_time()
        now = began
        while len(milliseconds) < FEWEST or (now - began < BUDGET and len(milliseconds) < MOST):
            self.logits(image)
            after = time.perf_counter()
            milliseconds.append((after - now) * 1000)
            now = after
        return Timing(tuple(milliseconds), now - began, time.process_time() - used, self.threads).latency()


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Over the last axis, in float64 as predict.py does."""
    weights: NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def open_model(store: Workspace, name: str) -> SavedModel:
    """The saved file of a point; asked again, it is open already. Raises UserError where the run or its point is gone,
    or a file is not as it was measured."""
    found = side(store, name)
    found = Side(_run(str(found.run.folder)), found.point)
    card = CARDS.validate_json(read_artifact(found.run, found.card))
    path = found.point.artifact or ""
    data = read_artifact(found.run, path)
    threads = found.point.latency_ms.threads if found.point.latency_ms else 1
    pixels = {**card["preprocessing"], **({"input": card["input"]} if card.get("input") else {})}
    try:
        session = SESSIONS.get(data, threads)
    except UNUSABLE as error:
        raise UserError("damaged_artifact", "artifact", path, "a model that can be opened", AGAIN) from error
    return SavedModel(found, data, session, tuple(card["classes"]), pixels, threads)


@lru_cache(maxsize=32)
def _run(folder: str) -> Run:
    """Kept, so that only its new events are read."""
    return Run(Path(folder))


class Sessions:
    """Sessions by content and threads, those used last."""

    def __init__(self, most: int = KEPT_OPEN) -> None:
        self._most = most
        self._open: OrderedDict[tuple[str, int], ort.InferenceSession] = OrderedDict()

    def get(self, data: bytes, threads: int) -> ort.InferenceSession:
        key = (sha256(data).hexdigest(), threads)
        if key not in self._open:
            self._open[key] = open_session(data, threads, spinning=True)
        self._open.move_to_end(key)
        while len(self._open) > self._most:
            self._open.popitem(last=False)
        return self._open[key]


SESSIONS = Sessions()
