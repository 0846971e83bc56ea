"""safetensors: the weights, and the architecture as plain text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.export import Export
from core.engine.export.parity import Answer
from core.engine.model import Model
from core.engine.model_file import MANIFEST, WEIGHTS, load_model, save_model
from core.options import Words


class Safetensors(Export):
    """Every parameter and buffer under its name in torch, float32, and a JSON plan with the widths after pruning."""

    title = Words("safetensors and plan", "safetensors 与结构描述")
    summary = Words(
        "The weights, for further training, and the architecture as a JSON plan; neither can execute code.",
        "可继续训练的权重，以及描述结构的 JSON；文件中没有任何可执行的代码。",
    )
    source = "https://huggingface.co/docs/safetensors"

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        """model.safetensors and model.json."""
        save_model(model, folder)
        return folder / WEIGHTS, folder / MANIFEST

    def reload(self, folder: Path, threads: int) -> Answer:
        """The network built from the plan and the tensors, in torch."""
        net = load_model(folder).net.eval()

        def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                found: NDArray[np.float32] = net(torch.from_numpy(images)).numpy()
            return found

        return answer
