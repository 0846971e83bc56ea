"""The catalog as data: what is written is read back, and a wrong name is answered with the nearest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core import catalog as catalog_module
from core.catalog import STAGES, Catalog, MethodEntry, load_catalog
from core.engine.method import STAGES as ENGINE_STAGES
from core.errors import UserError
from core.options import Option, Words

RATIO = Option("ratio", "float", 0.5, Words("Ratio", "比例"), Words("Share removed.", "去除的比例。"), 0.0, 0.99)
SCOPE = Option("scope", "str", "global", Words("S", "范围"), Words("h", "帮助"), choices=("global", "local"))
L2 = MethodEntry(
    Words("L2 norm", "L2 范数"), Words("Removes small filters.", "去除小滤波器。"), "Li 2017", (SCOPE, RATIO)
)
SAMPLE = Catalog(
    methods={"distill": {"kd": L2, "dkd": L2}, "prune": {"l2": L2}},
    backbones={"resnet8": {"params": 78_000}, "vgg16": {"params": 138_000_000}},
    datasets={"digits": {"classes": 10}},
)


def test_it_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(SAMPLE.dumps(), encoding="utf-8")
    assert load_catalog(path) == SAMPLE
    assert load_catalog(path) is load_catalog(path)


def test_options_keep_their_order_and_stages_come_in_the_order_of_work() -> None:
    back = Catalog.from_json(json.loads(SAMPLE.dumps()))
    assert [option.name for option in back.method("prune", "l2").options] == ["scope", "ratio"]
    shuffled = Catalog(methods={stage: {"l2": L2} for stage in reversed(STAGES)})
    assert tuple(Catalog.from_json(json.loads(shuffled.dumps())).methods) == STAGES


def test_the_text_does_not_depend_on_the_order_of_discovery() -> None:
    turned = Catalog(
        {stage: dict(list(menu.items())[::-1]) for stage, menu in list(SAMPLE.methods.items())[::-1]},
        dict(list(SAMPLE.backbones.items())[::-1]),
        SAMPLE.datasets,
    )
    assert turned.dumps() == SAMPLE.dumps()
    assert "范数" in SAMPLE.dumps()
    assert SAMPLE.dumps().endswith("}\n")


def test_what_methods_share_is_written_once_and_one_that_differs_keeps_its_own() -> None:
    own = Option("temperature", "float", 4.0, Words("T", "温度"), Words("Softens.", "软化。"), 1, 50, own=True)
    steep = replace(RATIO, default=0.9)
    menu = {"a": replace(L2, options=(RATIO, SCOPE)), "b": L2, "c": replace(L2, options=(own, SCOPE, steep))}
    written = Catalog({"prune": menu}).to_json()
    assert list(written["options"]["prune"]) == ["ratio", "scope"]
    assert [written["methods"]["prune"][name]["options"] for name in "ab"] == [["ratio scope"], ["scope ratio"]]
    assert written["methods"]["prune"]["c"]["options"] == [own.to_json(), "scope", steep.to_json()]
    assert Catalog.from_json(json.loads(json.dumps(written))).methods["prune"] == menu


def test_one_more_method_is_a_small_change_of_the_file() -> None:
    catalog = load_catalog()
    menu = catalog.methods["distill"]
    shared = tuple(map(Option.from_json, catalog.to_json()["options"]["distill"].values()))
    more = replace(catalog, methods={**catalog.methods, "distill": {**menu, "mine": replace(L2, options=shared)}})
    assert len(shared) > 10
    assert len(more.dumps().splitlines()) - len(catalog.dumps().splitlines()) < 20


def test_not_a_number_is_never_written() -> None:
    with pytest.raises(ValueError):
        Catalog(backbones={"x": {"accuracy": float("nan")}}).dumps()


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    cases: list[tuple[Callable[[], object], str, str]] = [
        (lambda: SAMPLE.method("prun", "l2"), "unknown_stage", "'prune'"),
        (lambda: SAMPLE.method("distill", "dk"), "unknown_method", "kd'"),
        (lambda: SAMPLE.backbone("resnet9"), "unknown_backbone", "'resnet8'"),
        (lambda: SAMPLE.dataset("digit"), "unknown_dataset", "'digits'"),
    ]
    for look_up, code, hint in cases:
        with pytest.raises(UserError) as caught:
            look_up()
        assert caught.value.code == code
        assert hint in caught.value.fix


def test_imported_data_sets_join_and_never_hide_our_own() -> None:
    more = SAMPLE.with_datasets({"pets": {"classes": 37}, "digits": {"classes": 2}})
    assert more.dataset("pets") == {"classes": 37}
    assert more.dataset("digits") == {"classes": 10}
    assert SAMPLE.with_datasets(["mine"]).dataset("mine") == {}
    assert "pets" not in SAMPLE.datasets


def test_the_stages_are_the_engines() -> None:
    assert STAGES == ENGINE_STAGES


def test_reading_needs_no_torch() -> None:
    code = "import core.catalog, sys; print('torch' in sys.modules, 'core.engine' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
    assert catalog_module.CATALOG_FILE.name == "catalog.json"
