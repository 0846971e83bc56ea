"""Describable textures, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import THREE, Layout, lists
from core.options import Words


class Dtd(Photos):
    """5,640 photos of 47 textures (Cimpoi et al. 2014), its first split."""

    title = Words("Describable textures", "DTD：可描述的纹理")
    classes = 47
    images = 5640
    size = None
    channels = 3
    licence = "research use"
    source = "https://www.robots.ox.ac.uk/~vgg/data/dtd/"
    archives = (
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
            "fff73e5086ae6bdbea199a49dfb8a4c1",
            625_239_812,
            "dtd",
        ),
    )
    layout = Layout("DTD", THREE, lists)
