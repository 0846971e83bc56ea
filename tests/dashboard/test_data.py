"""The page Data without a browser: what it asks, what it shows of the answer, and the way on from each refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.engine.data import import_data
from core.engine.questions.answer import answer
from core.jobs import Job
from core.own.datasets import imported_datasets
from core.workspace import Workspace
from tests.core.engine.data.imports.test_images import TWO, encoded, picture, pngs, unpacked, zipped
from tests.dashboard.test_pages import primary, shown, text, workspace

__all__ = ["workspace"]
CROSSED = {**pngs("cats", 12), **pngs("dogs", 12, 50), "dogs/cat.png": TWO["cats/0.png"], "dogs/bad.png": b"\x89PNG"}


@pytest.fixture(autouse=True)
def answered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers is this process, at once."""
    real = workspace.create_job

    def create(kind: str, request: dict[str, object]) -> Job:
        job = real(kind, request)  # type: ignore[arg-type]
        if kind == "dataset_samples":
            job.answer({"datasets": []})
        else:
            answer(job)
        return job

    monkeypatch.setattr("dashboard.data.asking.ensure_supervisor", lambda workspace: None)
    monkeypatch.setattr("dashboard.data.asking.supervisor", lambda workspace: object())
    monkeypatch.setattr("dashboard.data.asking.POLL", None)
    monkeypatch.setattr(Workspace, "create_job", lambda self, kind, request: create(kind, request))


def keyed(found: Iterable[Any], start: str) -> str:
    """The key of the first of these elements whose key starts so."""
    return next(str(element.key) for element in found if str(element.key).startswith(start))


def imported(app: AppTest, path: Path, name: str) -> AppTest:
    """The page after the path was given on it and Import was pressed."""
    app.segmented_control(key="data_source").set_value("path").run()
    app.text_input(key=keyed(app.text_input, "data_path")).set_value(str(path))
    app.text_input(key=keyed(app.text_input, "data_name")).set_value(name).run()
    app.button(key="data_import").click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app.run()


def files(store: Workspace) -> list[Path]:
    return sorted(path for path in store.path.rglob("*") if path.is_file() and "cache" not in path.parts)


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_folder_becomes_a_card_with_what_was_planted(workspace: Workspace, tmp_path: Path, language: str) -> None:
    imported(shown("data"), unpacked(tmp_path / "given", CROSSED), "pets")
    assert imported_datasets(workspace.datasets)["pets"]["images"] == 25
    app = shown("data", language)
    told = text(app).replace("\\", "")
    assert "dogs/cat.png" in told
    assert "± " in told
    assert any("dogs/bad.png" in table.value.to_string() for table in app.dataframe)
    assert [button.key for button in app.button if button.proto.type == "primary"] == ["data_design"]
    assert not [path for path in files(workspace) if "jobs" in path.parts], "answers are cleared away"


@pytest.mark.thorough
def test_a_set_that_the_teacher_lends_tells_its_faults_and_offers_no_repair(
    workspace: Workspace, tmp_path: Path
) -> None:
    """It is a link in a learner's corner; each repair of it would be refused."""
    app = imported(shown("data"), unpacked(tmp_path / "given", CROSSED), "pets")
    repairs = ("data_it_is", "data_none", "data_do_", "data_delete")
    assert [button for button in app.button if str(button.key).startswith(repairs)]
    (home,) = workspace.datasets.glob("own-*")
    theirs = home.rename(tmp_path / home.name)
    home.symlink_to(theirs)
    app = shown("data")
    assert not app.exception
    assert "dogs/cat.png" in text(app).replace("\\", "")
    assert not [button.key for button in app.button if str(button.key).startswith(repairs)]


@pytest.mark.thorough
def test_each_fix_works_and_is_taken_back(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(shown("data"), unpacked(tmp_path / "given", CROSSED), "pets")
    app.button(key="data_it_is_0_0").click().run().run()
    assert imported_datasets(workspace.datasets)["pets"]["images"] == 24
    assert not [button for button in app.button if str(button.key).startswith("data_it_is")]
    app.button(key="data_undo").click().run().run()
    assert imported_datasets(workspace.datasets)["pets"]["images"] == 25
    app.button(key="data_delete").click().run()
    assert "pets" not in imported_datasets(workspace.datasets)
    app.button(key="data_restore").click().run()
    assert imported_datasets(workspace.datasets)["pets"]["images"] == 25


@pytest.mark.thorough
def test_design_opens_with_the_set(workspace: Workspace, tmp_path: Path) -> None:
    app = imported(shown("data"), unpacked(tmp_path / "given", CROSSED), "pets")
    app.button(key="data_design").click().run()
    assert not app.exception, [e.value for e in app.exception]
    assert "Start" in primary(app)
    assert any("Adjusted to the dataset" in info.value for info in app.info)


@pytest.mark.thorough
def test_classes_that_are_alike_are_asked_about(workspace: Workspace, tmp_path: Path) -> None:
    given = unpacked(tmp_path / "given", {**pngs("cats", 5), **pngs("Cats", 5, 20), **pngs("dogs", 5, 50)})
    app = imported(shown("data"), given, "pets")
    assert "Are they the same class?" in text(app)
    assert not imported_datasets(workspace.datasets)
    app.button(key="data_choice_0").click().run().run()
    assert imported_datasets(workspace.datasets)["pets"]["classes"] == 2


def test_several_levels_are_offered_with_their_counts(workspace: Workspace, tmp_path: Path) -> None:
    files = {
        f"{time}/{name}": data
        for time in ("day", "night")
        for name, data in {**pngs("cats", 4, 9 * len(time)), **pngs("dogs", 4, 90 * len(time))}.items()
    }
    app = imported(shown("data"), unpacked(tmp_path / "given", files), "pets")
    labels = [button.label for button in app.button if str(button.key).startswith("data_choice_")]
    assert any("day (8)" in label for label in labels)
    wanted = next(button for button in app.button if "cats (8)" in button.label)
    wanted.click().run().run()
    assert imported_datasets(workspace.datasets)["pets"]["class_names"] == ["cats", "dogs"]


BAD: dict[str, Callable[[Path], Path]] = {
    "a damaged zip": lambda folder: _cut(zipped(folder / "x.zip", TWO)),
    "an empty folder": lambda folder: folder,
    "nothing there": lambda folder: folder / "missing",
    "images without classes": lambda folder: unpacked(folder / "flat", {"1.png": TWO["cats/0.png"]}),
    "one class": lambda folder: unpacked(folder / "one", pngs("cats", 5)),
    "a link out": lambda folder: zipped(folder / "y.zip", {"../../x.png": TWO["cats/0.png"]}),
}


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-40])
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("case", BAD)
def test_a_refusal_says_why_and_leaves_the_workspace_as_it_was(workspace: Workspace, tmp_path: Path, case: str) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-given"
    outside.mkdir()
    given = BAD[case](outside)
    app = shown("data")
    before = files(workspace)
    app = imported(app, given, "pets")
    if case in ("images without classes", "one class"):
        assert "Have they no labels?" in text(app), "there is a way on, which only a person can choose"
    else:
        assert app.error
    assert "Traceback" not in text(app)
    assert files(workspace) == before


@pytest.mark.thorough
@pytest.mark.parametrize("typed", ["photos", "./photos", "~nobody-of-that-name/photos", "assets"])
def test_a_part_of_a_path_is_asked_for_whole(workspace: Workspace, typed: str) -> None:
    """The page has no folder that a person works in; `assets` is one of the program's own."""
    app = shown("data")
    app.segmented_control(key="data_source").set_value("path").run()
    app.text_input(key=keyed(app.text_input, "data_path")).set_value(typed)
    app.text_input(key=keyed(app.text_input, "data_name")).set_value("pets").run()
    app.button(key="data_import").click().run()
    assert not app.exception
    assert any("whole path" in error.value for error in app.error)
    assert imported_datasets(workspace.datasets) == {}


@pytest.mark.thorough
def test_names_are_shown_as_typed(workspace: Workspace, tmp_path: Path) -> None:
    names = ("<img src=x onerror=alert(1)>", "![](http:", "\u202eltr", "🐱 **b**", ":red[x]")
    given = {path: data for n, name in enumerate(names) for path, data in pngs(name, 4, 20 * n).items()}
    given[f"{names[3]}/wide.png"] = encoded(picture(99, (40, 12)))
    import_data(zipped(tmp_path / "odd.zip", given), "<b>[x](javascript:1)", workspace.datasets)
    app = shown("data").run()
    for element in (*app.markdown, *app.caption, *app.warning, *app.subheader):
        plain = re.sub(r"\\.", "", str(element.value))  # without what is escaped
        assert not re.search(r"<img|\]\(javascript|:red\[x\]", plain), element.value
