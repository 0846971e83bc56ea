"""A run goes into a zip and comes out of it in another workspace, byte for byte; a zip that was tampered with does
not."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.engine.questions.import_run import answer
from core.errors import UserError
from core.integrity.verify import of_whole_run
from core.jobs import Job
from core.questions.import_run import ImportRunRequest
from core.run_files import parcel, run_table
from core.runs import Run
from core.storage.sealed import seal, unseal
from core.workspace import Workspace

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def packed(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parcel") / "run.zip"
    parcel.pack(finished, path)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "other")


def receive(path: Path, other: Workspace) -> str:
    request = ImportRunRequest(str(path))
    job = other.ask(request)
    return answer(request, Job(job.folder)).run


def contents(path: Path) -> Files:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def written(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def relisted(files: Files, **changed: bytes | None) -> Files:
    """The files with some changed or left out, and a list that agrees with them: a forger can seal too."""
    made = {**files, **{name.replace("__", "."): data for name, data in changed.items() if data is not None}}
    manifest = json.loads(unseal(files[parcel.MANIFEST]).body)
    manifest["files"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in made.items()
        if name != parcel.MANIFEST
    }
    return {**made, parcel.MANIFEST: seal(json.dumps(manifest).encode())}


def test_a_run_arrives_as_it_was_sent(packed: Path, finished: Run, other: Workspace) -> None:
    run_id = receive(packed, other)
    here = other.run(run_id)
    assert run_id == finished.id
    assert here.summary().points == finished.summary().points
    assert here.recipe() == finished.recipe()
    for saved in finished.state().artifacts:
        assert (here.folder / saved.path).read_bytes() == (finished.folder / saved.path).read_bytes()
    assert not [found for found in of_whole_run(here) if found.state.is_bad]
    assert other.runs()[0].id == run_id


def test_the_same_run_makes_the_same_zip(packed: Path, finished: Run, tmp_path: Path) -> None:
    parcel.pack(finished, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    names = contents(packed).keys()
    assert not [name for name in names if name.startswith(("checkpoints", "log", "worker"))]


def test_a_run_that_is_here_already_is_refused(packed: Path, other: Workspace) -> None:
    receive(packed, other)
    with pytest.raises(UserError) as caught:
        receive(packed, other)
    assert caught.value.code == "run_is_here"


def test_what_is_not_over_or_there_already_is_not_packed(other: Workspace, finished: Run, tmp_path: Path) -> None:
    waiting = other.create_run(finished.recipe_text)
    with pytest.raises(UserError, match="a run that is over"):
        parcel.pack(waiting, tmp_path / "x.zip")
    (tmp_path / "x.zip").touch()
    with pytest.raises(UserError, match="a new file"):
        parcel.pack(finished, tmp_path / "x.zip")


def test_a_damaged_artifact_is_not_sent(finished: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(finished.folder, tmp_path / finished.id)))
    (copy.folder / copy.state().artifacts[0].path).write_bytes(b"other")
    with pytest.raises(UserError) as caught:
        parcel.pack(copy, tmp_path / "x.zip")
    assert caught.value.code == "damaged_artifact"
    assert not (tmp_path / "x.zip").exists()


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


TAMPERED: dict[str, Callable[[Files], Files]] = {
    "artifact": lambda f: {**f, "artifacts/step-0/model.onnx": flipped(f["artifacts/step-0/model.onnx"])},
    "list": lambda f: {**f, "parcel.json": flipped(f["parcel.json"])},
    "no list": lambda f: {name: data for name, data in f.items() if name != "parcel.json"},
    "unsealed list": lambda f: {**f, "parcel.json": unseal(f["parcel.json"]).body},
    "no log": lambda f: {name: data for name, data in f.items() if name != "events.jsonl"},
    "another file": lambda f: {**f, "artifacts/more.onnx": b"x"},
    "forged artifact": lambda f: relisted({**f, "artifacts/step-0/model.onnx": b"x"}),
    "forged file beside": lambda f: relisted({**f, "worker.json": b"{}"}),
    "forged log": lambda f: relisted(f, events__jsonl=flipped(f["events.jsonl"])),
    "forged empty log": lambda f: relisted(f, events__jsonl=b""),
    "forged log without its end": lambda f: relisted(f, events__jsonl=f["events.jsonl"].rsplit(b"\n", 2)[0] + b"\n"),
    "forged path": lambda f: relisted({**f, "artifacts/../../evil": b"x"}),
    "forged absolute path": lambda f: relisted({**f, "/etc/evil": b"x"}),
    "forged id": lambda f: {**f, "parcel.json": seal(unseal(f["parcel.json"]).body.replace(b'n": "', b'n": "../'))},
}


@pytest.mark.parametrize("way", TAMPERED)
def test_a_zip_that_was_tampered_with_leaves_nothing_behind(
    packed: Path, other: Workspace, tmp_path: Path, way: str
) -> None:
    bad = written(tmp_path / "bad.zip", TAMPERED[way](contents(packed)))
    with pytest.raises(UserError) as caught:
        receive(bad, other)
    assert caught.value.code in ("bad_parcel", "unsafe_path", "lying_zip", "damaged_zip")
    assert other.run_ids() == []
    assert list((other.path / "runs").iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("more", [{"format": 2}, {"format": 3, "files": ["recipe.toml"], "run": {"id": 1}}])
def test_a_zip_of_a_later_version_says_so(
    packed: Path, other: Workspace, tmp_path: Path, more: dict[str, object]
) -> None:
    files = contents(packed)
    manifest = seal(json.dumps({**json.loads(unseal(files[parcel.MANIFEST]).body), **more}).encode())
    with pytest.raises(UserError, match="Update Condenser here") as caught:
        receive(written(tmp_path / "later.zip", {**files, parcel.MANIFEST: manifest}), other)
    assert caught.value.code == "newer_parcel"
    assert list((other.path / "runs").iterdir()) == []


def test_a_list_of_another_kind_is_refused_in_a_sentence(packed: Path, other: Workspace, tmp_path: Path) -> None:
    """Not in pydantic's lines."""
    files = {**contents(packed), parcel.MANIFEST: seal(b'{"format":1,"run":[],"files":{"a":{"bytes":"many"}}}')}
    with pytest.raises(UserError) as caught:
        receive(written(tmp_path / "odd.zip", files), other)
    assert caught.value.given == "parcel.json that is no list of a run's files"


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 100])
def test_what_is_no_zip_is_refused(other: Workspace, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(UserError):
        receive(tmp_path / "x.zip", other)


def test_the_table_has_every_parameter_point_and_curve(finished: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run_table.to_csv(finished).decode("utf-8-sig"))))
    told = {(row["kind"], row["step"], row["name"], row["figure"]): row["value"] for row in rows}
    for point in finished.summary().points:
        assert float(told["point", str(point.step), point.name, "accuracy"]) == point.accuracy
        assert int(told["point", str(point.step), point.name, "bytes"]) == point.bytes
    assert told["parameter", "1", "", "ratio"] == "0.5"
    assert told["parameter", "", "", "dataset"] == "digits"
    curve = [row for row in rows if row["kind"] == "curve" and row["step"] == "0"]
    measured = {float(row["value"]) for row in curve if row["figure"] == "validation_accuracy"}
    assert measured == {
        p.validation_accuracy for p in finished.state().steps[0].curve if p.validation_accuracy is not None
    }
    assert {row["unit"] for row in rows if row["figure"] == "bytes"} == {"bytes"}


def test_no_cell_is_a_formula(store: Workspace, finished: Run) -> None:
    evil = store.create_run(finished.recipe_text.replace("small [digits]", "=1+1"))
    rows = list(csv.reader(io.StringIO(run_table.to_csv(evil).decode("utf-8-sig"))))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
