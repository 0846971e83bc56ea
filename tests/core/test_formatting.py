"""Numbers as people read them, spelt the same way everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.formatting import size

ROOT = Path(__file__).resolve().parents[2]
SPELT = {".py", ".toml", ".js", ".md", ".css"}


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (37_940, "37.9 kB"), (13_470_000, "13.47 MB"),
     (2.5e9, "2.50 GB")],
)  # fmt: skip
def test_bytes_are_decimal_with_a_small_k(count: float | None, shown: str) -> None:
    assert size(count) == shown


def test_nothing_that_is_read_spells_it_otherwise() -> None:
    """A kilobyte is kB in the International System of Units; KB is a habit of others."""
    folders = (ROOT / "core", ROOT / "dashboard", ROOT / "assets")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in SPELT]
    found = [path.name for path in (ROOT / "README.md", *files) if re.search(r"\bK[Bb]\b", path.read_text("utf-8"))]
    assert found == []
