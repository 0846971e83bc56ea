"""Runs a saved ONNX file as a user would: with onnxruntime on the CPU and a fixed number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engine.data.augment import prepare, prepare_numpy
from core.engine.model import Preprocessing

RUNTIME = "onnxruntime"
BATCH = 64
SILENT = 3  # onnxruntime's log level: errors only


def open_session(graph: Path | bytes, threads: int) -> ort.InferenceSession:
    """A session on the CPU with all graph optimizations and `threads` intra-op threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
    source = graph if isinstance(graph, bytes) else str(graph)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def prepared(images: Tensor, preprocessing: Preprocessing, batch: int = BATCH) -> Iterator[NDArray[np.float32]]:
    """uint8 images [N, C, H, W] as float batches [≤ batch, channels, size, size] for a network."""
    for block in torch.split(images, batch):
        yield prepare(block, preprocessing).contiguous().numpy()


def prepared_as_bundled(images: Tensor, preprocessing: Preprocessing) -> Iterator[NDArray[np.float32]]:
    """As `prepared`, but with the code of a bundle's predict.py, as a user of the file would do it."""
    for block in torch.split(images, BATCH):
        yield prepare_numpy(block.numpy(), preprocessing)


def predict(
    session: ort.InferenceSession,
    images: Tensor,
    preprocessing: Preprocessing,
    output: str = "logits",
    step: Callable[[int], None] = lambda done: None,
    prepared: Callable[[Tensor, Preprocessing], Iterator[NDArray[np.float32]]] = prepared,
) -> Tensor:
    """The named output [N, …] of a session for uint8 images; `step` is called with the number done, `prepared` creates
    the batches."""
    rows = []
    name = session.get_inputs()[0].name
    for block in prepared(images, preprocessing):
        rows.append(torch.from_numpy(session.run([output], {name: block})[0]))
        step(sum(map(len, rows)))
    return torch.cat(rows)
