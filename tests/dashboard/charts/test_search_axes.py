"""The axes of a search's charts: accuracies that lie close together have different numbers."""

from __future__ import annotations

import pandas as pd

from dashboard.charts import search as charts

LABELS = charts.Labels("trial", "accuracy", "bytes", "within", "outside", "best", "front", "recommended", "share")


def test_accuracies_within_a_percent_are_told_apart() -> None:
    table = pd.DataFrame(
        {
            "trial": [1, 2],
            "accuracy": [0.888, 0.892],
            "bytes": [82_900, 95_200],
            "within": [True, True],
            "front": [True, False],
            "best": [True, True],
        }
    )
    for drawn in (charts.history(table, LABELS), charts.front(table, 1, LABELS)):
        assert drawn.layout.yaxis.tickformat == ".3~p"  # three digits: 88.8% and 89.2%, not 89% twice
