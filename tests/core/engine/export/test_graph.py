from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from core.engine.data import Dataset, prepare
from core.engine.export.graph import fingerprint, with_embedding, with_head, write_graph
from core.engine.measure.file import parity
from core.engine.measure.runtime import open_session, predict
from core.engine.model import Model
from core.engine.model_file import load_model, save_model

Maker = Callable[..., Model]


@pytest.mark.thorough
def test_the_file_answers_as_the_network(make_model: Maker, digits: Dataset, tmp_path: Path) -> None:
    model, path = make_model(), tmp_path / "model.onnx"
    model.net.train()
    with torch.no_grad():
        model.net(prepare(digits.train.images[:256], model.preprocessing))  # statistics that are not the defaults
    model.net.eval()
    write_graph(model, path)
    session = open_session(path, 1)
    for count in (1, 3, 70):  # the batch is free
        logits = predict(session, digits.test.images[:count], model.preprocessing)
        assert logits.shape == (count, 10)
        assert parity(model.net, logits, digits.test.images[:count], model.preprocessing) < 1e-4


@pytest.mark.thorough
def test_activations_overwrite_their_input_again_afterwards(make_model: Maker, tmp_path: Path) -> None:
    """They do not while the graph is traced; the nodes and weights are the same either way."""
    model = make_model()
    activations = [module for module in model.net.modules() if isinstance(module, nn.ReLU)]
    files = []
    for inplace in (True, False):
        for module in activations:
            module.inplace = inplace
        write_graph(model, path := tmp_path / f"{inplace}.onnx")
        assert [module.inplace for module in activations] == [inplace] * len(activations)
        files.append(path.read_bytes())
    assert activations
    assert files[0] == files[1]


@pytest.mark.thorough
def test_labels_and_preprocessing_travel_in_the_file(make_model: Maker, tmp_path: Path) -> None:
    model, path = make_model(), tmp_path / "model.onnx"
    write_graph(model, path)
    meta = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert json.loads(meta["condenser.labels"]) == [str(n) for n in range(10)]
    assert json.loads(meta["condenser.preprocessing"])["size"] == 8
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    assert all(node.op_type != "BatchNormalization" for node in graph.graph.node)


@pytest.mark.thorough
def test_another_head_on_the_same_graph(make_model: Maker, digits: Dataset, tmp_path: Path) -> None:
    model, path = make_model(), tmp_path / "model.onnx"
    write_graph(model, path)
    before = path.read_bytes()
    template = with_embedding(onnx.load(path))
    session = open_session(template.SerializeToString(), 1)
    embedding = predict(session, digits.test.images[:20], model.preprocessing, "embedding")
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((10, embedding.shape[1]), dtype=np.float32)
    bias = generator.standard_normal(10, dtype=np.float32)
    headed = with_head(template, weight, bias)
    assert [o.name for o in headed.graph.output] == ["logits"]
    found = predict(open_session(headed.SerializeToString(), 1), digits.test.images[:20], model.preprocessing)
    np.testing.assert_allclose(found.numpy(), embedding.numpy() @ weight.T + bias, atol=1e-4)
    assert path.read_bytes() == before
    assert len(template.graph.output) == 2


def test_a_fingerprint_sees_everything_but_the_head(make_model: Maker) -> None:
    one, other = make_model(), make_model()
    assert fingerprint(one) == fingerprint(other)
    with torch.no_grad():
        list(other.net.parameters())[-1].add_(1)
        assert fingerprint(one) == fingerprint(other)
        next(other.net.parameters()).add_(1)
    assert fingerprint(one) != fingerprint(other)


def test_saved_and_loaded_it_is_the_same_model(make_model: Maker, digits: Dataset, tmp_path: Path) -> None:
    model = make_model()
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    images = prepare(digits.test.images[:5], model.preprocessing)
    with torch.no_grad():
        assert torch.equal(model.net(images), again.net.eval()(images))
    assert (again.classes, again.preprocessing) == (model.classes, model.preprocessing)
