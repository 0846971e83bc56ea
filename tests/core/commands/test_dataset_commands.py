"""`condenser dataset …` from end to end, its questions answered in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.engine.questions.answer import answer
from core.files import remove_tree
from core.jobs import Job
from core.questions.request import A, Request
from core.workspace import Workspace
from tests.commands import put_in_place
from tests.core.engine.data.imports.test_images import pngs, unpacked
from tests.core.test_cli import RECIPE, printed, run
from tests.videos import SHADES, clip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """With the set `pets`, and whoever answers in this process."""

    def here(workspace: Workspace, request: Request[A], look: Callable[[Job], None] = lambda job: None) -> A:
        job = workspace.ask(request)
        answer(job)
        look(job)
        try:
            return request.answer_from_document(job.result())
        finally:
            remove_tree(job.folder)

    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "ws"))
    put_in_place(monkeypatch, "ask", here)
    photos = unpacked(tmp_path / "photos", {**pngs("cats", 10), **pngs("dogs", 10, 50)})
    run("import", str(photos), "--name", "pets")
    return Workspace.open_or_create(tmp_path / "ws")


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    run("dataset", *words, "--json", code=code)
    return printed(capsys)


def test_every_change_and_the_way_back(store: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = told(capsys, "show", "pets")["version"]
    assert told(capsys, "leave-out", "pets", "cats/1.png")["images"] == 19
    assert told(capsys, "move", "pets", "cats/2.png", "--to", "dogs")["images"] == 19
    assert told(capsys, "rename-class", "pets", "cats", "felines")["classes"] == 2
    assert told(capsys, "split", "pets", "--test", "0.3", "--seed", "7")["images"] == 19
    assert told(capsys, "shape", "pets", "stretch")["version"] != first
    more = unpacked(tmp_path / "more", {f"{n}.png": data for n, data in enumerate(pngs("x", 5, 300).values())})
    assert told(capsys, "add", "pets", str(more), "--class", "birds")["classes"] == 3
    assert told(capsys, "merge", "pets", "birds", "dogs", "--to", "others")["classes"] == 2
    assert told(capsys, "rename", "pets", "zoo")["dataset"] == "zoo"
    report = told(capsys, "show", "zoo")
    assert {each["name"] for each in report["classes"]} == {"felines", "others"}
    assert told(capsys, "undo", "zoo")["classes"] == 3
    run("dataset", "show", "zoo")
    assert "an accuracy of 90 % on the test images will mean" in capsys.readouterr().out
    refused = told(capsys, "leave-out", "zoo", "cats/11.png", code=2)
    assert refused["errors"][0]["code"] == "unknown_image"


def test_videos_join_a_set_without_labels_and_are_taken_back(
    store: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", str(clip(tmp_path / "one.mp4", SHADES[:6], rate=2)), "--name", "clips", "--unlabelled")
    other = str(clip(tmp_path / "other.mp4", SHADES[6:], rate=2))
    assert told(capsys, "add", "clips", other, code=2)["errors"][0]["code"] == "video_without_classes"
    assert told(capsys, "add", "clips", other, "--unlabelled", "--every", "0.5")["images"] == 3 + 6
    flat = unpacked(tmp_path / "flat", {"a.png": pngs("x", 1, 300)["x/0.png"]})
    assert told(capsys, "add", "clips", str(flat), "--unlabelled")["images"] == 10
    assert told(capsys, "undo", "clips")["images"] == 9
    assert told(capsys, "show", "clips")["unlabelled"] == 9


def test_deleted_it_can_be_brought_back_and_one_in_use_stays(
    store: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = store.submit(RECIPE.format(epochs=1).replace('"digits"', '"pets"'))
    assert told(capsys, "delete", "pets", code=2)["errors"][0]["code"] == "dataset_in_use"
    store.cancel(waiting.id)
    assert told(capsys, "delete", "pets")["deleted"]
    assert told(capsys, "show", "pets", code=2)["errors"][0]["code"] == "unknown_dataset"
    assert not told(capsys, "restore", "pets")["deleted"]
    assert told(capsys, "show", "pets")["images"] == 20
    assert told(capsys, "restore", "pets", code=2)["errors"][0]["code"] == "unknown_dataset"
    assert told(capsys, "delete", "digits", code=2)["errors"][0]["code"] == "unknown_dataset"
    assert told(capsys, "fetch", "pets", code=2)["errors"][0]["code"] == "unknown_dataset"
    capsys.readouterr()
    run("verify", "pets", "--json")
    assert {each["state"] for each in json.loads(capsys.readouterr().out)} == {"ok"}


def test_sample_images_say_what_they_are(store: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "sample")
    assert (found["dataset"], found["classes"], found["images"]) == ("sample images", 4, 120)
    assert "drawn by a script" in " ".join(found["warnings"])
    assert told(capsys, "show", "sample images")["alike"] == []
