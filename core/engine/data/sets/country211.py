"""Country211, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import UNSTATED, Archive, Photos
from core.engine.data.published.photo_sets import TWO, Layout, folders
from core.options import Words


class Country211(Photos):
    """63,300 photos by the country they were taken in (Radford et al. 2021)."""

    title = Words("Country211, where a photo was taken", "Country211：照片拍摄于哪个国家")
    classes = 211
    images = 63_300
    size = None
    channels = 3
    licence = UNSTATED
    source = "https://github.com/openai/CLIP/blob/main/data/country211.md"
    archives = (
        Archive(
            "https://openaipublic.azureedge.net/clip/data/country211.tgz",
            "84988d7644798601126c29e9877aab6a",
            11_400_000_000,
        ),
    )
    layout = Layout("Country211", {**TWO, "validation": {"split": "valid"}}, folders)
