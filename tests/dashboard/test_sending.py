"""From a run to TensorBoard, to a table, and to a server that is not there, as a person meets it."""

from __future__ import annotations

import os
import re
import socket
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.events import ArtifactSaved, Measured, Progress, RunFinished, RunStarted, StepFinished, StepStarted
from core.points import Point
from core.run_files import run_table
from core.runs import Run
from core.workspace import Workspace
from tests.browser import Site, Watched, violations, wait_until_drawn

RECIPE = """
name = "to <b>send</b>"
dataset = "digits"
backbone = "resnet8"

[[steps]]
stage = "transfer"
method = "fine_tune"
"""


def ran(workspace: Workspace) -> Run:
    """A run with a curve, a point and a file."""
    run = workspace.create_run(RECIPE)
    data = b"a model"
    run.artifacts.mkdir(exist_ok=True)
    (run.artifacts / "model.onnx").write_bytes(data)
    saved = ArtifactSaved(0, "artifacts/model.onnx", len(data), sha256(data).hexdigest())
    epochs = [Progress(0, 0, "training", n, 3, 0, 5, loss=1 / n, validation_accuracy=n / 4) for n in (1, 2, 3)]
    point = Point(
        step=0,
        stage="transfer",
        method="fine_tune",
        name="ResNet-8",
        accuracy=0.75,
        accuracy_low=0.7,
        accuracy_high=0.8,
        validation_accuracy=0.75,
        bytes=7,
        artifact="artifacts/model.onnx",
    )
    run.emit(
        RunStarted(os.getpid(), {"condenser": "1.0"}),
        StepStarted(0, "transfer", "fine_tune", "fine tuning", 3),
        *epochs,
        saved,
        Measured("point", 0, point),
        StepFinished(0, 1.0),
        RunFinished(),
    )
    return run


@pytest.fixture(scope="module")
def run(site: Site) -> Run:
    return ran(site.workspace)


def opened(site: Site, page: Page, run: Run) -> None:
    page.goto(site.at(f"live?run={run.id}"))
    wait_until_drawn(page)
    page.get_by_role("button", name="Send to").click()
    expect(page.get_by_text("Send this run to")).to_be_visible()


@pytest.mark.thorough
def test_a_run_is_written_for_tensorboard_and_downloaded_as_a_table(
    site: Site, watched: Watched, run: Run, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="the extra [tensorboard] is not installed")
    page = watched.page
    opened(site, page, run)
    page.get_by_text("TensorBoard", exact=True).click()
    wait_until_drawn(page)
    field = page.get_by_role("textbox", name="Folder of logs")
    field.fill(str(tmp_path / "logs"))
    field.press("Enter")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text(re.compile(r"^Sent to .*values of curves and points, 1 file"))).to_be_visible()
    (file,) = (tmp_path / "logs").rglob("events.out.tfevents*")
    assert b"step0_transfer/training_loss" in file.read_bytes()
    with page.expect_download() as got:
        page.get_by_role("button", name="Download as a table (CSV)").first.click()
    assert Path(got.value.path()).read_bytes() == run_table.to_csv(run)
    ours = [line for line in violations(page) if not line.startswith("region:")]  # Streamlit's place for what pops up
    assert ours == []
    watched.is_clean()


@pytest.mark.thorough
def test_a_server_that_does_not_answer_is_told_without_its_password(site: Site, watched: Watched, run: Run) -> None:
    pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")
    page = watched.page
    opened(site, page, run)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        field = page.get_by_role("textbox", name="Address of the server")
        field.fill(f"http://bob:geheim@127.0.0.1:{free.getsockname()[1]}")
        field.press("Enter")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("The MLflow server does not answer.")).to_be_visible(timeout=60_000)
    assert "geheim" not in page.locator("[data-testid=stAlert]").all_inner_texts().__repr__()
    kept = [path for path in site.workspace.path.rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]
    assert kept == []
