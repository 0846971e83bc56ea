"""Try it: what a person gives is put to the models, told in words, and kept nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.events import Measured, RunFinished, RunStarted, StepStarted
from core.own.dataset_edits import AddImages
from core.own.datasets import home_of
from core.questions.classify import Answer, Answering, Classified, Picture
from core.questions.dataset_edit import EditRequest
from core.runs import Run
from core.storage.sealed import seal
from core.workspace import Workspace
from dashboard.data import asking
from dashboard.draw_pad import decoded
from dashboard.tryit import answers, many
from dashboard.tryit.given import Given
from tests.dashboard.test_pages import DEMO, make, point, primary, shown, text

NAMES = ("bag", "boot", "coat")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(asking, "ensure_supervisor", lambda workspace: None)  # nobody answers
    monkeypatch.setattr(answers, "AT_ONCE", 0.0)
    return Workspace.open_or_create(tmp_path)


@pytest.fixture
def here(store: Workspace) -> Run:
    """A run with three models, and beside each what is kept of its test images."""
    run = store.create_run(DEMO)
    run.emit(RunStarted(os.getpid(), {}))
    for step in range(3):
        home = run.artifacts / f"step-{step}"
        home.mkdir()
        (home / "card.json").write_text(json.dumps({"classes": NAMES, "preprocessing": {}}))
        labels = np.arange(20) % 3
        np.savez(home / "predictions.npz", test_answers=labels, test_labels=labels)
        np.savez(home / "samples.npz", images=np.zeros((20, 1, 8, 8), np.uint8))
        saved = point(step).model_copy(update={"artifact": f"artifacts/step-{step}/model.onnx"})
        run.emit(StepStarted(step, saved.stage, saved.method, saved.name, 1), Measured("point", 0, saved))
    run.emit(RunFinished())
    return run


def classified(*shares: tuple[float, ...] | None) -> Classified:
    refused = {"code": "damaged_artifact", "field": "artifact", "given": "x", "allowed": "y", "fix": "z"}
    asked, damaged = Answering(NAMES, 0.25, 9, 1, "onnxruntime"), Answering(refused=refused)
    models = tuple(asked if one else damaged for one in shares)
    return Classified(models, (Picture(tuple(Answer(one) if one else None for one in shares)),))


def told(found: Classified, picture: Given = Given(b"x")) -> AppTest:  # noqa: B008 (frozen)
    """The lamp alone, as the page draws it."""
    app = AppTest.from_function(_lamp, args=(found, picture))
    app.run()
    assert not app.exception
    return app


def _lamp(found: object, picture: object) -> None:
    from dashboard.tryit import answers

    answers.lamp(picture, found)  # type: ignore[arg-type]


def test_the_lamp_says_who_disagrees() -> None:
    apart = told(classified((0.7, 0.2, 0.1), (0.1, 0.2, 0.7), (0.6, 0.2, 0.2)))
    assert [one.value for one in apart.warning] == ["**They disagree:** 2 × bag, 1 × coat."]
    alike = told(classified((0.7, 0.2, 0.1), None, (0.6, 0.2, 0.2)), Given(sample=3, truth="coat", run="r"))
    assert [one.value for one in alike.success] == ["All 2 models say **bag**. It is: coat."]
    alone = told(classified((0.7, 0.2, 0.1)))
    assert not [*alone.warning, *alone.success, *alone.info]


def test_all_models_have_the_same_bars() -> None:
    """Those classes that any of them holds for likely; a model that was refused has no say."""
    found = classified((0.7, 0.2, 0.1), None, (0.05, 0.15, 0.8))
    assert answers.leading(found, NAMES) == ["coat", "bag", "boot"]
    assert answers.leading(found, ("bag", "boot")) == [], "models with other classes have bars of their own"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.1234, "12.3 %"), (0.9996, "> 99.9 %"), (1.0, "100.0 %")],
)
def test_almost_certain_is_not_certain(share: float, shown: str) -> None:
    assert answers.percent(share) == shown


def test_a_table_has_a_row_a_picture_and_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "say", lambda key, **values: key)
    found = classified((0.7, 0.2, 0.1), (0.1, 0.8, 0.1))
    broken = Classified(found.models, (*found.pictures, Picture(reason="damaged or cut off")))
    table = many.as_table(["=1+1.png", "b.png"], ["one", "two"], broken)
    assert list(table["1 one"]) == ["bag", ""]
    assert list(table["2 two"]) == ["boot", ""]
    assert table["2 tryit.column_share"][0] == pytest.approx(0.8)
    assert pd.isna(table["2 tryit.column_share"][1])
    assert list(table["tryit.column_fault"]) == ["", "damaged or cut off"]
    from dashboard.components import csv

    assert b"'=1+1.png" in csv(table)


@pytest.mark.parametrize("given", ["", "data:text/html;base64,AAAA", "data:image/png;base64,=%", "x" * 2**21])
def test_what_is_no_drawing_is_none(given: str) -> None:
    assert decoded(given) == b""


def test_a_drawing_comes_through() -> None:
    assert decoded("data:image/png;base64,aGVsbG8=") == b"hello"


def test_the_page_asks_about_a_test_image_at_once(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All models of the newest run, and the first of eight images: a person need not choose anything."""
    asked: list[Any] = []
    monkeypatch.setattr(asking, "begin", lambda slot, request: asked.append(request))
    app = shown("tryit")
    assert app.multiselect(key=f"tryit_models_{here.id}").value == [f"{here.id}:{step}" for step in (0, 1, 2)]
    assert (asked[0].points, asked[0].upload) == (tuple(f"{here.id}:{step}" for step in (0, 1, 2)), "")
    assert 0 <= asked[0].sample < 20
    assert "not stored unless" in text(app)


def test_a_test_image_out_of_sight_is_not_tried(here: Run) -> None:
    """Whoever goes on to the pad, or to a file, would take its answers for those to nothing."""
    app = shown("tryit")
    assert app.session_state["kept:tryit.picture"].run == here.id
    app.segmented_control(key="tryit_source_True").set_value("upload").run()
    assert not app.exception
    assert "kept:tryit.picture" not in app.session_state
    assert "Choose a picture, and every model says" in text(app)
    app.session_state["kept:tryit.picture"] = Given(b"a picture")
    app.segmented_control(key="tryit_source_True").set_value("draw").run()
    assert app.session_state["kept:tryit.picture"].own, "a person's own picture stays"


def test_the_address_names_the_models(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(asking, "begin", lambda slot, request: asked.append(request))
    shown("tryit", sel=f"{here.id}:2,{here.id}:0")
    assert set(asked[0].points) == {f"{here.id}:2", f"{here.id}:0"}
    gone = shown("tryit", sel="0000000000000-ffffff:0")
    assert "not in this workspace" in text(gone)


def test_models_without_a_file_are_told(store: Workspace) -> None:
    run = make(store, RunFinished())
    assert "1 of the chosen models has no saved file" in text(shown("tryit", sel=f"{run.id}:0"))
    assert "所选模型" in text(shown("tryit", "zh"))


def test_a_picture_is_put_to_the_models_and_leaves_nothing(here: Run, store: Workspace) -> None:
    """Nobody answers, and another picture comes: the first one's copy is gone by then."""
    app = shown("tryit")
    first = {path.name for path in (store.path / "jobs").iterdir()}
    app.session_state["kept:tryit.picture"] = Given(b"a picture")
    app.run()
    assert not app.exception
    held = list((store.path / "jobs").rglob("*.zip"))
    assert len(held) == 1
    app.session_state["kept:tryit.picture"] = Given(sample=4, truth="bag", run=here.id)
    app.run()
    assert not list((store.path / "jobs").rglob("*.zip"))
    assert first


def test_without_a_run_there_is_one_thing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    assert primary(shown("tryit")) == ["Run the demo on Home"]


def own_dataset(store: Workspace) -> None:
    """As far as the page looks at one: its card."""
    home = home_of("pets", store.datasets)
    home.mkdir(parents=True)
    images = [{"file": "x.png", "label": n % 2, "split": "train", "name": f"{n}.png"} for n in range(4)]
    card = {"name": "pets", "classes": ["cats", "dogs"], "images": images}
    (home / "dataset.json").write_bytes(seal(json.dumps(card).encode()))


def test_a_picture_goes_to_a_dataset_only_where_a_person_says_so(
    here: Run, store: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_dataset(store)
    asked: list[Any] = []
    monkeypatch.setattr(asking, "begin", lambda slot, request: asked.append(request))
    app = shown("tryit")
    assert "tryit_keep_do" not in [button.key for button in app.button], "a test image is there already"
    app.session_state["kept:tryit.picture"] = Given(b"a picture")
    app.run()
    button = app.button(key="tryit_keep_do")
    assert button.disabled, "without a class there is nothing to add to"
    app.selectbox(key="tryit_keep_class_pets").select("dogs").run()
    asked.clear()
    app.button(key="tryit_keep_do").click().run()
    assert not app.exception
    added = [one for one in asked if isinstance(one, EditRequest)]
    assert [(one.dataset, one.edit.label) for one in added if isinstance(one.edit, AddImages)] == [("pets", "dogs")]
