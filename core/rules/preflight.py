"""The verdicts of `make preflight`: which backbones were pruned, exported and quantized, and why others were not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from core.catalog import CATALOG_FILE


@cache
def preflight() -> Mapping[str, Any]:
    """The verdicts by backbone."""
    file = CATALOG_FILE.with_name("preflight.json")
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["backbones"]
    return found
