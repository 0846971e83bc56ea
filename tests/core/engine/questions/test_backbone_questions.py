"""Search, additions, weights at hand and times, asked as jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.engine.questions.answer import answer
from core.errors import UserError, UserErrors
from core.hardware.backbone_times import times
from core.questions.add_backbone import AddBackboneRequest
from core.questions.request import Request
from core.questions.search_backbones import SearchBackbonesRequest
from core.questions.time_backbones import TimeBackbonesRequest
from core.questions.weights_here import WeightsHereRequest
from core.recipe import parse_recipe
from core.workspace import Workspace

RECIPE = """
dataset = "digits"
backbone = "timm/test_vit.r160_in1k"

[[steps]]
stage = "transfer"
method = "linear_probe"
"""


def told(store: Workspace, request: Request[Any]) -> Any:
    job = store.create_job(request.kind, request.to_document())
    answer(job)
    return request.answer_from_document(job.result())


def test_every_word_must_be_in_the_name(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    found = told(store, SearchBackbonesRequest("mobilenetv4 small"))
    assert found.total == len(found.rows) > 2
    assert all("mobilenetv4" in row.name and "small" in row.name for row in found.rows)
    assert {row.licence for row in found.rows} == {"Apache-2.0"}
    every = told(store, SearchBackbonesRequest("", 1))
    assert every.total > 1000
    assert len(every.rows) == 1
    with pytest.raises(UserError):
        told(store, SearchBackbonesRequest("x", 0))


def test_a_recipe_with_an_added_network_is_checked_without_torch(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    with pytest.raises(UserErrors, match="add-backbone"):
        parse_recipe(RECIPE, store.catalog())
    facts = told(store, AddBackboneRequest("timm/test_vit.r160_in1k")).facts
    assert parse_recipe(RECIPE, store.catalog()).backbone == facts["name"]
    with pytest.raises(UserErrors, match="16"):
        parse_recipe(RECIPE.replace("[[steps]]", "image_size = 50\n[[steps]]", 1), store.catalog())
    for name in ("resnet18", "timm/nothing.at_all"):
        with pytest.raises(UserError) as refused:
            told(store, AddBackboneRequest(name))
        assert refused.value.code == "unknown_backbone"
    assert len(list(store.models.iterdir())) == 1


def test_weights_at_hand_are_those_that_need_no_network(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    names = ("resnet20_fashion", "efficientnet_lite0", "resnet20", "timm/deit_tiny_patch16_224.fb_in1k")
    here = told(store, WeightsHereRequest(names)).backbones
    assert set(here) >= {"resnet20_fashion", "efficientnet_lite0"}
    assert "resnet20" not in here
    place = store.cache / "weights/timm"
    place.mkdir(parents=True)
    (place / "deit_tiny_patch16_224.fb_in1k.safetensors").write_bytes(b"")
    assert names[-1] in told(store, WeightsHereRequest(names)).backbones


@pytest.mark.thorough
def test_times_are_measured_and_kept(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    found = told(store, TimeBackbonesRequest(("resnet8", "resnet8")))
    (row,) = found.rows
    assert times(store.cache)["resnet8"] == row
    assert row.n >= 30
    assert 0 < row.p50 <= row.p95
    assert row.bytes > 4 * 70_000
