"""Chance in words: what it is, how it was found, and the mark of a point that is not proven better."""

from __future__ import annotations

import pandas as pd

from core.statistics.chance import Chance
from core.text import formatting
from dashboard.charts.chance import Level
from dashboard.i18n import say

COLUMNS = {"validation": "chance_validation", "accuracy": "chance", "on_target": "chance_target"}


def told(share: float, chance: Chance) -> str:
    """How much is right by chance, and by which way of answering without looking."""
    way = "majority" if chance.is_majority(share) else "guessing" if chance.counted else "assumed"
    return say(f"chance.{way}", share=formatting.percent(share), classes=chance.classes)


def badge() -> str:
    """The mark of a point that is not proven better than chance, for Markdown: a symbol, words and a colour."""
    return f":orange-badge[:material/casino: {say('chance.badge')}]"


def level(share: float, chance: Chance) -> Level:
    """The line of a chart."""
    return Level(share, say("chance.line", share=formatting.percent(share)), told(share, chance))


def levels(points: pd.DataFrame, quality: str) -> list[Level]:
    """The lines for a column of accuracies: one a value that differs; values that were counted come before assumed
    ones."""
    if quality not in COLUMNS:
        return []
    known = points.dropna(subset=[COLUMNS[quality], "classes"])
    if known["chance_counted"].any():
        known = known[known["chance_counted"]]
    different = known.drop_duplicates(COLUMNS[quality])
    found = zip(different[COLUMNS[quality]], different["classes"], different["chance_counted"], strict=True)
    return [
        level(share, Chance(classes=int(classes), test=share, validation=share, counted=bool(counted)))
        for share, classes, counted in sorted(found)
    ]
