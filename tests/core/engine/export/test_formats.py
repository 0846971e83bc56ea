"""Every format of export: read back in its own runtime, it answers as the model that was measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from core.engine.backbones import find, load_backbone
from core.engine.context import Context
from core.engine.data import Dataset, prepare
from core.engine.export import RECEIPT, Export
from core.engine.export.graph import write_graph
from core.engine.export.parity import Answer
from core.engine.measure.runtime import open_session, prepared
from core.engine.method import Saved, build, methods
from core.engine.model import Model
from core.engine.model_file import load_model
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration, Quantize
from core.errors import UserError
from core.run_files.bundle import CARD

MakeContext = Callable[..., Context]
HERE = [name for name in methods("export") if name != "openvino" or find_spec("openvino")]
FROM_NETWORK = [name for name, method in methods("export").items() if not method.takes_quantized]


@dataclass(frozen=True)
class Measured:
    """A model as steps leave it: in torch, and its float file and int8 file with their cards."""

    model: Model
    source: Path
    quantized: Path


@pytest.fixture(scope="session")
def whole(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A network whose batch norms know the digits."""
    torch.manual_seed(0)
    net = load_backbone("resnet8", 10, "none", 8, width=8, channels=1)
    model = Model(net, "resnet8", digits.classes, find("resnet8").preprocessing(8, 1), 8)
    with torch.no_grad():
        net.train()(prepare(digits.train.images[:256], model.preprocessing))
    net.eval()
    return measured(model, digits, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def pruned(whole: Measured, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Its half after a cut: what a plan has to tell."""
    thinned = whole.model.with_net(prune_channels(whole.model.net, torch.zeros(2, 1, 8, 8), 0.5))
    return measured(thinned, digits, tmp_path_factory.mktemp("pruned"))


@pytest.fixture(params=["whole", "pruned"])
def made(request: pytest.FixtureRequest) -> Measured:
    found: Measured = request.getfixturevalue(request.param)
    return found


def measured(model: Model, digits: Dataset, folder: Path) -> Measured:
    card = {"classes": model.classes, "preprocessing": model.preprocessing.to_json(), "backbone": model.backbone}
    files = [folder / name / "model.onnx" for name in ("float", "int8")]
    for path in files:
        path.parent.mkdir()
        (path.parent / CARD).write_text(json.dumps(card))
    write_graph(model, files[0])
    static = build("quantize", "static", calibration_images=64)
    assert isinstance(static, Quantize)
    images = Calibration(lambda: prepared(digits.train.images[:64], model.preprocessing))
    static.convert(files[0], files[1], images)
    return Measured(model, *files)


def exported(name: str, made: Measured, context: Context, folder: Path, **options: int) -> Saved:
    return build("export", name, **options).save(made.model, folder / "model.onnx", context)


def images(model: Model, digits: Dataset, count: int) -> NDArray[np.float32]:
    (batch,) = prepared(digits.test.images[:count], model.preprocessing, count)
    return batch


def in_torch(model: Model, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        logits: NDArray[np.float32] = model.net(torch.from_numpy(batch)).numpy()
    return logits


def reloaded(name: str, folder: Path, **options: int) -> Answer:
    method = build("export", name, **options)
    assert isinstance(method, Export)
    return method.reload(folder, 1)


@pytest.mark.thorough
@pytest.mark.parametrize("name", HERE)
def test_a_format_answers_as_the_network(
    name: str, made: Measured, digits: Dataset, make_context: MakeContext, tmp_path: Path
) -> None:
    """And every number of its export.json again, from the files alone."""
    saved = exported(name, made, make_context(artifact=made.source, source=made.source), tmp_path)
    assert {path.name for path in saved.files} == {path.name for path in tmp_path.iterdir()}, "every file is told"
    assert json.loads((tmp_path / "labels.json").read_text()) == list(made.model.classes)
    assert json.loads((tmp_path / "preprocessing.json").read_text())["size"] == 8
    answer = reloaded(name, tmp_path)
    for count in (1, 7):  # the batch is free
        batch = images(made.model, digits, count)
        np.testing.assert_allclose(answer(batch), in_torch(made.model, batch), atol=1e-4)
    receipt = json.loads((tmp_path / RECEIPT).read_text())
    assert receipt["files"] == {p.name: p.stat().st_size for p in tmp_path.iterdir() if p.name != RECEIPT}
    (batch,) = prepared(digits.validation.images[:64], made.model.preprocessing, 64)
    mine, exact = answer(batch), in_torch(made.model, batch)
    theirs = open_session(made.source, 1).run(["logits"], {"image": batch})[0]
    parity = receipt["parity"]
    assert parity["images"] == 64
    assert parity["difference_from_torch"] == pytest.approx(float(np.abs(mine - exact).max()), abs=1e-6)
    assert parity["difference_from_file"] == pytest.approx(float(np.abs(mine - theirs).max()), abs=1e-6)
    assert parity["largest_logit"] == pytest.approx(float(np.abs(exact).max()))
    assert parity["same_answers"] == float((mine.argmax(1) == theirs.argmax(1)).mean())
    assert f"{parity['difference_from_torch']:.1e}" in saved.notes[0]


def test_equal_models_give_equal_files(whole: Measured, make_context: MakeContext, tmp_path: Path) -> None:
    """And no file says where on this machine it was made. (OpenVINO numbers its nodes through a whole process.)"""
    context = make_context(artifact=whole.source, source=whole.source)
    for name in HERE:
        written = [exported(name, whole, context, tmp_path / name / twin).files for twin in ("one", "two")]
        for one, two in zip(*written, strict=True):
            assert one.read_bytes() == two.read_bytes() or one.suffix == ".xml", one.name
            assert str(Path.cwd()).encode() not in one.read_bytes()
            assert str(tmp_path).encode() not in one.read_bytes()


def test_safetensors_hold_every_tensor_bit_for_bit(made: Measured, make_context: MakeContext, tmp_path: Path) -> None:
    exported("safetensors", made, make_context(artifact=made.source, source=made.source), tmp_path)
    again = load_model(tmp_path)
    mine, theirs = made.model.net.state_dict(), again.net.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert (again.classes, again.preprocessing) == (made.model.classes, made.model.preprocessing)


def test_a_program_of_torch_needs_nothing_of_ours(whole: Measured, make_context: MakeContext, tmp_path: Path) -> None:
    exported("torch_export", whole, make_context(artifact=whole.source, source=whole.source), tmp_path)
    labels = {"labels.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=labels)
    assert json.loads(labels["labels.json"]) == list(whole.model.classes)
    assert program.module()(torch.zeros(5, 1, 8, 8)).shape == (5, 10)


@pytest.mark.parametrize("quantized", [False, True])
def test_onnx_for_a_fixed_batch(
    quantized: bool, whole: Measured, digits: Dataset, make_context: MakeContext, tmp_path: Path
) -> None:
    artifact = whole.quantized if quantized else whole.source
    context = make_context(artifact=artifact, source=whole.source)
    exported("onnx", whole, context, tmp_path / "free")
    exported("onnx", whole, context, tmp_path / "three", fixed_batch=3)
    assert (tmp_path / "free" / "model.onnx").read_bytes() == artifact.read_bytes(), "the measured file, bit for bit"
    path = tmp_path / "three" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert (session.get_inputs()[0].shape[0], session.get_outputs()[0].shape[0]) == (3, 3)
    batch = images(whole.model, digits, 7)
    free = reloaded("onnx", tmp_path / "free")(batch)
    np.testing.assert_allclose(reloaded("onnx", path.parent, fixed_batch=3)(batch), free, atol=1e-5)
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        session.run(None, {"image": batch})
    onnx.checker.check_model(onnx.load(path))


@pytest.mark.parametrize("name", [name for name in HERE if name not in FROM_NETWORK])
def test_a_quantized_file_stays_quantized(
    name: str, whole: Measured, make_context: MakeContext, tmp_path: Path
) -> None:
    context = make_context(artifact=whole.quantized, source=whole.source)
    saved = exported(name, whole, context, tmp_path)
    parity = json.loads((tmp_path / RECEIPT).read_text())["parity"]
    assert parity["quantized"] is True
    assert parity["same_answers"] >= 60 / 64
    assert "the measured file" in saved.notes[0]
    assert f"{parity['difference_from_file']:.1e}" in saved.notes[0]
    weights = sum(path.stat().st_size for path in saved.files if path.suffix in (".onnx", ".bin"))
    assert weights < 0.6 * whole.source.stat().st_size


class Broken(Export):
    """A format that loses something on the way."""

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        return ()

    def reload(self, folder: Path, threads: int) -> Answer:
        return lambda images: np.ones((len(images), 10), np.float32)


Broken.title = methods("export")["onnx"].title


def test_a_file_that_answers_otherwise_is_refused(whole: Measured, make_context: MakeContext, tmp_path: Path) -> None:
    context = make_context(artifact=whole.source, source=whole.source)
    with pytest.raises(UserError) as refused:
        Broken().save(whole.model, tmp_path / "model.onnx", context)
    assert refused.value.code == "export_differs"


def test_without_openvino_its_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError) as refused:
        build("export", "openvino").check_machine()
    assert 'pip install -e ".[openvino]"' in refused.value.fix
