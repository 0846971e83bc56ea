"""ONNX with everything a user of the model needs beside it."""

from __future__ import annotations

import json
from pathlib import Path

from core.bundle import CARD, runnable
from core.engine.bench import Bench
from core.engine.export import Export
from core.files import make_folder, write_atomic
from core.options import Words


class Onnx(Export):
    """The file that was measured, with labels, preprocessing and a script that runs it (onnxruntime)."""

    title = Words("ONNX bundle", "ONNX 打包")
    summary = Words(
        "The measured file with its labels, preprocessing and predict.py, ready to be copied elsewhere.",
        "被测量的文件连同标签、预处理和 predict.py,可直接复制到别处使用。",
    )
    source = "https://onnx.ai"

    def write(self, artifact: Path, folder: Path, bench: Bench) -> tuple[Path, ...]:
        """model.onnx, labels.json, preprocessing.json and predict.py."""
        card = json.loads(artifact.with_name(CARD).read_bytes())
        files = {"model.onnx": artifact.read_bytes(), **runnable(card)}
        make_folder(folder)
        for name, data in files.items():
            write_atomic(folder / name, data)
        return tuple(folder / name for name in files)
