"""From Trade-offs to a model that runs elsewhere, in four clicks at most."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.state import Status
from core.workspace import Workspace
from tests.browser import Site, Watched, wait_until_drawn
from tests.core.processes.test_supervisor import until

CHART = ".st-key-tradeoffs_chart .live-plot"
RECIPE = """
name = "to take away"
dataset = "digits"
backbone = "resnet8"
image_size = 8
threads = 1

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1
"""


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Site]:
    """A dashboard, its supervisor, and a run that was really trained."""
    workspace = Workspace.open_or_create(tmp_path / "workspace")
    ensure_supervisor(workspace)
    run = workspace.submit(RECIPE)
    until(lambda: run.state().status is Status.FINISHED, limit=240)
    yield Site(workspace, ensure_dashboard(workspace))
    stop_dashboard(workspace)
    stop_supervisor(workspace)


def click_a_mark(page: Page) -> None:
    mark = page.locator(f"{CHART} .scatterlayer .point").first.bounding_box()
    assert mark is not None
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    page.wait_for_timeout(150)
    page.mouse.click(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    page.wait_for_selector("text=1 selected")


@pytest.mark.slow
def test_three_clicks_lead_to_a_bundle_that_runs_in_a_clean_folder(
    trained: Site, watched: Watched, tmp_path: Path
) -> None:
    site, page = trained, watched.page
    page.goto(site.at("tradeoffs"))
    page.wait_for_selector(f"{CHART} .main-svg")
    wait_until_drawn(page)
    click_a_mark(page)
    page.get_by_role("button", name=re.compile("Bundle")).click()
    download = page.locator(".st-key-tradeoffs_bundle_1_box [data-testid=stDownloadButton] button")
    download.wait_for(timeout=120_000)
    told = page.locator(".st-key-tradeoffs_bundle_1_box").text_content() or ""
    assert "measured answer for 360 of 360 test images; largest difference in a probability: 0." in told
    with page.expect_download() as got:
        download.click()
    assert got.value.suggested_filename == "condenser-to-take-away-step-0.zip"

    clean = tmp_path / "clean"
    with zipfile.ZipFile(got.value.path()) as packed:
        for name in packed.namelist():
            target = clean / Path(name).name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(packed.read(name))
    with np.load(clean / "samples.npz") as samples:
        images, logits = samples["images"], samples["logits"]
    files = []
    for n, image in enumerate(images):
        Image.fromarray(image[0]).save(clean / f"{n}.png")
        files.append(f"{n}.png")
    lines = subprocess.run(
        [sys.executable, "-I", "predict.py", *files], cwd=clean, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [json.loads(line)["index"] for line in lines] == logits.argmax(1).tolist()
    watched.is_clean()
