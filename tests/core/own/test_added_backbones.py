"""Networks beyond the list and measured times, as a workspace keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.errors import UserError
from core.hardware.backbone_times import BackboneTime, keep_time, times
from core.own import added_backbones
from core.workspace import Workspace

NAME = "timm/test_vit.r160_in1k"


def facts() -> dict[str, object]:
    return {**load_catalog().backbone("timm/deit_tiny_patch16_224.fb_in1k"), "name": NAME}


def test_an_added_network_is_in_the_catalog_until_it_is_removed(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    with pytest.raises(UserError):
        store.catalog().backbone(NAME)
    added_backbones.keep(facts(), store.models)
    assert store.catalog().backbone(NAME) == facts()
    gone = added_backbones.forget(NAME, store.models)
    assert NAME not in store.catalog().backbones
    assert list(store.models.iterdir()) == []
    added_backbones.keep(gone, store.models)
    assert store.catalog().backbone(NAME) == facts()


def test_a_damaged_one_is_left_out_and_another_s_name_refused(tmp_path: Path) -> None:
    added_backbones.keep(facts(), tmp_path)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert added_backbones.added(tmp_path) == {}
    with pytest.raises(UserError, match="a network that was added"):
        added_backbones.forget("timm/other", tmp_path)


def test_times_are_kept_one_by_one(tmp_path: Path) -> None:
    assert times(tmp_path) == {}
    first = BackboneTime("resnet8", 32, 0.2, 0.3, 100, False, 1000)
    second = BackboneTime("resnet20", 32, 0.5, 0.6, 100, True, 2000)
    keep_time(first, tmp_path)
    keep_time(second, tmp_path)
    assert times(tmp_path) == {"resnet8": first, "resnet20": second}
    keep_time(BackboneTime("resnet8", 32, 0.1, 0.2, 99, False, 1000), tmp_path)
    assert times(tmp_path)["resnet8"].p50 == 0.1
    (file,) = (tmp_path / "times").glob("*.json")
    file.write_bytes(file.read_bytes()[:-3])
    assert times(tmp_path) == {}
