"""The page Backbones without a browser: what it shows, filters, asks and hands to Design."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.catalog import load_catalog
from core.engine.questions.answer import answer
from core.hardware.backbone_times import BackboneTime, keep_time, times
from core.jobs import Job
from core.questions.rank_backbones import Agreement, Ranking, RankRequest, Row
from core.rules.preflight import preflight
from core.workspace import Workspace
from core.workspace_files.drafts import newest_draft, read_draft
from dashboard.backbones import ranking
from dashboard.backbones.table import Wish, info, wanted
from dashboard.charts import backbones as chart
from dashboard.i18n import speaking
from tests.dashboard.test_pages import primary, shown, text, workspace

__all__ = ["workspace"]
KNOWN = load_catalog().backbones


@pytest.fixture(autouse=True)
def answered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers is this process, at once."""
    real = workspace.create_job

    def create(kind: str, request: Any) -> Job:
        job = real(kind, request)
        answer(job)
        return job

    monkeypatch.setattr("dashboard.data.asking.ensure_supervisor", lambda workspace: None)
    monkeypatch.setattr("dashboard.data.asking.supervisor", lambda workspace: object())
    monkeypatch.setattr("dashboard.data.asking.POLL", None)
    monkeypatch.setattr(Workspace, "create_job", lambda self, kind, request: create(kind, request))


def table(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "Licence" in frame.value.columns)


def calm(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def test_every_backbone_is_a_row_with_its_verdicts() -> None:
    rows = info(KNOWN, preflight(), {"resnet18"}, {}).set_index("name")
    assert list(rows.index) == list(KNOWN)
    assert rows.loc["resnet18", "place"] == "here"
    assert rows.loc["resnet34", "place"] == "download"
    assert rows.loc["resnet20", "place"] == "none"
    assert rows.loc["efficientnet_lite0", "place"] == "here"
    assert rows.loc["resnet18", "megabytes"] == pytest.approx(4 * KNOWN["resnet18"]["params"] / 1e6)
    assert bool(rows.loc["resnet18", "prunable"])
    assert rows["milliseconds"].isna().all()


def test_filters_keep_what_fits_and_nothing_unknown() -> None:
    measured = {"resnet20": BackboneTime("resnet20", 32, 0.4, 0.5, 99, False, 1)}
    rows = info(KNOWN, preflight(), set(), measured)
    light = wanted(rows, Wish(megabytes=1.2))
    assert set(light["name"]) == {name for name, facts in KNOWN.items() if 4 * facts["params"] <= 1.2e6}
    assert list(light["megabytes"]) == sorted(light["megabytes"])
    assert list(wanted(rows, Wish(milliseconds=2.0))["name"]) == ["resnet20"]
    best = wanted(rows, Wish(text="timm mobilenetv3", sort="accuracy"))
    assert list(best["accuracy"]) == sorted(best["accuracy"], reverse=True)
    first = wanted(rows, Wish(sort="accuracy")).iloc[0]
    assert first["classes"] == 1000, "93 % on ten classes of clothes is no rank among networks for ImageNet"
    assert all(name.startswith("timm/mobilenetv3") for name in best["name"])
    free = wanted(rows, Wish(text="convnextv2", free=True))
    assert free.empty, "its weights are for non-commercial use"
    refused = [name for name, verdict in preflight().items() if not verdict["prunable"]]
    assert not set(refused) & set(wanted(rows, Wish(can=("prunable",)))["name"])


def test_the_chart_has_a_mark_for_each_published_accuracy() -> None:
    points = chart.info(info(KNOWN, preflight(), {"resnet18"}, {}))
    assert set(points["name"]) == {n for n, facts in KNOWN.items() if facts["accuracy"] and facts["classes"] == 1000}
    drawn = chart.figure(points, "x", "y", {place: place for place in chart.PLACES})
    assert sum(len(trace.x) for trace in drawn.data) == len(points)
    assert drawn.data[0].text == ("resnet18",) or "resnet18" in drawn.data[0].text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_shows_all_and_one_thing_to_do(workspace: Workspace, language: str) -> None:
    app = calm(shown("backbones", language))
    assert len(primary(app)) == 1
    frame = max((each.value for each in app.dataframe), key=len)
    assert len(frame) == len(KNOWN)
    assert "efficientnet\\_lite0" in text(app)


@pytest.mark.thorough
def test_a_filter_a_choice_and_the_way_into_design(workspace: Workspace) -> None:
    app = shown("backbones")
    app.text_input(key="backbones_text").set_value("deit_tiny").run()
    assert list(table(calm(app))["name"]) == ["timm/deit_tiny_patch16_224.fb_in1k"]
    app.button(key="backbones_design").click().run()
    newest = newest_draft(workspace)
    assert newest is not None
    kept = read_draft(workspace, newest[0] if isinstance(newest, tuple) else newest)
    assert "deit_tiny_patch16_224" in str(kept)
    app = shown("backbones")
    app.text_input(key="backbones_text").set_value("no such network").run()
    assert "No network fits" in str([each.value for each in app.info])
    calm(app)


@pytest.mark.thorough
def test_a_time_is_measured_here_and_kept(workspace: Workspace) -> None:
    app = shown("backbones")
    app.text_input(key="backbones_text").set_value("resnet8").run()
    app.selectbox(key="backbones_chosen").set_value("resnet8").run()
    app.button(key="backbones_time_one").click().run().run()
    found = times(workspace.cache)["resnet8"]
    assert found.n >= 30
    assert 0 < found.p50 <= found.p95
    assert "**resnet8**" in text(calm(app))
    row = table(app).set_index("name").loc["resnet8"]
    assert row["Time here (ms)"] == pytest.approx(found.p50, abs=0.01)


@pytest.mark.thorough
def test_ranking_on_the_page_gives_the_command_s_rows(workspace: Workspace) -> None:
    app = shown("backbones")
    app.selectbox(key="backbones_rank_data").set_value("digits")
    app.multiselect(key="backbones_rank_which").set_value(["resnet8_fashion", "resnet20_fashion"]).run()
    app.button(key="backbones_rank").click().run().run()
    calm(app)
    rows = next(each.value for each in app.dataframe if "Probe (%)" in each.value.columns)
    asked = RankRequest("digits", ("resnet8_fashion", "resnet20_fashion"), 1000, 0)
    job = workspace.create_job("rank", asked.to_document())
    theirs = RankRequest.answer_from_document(job.result()).rows
    assert list(rows["Name"]) == [row.backbone for row in theirs]
    assert list(rows["LogME"]) == [round(row.logme, 3) for row in theirs]
    assert list(rows["Probe (%)"]) == [round(100 * row.probe_accuracy, 1) for row in theirs]
    part = job.partial()
    assert part is not None, "rows come one by one"
    assert len(RankRequest.answer_from_document(part).rows) == 2
    app.button(key="backbones_rank_use").click().run()
    assert newest_draft(workspace) is not None


@pytest.mark.thorough
def test_a_network_of_timm_is_found_added_removed_and_brought_back(workspace: Workspace) -> None:
    name = "timm/test_vit.r160_in1k"
    app = shown("backbones")
    app.text_input(key="backbones_timm").set_value("test_vit r160").run()
    app.button(key="backbones_timm_search").click().run().run()
    app.selectbox(key="backbones_timm_name").set_value(name).run()
    app.button(key="backbones_timm_add").click().run().run()
    assert name in workspace.catalog().backbones
    remove = next(button for button in calm(app).button if str(button.key).startswith("backbones_remove_"))
    remove.click().run()
    assert name not in workspace.catalog().backbones
    app.button(key="backbones_undo").click().run()
    assert name in workspace.catalog().backbones
    calm(app)


@pytest.mark.thorough
def test_what_is_refused_is_said_in_words(workspace: Workspace, tmp_path: Path) -> None:
    bad = tmp_path / "best.safetensors"
    bad.write_bytes(b"no weights")
    app = shown("backbones")
    app.text_input(key="backbones_path").set_value(str(bad))
    app.selectbox(key="backbones_arch").set_value("resnet8")
    app.text_input(key="backbones_name").set_value("mine").run()
    app.button(key="backbones_import").click().run().run()
    assert not [name for name in workspace.catalog().backbones if name.startswith("own/")]
    assert app.error or "safetensors" in text(app)
    app.text_input(key="backbones_path").set_value("~nobody-of-that-name/best.pth").run()
    app.button(key="backbones_import").click().run()
    assert any("whole path" in error.value for error in app.error)
    calm(app)
    keep_time(BackboneTime("resnet8", 16, 0.1, 0.1, 50, False, 1), workspace.cache)
    rows = table(shown("backbones")).set_index("name")
    assert bool(rows["Time here (ms)"].isna()["resnet8"]), "it was measured at another size"


def test_an_order_that_may_be_chance_is_not_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for name in ("caption", "markdown"):
        monkeypatch.setattr(st, name, told.append)
    probes = {"first": (0.80, 0.75, 0.85), "near": (0.78, 0.73, 0.83), "far": (0.60, 0.55, 0.65)}
    rows = tuple(
        Row(name, True, share, 1.0, 1.0, 1.0, 0.5, None, None, 100, low, high)
        for name, (share, low, high) in probes.items()
    )
    orders = (Agreement("logme", 1.0, 1.0, 3, False, 1 / 3), Agreement("h_score", 1.0, 1.0, 6, False, 2 / 720))
    with speaking("en"):
        ranking._alike(rows)
        assert told == ["first is not shown to be better than near: the 95 % intervals of the probe overlap."]
        ranking._alike((rows[0], rows[2]))
        assert len(told) == 1
        for order, chance in zip(orders, (True, False), strict=True):
            told.clear()
            ranking._agreement(Ranking(rows, (order,)))
            assert any("unrelated orders agree as much by chance with p = 0.33" in line for line in told) == chance
