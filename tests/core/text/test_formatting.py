"""Numbers as people read them, spelt the same way everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from core.text.formatting import count, size, size_rounded_up, two_digits, with_interval
from dashboard.charts.points import spread

ROOT = Path(__file__).resolve().parents[3]
SPELT = {".py", ".toml", ".js", ".md", ".css"}


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (37_940, "37.9 kB"),
        (13_470_000, "13.47 MB"),
        (2.5e9, "2.50 GB"),
    ],
)
def test_bytes_are_decimal_with_a_small_k(count: float | None, shown: str) -> None:
    assert size(count) == shown


def test_nothing_that_is_read_spells_it_otherwise() -> None:
    """A kilobyte is kB in the International System of Units; KB is a habit of others."""
    folders = (ROOT / "core", ROOT / "dashboard", ROOT / "assets")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in SPELT]
    found = [path.name for path in (ROOT / "README.md", *files) if re.search(r"\bK[Bb]\b", path.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(("right", "images"), [(50, 50), (0, 50), (3, 3), (48, 50), (1800, 2000), (1, 2)])
def test_plus_minus_reaches_as_far_as_the_interval(right: int, images: int) -> None:
    """100 % of 50 images is an interval from 92.9 %, which ± 3.6 would hide."""
    found = binomtest(right, images).proportion_ci(0.95, "wilson")
    low, high = float(found.low), float(found.high)
    share = right / images
    told = float(with_interval(share, low, high).split("±")[1].removesuffix("%"))
    assert told / 100 >= max(high - share, share - low) - 0.0035
    table = pd.DataFrame([{"accuracy": share, "low": low, "high": high, "sd": float("nan")}])
    assert round(100 * spread(table)[0], 1) == told


def test_a_size_rounded_up_is_never_less() -> None:
    assert size_rounded_up(60_449) == "60.5 kB"
    assert size_rounded_up(60_400) == "60.4 kB"
    assert size_rounded_up(4_000_001) == "4.01 MB"
    assert size_rounded_up(999) == "999 B"


@pytest.mark.parametrize("number", [999, 999.4, 999_499, 999_500, 999_999, 1_000_000, 999_499_999, 999_999_999, 2.4e12])
def test_no_number_is_shown_in_scientific_notation(number: float) -> None:
    shown = count(number)
    assert "e" not in shown
    assert not shown.startswith("1000")
    assert not size(number).startswith("1000")


def test_a_tiny_ratio_is_written_out() -> None:
    assert two_digits(0.0000033) == "0.0000033"
    assert two_digits(0.0) == "0"
