"""All that is kept only to be faster shares one size: above it, what was not used for longest goes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from core.cli import main
from core.errors import UserError
from core.storage.sealed import read_kept, write_kept
from core.workspace import Workspace
from core.workspace_files import cache

MEGABYTE = 10**6


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path)


def keep(workspace: Workspace, name: str, age: float, size: int = MEGABYTE) -> Path:
    """Something of `size` bytes that was last used `age` seconds ago; a folder where the name ends with /."""
    path = workspace.cache / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
        (path / "model.safetensors").write_bytes(bytes(size))
    else:
        path.write_bytes(bytes(size))
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return path


def test_what_was_not_used_for_longest_goes_whichever_cache_it_is_in(workspace: Workspace) -> None:
    oldest, old = keep(workspace, "models/a/", 300), keep(workspace, "embeddings/b.kept", 200)
    new, newest = keep(workspace, "extractors/c.kept", 100), keep(workspace, "models/d/", 0)
    assert cache.make_room(workspace, 4 * MEGABYTE) == 0
    assert cache.make_room(workspace, 3 * MEGABYTE) == 2 * MEGABYTE, "down to nine tenths"
    assert [path.exists() for path in (oldest, old, new, newest)] == [False, False, True, True]


def test_what_is_read_counts_as_used(workspace: Workspace) -> None:
    first, second = workspace.cache / "embeddings/1.kept", workspace.cache / "embeddings/2.kept"
    first.parent.mkdir(parents=True)
    for path, moment in ((first, 100), (second, 200)):
        write_kept(path, bytes(MEGABYTE))
        os.utime(path, (moment, moment))
    assert read_kept(first) is not None
    assert cache.make_room(workspace, MEGABYTE + MEGABYTE // 2) > 0
    assert (first.exists(), second.exists()) == (True, False)


def test_downloads_and_decoded_images_stay(workspace: Workspace) -> None:
    weights = keep(workspace, "weights/net.pth", 900)
    decoded = workspace.datasets / "own-1" / "cache" / "train.safetensors"
    decoded.parent.mkdir(parents=True)
    decoded.write_bytes(bytes(MEGABYTE))
    kept = keep(workspace, "models/a/", 0)
    assert cache.make_room(workspace, 0) == MEGABYTE
    assert (weights.exists(), decoded.exists(), kept.exists()) == (True, True, False)


def test_the_limit_is_a_tenth_of_a_small_disk_and_what_a_person_says(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(cache.LIMIT, raising=False)
    assert cache.limit(workspace) == min(20 * 10**9, shutil.disk_usage(workspace.path).total // 10)
    monkeypatch.setenv(cache.LIMIT, "1.5")
    assert cache.limit(workspace) == 1_500_000_000
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv(cache.LIMIT, wrong)
        with pytest.raises(UserError, match="CONDENSER_CACHE_LIMIT"):
            cache.limit(workspace)


def test_the_command_says_how_much_may_be_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(cache.LIMIT, "3")
    keep(workspace, "models/a/", 0)
    keep(workspace, "weights/net.pth", 0)
    with pytest.raises(SystemExit):
        main(["cache", "--workspace", str(workspace.path)])
    assert "1.00 MB  of 3.00 GB that may be kept beside downloads" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["cache", "--json", "--workspace", str(workspace.path)])
    assert {row["file"] for row in json.loads(capsys.readouterr().out)} == {"cache/models", "cache/weights"}
