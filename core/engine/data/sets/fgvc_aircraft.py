"""FGVC aircraft, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import THREE, Layout, lists
from core.options import Words


class FgvcAircraft(Photos):
    """10,000 photos of 100 variants of aircraft (Maji et al. 2013, arXiv:1306.5151)."""

    title = Words("FGVC aircraft variants", "FGVC：飞机型号")
    classes = 100
    images = 10_000
    size = None
    channels = 3
    licence = "non-commercial research"
    source = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/"
    archives = (
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
            None,
            2_753_340_328,
        ),
    )
    layout = Layout("FGVCAircraft", THREE, lists)
