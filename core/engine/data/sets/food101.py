"""Food-101, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import UNSTATED, Archive, Photos
from core.engine.data.published.photo_sets import TWO, Layout, lists
from core.options import Words


class Food101(Photos):
    """101,000 photos of 101 dishes (Bossard et al. 2014)."""

    title = Words("Food-101", "Food-101")
    classes = 101
    images = 101_000
    size = None
    channels = 3
    licence = UNSTATED
    source = "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/"
    archives = (
        Archive("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87", 4_996_278_331),
    )
    layout = Layout("Food101", TWO, lists)
