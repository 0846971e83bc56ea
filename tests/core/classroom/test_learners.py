"""Who joins a class gets a corner; a name is one person's, and a browser opens no other corner."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.classroom.learners import CODE_LASTS, MOST, Class, Learner, card
from core.classroom.nicknames import checked
from core.classroom.overview import copies, everybody, take_out
from core.classroom.places import corners, is_corner, root_of
from core.errors import UserError
from core.storage.sealed import seal
from core.workspace import KEEP_TRASH, Workspace


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


# the teacher's changes


def handed(root: Path, nickname: str, **fields: str) -> Learner:
    """The card of a hand-in."""
    made = Learner(id="a" * 16, nickname=nickname, secret="", joined=1.0, proof="here", **fields)
    folder = root / "class" / made.id
    folder.mkdir(parents=True)
    (folder / "learner.json").write_bytes(seal(made.model_dump_json().encode()))
    return made


def test_a_rename_keeps_the_corner_the_browser_and_hand_ins(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana, bob = members.join("Ana"), members.join("Bob")
    handed(tmp_path, "Ana", handed_by=ana.learner.id)
    note = tmp_path / "class" / ana.learner.id / "note.txt"
    note.write_text("kept")
    assert members.rename(ana.learner.id, "  Anna ").nickname == "Anna"
    assert [one.nickname for one in members.learners()] == ["Anna", "Anna", "Bob"], "the hand-in too"
    found = members.with_secret(ana.secret)
    assert found is not None
    assert (found.id, found.nickname) == (ana.learner.id, "Anna")
    assert note.read_text() == "kept"
    assert members.rename(ana.learner.id, "ANNA").nickname == "ANNA", "one's own name is free to oneself"
    assert members.join("Ana").learner.nickname == "Ana", "the old name is free"
    for name, code in (("BOB", "nickname_taken"), ("", "bad_nickname"), ("x" * 31, "bad_nickname")):
        with pytest.raises(UserError) as told:
            members.rename(ana.learner.id, name)
        assert told.value.code == code
    for unknown in ("a" * 16, "0" * 16, "../x", ""):
        with pytest.raises(UserError) as told:
            members.rename(unknown, "Eve")
        assert told.value.code == "unknown_learner"
    assert members.with_secret(bob.secret) == bob.learner


def test_who_is_taken_out_opens_nothing_and_can_be_put_back(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana, bob = members.join("Ana"), members.join("Bob")
    assert members.with_secret(ana.secret) == ana.learner
    code = members.code_for(ana.learner.id)
    members.remove(ana.learner.id, to_trash=False)
    assert members.with_secret(ana.secret) is None
    assert [one.nickname for one in members.learners()] == ["Bob"]
    with pytest.raises(UserError):
        members.come_back("Ana", code)
    with pytest.raises(UserError):
        members.remove(ana.learner.id, to_trash=True)
    again = members.join("Ana")
    assert members.with_secret(again.secret) == again.learner, "the name is free"
    with pytest.raises(UserError) as told:
        members.put_back(ana.learner.id)
    assert told.value.code == "nickname_taken"
    members.rename(again.learner.id, "Ana 2")
    assert members.put_back(ana.learner.id).nickname == "Ana"
    assert members.with_secret(ana.secret) is not None
    assert members.removed() == []
    assert members.with_secret(bob.secret) == bob.learner


def test_their_runs_stop_and_stay_or_go_with_the_trash(tmp_path: Path) -> None:
    root = Workspace.open_or_create(tmp_path / "w")
    stores = {}
    for name in ("Ana", "Bob", "Eve"):
        learner = Class(root.path).join(name).learner
        stores[name] = Workspace.open_or_create(root.path / "class" / learner.id)
    runs = {name: store.submit('name = "mine"') for name, store in stores.items()}
    take_out(root.path, stores["Ana"].path.name, to_trash=False)
    take_out(root.path, stores["Bob"].path.name, to_trash=True)
    for name in ("Ana", "Bob"):
        assert runs[name].state().status.value == "cancelled"
        assert stores[name].queued() == []
        with pytest.raises(UserError) as told:
            stores[name].submit('name = "more"')
        assert told.value.code == "learner_removed"
        with pytest.raises(UserError) as told:
            stores[name].resume(runs[name].id)
        assert told.value.code == "learner_removed"
    assert stores["Eve"].queued() == [runs["Eve"].id], "nobody else is concerned"
    assert [one.learner.nickname for one in everybody(root.path)] == ["Eve", "Ana"], "what stays is listed last"
    root.tidy(time.time() + KEEP_TRASH - 60)
    assert len(corners(root.path)) == 3
    root.tidy(time.time() + KEEP_TRASH + 60)
    assert {path.name for path in corners(root.path)} == {stores["Ana"].path.name, stores["Eve"].path.name}


def test_a_hand_in_of_a_renamed_learner_is_no_copy(tmp_path: Path) -> None:
    members = Class(tmp_path)
    ana = members.join("Ana").learner
    handed(tmp_path, "Ana", handed_by=ana.id)
    for name in (ana.id, "a" * 16):
        Workspace.open_or_create(tmp_path / "class" / name)
    run = Workspace(tmp_path / "class" / ana.id).create_run('name = "mine"')
    shutil.copytree(run.folder, tmp_path / "class" / ("a" * 16) / "runs" / run.id)
    members.rename(ana.id, "Anna")
    everyone = everybody(tmp_path)
    assert [copies(one, everyone) for one in everyone] == [[], []]
