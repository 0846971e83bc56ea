"""Whole or not at all, under every fault, and never outside its folder."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import files
from core.errors import UserError
from core.files import (
    Failpoint,
    append_line,
    breaking,
    check_failpoint,
    close_to_others,
    lock,
    make_folder,
    move,
    open_log,
    remove_tree,
    replacing,
    safe_join,
    write_atomic,
)


def fork() -> int:
    """A child that touches files and leaves by os._exit: safe beside the threads Python 3.12 warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def survives(kind: str, at: int, scenario: Callable[[], None]) -> bool:
    """Runs `scenario` in a child with the failpoint; True if the fault never fired."""
    child = fork()
    if child == 0:
        fault = Failpoint(kind, at)
        files.failpoint = fault
        try:
            scenario()
        except OSError:
            pass
        finally:
            os._exit(1 if fault.fired else 0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("kind", ["kill", "torn", "enospc", "eio", "erofs"])
def test_a_write_leaves_the_old_content_or_the_new_whatever_fails(tmp_path: Path, kind: str) -> None:
    path, old, new = tmp_path / "x", b"old" * 1000, b"new!" * 5000
    found = set()
    for at in range(1, 50):
        path.write_bytes(old)
        whole = survives(kind, at, lambda: write_atomic(path, new))
        assert path.read_bytes() in {old, new}, (kind, at)
        found.add(path.read_bytes() == new)
        if kind not in {"kill", "torn"}:
            assert [p.name for p in tmp_path.iterdir()] == ["x"], "a failed write cleans up"
        if whole:
            break
    else:
        pytest.fail("the scenario never ended without the fault")
    assert path.read_bytes() == new
    assert found == {True, False}, "some faults must have kept the old content, or the test tests nothing"
    assert at > 4


@pytest.mark.parametrize("kind", ["kill", "torn", "enospc", "eio", "erofs"])
def test_lines_appended_before_and_after_a_fault_are_all_there(tmp_path: Path, kind: str) -> None:
    for at in range(1, 50):
        path = tmp_path / f"{kind}{at}"
        append_line(path, b"before")
        whole = survives(kind, at, lambda path=path: append_line(path, b"0123456789", sync=True))  # type: ignore[misc]
        append_line(path, b"after")
        lines = path.read_bytes().split(b"\n")
        assert lines[0] == b"before"
        assert lines[-2:] == [b"after", b""], "the torn line is ended before the new one"
        if kind == "torn" and at == 2:
            assert lines[1] == b"01234"
        if whole:
            assert lines[1] == b"0123456789"
            return
    pytest.fail("never passed")


def test_a_full_disk_stays_full(tmp_path: Path) -> None:
    with breaking(Failpoint.parse("enospc:1+")):  # type: ignore[arg-type]
        for _ in range(3):
            with pytest.raises(OSError) as told:
                write_atomic(tmp_path / "x", b"data")
            assert told.value.errno == errno.ENOSPC
    write_atomic(tmp_path / "x", b"data")
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_failpoints_are_read_from_the_environment(tmp_path: Path) -> None:
    assert Failpoint.parse("") is None
    assert Failpoint.parse("kill:7") == Failpoint("kill", 7)
    for wrong in ("burn:1", "kill:0", "kill:x"):
        with pytest.raises(ValueError):
            Failpoint.parse(wrong)


def test_replacing_gives_libraries_a_path_with_the_same_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.onnx") as temporary:
        assert temporary.suffix == ".onnx"
        temporary.write_bytes(b"weights")
        assert not (tmp_path / "model.onnx").exists()
    assert (tmp_path / "model.onnx").read_bytes() == b"weights"
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "model.onnx") as temporary:
        (temporary.parent / "missing" / "folder").write_bytes(b"half")
    assert (tmp_path / "model.onnx").read_bytes() == b"weights"
    assert len(list(tmp_path.iterdir())) == 1


OUTSIDE = [
    "../x",
    "/etc/passwd",
    "a/../../x",
    "..",
    ".",
    "",
    "a//b",
    "a\\..\\b",
    "C:/x",
    "c:x",
    "a\0b",
    "a\nb",
    "é" * 128,
]


@pytest.mark.parametrize("part", OUTSIDE)
def test_safe_join_refuses_what_could_leave_the_folder(tmp_path: Path, part: str) -> None:
    with pytest.raises(UserError) as told:
        safe_join(tmp_path, part)
    assert told.value.code == "unsafe_path"
    with pytest.raises(UserError):
        safe_join(tmp_path, "a", part)


def test_safe_join_refuses_a_link_that_leads_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "way_out").symlink_to(tmp_path)
    with pytest.raises(UserError):
        safe_join(tmp_path / "root", "way_out", "x")
    with pytest.raises(UserError):
        safe_join(tmp_path / "root", "\udcff")
    with pytest.raises(UserError):
        safe_join(tmp_path / "root")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_safe_join_stays_inside_or_refuses(parts: list[str]) -> None:
    root = Path("/nowhere/root")
    try:
        joined = safe_join(root, *parts)
    except UserError:
        return
    assert joined != root
    assert os.path.normpath(joined) == str(joined)
    assert joined.is_relative_to(root)


def test_safe_join_accepts_names_of_every_script(tmp_path: Path) -> None:
    assert safe_join(tmp_path, "artifacts/模型.onnx") == tmp_path / "artifacts" / "模型.onnx"
    assert safe_join(tmp_path, "a", "b c…") == tmp_path / "a" / "b c…"


def test_move_replaces_nothing_and_remove_follows_no_link(tmp_path: Path) -> None:
    source, target = make_folder(tmp_path / "a" / "b"), make_folder(tmp_path / "c")
    (source / "kept").write_bytes(b"1")
    with pytest.raises(FileExistsError):
        move(source, target)
    move(source, target / "b")
    (tmp_path / "link").symlink_to(target)
    remove_tree(tmp_path / "link")
    assert (target / "b" / "kept").exists()
    remove_tree(target)
    remove_tree(target)
    assert not target.exists()


def test_the_lock_is_exclusive_and_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, wait=False) as first, lock(path, wait=False) as second:
        assert (first, second) == (True, False)
    read, write = os.pipe()
    child = fork()
    if child == 0:
        with lock(path):
            os.write(write, b"x")
            os.read(read, 0)
            os.kill(os.getpid(), 9)
    os.read(read, 1)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    with lock(path, wait=False) as mine:
        assert mine


# who may read what is written


def rights(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_written_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = make_folder(tmp_path / "a" / "b")
        write_atomic(folder / "whole", b"1")
        append_line(folder / "lines", b"1")
        with open_log(folder / "log") as log, lock(folder / "lock"):
            log.write(b"1")
        with replacing(folder / "of a library") as temporary:
            temporary.write_bytes(b"1")
    finally:
        os.umask(before)
    assert {rights(path) for path in folder.iterdir()} == {"0o600"}
    assert rights(folder) == rights(folder.parent) == "0o700"


def test_what_is_taken_away_has_the_rights_that_a_person_chose(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder = make_folder(tmp_path / "bundle", private=False)
        write_atomic(folder / "file", b"1", private=False)
    finally:
        os.umask(before)
    assert (rights(folder), rights(folder / "file")) == ("0o750", "0o640")


def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(0o755)
    close_to_others(tmp_path / "open")
    assert rights(tmp_path / "open") == "0o700"


@pytest.mark.parametrize("given", ["junk", "kill", "kill:0", "enospc:x", "eio:-1", "kill:1e3", "torn:²"])
def test_a_failpoint_that_is_none_is_refused_at_the_first_operation(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that breaks nothing in silence would prove nothing."""
    monkeypatch.setenv("CONDENSER_FAILPOINT", given)
    misread = files._from_environment()
    assert misread is not None
    with breaking(misread), pytest.raises(UserError) as told:
        write_atomic(tmp_path / "file", b"1")
    assert (told.value.code, told.value.field, told.value.given) == ("bad_failpoint", "CONDENSER_FAILPOINT", given)
    with breaking(misread), pytest.raises(UserError):
        check_failpoint()
    check_failpoint()
    assert list(tmp_path.iterdir()) == []
