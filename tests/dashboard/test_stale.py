"""What a page shows is how things are now: after a reload, after somebody else acted, with a number that is wrong."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.commands.terminal import notices
from core.events import (
    Event,
    Progress,
    RunCancelled,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunQueued,
    RunStarted,
    StepFinished,
    StepStarted,
)
from core.files import make_folder
from core.state import RunState, fold
from core.workspace import Workspace
from dashboard import run_status
from tests.browser import SLOW, Site, Watched, wait_until_drawn
from tests.dashboard.test_pages import DEMO, make, shown, text

PATIENT = SLOW  # milliseconds until a page that looks every few seconds must have seen it

expect.set_options(timeout=SLOW)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


def design(site: Site, page: Page, address: str = "design") -> None:
    page.goto(site.at(address))
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)


def field(page: Page, name: str) -> Locator:
    """The field of one of the recipe's knobs in its newest edition; a former one may not have gone yet."""
    return page.locator(f"[class*='st-key-design_'][class*='_{name}_'] input").last


def typed(page: Page, name: str, value: str) -> None:
    field(page, name).fill(value)
    field(page, name).press("Enter")
    wait_until_drawn(page)


# the draft


@pytest.mark.thorough
def test_a_draft_survives_a_reload_and_is_found_from_elsewhere(site: Site, watched: Watched) -> None:
    page = watched.page
    design(site, page)
    typed(page, "name", "kept [x](y)")
    page.wait_for_function("() => new URL(location).searchParams.get('draft')")
    typed(page, "labels", "123")
    page.reload()
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    expect(field(page, "name")).to_have_value("kept [x](y)")
    expect(field(page, "labels")).to_have_value("123")
    page.locator(".st-key-design_undo button").first.click()
    wait_until_drawn(page)
    expect(field(page, "labels")).to_have_value("300")
    design(site, page, "design")  # a new session without the address
    expect(field(page, "name")).to_have_value("my first design")
    page.locator(".st-key-design_continue button").first.click()
    wait_until_drawn(page)
    expect(field(page, "name")).to_have_value("kept [x](y)")
    watched.is_clean()


@pytest.mark.thorough
def test_an_unknown_draft_in_the_address_is_told(site: Site, watched: Watched) -> None:
    page = watched.page
    design(site, page, "design?draft=../../etc/passwd")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("cannot be read any more")
    expect(field(page, "name")).to_have_value("my first design")
    watched.is_clean()


# a number that is wrong


@pytest.mark.thorough
def test_a_number_out_of_bounds_is_explained_and_start_waits(site: Site, watched: Watched) -> None:
    page = watched.page
    design(site, page)
    for value in ("-5", "99999999"):
        typed(page, "labels", value)
        expect(page.get_by_test_id("stAlert").first).to_contain_text("outside the allowed range")
        expect(page.locator(".st-key-design_start button").first).to_be_disabled()
        expect(page.locator(".st-key-design_preview")).not_to_contain_text("MACs")
    typed(page, "labels", "300")
    expect(page.locator(".st-key-design_start button").first).to_be_enabled()
    watched.is_clean()


@pytest.mark.thorough
def test_own_data_adjusts_the_recipe_with_a_note_and_undo(site: Site, watched: Watched) -> None:
    folder = make_folder(site.workspace.datasets / f"own-{1:064x}")
    images = [{"file": "0" * 64, "label": n % 4, "split": "train", "name": f"{n}.png"} for n in range(84)]
    card = {
        "schema_version": 1,
        "name": "my photos",
        "classes": list("abcd"),
        "channels": 3,
        "side": 0,
        "images": images,
        "skipped": [],
        "warnings": [],
    }
    (folder / "dataset.json").write_text(json.dumps(card), encoding="utf-8")
    page = watched.page
    design(site, page)
    field(page, "dataset").click()
    page.get_by_role("option", name="my photos").click()
    note = page.locator(".st-key-design_fitted")
    expect(note).to_contain_text("Labels used 300 → all")
    expect(page.locator(".st-key-design_start button").first).to_be_enabled()
    note.get_by_role("button").first.click()
    expect(note).to_have_count(0)
    expect(field(page, "labels")).to_have_value("300")
    expect(page.locator(".st-key-design_start button").first).to_be_disabled()
    watched.is_clean()


# a run that others act on


@pytest.mark.thorough
def test_live_follows_what_others_do(site: Site, watched: Watched) -> None:
    """A cancel from elsewhere is seen, and nothing says "Stopping" once it is over; a resume is seen too."""
    page = watched.page
    run = make(site.workspace, steps=1)
    page.goto(site.at(f"live?run={run.id}"))
    wait_until_drawn(page)
    with run.hold():  # as its worker does: the cancel is asked for, and not yet obeyed
        run.cancel()
        expect(page.get_by_role("button", name="Stopping")).to_be_visible(timeout=PATIENT)
        run.emit(RunCancelled())
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENT)
    expect(page.get_by_text("Stopping")).to_have_count(0)
    run.requeue()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible(timeout=PATIENT)
    run.cancel()
    watched.is_clean()


@pytest.mark.thorough
def test_a_death_is_told_on_live_and_home(workspace: Workspace) -> None:
    run = make(workspace, steps=1)
    run.emit(RunInterrupted("Killed from outside (signal 9).", "killed", "the log's end"), RunQueued())
    for words in (text(shown("live", run=run.id)), text(shown("home"))):
        assert "failure 1 of 3; trying again" in words
        assert "memory ran out" in words
    assert "这是第 1 次失败，最多 3 次" in text(shown("live", "zh", run=run.id))
    assert any("stopped unexpectedly, 1 of 3, trying again" in line for line in notices(run.state()))
    run.emit(RunStarted(os.getpid(), {}), Progress(0, 0, "training", 2, 3, 0, 3, 0.5))
    assert "Stopped unexpectedly 1× and continued" in text(shown("live", run=run.id))
    assert "stopped unexpectedly 1 time and continued" in "\n".join(notices(run.state()))


def test_a_run_without_curves_says_why(workspace: Workspace) -> None:
    """Steps that were reused trained nothing here; without that word the page does not guess."""
    for reused, sentence in (("entry", "2 steps were reused from earlier runs"), (None, "No learning curve is stored")):
        run = workspace.create_run(DEMO)
        run.emit(RunStarted(os.getpid(), {}))
        for step in range(2):
            run.emit(StepStarted(step, "prune", "l2", "a step", 2, reused), StepFinished(step, 0.1))
        run.emit(RunFinished())
        words = text(shown("live", run=run.id))
        assert sentence in words
        assert "Smoothing" not in words


@pytest.mark.slow
def test_every_end_says_what_is_kept_and_what_to_do(workspace: Workspace) -> None:
    causes = ("disk_full", "out_of_memory", "killed", "crashed", "exited", "not_begun", "unwatched", "never_begun", "")
    ends = [RunInterrupted("Why it ended.", code, "Extension") for code in causes]
    for end in [*ends, RunPaused("asked", "asked"), RunPaused("full", "disk_full"), RunPaused("for a reason")]:
        run = make(workspace, end, steps=1)
        for language, marks in (("en", ("Kept:", "What to do:")), ("zh", ("已保留", "怎么办"))):
            app = shown("live", language, run=run.id)
            (told,) = [box.value for box in app.warning]
            assert marks[0] in told
            assert marks[1] in told or end in (ends[-1],) or getattr(end, "reason", "") == "for a reason"
            assert "Extension" not in told


@pytest.mark.parametrize("rest", [RunPaused("asked", "asked"), RunInterrupted("died", "killed"), RunQueued()], ids=str)
def test_a_run_that_rests_has_no_speed_and_no_time_left(workspace: Workspace, rest: Event) -> None:
    run = make(workspace, steps=1)
    assert "100 images/s" in run_status.line(run.state(), 4)
    run.emit(rest)
    told = run_status.line(run.state(), 4)
    assert "images/s" not in told
    assert "left" not in told


# time


def test_time_is_that_of_the_work_not_of_the_rests() -> None:
    state = RunState()

    def at(seconds: float, *events: object) -> RunState:
        nonlocal state
        for event in events:
            state = fold([replace(event, seq=state.seq + 1, time=seconds)], state)  # type: ignore[type-var, list-item]
        return state

    at(100, RunQueued(), RunStarted(1, {}), StepStarted(0, "transfer", "kd", "x", 9))
    at(110, Progress(0, 0, "training", 1, 9, 0, 1), RunPaused("asked", "asked"))
    at(500, RunQueued())
    at(600, RunStarted(2, {}))
    at(605, Progress(0, 0, "training", 2, 9, 0, 1))
    assert at(605).durations(610) == (20, 510), "10 before the pause, 10 up to now"
    at(9000, RunInterrupted("died", "unwatched"), RunQueued())  # noticed hours later
    at(9010, RunStarted(3, {}))
    at(9020, Progress(0, 0, "training", 3, 9, 0, 1), StepFinished(0, 1.0), RunFinished())
    assert state.durations() == (25, 8920)
    assert "0:25 of work, 2:28:40 from the first start" in run_status.line(state, 1)
    assert "worked on for 0:25" in "\n".join(notices(state))


def test_a_death_without_any_word_and_a_clock_set_back_count_nothing() -> None:
    def event(kind: object, time: float, seq: int) -> object:
        return replace(kind, seq=seq, time=time)  # type: ignore[type-var]

    told = [(RunStarted(1, {}), 100.0), (RunPaused("x"), 50.0), (RunStarted(1, {}), 60.0), (RunFinished(), 61.0)]
    state = fold([event(kind, time, seq) for seq, (kind, time) in enumerate(told)])  # type: ignore[misc]
    worked, whole = state.durations()
    assert worked == 1
    assert whole >= 0
