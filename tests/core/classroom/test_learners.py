"""Who joins a class gets a corner; a name is one person's, and a browser opens no other corner."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.classroom.learners import CODE_LASTS, MOST, Class, card
from core.classroom.nicknames import checked
from core.classroom.places import corners, is_corner, root_of
from core.errors import UserError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Ana", "Ana"),
        ("  Ana \n", "Ana"),
        ("小明", "小明"),
        ("<b>Bob</b>", "<b>Bob</b>"),
        ("🧑‍🚀", "🧑‍🚀"),
        ("x" * 30, "x" * 30),
        ("Nguyễn Thế", "Nguyễn Thế"),
        ("هِنْدٌ", "هِنْدٌ"),
    ],
)
def test_a_name_is_kept_as_typed(given: str, name: str) -> None:
    assert checked(given, []) == name


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "x" * 31,
        "x" * 5000,
        " " * 5000 + "x",
        "a\0b",
        "a\nb",
        "\u202eana",
        "\u200b",
        "\u2060",
        "\ud800",
        "\x7f",
        "\u3164",
        "Ana\u2800",
        "\u115f\u1160",
        "Z" + "\u0300\u0301\u0302\u0303" * 5,
    ],
)
def test_no_name(given: str) -> None:
    with pytest.raises(UserError) as told:
        checked(given, [])
    assert told.value.code == "bad_nickname"
    assert "30" in told.value.allowed


@pytest.mark.parametrize("again", ["Ana", "ana", " ANA ", "Ａｎａ"])
def test_a_name_twice_is_told(tmp_path: Path, again: str) -> None:
    members = Class(tmp_path)
    members.join("Ana")
    before = corners(tmp_path)
    with pytest.raises(UserError) as told:
        members.join(again)
    assert told.value.code == "nickname_taken"
    assert corners(tmp_path) == before, "nobody got a corner"


def test_a_browser_opens_its_own_corner_and_no_other(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana, bob = members.join("Ana"), members.join("Bob")
    assert members.with_secret(ana.secret) == ana.learner
    assert members.with_secret(bob.secret) == bob.learner
    assert Class(tmp_path).with_secret(ana.secret) == ana.learner, "after a restart too"
    for other in ("", ana.learner.id, ana.learner.secret, ana.secret[:-1], ana.secret + "x", "x" * 10**6, "\ud800"):
        assert members.with_secret(other) is None
    assert ana.secret not in (tmp_path / "class" / ana.learner.id / "learner.json").read_text(), "only its hash is kept"


def test_a_learner_who_lost_their_browser_comes_back_with_a_code(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana, bob = members.join("Ana"), members.join("Bob")
    assert members.with_secret(ana.secret) == ana.learner
    code = members.code_for(ana.learner.id)
    for nickname, given in (("Bob", code), ("Ana", code[:-1]), ("Ana", ""), ("Ana", "x" * 10**5), ("Eve", code)):
        with pytest.raises(UserError) as told:
            members.come_back(nickname, given)
        assert told.value.code == "wrong_code"
    back = members.come_back(" ANA", f" {code[:4].upper()} {code[4:]}")
    assert back.learner.id == ana.learner.id
    assert members.with_secret(back.secret) == back.learner
    assert members.with_secret(ana.secret) is None, "the lost browser opens nothing any more"
    assert members.with_secret(bob.secret) == bob.learner
    with pytest.raises(UserError, match="Ask your teacher"):
        members.come_back("Ana", code)
    assert code not in (tmp_path / "class" / ana.learner.id / "learner.json").read_text()


def test_a_code_ends_and_is_for_a_learner_who_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = Class(tmp_path)
    ana = members.join("Ana")
    code = members.code_for(ana.learner.id)
    now = time.time()
    monkeypatch.setattr("core.classroom.learners.time.time", lambda: now + CODE_LASTS + 1)
    with pytest.raises(UserError):
        members.come_back("Ana", code)
    for unknown in ("0" * 16, "../x", ""):
        with pytest.raises(UserError) as told:
            members.code_for(unknown)
        assert told.value.code == "unknown_learner"


def test_a_card_copied_into_another_corner_is_nobodys(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana = members.join("Ana")
    other = tmp_path / "class" / ("0" * 16)
    other.mkdir()
    (other / "learner.json").write_bytes((tmp_path / "class" / ana.learner.id / "learner.json").read_bytes())
    assert card(other) is None
    assert [one.id for one in Class(tmp_path).learners()] == [ana.learner.id]


def test_thirty_who_join_at_once_are_thirty(tmp_path: Path) -> None:
    with ThreadPoolExecutor(10) as pool:
        joined = list(pool.map(lambda n: Class(tmp_path).join(f"learner {n}"), range(30)))
    assert len({one.learner.id for one in joined}) == 30
    assert len(Class(tmp_path).learners()) == 30


def test_a_full_class_is_told(tmp_path: Path) -> None:
    members = Class(tmp_path)
    for n in range(MOST):
        folder = tmp_path / "class" / f"{n:016x}"
        folder.mkdir(parents=True)
        learner = members.join("seed").learner if n == 0 else None
        made = learner or members.learners()[0]
        copy = made.model_copy(update={"id": folder.name, "nickname": f"n{n}"})
        (folder / "learner.json").write_text(copy.model_dump_json())
    with pytest.raises(UserError) as told:
        members.join("one more")
    assert told.value.code == "class_full"


def test_what_a_corner_is(tmp_path: Path) -> None:
    corner = tmp_path / "class" / Class(tmp_path).join("Ana").learner.id
    assert is_corner(corner)
    assert root_of(corner) == tmp_path
    assert root_of(tmp_path) == tmp_path
    plain = tmp_path / "class" / "mine"
    plain.mkdir()
    assert not is_corner(plain), "a workspace of that name is nobody's corner"
    assert root_of(plain) == plain
    (tmp_path / "class" / ("a" * 16)).symlink_to(corner)
    assert corners(tmp_path) == [corner]
