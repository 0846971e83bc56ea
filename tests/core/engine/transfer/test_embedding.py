"""Embeddings are the same whichever way they are computed, and a backbone's graph is the same whoever asks first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from core.engine.backbones import find, load_backbone
from core.engine.backbones.features import observe
from core.engine.backbones.heads import head_layer
from core.engine.context import CancelledError
from core.engine.data.augment import prepare
from core.engine.export.graph import fingerprint
from core.engine.method import build
from core.engine.model import Model
from core.engine.threads import one_thread, side_by_side
from core.engine.transfer import embedding
from core.engine.transfer.embedding import extractor, template
from core.errors import UserError
from tests.core.engine.conftest import MakeContext, Reported

MakeModel = Callable[..., Model]


@pytest.mark.thorough
def test_torch_and_onnxruntime_agree(
    make_model: MakeModel, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, images = make_model(), make_context().labelled.images[:130]
    in_torch = extractor(model).embed(images, make_context(cache=tmp_path / "a"))
    assert not (tmp_path / "a" / "extractors").exists()
    monkeypatch.setattr(embedding, "FEW", 0)
    by_file = extractor(model).embed(images, make_context(cache=tmp_path / "b"))
    assert (tmp_path / "b" / "extractors").exists()
    expected = observe(model.net, prepare(images, model.preprocessing)).embedding
    assert expected is not None
    for found in (in_torch, by_file):
        torch.testing.assert_close(found, expected.detach(), atol=1e-4, rtol=1e-4)


def test_the_number_of_threads_changes_no_bit(make_model: MakeModel, make_context: MakeContext, tmp_path: Path) -> None:
    model, images = make_model(), make_context().labelled.images[:300]
    found = [extractor(model).embed(images, make_context(threads=n, cache=tmp_path / str(n))) for n in (1, 3)]
    assert torch.equal(found[0], found[1])
    assert torch.get_num_threads() == 1


def test_progress_is_told_batch_by_batch(
    make_model: MakeModel, make_context: MakeContext, reports: list[Reported]
) -> None:
    context = make_context()
    extractor(make_model()).embed(context.labelled.images[:130], context)
    assert [(what, batch, batches) for what, _, _, batch, batches, _, _ in reports] == [
        *(("features", done, 130) for done in (32, 64, 96, 128, 130))
    ]


def test_it_stops_when_asked(make_model: MakeModel, make_context: MakeContext) -> None:
    context = make_context(cancelled=lambda: True, threads=2)
    with pytest.raises(CancelledError):
        extractor(make_model()).embed(context.labelled.images[:130], context)


@pytest.mark.thorough
def test_the_graph_does_not_depend_on_the_head(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    """So a run writes the same file whether it, or an earlier run with another head, exported the backbone."""
    fresh, trained = make_model(), make_model()
    head = head_layer(trained.net)
    assert isinstance(head, nn.Linear)
    nn.init.ones_(head.bias)
    assert fingerprint(fresh) == fingerprint(trained)
    graphs = [template(m, make_context(cache=tmp_path / str(n))) for n, m in enumerate((fresh, trained))]
    assert graphs[0] == graphs[1]
    assert float(head.bias.detach().sum()) == 10


@pytest.mark.thorough
def test_a_probe_is_saved_the_same_by_whoever_holds_it(
    make_model: MakeModel, make_context: MakeContext, tmp_path: Path
) -> None:
    probe = build("transfer", "linear_probe", l2=0.1)
    context = make_context(cache=tmp_path / "cache")
    model = probe.apply(make_model(), context)
    again = model.with_net(load_backbone("resnet8", 10, "none", 8, width=8, channels=1))
    again.net.load_state_dict(model.net.state_dict())
    probe.save(model, tmp_path / "first.onnx", context)
    probe.save(again, tmp_path / "again.onnx", make_context(cache=tmp_path / "elsewhere"))
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_a_network_without_a_linear_head_is_refused_at_once() -> None:
    info = find("squeezenet1_1")
    net = load_backbone("squeezenet1_1", 10, "none", 32)
    model = Model(net, "squeezenet1_1", tuple(json.dumps(list(range(10)))), info.preprocessing(32))
    with pytest.raises(UserError) as caught:
        extractor(model)
    assert caught.value.code == "no_linear_head"


# threads


def test_results_come_in_order_from_several_threads() -> None:
    seen: set[int] = set()
    gate = threading.Barrier(2, timeout=20)

    def work(item: int) -> tuple[int, int]:
        seen.add(threading.get_ident())
        gate.wait()  # passes only while two are at it
        return item, torch.get_num_threads()

    assert list(side_by_side(work, range(4), 2)) == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert len(seen) == 2


def test_threads_are_given_back_even_after_a_fault() -> None:
    def fail() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
