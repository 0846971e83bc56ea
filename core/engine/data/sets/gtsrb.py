"""The German traffic sign recognition benchmark, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import UNSTATED, Archive, Photos
from core.engine.data.published.photo_sets import TWO, Layout, samples
from core.options import Words


class Gtsrb(Photos):
    """39,270 photos of 43 traffic signs (Stallkamp et al. 2012); the 30 frames of one sign stay together."""

    title = Words("GTSRB, German traffic signs", "GTSRB：德国交通标志")
    classes = 43
    images = 39_270
    size = None
    channels = 3
    licence = UNSTATED
    source = "https://benchmark.ini.rub.de/"
    archives = (
        Archive(
            "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/GTSRB-Training_fixed.zip",
            "513f3c79a4c5141765e10e952eaa2478",
            187_490_228,
            "gtsrb",
        ),
        Archive(
            "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/GTSRB_Final_Test_Images.zip",
            "c7e4e6327067d32654124b0fe9e82185",
            88_978_620,
            "gtsrb",
        ),
        Archive(
            "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/GTSRB_Final_Test_GT.zip",
            "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
            99_620,
            "gtsrb",
        ),
    )
    layout = Layout(
        "GTSRB",
        TWO,
        samples,
        classes=lambda data: [f"sign {number:02d}" for number in range(43)],
        group=lambda path: f"{path.parent.name}/{path.name.split('_')[0]}",  # 30 frames of one sign, one track
    )
