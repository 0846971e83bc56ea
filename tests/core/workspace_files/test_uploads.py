"""What comes through the browser: names stay data, too much is refused, and nothing of it is left."""

from __future__ import annotations

import os
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import Failpoint, breaking
from core.workspace import Workspace
from core.workspace_files import uploads

NAMES = ("../../etc/passwd", "/etc/x", "a\\b.png", "<img onerror=1>/1.png", "\u202egnp.1/x.png", "🐱/1.png", "a" * 300)


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "ws")


def files(store: Workspace) -> list[Path]:
    return sorted(path for path in store.path.rglob("*") if path.is_file())


def test_no_name_becomes_a_path(store: Workspace, tmp_path: Path) -> None:
    path = uploads.keep_files(store, "../../x", dict.fromkeys(NAMES, b"data"))
    assert files(store) == [path]
    assert path.resolve().is_relative_to(store.path.resolve() / "jobs")
    with zipfile.ZipFile(path) as packed:
        assert len(packed.namelist()) == len(NAMES)
    single = uploads.keep_file(store, "../../evil/../x.zip", b"PK")
    assert single.resolve().is_relative_to(store.path.resolve() / "jobs")
    for each in (path, single):
        uploads.drop(store, each)
    assert files(store) == []
    assert sorted(tmp_path.iterdir()) == [store.path]


def test_only_uploads_are_dropped(store: Workspace, tmp_path: Path) -> None:
    mine = tmp_path / "photos" / "1.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    uploads.drop(store, mine)
    uploads.drop(store, mine.parent)
    assert mine.exists()


def test_too_much_is_refused_before_anything_is_written(store: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST", 10)
    with pytest.raises(UserError, match="path on this machine"):
        uploads.keep_files(store, "x", {"a/1.png": b"12345678901"})
    monkeypatch.setattr(uploads, "MOST_FILES", 1)
    with pytest.raises(UserError, match="path on this machine"):
        uploads.keep_files(store, "x", {"a/1.png": b"1", "a/2.png": b"2"})
    assert list((store.path / "jobs").iterdir()) == []


def test_a_full_disk_leaves_nothing_and_old_uploads_are_tidied_up(store: Workspace) -> None:
    at, path = 0, None
    while path is None:
        at += 1
        with breaking(Failpoint("enospc", at)), suppress(OSError):
            path = uploads.keep_files(store, "x", {"a/1.png": b"1"})
        assert files(store) == ([] if path is None else [path])
    assert at > 3
    store.tidy()
    assert path.exists()
    old = time.time() - 25 * 3600
    os.utime(path.parent, (old, old))
    store.tidy()
    assert not path.exists()
