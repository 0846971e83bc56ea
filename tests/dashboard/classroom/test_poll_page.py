"""The poll on the teacher's screen: nothing of the answers before they are asked for; learners are called to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest
from streamlit.testing.v1 import AppTest

from core.lessons import lesson_files
from core.lessons.blocks import Lesson, Predict
from core.lessons.diary import Prediction, read_diary, write_diary
from core.lessons.prepared import kept
from core.workspace import Workspace
from dashboard.classroom.showing import screen
from dashboard.learn import presenter
from tests.dashboard.classroom.test_class_page import corner, sit
from tests.dashboard.test_pages import shown, text

CUT = "prune-fashion-raw[0.5]"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "w"))
    screen.cache_clear()
    yield Workspace.open_or_create(tmp_path / "w")
    screen.cache_clear()


def lesson(name: str = "pruning", language: str = "en") -> Lesson:
    return next(found for found in lesson_files.bundled(language) if found.id == name)


def slide_of(found: Lesson, place: int) -> str:
    """What the address says for the slide with that prediction."""
    asked = found.predictions[place]
    parts = presenter.slides(found)
    return str(next(n for n, part in enumerate(parts) if any(block is asked for _, block in part)) + 2)


def with_choices() -> tuple[Lesson, int, Predict]:
    """A lesson, and its first prediction that is a choice."""
    return next(
        (found, place, asked)
        for found in lesson_files.bundled("en")
        for place, asked in enumerate(found.predictions)
        if asked.choices
    )


def predict(store: Workspace, name: str, place: int, **given: float) -> None:
    made = Prediction(**{"made": 1.0, **given})  # type: ignore[arg-type]
    write_diary(store, read_diary(store, name).predicted(place, made))


def presented(name: str = "pruning", place: int = 0, language: str = "en") -> AppTest:
    return shown("learn", language, lesson=name, present=slide_of(lesson(name), place))


def press(app: AppTest, key: str) -> str:
    app.button(key=key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return plain(app)


def plain(app: AppTest) -> str:
    return text(app).replace("\\", "").replace("\u2060", "")


def test_answers_are_counted_and_hidden_until_the_teacher_shows_them(
    root: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob, _ = corner(root, "Ana"), corner(root, "<b>Bob</b>"), corner(root, "Eve")
    predict(ana, "pruning", 0, number=61.5)
    predict(bob, "pruning", 0, number=33.0)
    sit(monkeypatch, "teacher")
    app = presented()
    measured = f"{100 * mean(json.loads((kept()[h] / 'result.json').read_text())['points'][1]['accuracy'] for h in lesson().runs[CUT].hashes):.1f} %"  # noqa: E501
    told = plain(app)
    assert "**2 of 3** have predicted" in told
    for hidden in ("61.5", "33", "Ana", "Bob", measured):
        assert hidden not in told, hidden
    told = press(app, "class_poll_names")
    assert "Have predicted: Ana · <b>Bob</b>" in told
    assert "Still missing: Eve" in told
    assert "61.5" not in told, "who, and not what"
    press(app, "class_poll_names")
    told = press(app, "class_poll_predictions")
    assert measured not in told
    assert "Ana" not in told, "no names unless they are asked for"
    told = press(app, "class_poll_everything")
    assert f"Measured: **{measured}**" in told
    told = press(app, "class_poll_names")
    assert "<b>Bob</b> 33 % · Ana 61.5 %" in told
    told = press(app, "class_poll_everything")
    assert measured not in told, "and hidden again"


def test_who_predicts_after_the_answers_is_counted_apart(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    predict(ana, "pruning", 0, number=61.5)
    sit(monkeypatch, "teacher")
    app = presented()
    press(app, "class_poll_predictions")
    predict(bob, "pruning", 0, number=48.0, made=4e9)
    told = press(app, "class_poll_names")
    assert "1 prediction came after the answers were shown" in told
    assert "48" not in told
    assert "61.5 %" in told


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nobody_is_said(root: Workspace, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    sit(monkeypatch, "teacher")
    assert {"en": "Nobody has joined", "zh": "还没有人加入班级"}[language] in plain(presented(language=language))
    corner(root, "Ana")
    app = presented(language=language)
    assert {"en": "Nobody has predicted yet (0 of 1)", "zh": "1 人中 0 人"}[language] in plain(app)
    press(app, "class_poll_everything")


def test_choices_are_lettered_and_counted(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    found, place, asked = with_choices()
    predict(corner(root, "Ana"), found.id, place, choice=1)
    sit(monkeypatch, "teacher")
    app = presented(found.id, place)
    assert "**B** · " in plain(app)
    assert "Ana" not in plain(app)
    press(app, "class_poll_names")
    assert "**B** · Ana" in press(app, "class_poll_predictions")
    told = press(app, "class_poll_everything")
    assert any(f"Measured: **{choice.text[:12]}" in told for choice in asked.choices)


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_learners_are_called_to_what_the_teacher_shows(
    root: Workspace, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    ana, number = corner(root, "Ana"), [one.id for one in lesson_files.bundled("en")].index("pruning") + 1
    title = lesson("pruning", language).title
    words = {
        "en": (f"Your teacher is showing lesson {number}, “{title}”", "what do you predict?", "is in"),
        "zh": (f"老师正在展示第 {number} 课“{title}”", "您的预测是什么", "已收到"),
    }[language]
    sit(monkeypatch, ana.path.name)
    assert words[0] not in plain(shown("data", language))
    sit(monkeypatch, "teacher")
    presented()
    sit(monkeypatch, ana.path.name)
    app = shown("data", language)
    assert words[0] in plain(app)
    assert words[1] in plain(app)
    links = [link.proto for link in app.get("page_link")]
    assert [link.query_string for link in links] == ["lesson=pruning"]
    predict(ana, "pruning", 0, number=50.0)
    assert words[2] in plain(shown("data", language))
    opened = shown("learn", language, lesson="pruning")
    assert words[0] in plain(opened)
    assert not opened.get("page_link"), "it is open already"


def test_the_call_ends_with_the_presentation(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = corner(root, "Ana")
    sit(monkeypatch, "teacher")
    app = presented()
    assert screen().now() is not None
    press(app, "presenter_close")
    assert screen().now() is None
    sit(monkeypatch, ana.path.name)
    assert "Your teacher is showing" not in plain(shown("data"))


def test_a_learner_who_presents_shows_the_class_nothing(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = corner(root, "Ana")
    sit(monkeypatch, ana.path.name)
    app = presented()
    assert screen().now() is None
    assert not [button for button in app.button if str(button.key).startswith("class_poll")]
    assert "have predicted" not in plain(app)
