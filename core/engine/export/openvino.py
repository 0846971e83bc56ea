"""OpenVINO: the measured file in the native format of Intel's runtime."""

from __future__ import annotations

import importlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.export import Export
from core.engine.export.parity import Answer
from core.engine.model import Model
from core.errors import UserError
from core.files import write_atomic
from core.options import Words

GRAPH, WEIGHTS = "model.xml", "model.bin"


class Openvino(Export):
    """OpenVINO IR: a graph in XML and its weights, float32 or the integers of the quantized file."""

    title = Words("OpenVINO IR", "OpenVINO IR")
    summary = Words(
        'The measured file for Intel\'s OpenVINO runtime; needs the extra: pip install -e ".[openvino]".',
        '供英特尔 OpenVINO 运行时使用的文件；需要额外安装：pip install -e ".[openvino]"。',
    )
    source = "https://docs.openvino.ai"
    takes_quantized = True
    needs_package = "openvino"

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        """model.xml and model.bin, converted from the ONNX file; weights keep their type, floats all their bits."""
        openvino = _library()
        try:
            graph = openvino.Core().read_model(artifact)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:200]
            raise UserError(
                "not_exportable",
                "method",
                f"export.openvino of {artifact.name}",
                "a file that OpenVINO reads",
                f"Choose other bits (OpenVINO has no 2-bit weights), or export to ONNX. OpenVINO said: {reason}",
            ) from error
        with TemporaryDirectory(prefix="condenser-openvino-") as drafts:
            openvino.save_model(graph, Path(drafts, GRAPH), compress_to_fp16=False)
            for name in (WEIGHTS, GRAPH):
                write_atomic(folder / name, Path(drafts, name).read_bytes())
        return folder / GRAPH, folder / WEIGHTS

    def reload(self, folder: Path, threads: int) -> Answer:
        """The files in OpenVINO on the CPU; in float32, as it would compute in bfloat16 on some processors."""
        exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = _library().Core().compile_model(folder / GRAPH, "CPU", exact)

        def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
            found: NDArray[np.float32] = compiled(images)[0]
            return found

        return answer


def _library() -> Any:
    """Imported only when needed: it is an optional dependency."""
    return importlib.import_module("openvino")
