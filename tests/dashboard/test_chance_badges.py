"""A model that only guesses is marked as one on every page, in words and with a symbol, in both languages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.events import DataLoaded, Measured, Progress, RunFinished, RunStarted, StepStarted
from core.runs import Run
from core.statistics.chance import Chance
from core.workspace import Workspace
from dashboard import components
from dashboard.live_plot import document
from tests.dashboard.test_pages import DEMO, point, shown, text

WORDS = {"en": "not proven better than chance", "zh": "未证实优于随机"}
SYMBOL = ":material/casino:"
LUCK = Chance(classes=4, test=0.79, validation=0.3, target=0.5)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return Workspace.open_or_create(tmp_path)


def run_at(workspace: Workspace, luck: Chance, *, over: bool = True) -> Run:
    """A run of one point whose interval is 78 to 82 %."""
    run = workspace.create_run(DEMO)
    begun = StepStarted(0, "transfer", "linear_probe", "a step", 2)
    curve = Progress(0, 0, "training", 1, 2, 0, 3, 0.5, 0.7, 0.6, 0.65)
    run.emit(RunStarted(os.getpid(), {}), DataLoaded(luck), begun, curve, Measured("point", 0, point(0)))
    run.emit(RunFinished()) if over else None
    return run


@pytest.mark.parametrize("page", ["home", "live"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_cards_and_rows_say_it_with_a_symbol(workspace: Workspace, page: str, language: str) -> None:
    run_at(workspace, LUCK)
    app = shown(page, language)
    badges = [e.value for kind in ("markdown", "caption") for e in getattr(app, kind) if WORDS[language] in e.value]
    assert any(f"{SYMBOL} {WORDS[language]}" in badge for badge in badges), "the closing sentence says it without one"
    assert "79.0 %" in text(app) or any("79.0 %" in (e.help or "") for e in app.markdown)


@pytest.mark.parametrize("page", ["home", "live"])
def test_a_point_above_chance_has_no_badge(workspace: Workspace, page: str) -> None:
    run_at(workspace, LUCK.model_copy(update={"test": 0.77}))
    assert SYMBOL not in text(shown(page))


def charts_of_live(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[float], str]]:
    """Dashed lines and alternative text of each chart that the page draws."""
    seen: dict[str, tuple[list[float], str]] = {}

    def chart(figure, data, *, key, alt, **more):  # type: ignore[no-untyped-def]
        shapes = (figure if isinstance(figure, dict) else document(figure))["layout"].get("shapes", [])
        seen[key] = ([shape["y0"] for shape in shapes if shape["line"].get("dash") == "dash"], alt)

    monkeypatch.setattr(components, "chart", chart)
    return seen


def test_the_charts_of_a_run_have_the_line_of_their_own_images(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = charts_of_live(monkeypatch)
    run_at(workspace, LUCK)
    app = shown("live")
    assert isinstance(app, AppTest)
    assert seen["curves"][0] == [0.3], "validation"
    assert seen["landing"][0] == [0.79], "test"
    assert "always answering with the most frequent of the 4 classes" in seen["landing"][1]


def test_a_run_that_waits_has_the_line_of_the_catalog(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = charts_of_live(monkeypatch)
    workspace.create_run(DEMO)
    shown("live")
    assert seen["curves"][0] == [0.1]
    assert "how often each of them occurs is not stored" in seen["curves"][1]
