"""The images of each class: counted, and drawn in a browser so that each split has its colour and its pattern."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor
from playwright.sync_api import expect

from core.own.dataset_report import ClassCount
from dashboard.charts import dataset_counts as chart
from dashboard.charts import style
from tests.browser import Watched

NAMES = {"train": "train", "validation": "validation", "test": "test"}
COUNTS = [
    ClassCount(name="<b>cats</b>", train=60, validation=40, test=50),
    ClassCount(name="dogs", train=30, validation=20, test=20),
]


def test_counts_and_names_stay_as_they_are() -> None:
    table = chart.info(COUNTS)
    assert table.to_numpy().tolist() == [["<b>cats</b>", 60, 40, 50, 150], ["dogs", 30, 20, 20, 70]]
    drawn = chart.figure(table, "images", NAMES)
    assert [list(trace.x) for trace in drawn.data] == [[60, 30], [40, 20], [50, 20]]
    assert list(drawn.data[0].y) == ["&lt;b&gt;cats&lt;/b&gt;", "dogs"]


@pytest.mark.thorough
@pytest.mark.parametrize("dark", [False, True])
def test_every_bar_has_its_colour_and_its_pattern(watched: Watched, dark: bool) -> None:
    page, theme = watched.page, style.look(dark)
    page.set_content(style.standalone(chart.figure(chart.info(COUNTS), "images", NAMES, dark=dark), dark=dark))
    bars = page.locator(".barlayer .point path")
    expect(bars).to_have_count(len(COUNTS) * len(NAMES))
    seen = np.asarray(Image.open(BytesIO(page.screenshot())).convert("RGB")).astype(int)
    for number, name in enumerate(color for color in chart.COLORS for _ in COUNTS):
        box = bars.nth(number).bounding_box()
        assert box is not None
        left, top = int(box["x"]) + 1, int(box["y"]) + 1
        inside = seen[top : top + int(box["height"]) - 2, left : left + int(box["width"]) - 2]
        share = float((np.abs(inside - ImageColor.getrgb(theme.stages[name])).max(axis=2) <= 8).mean())
        if name == chart.COLORS[0]:
            assert share > 0.95, "the first split is plain"
        else:
            assert 0.2 < share < 0.95, (name, share)
