"""Makes assets/effects/effects.npz: what the page Design illustrates its knobs with, all of it of the bundled
resnet8_fashion on test images of fashion-mini, whose licence lies beside it.

    .venv/bin/python assets/make_effects.py

images [10, 28, 28] uint8   of each class the test image that is recognised with a probability nearest to SURE
logits [10, 10] float32     the network's answers to them, before any softening
classes [10]                their names
weights [288] float32       one filter of the layer LAYER, as quantization rounds it: with a scale of its own
score_<method> [32]         of the layer's channels, by each method that ranks by the weights alone
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_pruning.dependency import Group

from core.catalog import load_catalog
from core.engine import build
from core.engine.backbones import find, load_backbone
from core.engine.data import load_dataset, prepare
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.structured import prune_channels
from core.files import write_atomic

TARGET = Path(__file__).resolve().parent / "effects" / "effects.npz"
BACKBONE, LAYER, FILTER = "resnet8_fashion", "stage1.0.conv1", 0
SURE = 0.9  # sure, and yet not blind to the other classes
RANKED = ("l1", "l2", "bn_scale", "fpgm", "lamp")


def main() -> None:
    """Writes the file."""
    torch.set_num_threads(1)
    assert set(RANKED) <= set(load_catalog().methods["prune"])
    file = io.BytesIO()
    ranked = {f"score_{method}": scores(method).numpy() for method in RANKED}
    np.savez_compressed(file, **softened(), weights=weights(), **ranked)  # type: ignore[arg-type]
    write_atomic(TARGET, file.getvalue())


def softened() -> dict[str, NDArray[Any]]:
    """The images and the network's logits for them."""
    data, net = load_dataset("fashion-mini", 28), load_backbone(BACKBONE).eval()
    with torch.no_grad():
        logits = net(prepare(data.test.images, find(BACKBONE).preprocessing(28, 1)))
    away = (logits.softmax(1).gather(1, data.test.labels[:, None])[:, 0] - SURE).abs()
    chosen = [int(torch.where(data.test.labels == label, away, 1.0).argmin()) for label in range(len(data.classes))]
    return {
        "images": data.test.images[chosen, 0].numpy(),
        "logits": logits[chosen].numpy(),
        "classes": np.array(data.classes),
    }


def weights() -> NDArray[Any]:
    """The weights of one filter."""
    layer = load_backbone(BACKBONE).get_parameter(f"{LAYER}.weight")
    return np.asarray(layer[FILTER].detach().flatten().numpy())


def scores(method: str) -> Tensor:
    """The method's score of each channel of the layer."""
    ranking, kept = build("prune", method), list[Tensor]()
    assert isinstance(ranking, ChannelPrune)
    score = ranking.importance(0)
    assert callable(score)

    def recorded(group: Group) -> Tensor | None:
        found = score(group)
        if found is not None and group[0].dep.target.name.startswith(f"{LAYER} "):
            kept.append(found.detach().clone())
        return found

    prune_channels(load_backbone(BACKBONE), torch.zeros(2, 1, 28, 28), 0.5, recorded)
    (only,) = kept
    return only.to(torch.float32)


if __name__ == "__main__":
    main()
