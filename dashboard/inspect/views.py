"""The views of the page Inspect, in the order of their tabs. A view is one file with a function `show`."""

from __future__ import annotations

from collections.abc import Callable

from dashboard.inspect import (
    by_subset,
    changed,
    confidence,
    confusion,
    feature_map,
    labels,
    layers,
    per_class,
    robustness,
    where_it_looks,
)
from dashboard.inspect.choice import Choice

VIEWS: dict[str, Callable[[Choice], None]] = {
    "confusion": confusion.show,
    "changed": changed.show,
    "classes": per_class.show,
    "subsets": by_subset.show,
    "confidence": confidence.show,
    "robustness": robustness.show,
    "layers": layers.show,
    "saliency": where_it_looks.show,
    "map": feature_map.show,
    "labels": labels.show,
}
