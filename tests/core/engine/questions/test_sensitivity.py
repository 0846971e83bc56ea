"""Sensitivity: a layer that is known to matter is found, one that is known not to is too; kept, cancelled, streamed."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core import cli
from core.engine.data import Dataset, Split, prepare
from core.engine.model import Model
from core.engine.model_file import load_model
from core.engine.questions import sensitivity as engine
from core.engine.questions.answer import answer
from core.engine.questions.sensitivity import Kept, measure, right, subset
from core.engine.worker import Orders, answer_others
from core.errors import UserError
from core.jobs import Job
from core.questions.request import Request
from core.questions.sensitivity import VALUES, Row, question, rows
from core.runs import Run
from core.workspace import Workspace
from tests.commands import put_in_place

HEAVY, IDLE = "stage2.0.conv2", "stage1.0.conv1"


@pytest.fixture(scope="session")
def trained(finished: Run) -> Model:
    return load_model(finished.checkpoints / "seed-0" / "step-0" / "made")


@pytest.fixture(scope="session")
def planted(trained: Model) -> Model:
    """Equal in what it computes but for one branch: HEAVY has an input channel whose weights are 64 times the others',
    so that few bits lose the rest of it; what IDLE makes goes into a branch that adds nothing."""
    net: Any = copy.deepcopy(trained.net)
    block = net.stage2[0]
    for vector in (block.bn1.weight, block.bn1.bias):
        vector.data[0] /= 64
    block.conv2.weight.data[:, 0] *= 64
    for vector in (net.stage1[0].bn2.weight, net.stage1[0].bn2.bias):
        vector.data.zero_()
    return trained.with_net(net)


def measured(
    model: Model, what: str, data: Dataset, path: Path, values: tuple[float, ...] = ()
) -> dict[str, dict[float, float]]:
    """layer → value → accuracy."""
    found, _ = measure(
        model, what, values or VALUES[what], data.validation, Kept(path), lambda *told: None, lambda: False
    )
    table: dict[str, dict[float, float]] = {}
    for row in found:
        table.setdefault(row.layer, {})[row.value] = row.validation_accuracy
    return table


def test_a_layer_that_matters_is_found(planted: Model, trained: Model, digits: Dataset, tmp_path: Path) -> None:
    found = measured(planted, "bits", digits, tmp_path / "a")
    plain = measured(trained, "bits", digits, tmp_path / "b", (32, 4))
    four = {layer: row[4] for layer, row in found.items()}
    assert min(four, key=four.__getitem__) == HEAVY
    assert four[HEAVY] < found[HEAVY][32] - 0.2
    assert plain[HEAVY][4] > plain[HEAVY][32] - 0.1, "it is the planting, not the layer"
    assert list(found) == [n for n, m in planted.net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def test_a_layer_that_does_not_matter_is_found(planted: Model, digits: Dataset, tmp_path: Path) -> None:
    found = measured(planted, "ratio", digits, tmp_path / "a")
    base = right(planted, digits.validation)
    assert set(found[IDLE].values()) == {base}
    others = [min(row.values()) for layer, row in found.items() if layer != IDLE]
    assert len(others) >= 5
    assert max(others) < base
    assert "head" not in found, "the classes stay"


def test_a_cut_is_as_if_the_filters_were_zero(trained: Model, digits: Dataset, tmp_path: Path) -> None:
    """Against the same network whose smallest filters (L1) of one layer are silenced, not removed."""
    found = measured(trained, "ratio", digits, tmp_path / "a")
    for ratio in VALUES["ratio"][1:]:
        net: Any = copy.deepcopy(trained.net)
        block = net.stage3[0]
        norms = block.conv1.weight.data.double().abs().sum((1, 2, 3))
        gone = norms.argsort()[: len(norms) - max(int(len(norms) * (1 - ratio)), 1)]
        for tensor in (block.bn1.weight, block.bn1.bias):
            tensor.data[gone] = 0
        assert found["stage3.0.conv1"][ratio] == right(trained.with_net(net), digits.validation)


def test_bits_are_those_of_the_quantizers(trained: Model, digits: Dataset, tmp_path: Path) -> None:
    """Against weights rounded by hand in float64; and the network comes back as it was."""
    before = {name: tensor.clone() for name, tensor in trained.net.state_dict().items()}
    found = measured(trained, "bits", digits, tmp_path / "a")
    for bits in (4, 2):
        net: Any = copy.deepcopy(trained.net)
        weight = net.stem[0].weight.data
        flat = weight.double().numpy().reshape(len(weight), -1)
        top = 2 ** (bits - 1) - 1
        scale = np.abs(flat).max(1, keepdims=True) / top
        weight.copy_(torch.from_numpy((np.round(flat / scale) * scale).reshape(weight.shape)))
        assert found["stem.0"][bits] == pytest.approx(right(trained.with_net(net), digits.validation), abs=0.005)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.net.state_dict().items())


def test_the_share_of_right_answers(trained: Model, digits: Dataset) -> None:
    with torch.no_grad():
        logits = trained.net(prepare(digits.validation.images, trained.preprocessing))
    assert right(trained, digits.validation) == float(np.mean((logits.argmax(1) == digits.validation.labels).numpy()))


def test_a_part_of_the_images_holds_every_class(digits: Dataset) -> None:
    part = subset(digits.validation, 50, 10)
    assert len(part) == 50
    assert len(set(part.labels.tolist())) == 10
    assert subset(digits.validation, 0, 10) is digits.validation
    with pytest.raises(UserError) as refused:
        subset(digits.validation, 9, 10)
    assert refused.value.field == "limit"


# as a job


def asked(store: Workspace, finished: Run, **changes: Any) -> Job:
    request = question(finished, None, "bits", 40).to_document()
    job = store.create_job("sensitivity", {**request, **changes})
    answer(job)
    return job


def test_asked_again_nothing_is_measured(store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = asked(store, finished).result()
    assert first["cached"] is False
    assert first["images"] == 40
    monkeypatch.setattr(engine, "right", lambda model, split: pytest.fail("measured again"))
    second = asked(store, finished).result()
    assert second["cached"] is True
    assert second["rows"] == first["rows"]
    monkeypatch.setattr(engine, "right", lambda model, split: 0.5)
    other = asked(store, finished, limit=41).result()
    assert other["cached"] is False, "other images are another question"


def test_cancelled_it_keeps_what_is_done_and_goes_on_from_there(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = question(finished, 0, "ratio", 30)
    job = store.ask(request)
    shown: list[tuple[Row, ...]] = []
    tell = Job.show

    def show(self: Job, part: Any) -> None:
        tell(self, part)
        shown.append(rows(self.partial()))
        if len(shown) == 2:
            self.cancel()

    monkeypatch.setattr(Job, "show", show)
    answer(job)
    with pytest.raises(UserError) as ended:
        job.result()
    assert ended.value.code == "cancelled"
    per_layer = len(VALUES["ratio"])
    assert [len(part) for part in shown] == [per_layer, 2 * per_layer], "it stops at the next network"
    progress = job.progress()
    assert progress is not None
    assert progress.done == 2 < progress.total
    monkeypatch.setattr(Job, "show", tell)
    calls: list[Split] = []

    def counted(model: Model, split: Split) -> float:
        calls.append(split)
        return right(model, split)

    monkeypatch.setattr(engine, "right", counted)
    again = store.ask(request)
    answer(again)
    found = rows(again.result())
    assert found[: 2 * per_layer] == shown[-1]
    assert len(found) == progress.total * per_layer
    assert len(calls) <= 1 + (progress.total - 2) * (per_layer - 1), "the two layers are not measured again"
    assert rows(again.partial()) == found


def test_quick_questions_are_answered_in_between_and_change_nothing(store: Workspace, finished: Run) -> None:
    """They come through the worker's pipe; the first is answered before the first network is judged."""
    request = question(finished, 0, "bits", 31)
    reading, writing = os.pipe()
    orders, seen = Orders(reading), list[tuple[bool, bool]]()
    quick = store.create_job("preview", {"recipe": finished.recipe_text})
    wrong = store.create_job("profile", {"backbone": "nobody"})
    long = Job(store.ask(request).folder, lambda: in_between())

    def in_between() -> None:
        answer_others(orders)
        seen.append((quick.done(), long.done()))

    os.write(writing, b"".join(json.dumps({"job": str(job.folder)}).encode() + b"\n" for job in (quick, wrong)))
    answer(long)
    os.close(writing)
    os.close(reading)
    assert len(seen) > 2
    assert set(seen) == {(True, False)}
    assert quick.result()["rows"]
    with pytest.raises(UserError):
        wrong.result()
    kept = store.ask(request)
    for path in (store.cache / "sensitivity").iterdir():
        path.unlink()
    answer(kept)
    assert kept.result()["cached"] is False
    assert kept.result()["rows"] == long.result()["rows"]


def test_the_command_gives_a_list(
    store: Workspace, finished: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(workspace: Workspace, request: Request[Any], look: Any) -> Any:
        job = workspace.ask(request)
        answer(job)
        look(job)
        return request.answer_from_document(job.result())

    put_in_place(monkeypatch, "ask", here)
    words = ["sensitivity", finished.id, "--what", "ratio", "--limit", "20", "--workspace", str(store.path), "--json"]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert {tuple(row) for row in found} == {("layer", "value", "validation_accuracy")}
    assert {row["value"] for row in found} == set(VALUES["ratio"])
    assert len(told.err.splitlines()) == len(found), "each row is told as it comes"


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"step": 2}, "step"), ({"step": 9}, "step"), ({"what": "weight"}, "what"), ({"limit": -1}, "limit")],
)
def test_what_cannot_be_asked_is_refused_at_once(finished: Run, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError) as refused:
        question(finished, **{"step": None, "what": "bits", "limit": 0, **changes})
    assert refused.value.field == field


def test_without_a_step_it_is_the_last_one_in_floats(finished: Run) -> None:
    assert question(finished, None, "bits", 0).step == 1
