"""Try it in a browser: a stroke on the pad becomes the picture, Backspace takes it away, a click on a tile another."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.events import Measured, RunFinished, RunStarted, StepStarted
from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.runs import Run
from core.workspace import Workspace
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.core.conftest import PRUNED, TRAINED, finished_run
from tests.core.processes.test_supervisor import until
from tests.dashboard.test_pages import DEMO, point

pytestmark = pytest.mark.slow


def tryable(store: Workspace) -> Run:
    """A run with two models, and what is kept of its test images beside each."""
    run = store.create_run(DEMO)
    run.emit(RunStarted(os.getpid(), {}))
    for step in range(2):
        home = run.artifacts / f"step-{step}"
        home.mkdir()
        (home / "card.json").write_text(json.dumps({"classes": ["bag", "boot", "coat"], "preprocessing": {}}))
        labels = np.arange(20) % 3
        np.savez(home / "predictions.npz", test_answers=labels, test_labels=labels)
        images = np.random.default_rng(0).integers(0, 255, (20, 1, 8, 8), dtype=np.uint8)
        np.savez(home / "samples.npz", images=images)
        saved = point(step).model_copy(update={"artifact": f"artifacts/step-{step}/model.onnx"})
        run.emit(StepStarted(step, saved.stage, saved.method, saved.name, 1), Measured("point", 0, saved))
    run.emit(RunFinished())
    return run


def uploads(store: Workspace) -> list[Path]:
    return sorted((store.path / "jobs").rglob("*.zip"))


def stroke(page: Page) -> None:
    """A line from the top to the bottom."""
    box = page.locator(".draw-pad canvas").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 40)
    page.mouse.down()
    for part in range(1, 9):
        page.mouse.move(middle, box["y"] + 40 + part * (box["height"] - 80) / 8)
    page.mouse.up()


def white(page: Page) -> int:
    """White pixels on the pad."""
    count = """() => { const c = document.querySelector('.draw-pad canvas');
      const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
      for (let i = 0; i < d.length; i += 4) n += d[i] > 128; return n; }"""
    found: int = page.evaluate(count)
    return found


def test_what_is_drawn_is_put_to_the_models_and_can_be_cleared(site: Site, watched: Watched, attended: None) -> None:
    tryable(site.workspace)
    page = watched.page
    page.goto(site.at("try-it"))
    page.wait_for_selector(".picture-row button")
    expect(page.locator(".picture-row button")).to_have_count(8)
    expect(page.locator(".picture-row button[aria-pressed=true]")).to_have_count(1)
    page.get_by_text("Draw", exact=True).first.click()
    page.wait_for_selector(".draw-pad canvas")
    assert white(page) == 0
    stroke(page)
    until(lambda: len(uploads(site.workspace)) == 1)
    with zipfile.ZipFile(uploads(site.workspace)[0]) as packed:
        (name,) = packed.namelist()
        drawing = np.asarray(Image.open(io.BytesIO(packed.read(name))).convert("L"))
    assert drawing.shape == (280, 280)
    assert drawing[140, 140] == 255
    assert drawing[140, 40] == 0
    assert 2000 < white(page) < 8000
    page.locator(".draw-pad canvas").focus()
    page.keyboard.press("Backspace")
    page.wait_for_selector("text=Choose a picture, and every model says")
    assert white(page) == 0
    wait_until_drawn(page)
    page.get_by_text("Test images", exact=True).first.click()
    tile = page.locator(".picture-row button").nth(4)
    tile.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelectorAll('.picture-row button')[4]?.getAttribute('aria-pressed') === 'true'"
    )
    until(lambda: not uploads(site.workspace))
    watched.is_clean()


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Site]:
    """A dashboard, its supervisor, and a run of three models that were really trained on digits."""
    workspace = Workspace.open_or_create(tmp_path / "workspace")
    finished_run(workspace, TRAINED + PRUNED)
    ensure_supervisor(workspace)
    yield Site(workspace, ensure_dashboard(workspace))
    stop_dashboard(workspace)
    stop_supervisor(workspace)


def test_from_a_finished_run_to_its_models_and_back_to_nothing(trained: Site, watched: Watched, tmp_path: Path) -> None:
    """Live, Try it, a test image, a drawn digit, a photo, a file that is none, the album; no picture is left."""
    page, jobs = watched.page, trained.workspace.path / "jobs"
    page.goto(trained.at("live"))
    page.get_by_role("link", name="Try it").last.click()
    page.wait_for_selector("text=It is:", timeout=120_000)  # the first question waits for torch
    expect(page.locator("text=31 runs, 1 thread")).to_have_count(3, timeout=SLOW)
    page.get_by_text("Draw", exact=True).first.click()
    page.wait_for_selector(".draw-pad canvas")
    stroke(page)
    page.wait_for_function("() => !document.body.innerText.includes('It is:')")
    page.wait_for_selector("text=runs, 1 thread")
    page.get_by_text("Upload", exact=True).first.click()
    field = page.locator(".st-key-tryit_upload input[type=file]")
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    field.set_input_files(str(tmp_path / "photo.jpg"))
    page.wait_for_selector("text=photo.jpg")
    page.wait_for_selector("text=runs, 1 thread")
    (tmp_path / "none.png").write_bytes(b"no picture")
    field.set_input_files(str(tmp_path / "none.png"))
    page.wait_for_selector("text=This is no picture that can be read")
    page.get_by_role("button", name="Find disagreements").click()
    page.wait_for_selector("text=/disagree on|same answer to all/", timeout=60_000)
    wait_until_drawn(page)
    until(lambda: not list(jobs.iterdir()))
    watched.is_clean()
