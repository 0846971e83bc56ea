"""The poll counts what is in the diaries: each learner once, nobody twice, and says what it leaves out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.classroom import poll as module
from core.classroom.learners import Class
from core.classroom.poll import Answers, Poll
from core.lessons.blocks import Choice, Predict
from core.lessons.diary import Diary, Prediction, forget_diary, read_diary, write_diary
from core.workspace import Workspace

NUMBER = Predict(1, "How accurate?", low=0.0, high=100.0)
CHOICE = Predict(1, "Which?", choices=(Choice("the first", None), Choice("the second", None)))


def corner(root: Path, name: str) -> Workspace:
    return Workspace(root / "class" / Class(root).join(name).learner.id)


def predict(store: Workspace, number: float | None = None, choice: int | None = None, *, made: float = 1.0) -> None:
    diary = read_diary(store, "pruning").predicted(0, Prediction(number=number, choice=choice, made=made))
    write_diary(store, diary)


def numbers(found: Answers) -> list[float | None]:
    return [one.number for one in found.guesses]


def test_nobody_has_answered(tmp_path: Path) -> None:
    poll = Poll(tmp_path)
    assert poll.answers("pruning", 0, NUMBER).learners == 0
    corner(tmp_path, "Ana")
    found = poll.answers("pruning", 0, NUMBER)
    assert (found.guesses, found.missing, found.learners) == ((), ("Ana",), 1)


def test_answers_are_there_as_they_come_the_oldest_first(tmp_path: Path) -> None:
    poll, ana, bob = Poll(tmp_path), corner(tmp_path, "Ana"), corner(tmp_path, "Bob")
    predict(bob, 40.0, made=5.0)
    assert numbers(poll.answers("pruning", 0, NUMBER)) == [40.0]
    predict(ana, 60.0, made=4.0)
    found = poll.answers("pruning", 0, NUMBER)
    assert [(one.nickname, one.number) for one in found.guesses] == [("Ana", 60.0), ("Bob", 40.0)]
    assert found.missing == ()
    predict(ana, 99.0, made=6.0)
    assert numbers(poll.answers("pruning", 0, NUMBER)) == [60.0, 40.0], "the first prediction stays"
    late = corner(tmp_path, "Eve")
    predict(late, 1.0, made=7.0)
    assert len(poll.answers("pruning", 0, NUMBER).guesses) == 3, "who joins later counts too"
    forget_diary(ana, "pruning")
    assert poll.answers("pruning", 0, NUMBER).missing == ("Ana",), "who begins again is asked again"


def test_another_lesson_and_another_question_are_not_mixed_in(tmp_path: Path) -> None:
    poll, ana = Poll(tmp_path), corner(tmp_path, "Ana")
    predict(ana, 60.0)
    assert poll.answers("pruning", 1, NUMBER).missing == ("Ana",)
    assert poll.answers("quantization", 0, NUMBER).missing == ("Ana",)


@pytest.mark.parametrize(
    ("asked", "given", "counts"),
    [
        (NUMBER, {"number": 0.0}, True),
        (NUMBER, {"number": 100.0}, True),
        (NUMBER, {"number": 100.5}, False),
        (NUMBER, {"number": -1.0}, False),
        (NUMBER, {"choice": 0}, False),
        (CHOICE, {"choice": 1}, True),
        (CHOICE, {"choice": 2}, False),
        (CHOICE, {"choice": -1}, False),
        (CHOICE, {"number": 50.0}, False),
    ],
)
def test_what_does_not_answer_the_question_is_counted_apart(
    tmp_path: Path, asked: Predict, given: dict[str, float], counts: bool
) -> None:
    predict(corner(tmp_path, "Ana"), **given)  # type: ignore[arg-type]
    found = Poll(tmp_path).answers("pruning", 0, asked)
    assert (len(found.guesses), found.strange) == ((1, 0) if counts else (0, 1))
    assert found.learners == 1


def test_who_has_seen_the_answers_is_late(tmp_path: Path) -> None:
    predict(corner(tmp_path, "Ana"), 40.0, made=10.0)
    predict(corner(tmp_path, "Bob"), 48.3, made=10.1)
    found = Poll(tmp_path).answers("pruning", 0, NUMBER, until=10.0)
    assert ([one.nickname for one in found.guesses], found.late, found.learners) == (["Ana"], 1, 2)


def test_a_damaged_diary_is_told_and_the_others_count(tmp_path: Path) -> None:
    poll, ana, bob = Poll(tmp_path), corner(tmp_path, "Ana"), corner(tmp_path, "Bob")
    predict(ana, 40.0)
    predict(bob, 50.0)
    path = bob.path / "lessons" / "kept" / "pruning.json"
    path.write_bytes(path.read_bytes().replace(b"50.0", b"90.0"))
    found = poll.answers("pruning", 0, NUMBER)
    assert (numbers(found), found.unread, found.learners) == ([40.0], 1, 2)


def test_hand_ins_are_of_another_day(tmp_path: Path) -> None:
    ana = corner(tmp_path, "Ana")
    predict(ana, 40.0)
    card = Class(tmp_path).learners()[0].model_copy(update={"proof": "here"})
    (ana.path / "learner.json").write_text(card.model_dump_json())
    assert Poll(tmp_path).answers("pruning", 0, NUMBER).learners == 0


def test_thirty_corners_are_read_once_and_then_only_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [corner(tmp_path, f"learner {number}") for number in range(30)]
    for number, store in enumerate(stores):
        predict(store, float(number))
    reads: list[Path] = []

    def counting(store: Workspace, name: str) -> Diary:
        reads.append(store.path)
        return read_diary(store, name)

    monkeypatch.setattr(module, "read_diary", counting)
    poll = Poll(tmp_path)
    found = numbers(poll.answers("pruning", 0, NUMBER))
    assert sorted(one for one in found if one is not None) == [float(number) for number in range(30)]
    assert len(reads) == 30
    took = min(_timed(poll) for _ in range(5))
    assert len(reads) == 30, "nothing changed, so nothing was read"
    assert took < 0.05, f"{1000 * took:.1f} ms"
    write_diary(stores[3], Diary(lesson="pruning"))
    os.utime(stores[4].path / "lessons" / "kept" / "pruning.json", ns=(1, 1))
    poll.answers("pruning", 0, NUMBER)
    assert reads[30:] == [stores[3].path, stores[4].path], "only what was written since"


def _timed(poll: Poll) -> float:
    began = time.perf_counter()
    assert poll.answers("pruning", 0, NUMBER).learners == 30
    return time.perf_counter() - began
