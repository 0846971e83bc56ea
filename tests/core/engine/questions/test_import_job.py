"""Import as a job and as a command: progress, a rest for quick questions, cancelling, flags and choices."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from rich.console import Console

from core import cli
from core.commands.import_report import progress_line
from core.engine.questions import import_data as answering
from core.engine.questions.answer import answer
from core.errors import UserError
from core.jobs import Job
from core.questions.request import Request, is_overtaken
from core.workspace import Workspace
from tests.commands import put_in_place
from tests.core.engine.data.imports.test_images import encoded, picture, pngs, unpacked


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "ws"))
    return Workspace.open_or_create(tmp_path / "ws")


def photos(tmp_path: Path) -> Path:
    return unpacked(tmp_path / "photos", {**pngs("cats", 10), **pngs("dogs", 10, 50)})


def test_it_tells_how_far_it_is_and_rests_between_files(
    store: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview that waits gets its turn wherever the import rests, so at most a file later."""
    monkeypatch.setattr(answering, "INTERVAL", 0.0)
    job = store.create_job("import", {"path": str(photos(tmp_path)), "name": "pets"})
    seen: list[tuple[str, int, int]] = []

    def rest() -> None:
        far = job.progress()
        assert far is not None
        seen.append((far.what, far.done, far.total))

    answer(Job(job.folder, rest))
    assert job.result()["images"] == 20
    assert [step for step in seen if step[0] == "decoding"] == [("decoding", n, 20) for n in range(1, 21)]
    assert seen[0][0] == "counting files"
    assert ("checking files", 19, 20) in seen
    assert is_overtaken("import")


def test_a_preview_is_answered_in_the_middle_of_it(store: Workspace, tmp_path: Path) -> None:
    job = store.create_job("import", {"path": str(photos(tmp_path)), "name": "pets"})
    quick = store.create_job("profile", {"backbone": "resnet8", "classes": 3, "image_size": 28})

    def rest() -> None:
        assert not job.done()
        if not quick.done():
            answer(quick)

    answer(Job(job.folder, rest))
    assert quick.result()["params"]
    assert job.result()["images"] == 20


@pytest.mark.parametrize("what", ["counting files", "checking files", "decoding"])
def test_cancelled_it_leaves_the_workspace_as_it_was(
    what: str, store: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "INTERVAL", 0.0)
    before = sorted(store.datasets.rglob("*"))
    job = store.create_job("import", {"path": str(photos(tmp_path)), "name": "pets"})

    def rest() -> None:
        far = job.progress()
        if far is not None and far.what == what and far.done >= 5:
            job.cancel()

    answer(Job(job.folder, rest))
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.code == "cancelled"
    assert sorted(store.datasets.rglob("*")) == before


def test_choices_reach_whoever_asked(store: Workspace, tmp_path: Path) -> None:
    folders = [f"{light}/{animal}" for light in ("day", "night") for animal in ("cat", "dog")]
    path = unpacked(tmp_path / "two", {k: v for n, name in enumerate(folders) for k, v in pngs(name, 4, 9 * n).items()})
    request: dict[str, JsonValue] = {"path": str(path), "name": "pets"}
    job = store.create_job("import", request)
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    top, inner = caught.value.choices
    assert (top.counts, inner.counts) == ({"day": 8, "night": 8}, {"cat": 8, "dog": 8})
    again = store.create_job("import", {**request, **inner.request})
    answer(again)
    chosen: Any = again.result()["folders"]
    assert {each["class"] for each in chosen} == {"cat", "dog"}


# the command


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are answered in this process, not by a worker."""

    def ask(store: Workspace, request: Request[Any], look: Callable[[Job], None]) -> Any:
        job = store.ask(request)
        answer(job)
        look(job)
        return request.answer_from_document(job.result())

    put_in_place(monkeypatch, "ask", ask)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.usefixtures("here")
def test_every_flag_reaches_the_import(store: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        f"{a}/{b}/{n}.png": encoded(picture(n + 40 * (a == "train") + 90 * len(b), (30, 12)))
        for a in ("train", "test")
        for b in ("cat", "dog1", "Cat ")
        for n in range(4)
    }
    path = str(unpacked(tmp_path / "two", {**files, ".git/x": b"x"}))
    assert run("import", path, "--name", "pets", "--json") == 2
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["code"], error["choices"][0]["flags"]) == ("classes_alike", "--merge")
    assert run("import", path, "--name", "pets", "--merge", "--no-splits", "--json") == 2
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "which_level"
    assert [choice["request"] for choice in error["choices"]] == [{"classes_from": "top"}, {"classes_from": "inner"}]
    flags = ["--merge", "--no-splits", "--classes-from", "inner", "--shape", "pad"]
    assert run("import", path, "--name", "pets", *flags, "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["dataset"], told["classes"], told["images"], told["skipped"]) == ("pets", 2, 24, [])
    assert (told["shape"], told["ignored"]) == ("pad", {".git": 1})
    assert not any("given splits" in warning for warning in told["warnings"])
    assert len(told["folders"]) == 6
    assert len(list(store.datasets.glob("own-*"))) == 1


@pytest.mark.usefixtures("here", "store")
def test_the_encoding_of_a_table_reaches_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes(b"text,label\n" + "".join(f"été {n},{'ab'[n % 2]}\n" for n in range(20)).encode("cp1252"))
    assert run("import", str(path), "--name", "texts", "--encoding", "cp1250") == 0
    text = capsys.readouterr().out
    assert "texts: 20 images of 2 classes" in text
    assert run("import", str(path), "--name", "guessed") == 0
    assert "read as cp1252, a guess" in capsys.readouterr().out


@pytest.mark.usefixtures("here", "store")
def test_what_was_ignored_is_told_with_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = photos(tmp_path)
    unpacked(path, {"Thumbs.db": b"x", ".git/a": b"x", ".git/b/c": b"x"})
    assert run("import", str(path), "--name", "pets") == 0
    assert "ignored 3 hidden and system files: .git (2), Thumbs.db (1)" in capsys.readouterr().out


def test_a_missing_path_makes_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", str(tmp_path / "none"), "--name", "x", "--workspace", str(tmp_path / "ws")) == 2
    assert "No such file or directory" in capsys.readouterr().err
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_line(terminal: bool, store: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    job = store.create_job("import", {"path": "x", "name": "y"})
    with progress_line(Console(stderr=True, force_terminal=terminal, width=80)) as look:
        look(job)
        job.tell(1200, 4000, "decoding [b]")
        look(job)
    told = capsys.readouterr()
    assert told.out == ""
    if not terminal:
        assert told.err.split() == ["decoding", "[b]", "1,200", "of", "4,000"]


@pytest.mark.thorough
def test_ctrl_c_leaves_nothing_behind(store: Workspace, tmp_path: Path) -> None:
    """Interrupted while files are decoded by a worker of its own."""
    given = unpacked(tmp_path / "many", {f"{'ab'[n % 2]}/{n}.png": encoded(picture(n, (700, 700))) for n in range(8)})
    for n in range(8, 3000):
        (given / "ab"[n % 2] / f"{n}.png").hardlink_to(given / "ab"[n % 2] / f"{n % 8}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "import", str(given), "--name", "many", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not list(store.datasets.glob(".import-*/images/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert b"decoding" in told or b"files" in told
    assert b"Traceback" not in told
    assert not list(store.datasets.iterdir())
    assert not store.job_ids()
