"""Oxford flowers, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import UNSTATED, Archive, Photos
from core.engine.data.published.photo_sets import THREE, Layout, lists
from core.options import Words


class Flowers102(Photos):
    """8,189 photos of 102 flowers (Nilsback and Zisserman 2008)."""

    title = Words("Oxford flowers", "Oxford 花卉")
    classes = 102
    images = 8189
    size = None
    channels = 3
    licence = UNSTATED
    source = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    archives = (
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
            "52808999861908f626f3c1f4e79d11fa",
            344_862_509,
            "flowers-102",
        ),
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/imagelabels.mat",
            "e0620be6f572b9609742df49c70aed4d",
            502,
            "flowers-102",
        ),
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat",
            "a5357ecc9cb78c4bef273ce3793fc85c",
            14_989,
            "flowers-102",
        ),
    )
    layout = Layout("Flowers102", THREE, lists)
