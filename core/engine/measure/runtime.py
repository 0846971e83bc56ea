"""Runs a saved ONNX file as a user would: with onnxruntime on the CPU and a fixed number of threads.

Only latency is measured with spinning threads, onnxruntime's default: elsewhere they would take cores from other
processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engine.data.augment import prepare, prepare_numpy
from core.engine.measure.session import CPU, options_for
from core.engine.model import Preprocessing
from core.engine.threads import side_by_side

RUNTIME = "onnxruntime"
BATCH = 64


def open_session(graph: Path | bytes, threads: int = 1, *, spinning: bool = False) -> ort.InferenceSession:
    """A session on the CPU with all graph optimizations and `threads` intra-op threads, which wait for each other
    asleep or, where there are several, `spinning`."""
    options = options_for(graph, threads)
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning and threads > 1 else "0")
    source = graph if isinstance(graph, bytes) else str(graph)
    return ort.InferenceSession(source, options, providers=CPU)


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
    cores: int = 1,
) -> Tensor:
    """The named output [N, …] of a session for uint8 images; `step` is called with the number done, `prepared` creates
    the batches; `cores` batches run at a time, which does not change the results."""
    rows: list[Tensor] = []
    name = session.get_inputs()[0].name

    def answer(block: Tensor) -> Tensor:
        (batch,) = prepared(block, preprocessing)
        return torch.from_numpy(session.run([output], {name: batch})[0])

    with closing(side_by_side(answer, torch.split(images, BATCH), cores)) as found:
        for row in found:
            rows.append(row)
            step(sum(map(len, rows)))
    return torch.cat(rows)
