"""Drafts kept in a workspace: found again by an opaque id, never believed when damaged, and not kept for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.errors import UserError
from core.workspace import Workspace
from core.workspace_files import drafts
from core.workspace_files.drafts import Document, new_draft_id, newest_draft, read_draft, write_draft

DRAFT: Document = {"recipe": {"name": "é 模型", "labels": 300}, "past": []}


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path)


def test_a_draft_is_found_again(store: Workspace) -> None:
    first, second = new_draft_id(), new_draft_id()
    assert newest_draft(store) is None
    write_draft(store, first, DRAFT)
    write_draft(store, second, {})
    assert read_draft(store, first) == DRAFT
    assert read_draft(store, second) == {}
    os.utime(store.path / "drafts" / f"{second}.json", (1, 1))
    found = newest_draft(store)
    assert found is not None
    assert found[0] == first


def test_every_flipped_byte_is_noticed(store: Workspace) -> None:
    name = new_draft_id()
    write_draft(store, name, DRAFT)
    path = store.path / "drafts" / f"{name}.json"
    whole = path.read_bytes()
    believed, codes = [], set()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            believed.append(read_draft(store, name) == DRAFT)
        except UserError as error:
            codes.add(error.code)
    assert all(believed), "what was read is what was written"
    assert codes == {"damaged_draft"}
    for part in (b"", whole[:40], b"\0" * 100, b"[]", b'{"sha256": "", "draft": {}}'):
        path.write_bytes(part)
        with pytest.raises(UserError):
            read_draft(store, name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x" * 5000, "0000000000000-000000", "a/b", "\0"])
def test_an_address_names_no_path(store: Workspace, name: str) -> None:
    with pytest.raises(UserError) as told:
        read_draft(store, name)
    assert told.value.code == "damaged_draft"
    assert str(told.value)


def test_old_drafts_go(store: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST", 3)
    names = [new_draft_id() for _ in range(6)]
    for age, name in enumerate(reversed(names)):
        write_draft(store, name, {})
        os.utime(store.path / "drafts" / f"{name}.json", (time.time() - age - 1,) * 2)
    last = new_draft_id()
    write_draft(store, last, {})
    left = {path.stem for path in (store.path / "drafts").iterdir()}
    assert left == {last, *names[-3:]}
