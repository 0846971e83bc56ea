"""Rendered SST2, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import UNSTATED, Archive, Photos
from core.engine.data.published.photo_sets import THREE, Layout, samples
from core.options import Words


class RenderedSst2(Photos):
    """9,613 sentences of film reviews drawn as pictures (Radford et al. 2021)."""

    title = Words("Rendered SST2, film reviews as pictures", "Rendered SST2：画成图片的影评")
    classes = 2
    images = 9613
    size = None
    channels = 3
    licence = UNSTATED
    source = "https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md"
    archives = (
        Archive(
            "https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz",
            "2384d08e9dcfa4bd55b324e610496ee5",
            131_000_000,
        ),
    )
    layout = Layout("RenderedSST2", THREE, samples)
