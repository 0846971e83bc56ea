"""Images without labels on the page Data and in the menus of Design."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.engine.data import import_images
from core.engine.data.imports.editing import edit_dataset
from core.own.dataset_edits import MoveImages
from core.own.datasets import imported_datasets
from core.workspace import Workspace
from tests.core.engine.data.imports.test_images import TWO, encoded, picture, unpacked
from tests.dashboard.test_data import answered, imported, keyed
from tests.dashboard.test_pages import shown, text, workspace
from tests.videos import SHADES, clip

__all__ = ["answered", "workspace"]
FLAT = {f"{n}.png": encoded(picture(n)) for n in range(8)}


@pytest.fixture
def frames(workspace: Workspace, tmp_path: Path) -> str:
    import_images(unpacked(tmp_path / "given", FLAT), "frames", workspace.datasets, unlabelled=True)
    return "frames"


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_imported_as_such_and_its_card_says_what_it_may_be(
    workspace: Workspace, tmp_path: Path, language: str
) -> None:
    app = shown("data")  # AppTest looks options up by their English names
    app.toggle(key=keyed(app.toggle, "data_unlabelled")).set_value(True).run()
    source = app.segmented_control(key="data_source_unlabelled")
    assert len(source.options) == 3, "class by class makes no sense without classes"
    source.set_value("path").run()
    app.text_input(key=keyed(app.text_input, "data_path")).set_value(str(unpacked(tmp_path / "given", FLAT)))
    app.text_input(key=keyed(app.text_input, "data_name")).set_value("frames").run()
    app.button(key="data_import").click().run()
    assert not app.exception, [e.value for e in app.exception]
    assert imported_datasets(workspace.datasets)["frames"]["unlabelled"]
    app = shown("data", language)
    assert not app.exception, [e.value for e in app.exception]
    assert ("cannot be trained on alone" if language == "en" else "不能单独用于训练") in app.info[0].value
    assert [button.key for button in app.button if button.proto.type == "primary"] == ["data_as_target"]
    assert not [button for button in app.button if button.key in ("data_design", "data_resplit_menu")]


@pytest.mark.thorough
def test_a_video_joins_it_and_is_taken_back(workspace: Workspace, frames: str, tmp_path: Path) -> None:
    app = shown("data")
    app.toggle(key=keyed(app.toggle, "data_unlabelled")).set_value(True).run()
    app.segmented_control(key="data_source_unlabelled").set_value("path").run()
    video = clip(tmp_path / "clip.mp4", SHADES, rate=4)
    app.text_input(key=keyed(app.text_input, "data_path")).set_value(str(video))
    app.selectbox(key=keyed(app.selectbox, "data_into")).set_value(frames).run()
    app.number_input(key=keyed(app.number_input, "data_every")).set_value(0.5)
    app.button(key="data_import").click().run().run()
    assert not app.exception, [e.value for e in app.exception]
    assert imported_datasets(workspace.datasets)[frames]["images"] == 8 + 6
    app.button(key="data_undo").click().run().run()
    assert imported_datasets(workspace.datasets)[frames]["images"] == 8


def test_a_flat_folder_is_asked_about_and_imported_by_a_click(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(shown("data"), unpacked(tmp_path / "given", FLAT), "frames")
    assert "Have they no labels?" in text(app)
    assert not imported_datasets(workspace.datasets)
    app.button(key="data_choice_0").click().run().run()
    assert imported_datasets(workspace.datasets)["frames"]["unlabelled"]


@pytest.mark.thorough
def test_it_is_no_way_on_for_a_set_with_labels(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(shown("data"), unpacked(tmp_path / "labelled", TWO), "pets").run()
    app.segmented_control(key="data_source").set_value("path").run()
    app.text_input(key=keyed(app.text_input, "data_path")).set_value(str(unpacked(tmp_path / "given", FLAT)))
    app.selectbox(key=keyed(app.selectbox, "data_into")).set_value("pets").run()
    app.button(key="data_import").click().run()
    assert not app.exception, [e.value for e in app.exception]
    assert not [button for button in app.button if str(button.key).startswith("data_choice_")]
    assert "not in a class folder" in text(app)


def test_a_labelled_part_is_told_with_what_it_is_worth(workspace: Workspace, frames: str) -> None:
    edit_dataset(frames, MoveImages(images=["1.png", "2.png"], to="cats"), workspace.datasets)
    app = shown("data")
    assert not app.exception, [e.value for e in app.exception]
    told = text(app)
    assert "6 images to learn from, and 2 with a label" in told
    assert "90 ± 62 %" in told


@pytest.mark.thorough
@pytest.mark.parametrize("place", ["target", "pool"])
def test_its_buttons_and_menus_set_it_in_the_recipe(workspace: Workspace, frames: str, place: str) -> None:
    app = shown("data")
    app.button(key=f"data_as_{place}").click().run()
    assert not app.exception, [e.value for e in app.exception]
    if place == "target":
        assert "Begin with a method of domain adaptation" in text(app), "the draft does not adapt yet: it says so"
    box = _field(app, place)
    assert box.value == frames
    assert "no labels" in box.options[1]
    assert not [option for option in _field(app, "dataset").options if "frames" in option]


def _field(app: AppTest, name: str) -> Any:
    return next(box for box in app.selectbox if str(box.key).endswith(f"_{name}_menu"))
