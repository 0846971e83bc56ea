"""What Design draws of its knobs is what the engine does: softening, rounding and the cut, on the same network."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.assets import EFFECTS
from core.engine import build
from core.engine.backbones import load_backbone
from core.engine.distill import Distill
from core.engine.output import Output
from core.engine.prune.structured import prune_channels
from core.engine.quantize.arithmetic import fake_quantize
from dashboard.charts import effects, style

MAKER = EFFECTS.parents[1] / "make_effects.py"


@pytest.fixture(scope="module")
def known() -> Mapping[str, NDArray[Any]]:
    with np.load(EFFECTS) as found:
        return dict(found)


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_effects", Path(MAKER))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.thorough
def test_the_numbers_are_those_of_the_bundled_network(known: Mapping[str, NDArray[Any]], maker: ModuleType) -> None:
    again = maker.softened()
    np.testing.assert_array_equal(known["images"], again["images"])
    np.testing.assert_allclose(known["logits"], again["logits"], atol=1e-3)
    np.testing.assert_array_equal(known["weights"], maker.weights())
    for method in maker.RANKED:
        np.testing.assert_allclose(known[f"score_{method}"], maker.scores(method).numpy(), rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_softening_is_that_of_the_loss(known: Mapping[str, NDArray[Any]], temperature: float) -> None:
    """Distillation's loss is least, and zero, for a student whose softened answer is the one drawn."""
    logits = known["logits"].astype(np.float64)
    drawn = np.stack([effects.softened(row, temperature) for row in logits])
    expected = torch.softmax(torch.from_numpy(logits) / temperature, 1).numpy()
    np.testing.assert_allclose(drawn, expected, rtol=1e-12)
    method = build("distill", "kd", temperature=temperature)
    assert isinstance(method, Distill)
    student, teacher = (torch.from_numpy(t) for t in (temperature * np.log(drawn), logits))
    loss = method.soft_loss(Output(student, [], student), Output(teacher, [], teacher), None)
    assert float(loss) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_levels_are_those_of_the_quantizer(known: Mapping[str, NDArray[Any]], bits: int) -> None:
    weights = known["weights"].astype(np.float64)
    expected = fake_quantize(torch.from_numpy(weights), bits).numpy()
    np.testing.assert_allclose(effects.rounded(weights, bits), expected, atol=1e-12)
    assert len(np.unique(expected)) <= 2**bits - 1


@pytest.mark.parametrize("method", ["l1", "l2", "bn_scale", "fpgm", "lamp"])
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.9])
def test_the_channels_that_stay_are_those_the_engine_keeps(
    known: Mapping[str, NDArray[Any]], method: str, ratio: float
) -> None:
    net = load_backbone("resnet8_fashion")
    whole = net.get_parameter("stage1.0.conv2.weight").detach()
    pruned = prune_channels(net, torch.zeros(2, 1, 28, 28), ratio, method)
    norm = pruned.get_parameter("stage1.0.bn1.weight").detach()
    before = net.get_parameter("stage1.0.bn1.weight").detach()
    stays = effects.kept(known[f"score_{method}"].astype(np.float64), ratio)
    assert len(norm) == int(stays.sum()) < len(before) == whole.shape[1]
    assert torch.equal(norm, before[torch.from_numpy(stays)])


def test_no_ratio_keeps_all_and_equal_scores_lose_the_last() -> None:
    assert effects.kept(np.ones(4), 0.0).all()
    assert effects.kept(np.ones(4), 0.5).tolist() == [True, True, False, False]


def test_what_goes_and_what_the_teacher_says_are_outlines(known: Mapping[str, NDArray[Any]]) -> None:
    table = effects.rank_table(known["score_l2"].astype(np.float64), 0.75)
    stays, goes = effects.rank_figure(table, effects.Fate("stays", "goes", "x", "y")).data
    assert (len(stays.x), len(goes.x)) == (8, 24)
    assert (stays.marker.color, goes.marker.color) == (style.LIGHT["prune"], "rgba(0,0,0,0)")
    assert min(stays.y) >= max(goes.y)
    soft = effects.soft_table(known["logits"][0].astype(np.float64), ["<b>", *map(str, range(9))], 4.0)
    bars, outline = effects.soft_figure(soft, "plain", "soft").data
    assert bars.x[0] == "&lt;b&gt;"
    assert max(bars.y) < max(outline.y)
