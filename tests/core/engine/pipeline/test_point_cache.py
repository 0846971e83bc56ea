"""What an earlier run measured of the same steps is taken with its files, says when it was measured, and is held to its
hash."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from core.engine.measure.record import TIMINGS
from core.engine.pipeline.point_cache import KeptPoint, PointCache
from core.engine.pipeline.run import run_recipe
from core.points import Latency, Point
from core.runs import Run
from core.workspace import Workspace

RECIPE = """
name = "again"
dataset = "digits"
backbone = "resnet8"
image_size = 8
threads = 1

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5
epochs = 1
twin = true

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 32
"""


def point(*, noisy: bool = False) -> Point:
    timed = Latency(runtime="onnxruntime", device="cpu", threads=1, batch=1, n=9, p50=1.0, p95=2.0, noisy=noisy)
    return Point(
        step=1,
        stage="prune",
        method="l2",
        name="net",
        accuracy=0.5,
        bytes=3,
        latency_ms=timed,
        receipt={"notes": ["what was said"], "layers": {"touched": 1, "total": 2}},
    )


@pytest.fixture
def kept(tmp_path: Path) -> KeptPoint:
    """A point with two files that the log lists and one that it does not."""
    for name in ("model.onnx", "card.json", TIMINGS):
        (tmp_path / name).write_bytes(name.encode())
    told = (tmp_path / "model.onnx", tmp_path / "card.json")
    return KeptPoint.of(point(), told, torch.arange(6.0).reshape(2, 3), quantized=True)


def test_a_point_comes_back_with_its_files(kept: KeptPoint, tmp_path: Path) -> None:
    cache = PointCache(tmp_path / "cache", "here")
    cache.put("key", kept)
    found = cache.take("key")
    assert found is not None
    assert (found.point, found.told, found.quantized, found.measured) == (
        kept.point,
        ("model.onnx", "card.json"),
        True,
        kept.measured,
    )
    assert torch.equal(found.logits, kept.logits)
    found.put_into(tmp_path / "there")
    written = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    assert written == {name: name.encode() for name in ("model.onnx", "card.json", TIMINGS)}


def test_it_says_when_it_was_measured_and_where_its_file_is(kept: KeptPoint) -> None:
    dated = kept.dated("artifacts/step-1/model.onnx")
    assert dated.artifact == "artifacts/step-1/model.onnx"
    assert dated.receipt["notes"] == ["what was said", kept.note]
    assert dated.model_copy(update={"receipt": kept.point.receipt, "artifact": None}) == kept.point


def test_other_conditions_and_keys_know_nothing_of_it(kept: KeptPoint, tmp_path: Path) -> None:
    PointCache(tmp_path / "cache", "here").put("key", kept)
    assert PointCache(tmp_path / "cache", "there").take("key") is None
    assert PointCache(tmp_path / "cache", "here").take("another") is None
    assert not PointCache(tmp_path / "cache", "there").holds("key")


def test_figures_of_a_busy_machine_are_not_kept(kept: KeptPoint, tmp_path: Path) -> None:
    cache = PointCache(tmp_path / "cache", "here")
    cache.put("key", KeptPoint(point(noisy=True), kept.files, kept.told, kept.logits, quantized=False))
    assert not cache.holds("key")


def test_what_is_damaged_is_not_believed(kept: KeptPoint, tmp_path: Path) -> None:
    cache = PointCache(tmp_path / "cache", "here")
    cache.put("key", kept)
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert cache.take("key") is None, place
        assert cache.holds("key")


# whole runs


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Run]:
    """Runs of the recipe, one after another in one workspace; however busy this machine is, their figures are kept."""
    monkeypatch.setattr("core.engine.measure.latency.BUSY", float("inf"))
    store = Workspace.open_or_create(tmp_path / "store")

    def finish() -> Run:
        run = store.create_run(RECIPE)
        run_recipe(run, os.getpid())
        return run

    return finish


def files(run: Run) -> dict[str, str]:
    return {artifact.path: artifact.sha256 for artifact in run.state().artifacts}


def bare(found: Point) -> Point:
    """Without what says when it was measured."""
    notes = [note for note in found.receipt["notes"] if not note.startswith("Measured on ")]  # type: ignore[union-attr]
    return found.model_copy(update={"receipt": {**found.receipt, "notes": notes}})


@pytest.mark.thorough
def test_a_run_of_the_same_steps_measures_nothing_again(finished: Callable[[], Run]) -> None:
    first, second = finished(), finished()
    before, after = first.state(), second.state()
    for one, other in ((before.points, after.points), (before.controls, after.controls)):
        assert list(map(bare, other)) == list(one)
        assert all("Measured on " in str(point.receipt["notes"]) for point in other)
    assert (len(after.points), len(after.controls)) == (3, 1)
    assert files(first) == files(second)
    for path, digest in files(second).items():
        assert sha256((second.folder / path).read_bytes()).hexdigest() == digest


@pytest.mark.slow
def test_a_damaged_point_is_measured_anew_with_a_warning(finished: Callable[[], Run]) -> None:
    first = finished()
    for path in (first.folder.parent.parent / "cache" / "points").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    second = finished()
    assert {warned.code for warned in second.state().warnings} >= {"cache_damaged"}
    one, other = files(first), files(second)
    assert {path for path in one if one[path] != other[path]} == {path for path in one if path.endswith(TIMINGS)}
    assert one.keys() == other.keys()
    assert not any("Measured on " in str(point.receipt["notes"]) for point in second.state().points)
