"""The receipts of a whole run, number by number, from what it saved."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.engine.data import load_dataset
from core.runs import Run
from tests.receipts import Document, rederive


def documents(run: Run) -> list[Document]:
    return [point.to_json() for point in run.summary().points]


@pytest.fixture(scope="module")
def whole(finished: Run) -> list[Document]:
    """The points of a run every number of which was derived again."""
    points = documents(finished)
    rederive(finished.folder, points, load_dataset("digits", 8), seed=0)
    return points


def test_every_number_can_be_derived_again(whole: list[Document]) -> None:
    assert [point["stage"] for point in whole] == ["transfer", "prune", "quantize"]


@pytest.mark.parametrize(
    "place",
    [
        ("accuracy",),
        ("validation_accuracy",),
        ("bytes",),
        ("compressed_bytes",),
        ("params",),
        ("macs",),
        ("latency_ms", "p50"),
        ("latency_ms", "p95"),
        ("latency_ms", "n"),
        ("receipt", "layers", "touched"),
        ("receipt", "int8_layers"),
        ("receipt", "file", "numbers"),
        ("receipt", "file", "folded_params"),
        ("spread", "macro_f1"),
        ("spread", "balanced_accuracy"),
        ("spread", "worst_recall"),
        ("spread", "top5_accuracy"),
        ("receipt", "calibration_error"),
        ("receipt", "same_answer_as_before"),
        ("receipt", "bytes_fp32", "before"),
        ("receipt", "bytes_first", "times_smaller"),
        ("receipt", "latency_before", "ms"),
        ("receipt", "latency_first", "predicted_by_macs"),
        ("receipt", "kernels", 0, "count"),
    ],
    ids=lambda place: ".".join(map(str, place)),
)
def test_a_number_that_is_not_so_is_noticed(finished: Run, whole: list[Document], place: tuple[str | int, ...]) -> None:
    """The check itself, on a receipt with one number changed by a tenth, or by one."""
    points, data = copy.deepcopy(whole), load_dataset("digits", 8)
    part: Any = points[2]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] += 1 if isinstance(part[place[-1]], int) else 0.1 * part[place[-1]] or 0.1
    with pytest.raises(AssertionError):
        rederive(finished.folder, points, data, seed=0)
