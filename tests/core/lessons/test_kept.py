"""A person's own lessons and what they predicted: kept, checked, replaced, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UserError, UserErrors
from core.lessons import lesson_files
from core.lessons.diary import (
    Diary,
    Prediction,
    asked_of,
    change_diary,
    fits,
    forget_diary,
    own_runs,
    read_diary,
    write_diary,
)
from core.lessons.parse import parse_lesson
from core.workspace import Workspace
from tests.core.lessons.written import LESSON


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "store")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_lesson_goes_from_one_workspace_to_another_byte_by_byte(store: Workspace, tmp_path: Path) -> None:
    lesson_files.add(store, LESSON.encode())
    (mine,) = lesson_files.own(store, "en")
    other = Workspace.open_or_create(tmp_path / "other")
    assert lesson_files.add(other, mine.text.encode()) == parse_lesson(LESSON.encode())
    assert content(other.path / "lessons") == content(store.path / "lessons")
    lesson_files.remove(other, "tiny.en.md")
    assert lesson_files.own(other, "en") == []


def test_of_a_lesson_in_two_languages_that_of_the_person_is_shown(store: Workspace) -> None:
    lesson_files.add(store, LESSON.encode())
    lesson_files.add(
        store, LESSON.replace('language = "en"', 'language = "zh"').replace("A tiny lesson", "小课").encode()
    )
    assert [lesson.title for lesson in lesson_files.own(store, "zh")] == ["小课"]
    assert [lesson.title for lesson in lesson_files.own(store, "en")] == ["A tiny lesson"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no lesson",
        LESSON.replace("```claim", "```shell").encode(),
        LESSON.replace("A network", "<b>").encode(),
        LESSON.replace('id = "tiny"', 'id = "pruning"').encode(),
        b"+" * 100_000,
    ],
)
def test_a_refused_file_leaves_the_workspace_as_it_was(store: Workspace, data: bytes) -> None:
    before = content(store.path)
    with pytest.raises(UserErrors):
        lesson_files.add(store, data)
    assert content(store.path) == before


@pytest.mark.parametrize("name", ["../../x.en.md", "tiny.en.md", "/etc/passwd", "", "tiny.en.md\0"])
def test_only_own_lessons_can_be_deleted(store: Workspace, name: str) -> None:
    with pytest.raises(UserErrors):
        lesson_files.remove(store, name)


def test_a_lesson_that_was_changed_by_hand_is_told_and_can_be_deleted(store: Workspace) -> None:
    lesson_files.add(store, LESSON.encode())
    (store.path / "lessons" / "tiny.en.md").write_text("no lesson any more")
    assert lesson_files.own(store, "en") == []
    assert lesson_files.broken(store) == ["tiny.en.md"]
    lesson_files.remove(store, "tiny.en.md")
    assert lesson_files.broken(store) == []


def test_a_prediction_is_kept_and_the_first_one_stays(store: Workspace) -> None:
    diary = read_diary(store, "pruning").predicted(0, Prediction(number=70.0, made=1.0))
    diary = diary.predicted(0, Prediction(number=27.0, made=2.0)).answered(0, 2).started("cut[0.5]", "gone")
    write_diary(store, diary)
    found = read_diary(store, "pruning")
    assert found == diary
    assert found.predictions["0"].number == 70.0
    assert own_runs(store, found) == {}
    forget_diary(store, "pruning")
    assert read_diary(store, "pruning") == Diary(lesson="pruning")


def test_what_two_pages_keep_is_kept_of_both(store: Workspace) -> None:
    """Each page knows the diary as it was when the page was drawn."""
    old = read_diary(store, "pruning")
    change_diary(store, old, lambda diary: diary.predicted(0, Prediction(number=70.0)).started("cut", "r1"))
    change_diary(store, old, lambda diary: diary.answered(0, 1))
    change_diary(store, old, lambda diary: diary.predicted(0, Prediction(number=27.0)))
    found = read_diary(store, "pruning")
    assert found.predictions["0"].number == 70.0, "the first one stays, whichever page made it"
    assert (found.answers, found.runs) == ({"0": 1}, {"cut": "r1"})
    (store.path / "lessons" / "kept" / "pruning.json").write_bytes(b"damaged")
    change_diary(store, found, lambda diary: diary.answered(1, 0))
    assert read_diary(store, "pruning").answers == {"0": 1, "1": 0}


def test_a_prediction_answers_the_question_that_was_asked() -> None:
    (asked,) = parse_lesson(LESSON.encode()).predictions
    (again,) = parse_lesson(LESSON.replace("How good is it then?", "改动后有多好？").encode()).predictions
    (other,) = parse_lesson(
        LESSON.replace('tiny[0.5].prune.accuracy"', 'tiny[0.25].prune.accuracy"').encode()
    ).predictions
    made = Prediction(number=50.0, asked=asked_of(asked))
    assert fits(asked, made)
    assert fits(again, made), "in another language it is the same question"
    assert not fits(other, made)
    assert fits(other, Prediction(number=50.0)), "an earlier version did not keep what was asked"
    assert not fits(other, Prediction(number=500.0))
    assert not fits(other, Prediction(choice=0))


@pytest.mark.parametrize("change", [b"70.0", b"pruning"])
def test_a_diary_altered_by_hand_is_refused(store: Workspace, change: bytes) -> None:
    write_diary(store, Diary(lesson="pruning").predicted(0, Prediction(number=70.0)))
    path = store.path / "lessons" / "kept" / "pruning.json"
    path.write_bytes(path.read_bytes().replace(change, change[::-1]))
    with pytest.raises(UserError, match="pruning"):
        read_diary(store, "pruning")


@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", "x" * 41])
def test_no_other_file_can_be_read_as_a_diary(store: Workspace, name: str) -> None:
    with pytest.raises(UserError, match="lesson"):
        read_diary(store, name)
