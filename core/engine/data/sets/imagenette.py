"""Imagenette, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import Layout, samples
from core.options import Words


class Imagenette(Photos):
    """13,394 photos of ten easy classes of ImageNet, 320 pixels a side."""

    title = Words("Imagenette, ten easy ImageNet classes", "Imagenette：十个容易的 ImageNet 类别")
    classes = 10
    images = 13_394
    size = None
    channels = 3
    licence = "as ImageNet: research use"
    source = "https://github.com/fastai/imagenette"
    archives = (
        Archive(
            "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
            "3df6f0d01a2c9592104656642f5e78a3",
            341_663_724,
        ),
    )
    layout = Layout(
        "Imagenette",
        {"train": {"split": "train", "size": "320px"}, "test": {"split": "val", "size": "320px"}},
        samples,
        classes=lambda data: [names[0] for names in data.classes],
    )
