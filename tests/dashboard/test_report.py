"""The report: everything picked and every point, as text whatever a person typed."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

from core.run_files.samples import samples
from dashboard.charts import points
from dashboard.i18n import speaking
from dashboard.tradeoffs import chart, report
from tests.browser import Watched
from tests.dashboard.test_pages import NASTY


@pytest.fixture
def page() -> str:
    table = points.info(samples(), sample=True)
    table.loc[table.index[0], "run_name"] = NASTY[0] + NASTY[2]
    marked = table.assign(front=False)
    with speaking("en"):
        return report.write(go.Figure(), marked, table.head(3), chart.worded(marked), dark=False)


class Reader(HTMLParser):
    """The tags outside of scripts, and the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.rows += tag == "tr"


def test_every_point_is_a_row_and_what_was_typed_is_text(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    assert reader.rows >= len(points.info(samples(), sample=True)) + 2
    assert not reader.tags & {"img", "iframe", "a", "link"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_it_brings_a_policy_of_its_own(page: str) -> None:
    """Its own scripts run, by their hashes; nothing else does, and nobody is asked."""
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page)
    assert found is not None
    assert found.start() < page.index("<script")
    policy = dict(part.split(" ", 1) for part in found[1].split("; "))
    assert (policy["default-src"], policy["base-uri"], policy["form-action"]) == ("'none'",) * 3
    bodies = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
    assert policy["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert "name='referrer' content='no-referrer'" in page


@pytest.mark.thorough
def test_it_is_drawn_under_its_policy_and_runs_nothing_else(page: str, watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    watched.page.goto((tmp_path / "report.html").as_uri())
    watched.page.wait_for_selector(".main-svg")
    assert watched.errors == []
    assert [url for url in watched.foreign if not url.startswith("file://")] == []
    watched.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.ran=1>')")
    watched.page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    assert watched.page.evaluate("window.ran") is None


def test_the_picked_stand_beside_each_other(page: str) -> None:
    words = re.sub(r"<[^>]+>", " ", page[page.index("<h2>") :])
    assert "fashion-mini : 10 classes, 8,000 images; licence: MIT" in words
    assert "AMD EPYC" in words, "the machine"
    assert 'backbone = "' in words.replace("&quot;", '"'), "the recipe"
    assert "3 selected" in words
    assert "points of test accuracy" in words
    assert "Settings that differ" in words


def test_nothing_picked_leaves_that_part_out() -> None:
    table = points.info(samples(), sample=True).assign(front=True)
    with speaking("zh"):
        page = report.write(go.Figure(), table, table.head(0), chart.worded(table), dark=True)
    assert re.findall("<h2>(.*?)</h2>", page) == ["数据集", "机器", "所有点"]
    assert "<h1>权衡</h1>" in page
