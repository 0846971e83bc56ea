"""A cut that was interrupted while it recovered ends as one that was not, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.context import CancelledError
from core.engine.method import build
from core.engine.model import Model
from tests.core.engine.conftest import MakeContext, Reported

CASES: dict[str, dict[str, Any]] = {
    "taylor": {"images": 128, "iterations": 2, "scope": "global"},
    "bn_scale": {"target": "parameters", "limit": 9000.0, "iterations": 2},
    "magnitude": {"ratio": 0.7, "iterations": 2},
    "n_m": {},
    "blocks": {"measure": "loss"},
}


QUICK = ("taylor", "n_m")  # a cut of channels in rounds, and of single weights


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]
)
def test_interrupted_and_resumed_it_ends_bit_identical(
    name: str, make_model: Callable[..., Model], make_context: MakeContext, reports: list[Reported], tmp_path: Path
) -> None:
    method = build("prune", name, epochs=4, batch=256, **CASES[name])

    def finished(context: Any) -> dict[str, torch.Tensor]:
        return method.apply(make_model(), context).net.state_dict()

    whole = finished(make_context())
    shutil.rmtree(tmp_path / "checkpoints")
    reports.clear()

    def late() -> bool:
        return any(report[0] == "training" and report[1] == 3 for report in reports)  # in the last round's fit

    with pytest.raises(CancelledError):
        finished(make_context(cancelled=late))
    again = finished(make_context())
    assert list(again) == list(whole)
    assert all(torch.equal(again[key], whole[key]) for key in whole)
