"""Where the data sets that a person imported live: in folders named by a hash of the person's name for them."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

CARD = "dataset.json"  # what it holds; sealed


def normal_name(name: str) -> str:
    """The name as it is kept and compared: composed Unicode, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def home_of(name: str, folder: Path) -> Path:
    """Where the data set of this name lives, whether or not it is there."""
    return folder / f"own-{hashlib.sha256(normal_name(name).encode('utf-8', 'replace')).hexdigest()[:16]}"
