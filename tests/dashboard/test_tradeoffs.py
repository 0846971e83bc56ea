"""Trade-offs: filters, selection, baseline, bounds, managing; all of it kept in the address and in the session."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as hs
from pydantic import JsonValue
from streamlit.testing.v1 import AppTest

from core.assets import SAMPLES
from core.catalog import load_catalog
from core.events import DataLoaded, Measured, RunFinished, RunStarted, Warned
from core.points import InRuntime, Latency, Point
from core.recipe import stored_recipe
from core.run_files.samples import sample, samples
from core.runs import Run, RunSummary
from core.statistics.chance import Chance
from core.workspace import Workspace
from dashboard import chance, components, receipt
from dashboard.charts import front, points
from dashboard.charts.bounds import Bounds, best, cheaper
from dashboard.charts.front import AREAS, COSTS, QUALITIES, Axes
from dashboard.live_plot import Picked
from dashboard.tradeoffs import answers, chart, report, view_state
from dashboard.tradeoffs.points_cache import Stored
from dashboard.tradeoffs.view_state import View
from tests.dashboard.test_pages import DEMO, point

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
IDS = sorted(summary.id for summary in samples())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The last chart; picking points in it and ticking rows are done through text inputs."""
    seen: dict[str, Any] = {}

    def fake_chart(figure: Any, *, on_pick: Callable[[Picked], None], **more: Any) -> None:
        def pick() -> None:
            how, *ids = st.session_state["fake_pick"].split()
            on_pick(Picked(tuple(ids), how))

        seen.update(more, figure=figure)
        st.text_input("pick", key="fake_pick", on_change=pick)

    def table(data: pd.DataFrame, *, key: str, on_select: Callable[[], None] | None = None, **more: Any) -> None:
        def tick() -> None:
            rows = [int(row) for row in st.session_state["fake_tick"].split()]
            st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
            if on_select is not None:
                on_select()

        seen[key] = data
        if on_select is not None:
            seen["ticked"] = st.session_state[key]["selection"]["rows"]
            st.text_input("tick", key="fake_tick", on_change=tick)

    monkeypatch.setattr(chart, "live_plot", fake_chart)
    monkeypatch.setattr(st, "dataframe", table)
    return seen


def copy(workspace: Workspace, *ids: str, dataset: str = "") -> None:
    """Real results as a person's own runs, told by their events as a worker would."""
    for run_id in ids:
        known, run = sample(run_id).summary(), Run(workspace.path / "runs" / run_id)
        shutil.copytree(SAMPLES / run_id, run.folder)
        (run.folder / "result.json").unlink()
        if dataset:
            recipe = run.recipe_text.replace(f'dataset = "{known.dataset}"', f'dataset = "{dataset}"')
            (run.folder / "recipe.toml").write_text(recipe)
        run.emit(RunStarted(os.getpid(), dict(known.environment)))
        run.emit(*(Measured("point", 0, point) for point in known.points))
        run.emit(*(Measured("control", 0, control) for control in known.controls), RunFinished())


def page(**query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.query_params["lang"] = "en"
    app.run()
    app.switch_page("app_pages/tradeoffs.py")
    for name, value in {"lang": "en", **query}.items():
        app.query_params[name] = value
    return ran(app)


def ran(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def said(app: AppTest) -> str:
    kinds = ("markdown", "caption", "error", "warning", "info", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind)).replace("\\", "")


def downloads(app: AppTest) -> str:
    """What can be downloaded."""
    return "\n".join(str(getattr(button, "label", "")) for button in app.get("download_button"))


def ids_drawn(seen: dict[str, Any]) -> set[str]:
    return {row[0] for trace in seen["figure"].data if trace.customdata is not None for row in trace.customdata}


def asked(app: AppTest, name: str) -> str:
    return "".join(app.query_params.get(name, []))


def pick(app: AppTest, *ids: str, how: str = "toggle") -> AppTest:
    app.text_input(key="fake_pick").set_value(" ".join([how, *ids]))
    return ran(app)


# what is shown


@pytest.mark.thorough
def test_samples_are_shown_and_named_as_such_until_there_are_own_points(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    app = page()
    everything = points.info(samples(), sample=True)
    assert ids_drawn(drawn) == set(everything["id"])
    assert "sample results that come with Condenser, measured on AMD EPYC" in said(app)
    assert [b.label for b in app.button if b.proto.type == "primary"] == ["Go to Home and run the demo"]
    copy(workspace, IDS[0])
    app = page()
    assert {name.partition(":")[0] for name in ids_drawn(drawn)} == {IDS[0]}
    assert "sample results that come" not in said(app)
    app.toggle(key="tradeoffs_samples").set_value(True)
    ran(app)
    assert ids_drawn(drawn) == set(everything["id"]), "a sample that is in the workspace is not shown twice"
    assert asked(app, "samples") == "1"


def test_without_samples_and_points_there_is_one_thing_to_do(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.tradeoffs.points_cache.samples", lambda: ())
    app = page()
    assert [b.label for b in app.button if b.proto.type == "primary"] == ["Go to Home and run the demo"]


def test_points_of_one_data_set_are_shown_that_of_the_newest_run_first(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    copy(workspace, *IDS[:2])
    copy(workspace, IDS[2], dataset="flowers")
    app = page()
    assert {name.partition(":")[0] for name in ids_drawn(drawn)} == {IDS[2]}
    app.selectbox(key="tradeoffs_dataset").set_value("fashion-mini")
    ran(app)
    assert {name.partition(":")[0] for name in ids_drawn(drawn)} == set(IDS[:2])
    assert asked(app, "dataset") == "fashion-mini"


def test_accuracy_on_a_target_is_drawn_for_the_newest_target_alone(workspace: Workspace, drawn: dict[str, Any]) -> None:
    for run_id, target in zip(IDS[:3], ("digits", "digits", "photos"), strict=True):
        copy(workspace, run_id)
        run = Run(workspace.path / "runs" / run_id)
        (run.folder / "recipe.toml").write_text(f'target = "{target}"\n{run.recipe_text}')
        point = sample(run_id).summary().points[0]
        there = {"target_accuracy": 0.5, "target_accuracy_low": 0.4, "target_accuracy_high": 0.6}
        run.emit(Measured("point", 0, point.model_copy(update=there)))
    app = page(y="on_target")
    newest = max(IDS[:3])
    alike = {run_id for run_id, target in zip(IDS[:3], "ddp", strict=True) if target == "ddp"[IDS.index(newest)]}
    assert ids_drawn(drawn) == {f"{run_id}:0" for run_id in alike}
    assert f"({'photos' if newest == IDS[2] else 'digits'})" in said(app)
    assert asked(app, "y") == "on_target"
    app.selectbox(key="tradeoffs_y").set_value("accuracy")
    assert {name.partition(":")[0] for name in (ran(app), ids_drawn(drawn))[1]} == set(IDS[:3])


def test_the_table_and_its_file_tell_the_spread_on_a_target() -> None:
    """Of several seeds the mean and their deviation; of runs without a target nothing."""
    (found,) = (s for s in samples() if s.id == IDS[0])
    several = {"target_accuracy": 0.5, "target_accuracy_mean": 0.55, "target_accuracy_sd": 0.04}
    told = tuple(p.model_copy(update=several) for p in found.points)
    table = points.info([found.model_copy(update={"points": told})]).assign(front=False)
    eyes = chart.for_eyes(table)
    assert eyes["on_target"].tolist()[0] == pytest.approx(55)
    assert eyes["target_spread"].tolist()[0] == pytest.approx(4)
    assert {"on_target", "target_low", "target_high", "target_sd"} <= set(chart.for_file(table))
    plain = chart.for_eyes(points.info([found]).assign(front=False))
    assert not {"on_target", "target_spread"} & set(plain)
    assert set(eyes) <= set(chart.columns())


@pytest.mark.thorough
def test_filters_make_the_points_fewer(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS)
    run = workspace.run(IDS[3])
    run.annotate(run.notes().model_copy(update={"tags": ("good",)}))
    everything = points.info(workspace.runs())
    app = page(stage="prune,quantize", controls="0")
    kept = everything[everything["stage"].isin(["prune", "quantize"]) & ~everything["control"]]
    assert ids_drawn(drawn) == set(kept["id"])
    app.multiselect(key="tradeoffs_tag").set_value(["good"])
    ran(app)
    assert ids_drawn(drawn) == set(kept[kept["run"] == IDS[3]]["id"])
    app.multiselect(key="tradeoffs_tag").set_value([])
    app.multiselect(key="tradeoffs_backbone").set_value(["resnet8_fashion"])
    ran(app)
    assert ids_drawn(drawn) == set(kept[kept["backbone"] == "resnet8_fashion"]["id"])
    assert len(drawn[chart.TABLE]) == len(ids_drawn(drawn))


@pytest.mark.thorough
def test_the_state_of_runs_the_front_and_settings_are_filters(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS)
    names = {summary.name: summary.id for summary in workspace.runs()}
    everything = points.info(workspace.runs())
    going = workspace.create_run((SAMPLES / IDS[0] / "recipe.toml").read_text())
    going.emit(RunStarted(os.getpid(), {}), Measured("point", 0, sample(IDS[0]).summary().points[0]))
    page(state="running")
    assert ids_drawn(drawn) == {f"{going.id}:0"}
    page(state="finished")
    assert ids_drawn(drawn) == set(everything["id"])
    page(state="finished", front="1")
    leading = front.info(everything, Axes())
    assert ids_drawn(drawn) == set(leading["id"][leading["front"]])
    app = page(knobs="distill.temperature=8", controls="0")
    assert {name.partition(":")[0] for name in ids_drawn(drawn)} == {names["softer teacher"]}
    assert not any(name.endswith(":0") for name in ids_drawn(drawn)), "a point before the step has no such setting"
    field = app.multiselect(key="tradeoffs_knob_distill.temperature")
    assert field.value == ["8"]
    field.set_value(["2", "8"])
    ran(app)
    assert {names["the demo"], names["softer teacher"]} <= {name.partition(":")[0] for name in ids_drawn(drawn)}
    app.multiselect(key="tradeoffs_knobs").set_value([])
    ran(app)
    assert len({name.partition(":")[0] for name in ids_drawn(drawn)}) == len(IDS) + 1


# the selection


@pytest.mark.thorough
def test_a_click_toggles_and_a_frame_replaces_and_the_address_follows(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    copy(workspace, *IDS[:3])
    one, two, three = (f"{run_id}:3" for run_id in IDS[:3])
    app = pick(pick(page(), one), two)
    assert asked(app, "sel") == f"{one},{two}"
    assert asked(pick(app, one), "sel") == two
    assert asked(pick(app, one, three, how="replace"), "sel") == f"{one},{three}"


@pytest.mark.thorough
def test_the_selection_survives_axes_filters_and_a_new_run(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    one, two = (f"{run_id}:3" for run_id in IDS[:2])
    app = pick(pick(page(), one), two)
    app.selectbox(key="tradeoffs_x").set_value("p50")
    app.selectbox(key="tradeoffs_y").set_value("accuracy")
    app.toggle(key="tradeoffs_log").set_value(False)
    ran(app)
    copy(workspace, IDS[2])
    app.multiselect(key="tradeoffs_backbone").set_value(["efficientnet_lite0"])
    ran(app)
    assert any(name.startswith(IDS[2]) for name in ids_drawn(drawn))
    assert asked(app, "sel") == f"{one},{two}"
    assert drawn["figure"].layout.xaxis.type == "linear"
    assert "2 selected" in said(app)


@pytest.mark.thorough
def test_an_address_restores_everything_for_a_new_visitor(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:3])
    one, base = f"{IDS[0]}:3", f"{IDS[1]}:0"
    app = pick(page(), one)
    for name, value in (("x", "macs"), ("y", "accuracy"), ("area", "bytes")):
        app.selectbox(key=f"tradeoffs_{name}").set_value(value)
    for name, number in (("mb", 0.5), ("drop", 12.5)):
        app.number_input(key=f"tradeoffs_{name}").set_value(number)
    app.toggle(key="tradeoffs_paths").set_value(False)
    ran(app)
    pick(app, base)
    app.button(key="tradeoffs_pin_2").click()
    ran(app)
    query = {name: asked(app, name) for name in app.query_params}
    first = drawn["figure"].to_json()
    assert query["base"] == base
    again = page(**query)
    assert {name: asked(again, name) for name in again.query_params} == query
    assert drawn["figure"].to_json() == first
    assert said(again) == said(app)


def test_coming_back_from_another_page_finds_what_was_left(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    app = pick(page(), f"{IDS[0]}:3")
    app.switch_page("app_pages/home.py")
    app.query_params.clear()
    ran(app)
    app.switch_page("app_pages/tradeoffs.py")
    ran(app)
    assert asked(app, "sel") == f"{IDS[0]}:3"
    assert "1 selected" in said(app)


@pytest.mark.thorough
def test_ticking_rows_selects_without_a_mouse_on_the_chart(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    app = page(stage="prune", sel=f"{IDS[0]}:0")
    table = drawn[chart.TABLE]
    assert drawn["ticked"] == []
    app.text_input(key="fake_tick").set_value("0 1")
    ran(app)
    chosen = asked(app, "sel").split(",")
    assert chosen[0] == f"{IDS[0]}:0", "what the table does not show stays selected"
    assert sorted(chosen[1:]) == sorted(f"{run_id}:2" for run_id in IDS[:2])
    assert drawn["ticked"] == [0, 1]
    assert len(table) == 2
    app.text_input(key="fake_tick").set_value("1")
    ran(app)
    assert len(asked(app, "sel").split(",")) == 2


@pytest.mark.thorough
def test_too_many_points_are_not_selected_and_that_is_said(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS)
    everything = points.info(workspace.runs())
    ids = [name for name in everything["id"] if " " not in name]
    many = [*ids, *(f"{name}0" for name in ids)]
    app = pick(page(), *many, how="replace")
    assert f"{len(many) - view_state.MOST_SELECTED} points were not selected" in said(app)
    assert len(asked(app, "sel").split(",")) == view_state.MOST_SELECTED


# comparing


@pytest.mark.thorough
def test_the_picked_are_compared_with_the_pinned_baseline(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS)
    names = {summary.name: summary.id for summary in workspace.runs()}
    demo, softer = f"{names['the demo']}:1", f"{names['softer teacher']}:1"
    app = page(sel=f"{demo},{softer}", base=demo)
    assert "Differences are from the pinned baseline, point 1." in said(app)
    assert "the 95 % intervals overlap" in said(app)
    table = drawn["tradeoffs_settings"]
    assert table.to_numpy().tolist() == [["◆ Step 2 · Temperature", "2", "8"]]
    assert "latencies are not compared" in said(app)
    assert page(sel=demo).markdown, "a single point is shown without a comparison"


@pytest.mark.thorough
def test_the_table_says_how_far_each_point_is_from_the_pinned_one(workspace: Workspace, drawn: dict[str, Any]) -> None:
    """A sign and a mark, not a colour alone; and the numbers are there to sort by."""
    base = luckless(workspace, "base", low=0.45, high=0.55, bytes=1_000_000, p50=2.0)
    luckless(workspace, "better", low=0.60, high=0.70, bytes=500_000, p50=1.0)
    luckless(workspace, "worse", low=0.30, high=0.40, bytes=1_200_000, p50=2.5)
    luckless(workspace, "alike", low=0.47, high=0.57, bytes=1_000_000, p50=2.01)
    page()
    assert not [name for name in drawn[chart.TABLE] if name.endswith("_delta")]
    app = page(base=base)
    assert "Δ is the difference from the pinned baseline, base" in said(app)
    styled = drawn[chart.TABLE]
    names = ("accuracy_delta", "bytes_delta", "p50_delta")
    shown = styled.hide(axis="index").to_string(delimiter="\t").splitlines()
    places = [list(styled.data).index(name) for name in names]
    rows = {cells[2]: [cells[place] for place in places] for cells in (line.split("\t") for line in shown[1:])}
    assert rows["better"] == ["+15.0 ✓", "−50.0 % ✓", "−50.0 % ✓"]
    assert rows["worse"] == ["−15.0 ✗", "+20.0 % ✗", "+25.0 % ✗"]
    assert rows["alike"] == ["+2.0 ≈", "+0.0 % ≈", "+0.5 % ≈"]
    assert rows["base"] == ["–"] * 3
    told = styled.data.set_index("name")["bytes_delta"].dropna().to_dict()
    assert told == pytest.approx({"better": -50, "worse": 20, "alike": 0})


def test_a_mean_over_seeds_reads_otherwise_than_an_interval(workspace: Workspace, drawn: dict[str, Any]) -> None:
    one, several = luckless(workspace, "one"), luckless(workspace, "several", others=(0.5, 0.6))
    app = page(sel=f"{one},{several}", y="accuracy")
    told = said(app)
    assert "50.0 ± 5.0 % (95 % interval)" in told
    assert "53.3 ± 5.8 % (standard deviation over 3 seeds)" in told
    assert "±0.0 points of test accuracy of the first seed's models, as the two have different numbers of seeds" in told
    assert drawn[chart.TABLE].set_index("name")["spread_is"].to_dict() == {
        "one": "95 % interval",
        "several": "standard deviation over 3 seeds",
    }
    whiskers = {t.name: t for t in drawn["figure"].data if t.uid.startswith("whiskers") and t.showlegend}
    assert set(whiskers) == {"95 % interval (one run)", "mean ± standard deviation over seeds"}
    assert len({t.line.width for t in whiskers.values()}) == 2, "and looks otherwise"


def test_accuracies_on_other_images_are_not_compared(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, IDS[0])
    copy(workspace, IDS[1], dataset="flowers")
    told = said(page(sel=f"{IDS[0]}:3,{IDS[1]}:3"))
    assert "another dataset, or another state of it): its accuracy cannot be compared" in told
    assert "points of test accuracy" not in told


def test_design_opens_with_the_recipe_up_to_the_point(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, IDS[0])
    app = page(mb="100")
    picked = best(points.info(workspace.runs()), Bounds(bytes=1e8))
    app.button(key="tradeoffs_pick_design").click()
    ran(app)
    draft = app.session_state["kept:design.draft"].recipe
    known = stored_recipe((SAMPLES / IDS[0] / "recipe.toml").read_text())
    assert draft.steps == known.steps[: int(picked.partition(":")[2]) + 1]
    assert draft.backbone == known.backbone


@pytest.mark.thorough
def test_a_bundle_is_for_points_of_own_runs_and_says_what_is_missing(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.bundle.ensure_supervisor", lambda store: None)
    app = page(sel=f"{IDS[0]}:3")
    assert "tradeoffs_bundle_1_start" not in [b.key for b in app.button], "sample results come without files"
    copy(workspace, IDS[0])
    app = page(sel=f"{IDS[0]}:3")
    app.button(key="tradeoffs_bundle_1_start").click()
    ran(app)
    (job_id,) = workspace.job_ids()
    job = workspace.job(job_id)
    assert job.request == {"run": IDS[0], "step": 3, "formats": []}
    assert "Download (" not in downloads(app)
    (job.folder / "bundle.zip").write_bytes(b"zip")
    compared: dict[str, JsonValue] = {"images": 10, "same": 10, "difference": 0.0}
    job.answer(
        {
            "name": "a.zip",
            "bytes": 3000,
            "files": ["model.onnx"],
            "test": compared,
            "samples": {**compared, "same": 9, "difference": 0.25},
            "formats": [],
        }
    )
    ran(app)
    told = said(app)
    assert "✓ The unpacked copy gives the measured answer for 10 of 10 test images; largest difference in" in told
    assert (
        "✗ For the images inside the bundle, 9 of 10 answers are as measured; largest difference in a logit: 0.25"
        in told
    )
    assert "Some answers differ from the measured ones" in told
    assert "Download (3.0 kB)" in downloads(app)
    shutil.rmtree(job.folder)
    assert "The unpacked copy" not in said(ran(app)), "tidied away, it is offered anew"


def test_a_recipe_that_cannot_be_read_leaves_only_its_settings_out(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    (workspace.path / "runs" / IDS[0] / "recipe.toml").write_text("not = = toml")
    app = page(sel=",".join(f"{run_id}:1" for run_id in IDS[:2]))
    assert "cannot be read" in said(app)
    assert "2 selected" in said(app)


# bounds


@pytest.mark.thorough
def test_the_most_accurate_point_within_the_bounds_is_picked_with_the_reason(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    copy(workspace, *IDS)
    everything = points.info(workspace.runs())
    top = float(everything["validation"][everything["id"] == best(everything)].iloc[0])
    limits = Bounds(bytes=100_000, validation=top - 0.13)
    expected = best(everything, limits)
    app = page(mb="0.1", drop="13")
    app.button(key="tradeoffs_pick").click()
    ran(app)
    assert asked(app, "sel") == expected
    row = everything[everything["id"] == expected].iloc[0]
    assert f"the highest validation accuracy within your bounds: {100 * row['validation']:.1f} %" in said(app)
    assert f"{100 * (top - row['validation']):.1f} points below" in said(app)


def test_in_chinese_no_point_keeps_its_english_name(workspace: Workspace, drawn: dict[str, Any]) -> None:
    """Neither in the hover of its mark, nor as the one that is picked, nor as the baseline it is held against."""
    copy(workspace, *IDS)
    app = page(lang="zh", mb="0.1", drop="13")
    titles = [entry.title for menu in load_catalog().methods.values() for entry in menu.values()]
    english = {title.en for title in titles if title.zh != title.en}
    told = [row[1] for trace in drawn["figure"].data if trace.customdata is not None for row in trace.customdata]
    told += [element.value for element in app.markdown if "验证准确率最高" in element.value]
    assert len(told) > len(IDS)
    assert not [(name, text) for text in told for name in english if f"· {name}" in text and len(name.split()) > 1]


def test_where_nothing_keeps_the_bounds_each_is_told(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, IDS[0])
    app = page(mb="0.00001", ms="1000", drop="100")
    assert "Of 4: 0 are small enough, 4 are fast enough, 4 are accurate enough." in said(app)


# managing


def test_a_run_is_renamed_tagged_and_annotated_as_typed(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    app = page(sel=f"{IDS[0]}:3")
    key, name = f"manage_{IDS[0]}", "<b>$x$</b> [a](http://b) %{x}"
    app.text_input(key=f"{key}_name").set_value(name)
    app.text_area(key=f"{key}_note").set_value("a note")
    next(b for b in app.button if b.label == "Save").click()
    ran(app)
    notes = workspace.run(IDS[0]).notes()
    assert (notes.name, notes.note) == (name, "a note")
    assert name in drawn[chart.TABLE]["run"].tolist()
    assert not any("<b>$" in element.value for element in app.markdown), "escaped wherever Markdown is read"


@pytest.mark.thorough
def test_several_runs_are_tagged_at_once_beside_the_tags_they_have(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:3])
    run = workspace.run(IDS[0])
    run.annotate(run.notes().model_copy(update={"tags": ("mine",)}))
    app = page(sel=f"{IDS[0]}:3,{IDS[1]}:3")
    app.multiselect(key="manage_many_tags").set_value(["mine"])
    next(b for b in app.button if b.label == "Save").click()
    ran(app)
    assert [workspace.run(run_id).notes().tags for run_id in IDS[:3]] == [("mine",), ("mine",), ()]


def test_deleted_runs_come_back_with_undo_and_are_selected_again(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(workspace, *IDS[:3])
    monkeypatch.setattr("dashboard.tradeoffs.points_cache.samples", lambda: ())
    app = page(sel=f"{IDS[0]}:3,{IDS[1]}:3")
    app.button(key="manage_delete").click()
    ran(app)
    assert workspace.run_ids() == [IDS[2]]
    assert "2 runs" in app.toast[0].value
    assert "0 selected" in said(app)
    app.button(key="manage_undo").click()
    ran(app)
    assert workspace.run_ids() == IDS[:3]
    assert "2 selected" in said(app)


def test_a_running_run_is_not_deleted_and_that_is_said(workspace: Workspace, drawn: dict[str, Any]) -> None:
    copy(workspace, *IDS[:2])
    app = page(sel=f"{IDS[0]}:3,{IDS[1]}:3")
    with workspace.run(IDS[0]).hold():
        app.button(key="manage_delete").click()
        ran(app)
    assert workspace.run_ids() == [IDS[0]]
    assert "This run is still being worked on." in said(app)


@pytest.mark.thorough
def test_samples_and_read_only_workspaces_are_not_changed(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page(sel=f"{IDS[0]}:3")
    assert "manage_delete" not in [b.key for b in app.button]
    copy(workspace, IDS[0])
    assert "manage_delete" in [b.key for b in page(sel=f"{IDS[0]}:3").button]
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: False if mode & os.W_OK else real(path, mode, **more))
    assert "manage_delete" not in [b.key for b in page(sel=f"{IDS[0]}:3").button]


# the address and the store


NUMBERS = hs.one_of(hs.none(), hs.floats(0, view_state.LARGEST).map(lambda number: float(f"{number:.10g}")))
NAMES = hs.lists(hs.text(min_size=1, max_size=12), max_size=5, unique=True).map(tuple)
VIEWS = hs.builds(
    View,
    x=hs.sampled_from(COSTS),
    y=hs.sampled_from(QUALITIES),
    log=hs.booleans(),
    area=hs.sampled_from(AREAS),
    dataset=hs.text(max_size=20),
    backbone=NAMES,
    stage=NAMES,
    tag=NAMES,
    samples=hs.sampled_from([None, True, False]),
    controls=hs.booleans(),
    paths=hs.sampled_from([None, True, False]),
    state=NAMES,
    front=hs.booleans(),
    knobs=NAMES,
    sel=NAMES,
    base=hs.text(max_size=20),
    mb=NUMBERS,
    ms=NUMBERS,
    drop=NUMBERS,
)


@given(VIEWS)
def test_every_view_comes_back_from_its_address(view: View) -> None:
    assert view_state.from_address(view_state.to_address(view).get) == view


@given(hs.dictionaries(hs.sampled_from(view_state.NAMES), hs.text(max_size=40)))
def test_whatever_the_address_says_there_is_a_view(query: dict[str, str]) -> None:
    view = view_state.from_address(query.get)
    assert view.x in COSTS
    assert view.y in QUALITIES
    assert all(number is None or (math.isfinite(number) and number >= 0) for number in (view.mb, view.ms, view.drop))
    assert view_state.from_address(view_state.to_address(view).get) == view


@pytest.mark.parametrize(
    "query",
    [
        {"x": "nonsense", "y": "1", "log": "maybe", "area": "<b>"},
        {"mb": "nan", "ms": "-1", "drop": "1e999"},
        {"dataset": "../../etc", "backbone": "x", "stage": "export,x", "tag": "%", "samples": "yes"},
        {"sel": ",,,%,\u0000,<b>", "base": "x" * 5000},
    ],
)
def test_a_bad_parameter_is_a_default(workspace: Workspace, drawn: dict[str, Any], query: dict[str, str]) -> None:
    copy(workspace, IDS[0])
    page(**query)
    everything = points.info(workspace.runs())
    assert ids_drawn(drawn) == set(everything["id"])


def test_a_selection_too_long_for_an_address_is_cut_between_two_ids() -> None:
    ids = tuple(f"{place}{'é' * 100}" for place in range(60))
    found = view_state.from_address(view_state.to_address(View(sel=ids)).get).sel
    assert 0 < len(found) < 60
    assert found == ids[: len(found)]


def test_only_what_changed_is_read_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    copy(workspace, *IDS[:3])
    store = Stored(workspace)
    read: list[str] = []
    real = Run.summary

    def counted(run: Run) -> RunSummary:
        read.append(run.id)
        return real(run)

    monkeypatch.setattr(Run, "summary", counted)
    first = store.table()
    assert sorted(read) == IDS[:3]
    assert store.table() is first
    assert len(read) == 3
    run = workspace.run(IDS[1])
    run.annotate(run.notes().model_copy(update={"name": "renamed"}))
    workspace.delete(IDS[2])
    read.clear()
    again = store.table()
    assert "renamed" in set(again["run_name"])
    assert set(again["run"]) == set(IDS[:2])
    assert IDS[0] not in read


def test_a_run_that_goes_on_is_watched(workspace: Workspace) -> None:
    copy(workspace, IDS[0])
    store = Stored(workspace)
    store.table()
    assert not store.is_going()
    before = store.table()
    run = workspace.create_run((SAMPLES / IDS[0] / "recipe.toml").read_text())
    run.emit(RunStarted(os.getpid(), {}), Measured("point", 0, sample(IDS[0]).summary().points[0]))
    measured = store.table()
    assert store.is_going()
    assert len(measured) == len(before) + 1
    run.emit(Warned(0, "careful", "no point"))
    assert store.table() is measured, "only new points are a reason to draw anew"
    run.emit(RunFinished())
    store.table()
    assert not store.is_going()


def test_a_crowd_of_points_says_what_is_left_out(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(workspace, *IDS)
    monkeypatch.setattr("dashboard.charts.thinning.MOST", 20)
    monkeypatch.setattr(chart, "MOST_ROWS", 10)
    app = page(sel=f"{IDS[0]}:0")
    count = len(points.info(workspace.runs()))
    assert f"{len(ids_drawn(drawn))} of {count} points are drawn" in said(app)
    assert len(ids_drawn(drawn)) < count
    assert f"Shown: 10 of {count} points" in said(app)
    assert len(drawn[chart.TABLE]) in (10, 11)
    assert len(drawn["ticked"]) == 1


def answered(run: Run, step: int, given: list[int], labels: list[int]) -> None:
    """What the engine keeps beside a measured file."""
    folder = run.artifacts / f"step-{step}"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text('{"classes": ["cat", "dog"]}')
    np.savez(folder / "predictions.npz", test_answers=np.array(given), test_labels=np.array(labels))
    np.savez(folder / "samples.npz", images=np.zeros((4, 1, 8, 8), np.uint8), logits=np.zeros((4, 2), np.float32))


def test_right_answers_are_compared_by_class_and_in_pairs(
    workspace: Workspace, drawn: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(components, "chart", lambda figure, data, *, key, **more: seen.update({key: data}))
    run = workspace.create_run(DEMO)
    labels = [0, 0, 0, 1, 1, 1]
    for step, told_by in enumerate(([0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1])):
        answered(run, step, told_by, labels)
        run.emit(Measured("point", 0, point(step).model_copy(update={"artifact": f"artifacts/step-{step}/model.onnx"})))
    run.emit(RunFinished())
    told = said(page(sel=f"{run.id}:0,{run.id}:1")).replace("\u2060", "")
    assert "on 6 test images: only 2 is correct on 1, only 1 is correct on 1; the answers differ on 2" in told
    assert "Of the first 4 test images, 2 answers 1 differently from 1" in told.replace("*", "")
    assert "✗ cat: cat → dog" in told, "the image it lost; what lies behind the fourth is not kept"
    assert "✓" not in told
    assert seen["tradeoffs_classes"]["share"].round(3).tolist() == [0.667, 0.667, 0.333, 1.0]
    (run.artifacts / "step-1" / "predictions.npz").unlink()
    answers._read.cache_clear()
    assert "Their answers to the same test images are not available" in said(page(sel=f"{run.id}:0,{run.id}:1"))


# chance


def luckless(
    workspace: Workspace, name: str, *, p50: float = 1.0, others: tuple[float, ...] = (), **figures: float
) -> str:
    """A run of one point, in a dataset of ten classes, `others` being its accuracies under further seeds; returns the
    point's id."""
    told = {"validation": 0.5, "low": 0.45, "high": 0.55, "bytes": 1e6} | figures
    run = workspace.create_run(DEMO.replace("demo: few labels, big teacher", name))
    middle = (told["low"] + told["high"]) / 2
    latency = Latency(
        runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=p50, p95=p50 * 1.01, noisy=False
    )
    made = Point(
        step=0,
        stage="transfer",
        method="linear_probe",
        name=name,
        accuracy=middle,
        accuracy_low=told["low"],
        accuracy_high=told["high"],
        validation_accuracy=told["validation"],
        bytes=int(told["bytes"]),
        latency_ms=latency,
        params=10,
        macs=10,
    )
    further = (made.model_copy(update={"accuracy": share}) for share in others)
    replicas = (Measured("replica", seed, one) for seed, one in enumerate(further, start=1))
    run.emit(RunStarted(os.getpid(), {}), Measured("point", 0, made), *replicas, RunFinished())
    return f"{run.id}:0"


def test_pick_for_me_takes_the_best_and_shows_what_is_cheaper(workspace: Workspace, drawn: dict[str, Any]) -> None:
    top = luckless(workspace, "top", validation=0.883, low=0.86, high=0.90, bytes=900_000, p50=2.0)
    alike = luckless(workspace, "alike", validation=0.88, low=0.85, high=0.89, bytes=300_000, p50=2.0)
    small = luckless(workspace, "small", validation=0.727, low=0.70, high=0.75, bytes=30_000, p50=2.0)
    fast = luckless(workspace, "fast", validation=0.8, low=0.78, high=0.82, bytes=950_000, p50=0.5)
    luckless(workspace, "lucky", validation=0.882, low=0.09, high=0.11, bytes=100, p50=0.01)
    app = page(mb="1")
    told = said(app)
    assert "**top** of *top* has the highest validation accuracy within your bounds: 88.3 %" in told
    assert "**alike** of *alike*: 3× smaller; 0.3 points less on validation images." in told
    assert "On the test images −1.0 points (the 95 % intervals overlap: no proven difference)." in told
    assert "**small** of *small*: 30× smaller; 15.6 points less on validation images." in told
    assert "the 95 % intervals do not overlap" in told
    assert "**fast** of *fast*: takes" not in told
    assert "**fast** of *fast*: 1.1× larger, 4× as fast; 8.3 points less" in told
    assert "**lucky** of" not in told
    assert "1 point within the bounds left out: not proven better than chance." in told
    table = points.info(workspace.runs())
    assert cheaper(table, Bounds(bytes=1e6), top) == [alike, small, fast]
    app.button(key="tradeoffs_pick_2").click()
    ran(app)
    assert asked(app, "sel") == small


def test_nothing_but_chance_is_not_picked_and_that_is_said(workspace: Workspace, drawn: dict[str, Any]) -> None:
    luckless(workspace, "lucky", validation=0.2, low=0.09, high=0.11)
    told = said(page(mb="100"))
    assert "No point is within all bounds. Of 1: 1 is small enough." in told
    assert "1 point within the bounds left out: not proven better than chance." in told


def test_a_point_at_chance_is_marked_in_card_table_hover_and_report(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    lucky = luckless(workspace, "lucky", low=0.09, high=0.11)
    good = luckless(workspace, "good")
    app = page(sel=f"{lucky},{good}")
    cards = [e.value for e in app.markdown if "not proven better than chance" in e.value]
    assert len(cards) == 1
    assert "**lucky**" in cards[0]
    table = drawn[chart.TABLE]
    assert dict(zip(table["name"], table["chance"], strict=True)) == {
        "lucky": "✗ not proven better than chance",
        "good": "",
    }
    hovers = {row[0]: row[1] for t in drawn["figure"].data if t.customdata is not None for row in t.customdata}
    assert "(not proven better than chance)" in hovers[lucky]
    assert "chance" not in hovers[good]
    assert [s.y0 for s in drawn["figure"].layout.shapes] == [0.1], "digits and clothes have ten classes"
    assert "Chance is 10.0 %: guessing among 10 classes" in drawn["alt"]
    whole = points.info(workspace.runs())
    file = chart.for_file(whole)
    assert file.set_index("id")["at_chance"].to_dict() == {lucky: True, good: False}


def test_without_a_point_at_chance_there_is_no_column_for_it(workspace: Workspace, drawn: dict[str, Any]) -> None:
    luckless(workspace, "good")
    page()
    assert "chance" not in drawn[chart.TABLE]


def test_what_was_counted_decides_the_line(workspace: Workspace) -> None:
    plain = points.info(list(workspace.runs()))
    assert chance.levels(plain, "validation") == []
    luckless(workspace, "old")
    run = workspace.create_run(DEMO)
    counted = Chance(classes=10, test=0.4, validation=0.3)
    run.emit(RunStarted(os.getpid(), {}), DataLoaded(counted), Measured("point", 0, point(0)), RunFinished())
    table = points.info(workspace.runs())
    assert [level.share for level in chance.levels(table, "validation")] == [0.3]
    assert [level.share for level in chance.levels(table, "accuracy")] == [0.4]
    assert chance.levels(table, "on_target") == []


# further runtimes


def in_openvino(found: Point) -> Point:
    assert found.latency_ms is not None
    latency = found.latency_ms.model_copy(update={"runtime": "openvino", "p50": 0.5, "p95": 0.6, "noisy": False})
    there = InRuntime(
        version="2026.4",
        precision="f32",
        by_default="bf16",
        accuracy=0.75,
        accuracy_low=0.73,
        accuracy_high=0.77,
        validation_accuracy=0.76,
        agreement=0.93,
        difference=0.2,
        latency_ms=latency,
        layers={"f32": 3, "i8": 7},
        withheld="busy",
    )
    return found.model_copy(update={"runtimes": {"openvino": there}})


def two_runtimes(workspace: Workspace) -> Run:
    """A run whose first point alone was measured in OpenVINO too."""
    run = workspace.create_run(DEMO)
    run.emit(RunStarted(os.getpid(), {}), Measured("point", 0, in_openvino(point(0))), Measured("point", 0, point(1)))
    run.emit(RunFinished())
    return run


@pytest.mark.thorough
def test_the_runtime_is_switched_and_missing_figures_are_told(workspace: Workspace, drawn: dict[str, Any]) -> None:
    run = two_runtimes(workspace)
    both = {f"{run.id}:0", f"{run.id}:1"}
    app = page(samples="0", sel=",".join(sorted(both)), x="p50")
    assert ids_drawn(drawn) == both
    assert app.selectbox(key="tradeoffs_runtime").options == ["onnxruntime", "OpenVINO"]
    app.selectbox(key="tradeoffs_runtime").set_value("openvino")
    ran(app)
    assert asked(app, "runtime") == "openvino"
    assert ids_drawn(drawn) == {f"{run.id}:0"}, "the other has no figures there"
    axes = drawn["figure"].layout
    assert axes.xaxis.title.text == "median latency (ms), in OpenVINO"
    assert axes.yaxis.title.text == "validation accuracy, in OpenVINO"
    told = said(app)
    assert "1 point was not measured in OpenVINO, and so not drawn." in told
    assert "a value for these axes was not measured" not in told
    assert "75.0 ± 2.0 % (95 % interval) · 10.00 MB · 0.5 ms · OpenVINO" in told
    assert "1.00 MB · not measured in OpenVINO" in told
    table = drawn[chart.TABLE].set_index("name")
    assert table["runtime"].tolist() == ["OpenVINO", "not measured in OpenVINO"]
    assert table["p50"].iloc[0] == 0.5
    assert math.isnan(table["p50"].iloc[1])


def test_without_a_further_runtime_there_is_nothing_to_switch(workspace: Workspace, drawn: dict[str, Any]) -> None:
    app = page(runtime="openvino")
    assert not [one for one in app.selectbox if one.key == "tradeoffs_runtime"]
    assert "OpenVINO" not in said(app)
    assert "runtime" not in drawn[chart.TABLE]


def test_a_further_runtime_is_in_the_receipt_the_file_and_the_report(
    workspace: Workspace, drawn: dict[str, Any]
) -> None:
    two_runtimes(workspace)
    whole = points.info(workspace.runs())
    file = chart.for_file(whole)
    assert file["openvino_p50"].tolist()[0] == 0.5
    assert math.isnan(file["openvino_accuracy"].tolist()[1])
    facts = {name: told.replace("\\", "") for name, told in receipt.measured(in_openvino(point(0)))}
    assert facts["Answers in OpenVINO"] == (
        "test accuracy 75.0 ± 2.0 %; the same answer as above for 93.0 % of the test images"
    )
    assert facts["Numbers in OpenVINO"] == (
        "version 2026.4, floats computed in f32, as it was told; left to itself it would use bf16 here; "
        "layers: 3 × f32, 7 × i8"
    )
    assert facts["Latency in OpenVINO"].endswith("not compared with the latency above, because the machine was busy")
    seen = points.seen_in(whole, "openvino").assign(front=False)
    table = chart.worded(seen)
    page_text = report.write(go.Figure(), seen, seen.head(2), table, dark=False)
    assert "not measured in OpenVINO" in page_text
    assert "Accuracies and latencies are those in OpenVINO" in page_text
