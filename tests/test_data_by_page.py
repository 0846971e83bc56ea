"""A new user's own photos by page: a folder with planted faults is dropped, its faults are found, Design opens fitted,
and the run goes through to a bundle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from core.own.datasets import imported_datasets
from core.processes.dashboard import ensure_dashboard, stop_dashboard
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.state import Status
from core.workspace import Workspace
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.photos import make_photos
from tests.test_photos_by_page import BUSY, answers_from, condenser

expect.set_options(timeout=SLOW)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * BUSY)]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 photos in 4 classes, and: one copied in its class, one in another class, one cut off, and a third of the
    class `water` in a folder `Water`."""
    folder = make_photos(tmp_path_factory.mktemp("given") / "plates")
    bark, grass = (sorted((folder / name).glob("*.png")) for name in ("bark", "grass"))
    (folder / "bark" / "copy.png").write_bytes(bark[0].read_bytes())
    (folder / "bark" / "cross.png").write_bytes(grass[0].read_bytes())
    (folder / "sand" / "broken.png").write_bytes(bark[1].read_bytes()[:200])
    (folder / "Water").mkdir()
    for path in sorted((folder / "water").glob("*.png"))[:10]:
        path.rename(folder / "Water" / path.name)
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    store = Workspace.open_or_create(tmp_path_factory.mktemp("fresh"))
    ensure_supervisor(store)
    yield Site(store, ensure_dashboard(store))
    stop_dashboard(store)
    stop_supervisor(store)


def test_from_a_dropped_folder_to_a_bundle(fresh: Site, watched: Watched, plates: Path, tmp_path: Path) -> None:
    page = watched.page
    page.goto(fresh.at("data"))
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    page.locator("[class*=st-key-data_folder] input[type=file]").set_input_files(str(plates))
    expect(page.get_by_placeholder("plates")).to_be_visible()
    page.locator(".st-key-data_import button").click()
    expect(page.locator(".st-key-data_choices")).to_contain_text("Are they the same class?")
    assert not imported_datasets(fresh.workspace.datasets)
    page.locator(".st-key-data_choice_0 button").click()
    card = page.locator(".st-key-data_card")
    expect(card.locator(".st-key-data_group_0")).to_contain_text("bark/cross.png")
    expect(card.locator(".st-key-data_copies")).to_contain_text("bark/copy.png")
    expect(card).to_contain_text("1 file left out")
    facts = imported_datasets(fresh.workspace.datasets)["plates"]
    assert (facts["classes"], facts["images"]) == (4, 122)
    assert not list((fresh.workspace.path / "jobs").glob(".upload-*"))
    card.locator(".st-key-data_it_is_0_1 button:visible").first.click()
    expect(page.locator(".st-key-data_news")).to_contain_text("121 images")
    expect(card.locator(".st-key-data_group_0")).to_have_count(0)
    page.locator(".st-key-data_design button").first.click()
    page.wait_for_url("**/design*")
    expect(page.locator(".st-key-design_fitted")).to_contain_text("Labels used 300 → all")
    start = page.locator(".st-key-design_start button").first
    expect(start).to_be_enabled()
    page.get_by_role("radio", name="Quick look").click()
    wait_until_drawn(page)
    start.click()
    page.wait_for_url("**/live?*run=*")
    run_id = parse_qs(urlsplit(page.url).query)["run"][0]
    run = fresh.workspace.run(run_id)
    until = time.monotonic() + BUSY
    while not run.state().status.is_over and time.monotonic() < until:
        time.sleep(0.5)
    assert run.state().status is Status.FINISHED, (run.state().error, run.log_tail())
    assert run.state().environment["dataset_version"]
    watched.is_clean()
    condenser(fresh.workspace, "export", run_id, "--out", str(tmp_path / "bundle"))
    names = plates.parent / "names"
    for name in ("bark", "grass", "sand", "Water"):
        (names / name).mkdir(parents=True)
        for source in sorted((plates / name.lower()).glob("photo-*.png"))[:2]:
            (names / name / source.name).write_bytes(source.read_bytes())
    answers_from(tmp_path / "bundle", names)
