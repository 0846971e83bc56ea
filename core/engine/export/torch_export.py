"""torch.export: the network as a graph that torch runs without this program."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.export import Export
from core.engine.export.graph import quiet
from core.engine.export.parity import Answer
from core.engine.model import Model
from core.errors import UserError
from core.files import write_atomic
from core.options import Words

FILE = "model.pt2"


class TorchExport(Export):
    """A traced graph with its weights and a dynamic batch, in float32; needs only torch to run (torch.export.load)."""

    title = Words("torch.export (.pt2)", "torch.export (.pt2)")
    summary = Words(
        "The network for programs that use PyTorch: one file, read by torch.export.load, without this program.",
        "供使用 PyTorch 的程序读取的网络：单个文件，用 torch.export.load 读取，无需本程序。",
    )
    source = "https://docs.pytorch.org/docs/stable/export.html"

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        """model.pt2, without the source locations that torch records for each node, as they contain local paths."""
        program = traced(model)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
        program.example_inputs = None
        labels = {"labels.json": json.dumps(list(model.classes), ensure_ascii=False)}
        file = io.BytesIO()  # given a path, torch stores its name in the file, and equal models would differ
        torch.export.save(program, file, extra_files=labels)
        write_atomic(folder / FILE, file.getvalue())
        return (folder / FILE,)

    def reload(self, folder: Path, threads: int) -> Answer:
        """The file in torch."""
        net = torch.export.load(folder / FILE).module()

        def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.no_grad():
                found: NDArray[np.float32] = net(torch.from_numpy(images)).numpy()
            return found

        return answer


def traced(model: Model) -> torch.export.ExportedProgram:
    """The network in evaluation mode as a graph: image [batch, C, S, S], dynamic batch, to logits [batch, classes]."""
    p = model.preprocessing
    net = model.net.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    example = torch.zeros(2, p.channels, p.size, p.size)
    batch = torch.export.Dim("batch", min=1)
    try:
        with quiet():
            return torch.export.export(net, (example,), dynamic_shapes=({0: batch},))
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(
            "not_exportable",
            "backbone",
            model.backbone,
            "a network that torch.export can trace",
            f"Export to ONNX or safetensors. torch said: {reason}",
        ) from error
