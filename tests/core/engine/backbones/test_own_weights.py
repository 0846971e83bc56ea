"""Files of weights are opened without running what is in them; what is no file of weights is refused in words."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.engine.backbones import own_child
from core.engine.backbones.own_weights import Spec, opened
from core.engine.context import CancelledError
from core.errors import UserError
from tests.core.engine.backbones import hostile_weights as hostile

Make = Callable[[Path], object]


def never() -> None:
    return None


@pytest.mark.thorough
def test_a_file_of_torchs_is_read_in_the_child(tmp_path: Path) -> None:
    path = tmp_path / "best of all.pth"
    whole = {"weight": torch.randn(4, 3), "half": torch.ones(2, dtype=torch.float16), "count": torch.tensor(7)}
    torch.save({"epoch": 3, "note": "x", "model": whole, "more": [{"deep": torch.zeros(2)}]}, path)
    with opened(path, never) as found:
        assert set(found.groups) == {("model",), ("more", "0")}
        assert found.groups["model",]["half"].kind == "float16"
        taken = found.take(("model",), ["weight", "count"])
    assert torch.equal(taken["weight"], whole["weight"])
    assert int(taken["count"]) == 7


def test_safetensors_need_no_child(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2, 2)}, tmp_path / "a.safetensors")
    with opened(tmp_path / "a.safetensors", never) as found:
        assert found.groups[()]["a"].shape == (2, 2)
        assert torch.equal(found.take((), ["a"])["a"], torch.ones(2, 2))


PICKLES: dict[str, tuple[Make, str]] = {
    "os.system": (lambda p: hostile.saved(p, hostile.system(p.parent)), "code"),
    "os.system, legacy": (lambda p: hostile.saved(p, hostile.system(p.parent), legacy=True), "code"),
    "os.system, bare": (lambda p: p.write_bytes(pickle.dumps(hostile.system(p.parent))), "code|pickle"),
    "os.system, nested": (lambda p: hostile.saved(p, {"model": [{"w": hostile.system(p.parent)}]}), "code"),
    "eval": (lambda p: hostile.saved(p, {"w": hostile.evaluated(p.parent)}), "code"),
    "eval, legacy": (lambda p: hostile.saved(p, {"w": hostile.evaluated(p.parent)}, legacy=True), "code"),
    "a class of its own": (hostile.namespace, "code"),
    "a whole module": (hostile.whole_module, "code"),
    "TorchScript": (hostile.script, "script"),
    "tar": (lambda p: hostile.tar(p, p.parent), "tar"),
    "compressed": (hostile.bomb, "compressed"),
    "overlapping": (hostile.overlapping, "overlap"),
    "lying by a little": (hostile.lying_a_little, "stretched|broken"),
    "stretched": (hostile.stretched, "stretched"),
    "cut": (lambda p: hostile.cut(p, 0.5), "broken"),
    "cut at the end": (lambda p: hostile.cut(p, 0.98), "broken"),
    "sparse": (lambda p: hostile.saved(p, {"w": torch.eye(3).to_sparse()}), "odd"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PICKLES)
def test_what_a_pickle_asks_for_is_never_run(kind: str, tmp_path: Path) -> None:
    """As the child does it, without its start."""
    make, code = PICKLES[kind]
    path = tmp_path / "evil.pth"
    make(path)
    with pytest.raises(own_child.Refused) as refused:
        own_child.read(str(path))
    assert refused.value.code in code.split("|"), (refused.value.code, refused.value.detail)
    assert not (tmp_path / hostile.MARKER).exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_cut_legacy_file_is_refused(share: float, tmp_path: Path) -> None:
    hostile.cut(tmp_path / "cut.pt", share, legacy=True)
    with pytest.raises(own_child.Refused):
        own_child.read(str(tmp_path / "cut.pt"))


@pytest.mark.parametrize(
    ("make", "code", "told"),
    [
        (lambda p: hostile.saved(p, hostile.system(p.parent)), "weights_code", "posix.system"),
        pytest.param(hostile.lying_size, "weights_", "", marks=pytest.mark.slow),
        pytest.param(hostile.nested, "weights_", "", marks=pytest.mark.slow),
    ],
    ids=["os.system", "lying size", "nested"],
)
def test_a_hostile_file_is_refused_by_the_child(make: Make, code: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    make(path)
    with pytest.raises(UserError) as refused, opened(path, never):
        pass
    assert refused.value.code.startswith(code)
    assert told in refused.value.given
    assert not (tmp_path / hostile.MARKER).exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pth", b"", "empty"),
        ("a.pth", b"hello", "text"),
        ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{", "safetensors"),
        ("a.safetensors", b"", "safetensors"),
    ],
)
def test_other_files_are_named(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as refused, opened(tmp_path / name, never):
        pass
    assert told in refused.value.given
    assert refused.value.fix


def test_a_safetensors_file_cannot_say_more_than_it_has(tmp_path: Path) -> None:
    hostile.safetensors_lying(tmp_path / "a.safetensors")
    with pytest.raises(UserError) as refused, opened(tmp_path / "a.safetensors", never):
        pass
    assert refused.value.code == "weights_damaged"


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("while True: pass", "weights_too_large", "too long"),
        ("import time; time.sleep(60)", "weights_too_large", "too long"),
        ("import os; os.abort()", "weights_damaged", "crashes"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 8); sys.stdout.flush()", "weights_damaged", "crashes"),
    ],
    ids=["computes", "sleeps", "dies", "answers too much"],
)
def test_a_child_that_gives_no_answer_is_ended(
    program: str, code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own processor time, or because it sleeps; a busy machine alone refuses nothing."""
    child = tmp_path / "child.py"
    child.write_text(program)
    for name, value in {"CHILD": child, "SECONDS": 0.3, "STILL": 0.8, "GLANCE": 0.1}.items():
        monkeypatch.setattr(f"core.engine.backbones.own_weights.{name}", value)
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(UserError) as refused, opened(tmp_path / "a.pth", never):
        pass
    assert (refused.value.code, told in refused.value.given) == (code, True)


def test_a_cancelled_import_ends_its_child(tmp_path: Path) -> None:
    torch.save(hostile.state(), tmp_path / "a.pth")

    def stop() -> None:
        raise CancelledError

    with pytest.raises(CancelledError), opened(tmp_path / "a.pth", stop):
        pass


@pytest.mark.thorough
def test_the_child_may_write_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose limits do not end with the test."""
    import subprocess
    import sys

    code = (
        "import runpy, sys; child = runpy.run_path(sys.argv[1]); child['confine'](0)\n"
        "open(sys.argv[2], 'wb', 0).write(b'x')"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code, str(own_child.__file__), str(tmp_path / "out")],
        capture_output=True,
        check=False,
    )
    assert ended.returncode != 0
    assert (tmp_path / "out").stat().st_size == 0


@pytest.mark.thorough
def test_a_flipped_byte_is_found_by_its_checksum_and_files_without_checksums_are_read(tmp_path: Path) -> None:
    """torch.load itself compares no checksum."""
    path = tmp_path / "w.pth"
    torch.save({"a.weight": torch.arange(4000.0), "a.bias": torch.ones(5000)}, path)
    whole = path.read_bytes()
    for share in (0.3, 0.5, 0.7, 0.9):
        place = int(share * len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(UserError, match="checksum") as caught, opened(path, lambda: None):
            pass
        assert caught.value.code == "weights_damaged"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a.weight": torch.arange(4000.0)}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    with opened(path, lambda: None) as found:
        assert found.groups == {(): {"a.weight": Spec((4000,), "float32")}}
