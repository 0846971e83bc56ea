"""USPS, downloaded on first use."""

from __future__ import annotations

from pathlib import Path

from core.engine.data.published.load import UNSTATED, Archive, SmallImages
from core.engine.data.published.readers import Arrays, read_usps
from core.options import Words


class Usps(SmallImages):
    """9,298 digits from envelopes, in LIBSVM's text files."""

    title = Words("USPS, digits from envelopes", "USPS：信封上的数字")
    classes = 10
    images = 9298
    size = 16
    channels = 1
    licence = UNSTATED
    source = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps"
    archives = (
        Archive(
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.bz2",
            "ec16c51db3855ca6c91edd34d0e9b197",
            6_600_000,
        ),
        Archive(
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.t.bz2",
            "8ea070ee2aca1ac39742fdd1ef5ed118",
            1_800_000,
        ),
    )

    def read(self, files: list[Path]) -> Arrays:
        """Its archives as arrays."""
        return read_usps(files)
