"""ONNX, with everything else that a user of the model needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from core.assets import PREDICT, shipped
from core.engine.export import Export
from core.engine.export.parity import Answer
from core.engine.measure.runtime import open_session
from core.engine.method import knob
from core.engine.model import Model
from core.files import write_atomic
from core.options import Words
from core.run_files.bundle import REQUIREMENTS, requirements

FILE = "model.onnx"


class Onnx(Export):
    """The file that was measured, float or quantized, with labels, preprocessing and a script that runs it."""

    title = Words("ONNX bundle", "ONNX 打包")
    summary = Words(
        "The measured file with its labels, preprocessing and predict.py, ready to use elsewhere.",
        "被测量的文件连同标签、预处理和 predict.py，可直接复制到别处使用。",
    )
    source = "https://onnx.ai"
    takes_quantized = True

    fixed_batch: int = knob(
        0,
        "Fixed batch size",
        "How many images the file takes in one call. A fixed number suits devices that compile the network in advance.",
        zh=("固定批大小", "文件一次接收多少张图像。固定数量适合需要预先编译网络的设备。"),
        ge=0,
        le=1024,
        unit="images",
        names={0: ("any number", "任意数量")},
    )

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        """model.onnx, bit-identical to the measured file unless its batch is fixed, predict.py and its requirements."""
        data = artifact.read_bytes()
        if self.fixed_batch:
            data = with_batch(onnx.load_from_string(data), self.fixed_batch).SerializeToString(deterministic=True)
        contents = {FILE: data, REQUIREMENTS: requirements(data), PREDICT.name: shipped(PREDICT).read_bytes()}
        for name, content in contents.items():
            write_atomic(folder / name, content)
        return tuple(folder / name for name in contents)

    def reload(self, folder: Path, threads: int) -> Answer:
        """The file in onnxruntime."""
        session = open_session(folder / FILE, threads)

        def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
            step = self.fixed_batch or len(images)
            missing = -len(images) % step
            padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.float32)])
            blocks = [session.run(["logits"], {"image": padded[n : n + step]})[0] for n in range(0, len(padded), step)]
            return np.concatenate(blocks)[: len(images)]

        return answer


def with_batch(graph: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """`graph` with a fixed batch of `count` images."""
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = count
    return graph
