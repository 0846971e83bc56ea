"""EuroSAT, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import WHOLE, Layout, folders
from core.options import Words


class Eurosat(Photos):
    """27,000 satellite photos of ten kinds of land use (Helber et al. 2019)."""

    title = Words("EuroSAT, land use from space", "EuroSAT：卫星影像中的土地利用")
    classes = 10
    images = 27_000
    size = 64
    channels = 3
    licence = "MIT"
    source = "https://github.com/phelber/eurosat"
    archives = (
        Archive(
            "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
            "c8fa014336c82ac7804f0398fcb19387",
            94_000_000,
            "eurosat",
        ),
    )
    layout = Layout("EuroSAT", WHOLE, folders)
