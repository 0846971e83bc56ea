"""Layers of a run's saved files, as a question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.engine.questions.answer import answer
from core.engine.questions.sensitivity import Kept
from core.errors import UserError
from core.options import Value
from core.questions.layers import Layers, LayersRequest
from core.questions.sensitivity import Row
from core.runs import Run
from core.workspace import Workspace


def asked(store: Workspace, run: Run, step: int, before: int | None = None) -> Layers:
    job = store.ask(LayersRequest(f"{run.id}:{step}", "" if before is None else f"{run.id}:{before}"))
    answer(job)
    return LayersRequest.answer_from_document(job.result())


def test_a_pruned_file_against_the_one_before(store: Workspace, finished: Run) -> None:
    found = asked(store, finished, 1, 0)
    parts = sum(layer.bytes for layer in found.layers) + found.constants + found.graph
    assert parts == found.bytes == (finished.artifacts / "step-1" / "model.onnx").stat().st_size
    spent = [layer.microseconds for layer in found.layers]
    assert None not in spent
    whole = sum(one or 0.0 for one in spent) + sum(one.microseconds for one in found.others) + found.between
    assert whole == pytest.approx(found.latency)
    first = found.layers[0]
    assert (first.name, first.channels_before, first.channels, first.bits) == ("stem.0", 16, 8, 32)
    assert found.filters is not None
    assert (len(found.filters.before), len(found.filters.after), len(found.filters.removed)) == (16, 8, 8)
    assert found.against == ""
    assert all(layer.signal_to_noise is None for layer in found.layers)


def test_an_int8_file_says_where_rounding_errs(store: Workspace, finished: Run) -> None:
    found = asked(store, finished, 2, 1)
    assert found.against == f"{finished.id}:1"
    assert {layer.bits for layer in found.layers} == {8}
    assert all(layer.signal_to_noise is not None and 5 < layer.signal_to_noise < 80 for layer in found.layers)
    for layer in found.layers:
        assert layer.weights_before is not None
        assert layer.weights_before.edges == layer.weights.edges
        assert len(layer.weights.values) > 2
        assert not layer.weights_before.values


@pytest.mark.parametrize(
    ("method", "options"), [("static", {"equalize": "exact"}), ("qat", {"bits": 8}), ("one of another version", {})]
)
def test_what_training_or_rescaling_changed_is_not_called_rounding_noise(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch, method: str, options: dict[str, Value]
) -> None:
    recipe = finished.recipe()
    last = replace(recipe.steps[2], method=method, options=options)
    changed = replace(recipe, steps=(*recipe.steps[:2], last))
    monkeypatch.setattr(Run, "recipe", lambda self: changed)
    found = asked(store, finished, 2, 1)
    assert found.against == ""
    assert all(layer.signal_to_noise is None for layer in found.layers)


def test_what_was_measured_of_a_layer_alone_is_told(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(layer.sensitivity is None for layer in asked(store, finished, 0).layers)
    rows = [
        Row(layer="stem.0", value=32, validation_accuracy=0.9),
        Row(layer="stem.0", value=4, validation_accuracy=0.7),
    ]
    monkeypatch.setattr(Kept, "read", lambda self: rows)
    first, *others = asked(store, finished, 0).layers
    assert first.sensitivity == pytest.approx(0.2)
    assert all(layer.sensitivity is None for layer in others)


def test_a_file_that_is_gone_is_said(store: Workspace, finished: Run) -> None:
    with pytest.raises(UserError) as told:
        asked(store, finished, 7)
    assert told.value.code == "unknown_point"
