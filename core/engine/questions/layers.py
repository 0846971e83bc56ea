"""A saved file layer by layer, held against another one: what it costs, what its weights are, where rounding errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from core.engine.data import prepare_numpy
from core.engine.data.of_run import dataset_of
from core.engine.measure.filters import pictures, removed
from core.engine.measure.graph import BITS, FLOATS, layers, macs_by_node
from core.engine.measure.graph import Layer as Held
from core.engine.measure.layer_bytes import bytes_of, title
from core.engine.measure.layer_times import times
from core.engine.measure.layer_weights import Numbers, computed_weights, edges_of, signal_to_noise, weights
from core.engine.measure.saved_model import SavedModel, open_model
from core.engine.method import build
from core.engine.model_file import WEIGHTS
from core.engine.quantize import Quantize
from core.engine.questions.import_data import Telling
from core.engine.questions.sensitivity import kept_for, subset
from core.errors import UserError
from core.jobs import Job
from core.questions.bundle import QUANTIZE
from core.questions.layers import Filters, Layer, Layers, LayersRequest, Spent
from core.questions.sensitivity import LIMIT
from core.run_files.bundle import SAMPLES
from core.run_files.sides import Side, sides
from core.workspace import Workspace

PROFILED = 1000.0  # milliseconds of runs in the profile
FEWEST, MOST = 20, 300  # of them
MOST_LEVELS, FEWEST_IMAGES = 600_000, 2  # of the test images by which rounding is judged
FEW_BITS = 4  # what a layer's sensitivity is told for


def answer(request: LayersRequest, job: Job) -> Layers:
    """Raises UserError where a model is gone or not as it was measured."""
    store = Workspace(job.workspace)
    own = File(open_model(store, request.point))
    other = File(open_model(store, request.before)) if request.before else None
    reference = _in_floats(own, store)
    noise = _noise(own, reference) if reference and _only_rounded(reference.model.side, own.model.side) else {}
    shape = (1, own.model.preprocessing.channels, *2 * (own.model.preprocessing.size,))
    latency = own.model.timed(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))
    runs = int(np.clip(PROFILED / latency.p50, FEWEST, MOST))
    spent = times(own.path, own.proto, own.model.threads, 1000 * latency.p50, runs)
    lost = _sensitivity(reference.model.side if reference else own.model.side, store, Telling(job))
    rows = tuple(
        _row(own, other, name, spent.layers.get(node), noise.get(node), lost.get(name))
        for name, node in own.nodes.items()
    )
    size, (held, constants) = own.path.stat().st_size, own.sizes
    return Layers(
        layers=rows,
        bytes=size,
        constants=constants,
        graph=size - constants - sum(held.values()),
        latency=1000 * latency.p50,
        n=latency.n,
        threads=latency.threads,
        noisy=latency.noisy,
        slowed=spent.slowed,
        others=tuple(Spent(op, one) for op, one in sorted(spent.others.items(), key=lambda pair: -pair[1])),
        between=spent.between,
        against=reference.model.side.id if reference and noise else "",
        filters=_filters(own, other),
    )


@dataclass(frozen=True)
class File:
    """A saved file opened as a graph."""

    model: SavedModel

    @cached_property
    def proto(self) -> onnx.ModelProto:
        return onnx.load_from_string(self.model.data)

    @property
    def path(self) -> Path:
        return self.model.side.run.folder / (self.model.side.point.artifact or "")

    @cached_property
    def nodes(self) -> dict[str, str]:
        """The node of each layer, by the layer's title, in the order of the file's graph."""
        held = {layer.name: title(layer) for layer in layers(self.proto)}
        order = [node.name or node.output[0] for node in self.proto.graph.node]
        return {held[name]: name for name in order if name in held}

    @cached_property
    def held(self) -> dict[str, Held]:
        return {layer.name: layer for layer in layers(self.proto)}

    @cached_property
    def numbers(self) -> dict[str, Numbers]:
        """The weights that the file computes with, by node."""
        return computed_weights(self.proto)

    @cached_property
    def sizes(self) -> tuple[dict[str, int], int]:
        return bytes_of(self.proto)

    @cached_property
    def macs(self) -> dict[str, int]:
        """By node; empty where a shape cannot be inferred."""
        try:
            return macs_by_node(self.proto)
        except ValueError:
            return {}


def _row(
    own: File, other: File | None, name: str, spent: float | None, noise: float | None, lost: float | None
) -> Layer:
    node = own.nodes[name]
    layer, numbers = own.held[node], own.numbers[node]
    twin = other.held[other.nodes[name]] if other is not None and name in other.nodes else None
    before = other.numbers[twin.name] if other is not None and twin is not None else None
    edges = edges_of(numbers, before)
    return Layer(
        name=name,
        op=layer.op,
        bytes=own.sizes[0][node],
        macs=own.macs.get(node),
        microseconds=spent,
        bits=BITS[layer.data_type],
        shape=layer.shape,
        channels=layer.shape[layer.axis],
        channels_before=twin.shape[twin.axis] if twin is not None else None,
        weights=weights(layer, numbers, edges),
        weights_before=weights(twin, before, edges) if twin is not None and before is not None else None,
        signal_to_noise=noise,
        sensitivity=lost,
    )


def _in_floats(own: File, store: Workspace) -> File | None:
    """The file in floats that a quantized one was made from: the last one before it; None for a file in floats."""
    side = own.model.side
    if side.point.control or all(layer.data_type in FLOATS for layer in own.held.values()):
        return None
    before = [one for one in sides(side.run) if not one.point.control and one.point.step < side.point.step]
    floats = [one for one in before if one.point.stage != QUANTIZE]
    try:
        return File(open_model(store, floats[-1].id)) if floats else None
    except UserError:
        return None


def _only_rounded(reference: Side, own: Side) -> bool:
    """Whether all that lies between two points of a run is rounding, so that their layers' outputs differ by nothing
    else."""
    between = own.run.recipe().steps[reference.point.step + 1 : own.point.step + 1]
    try:
        methods = [build(step.stage, step.method, **step.options) for step in between]
    except UserError:  # a method or an option of another version
        return False
    made = [method for method in methods if method.makes_point]
    return all(isinstance(method, Quantize) and method.only_rounds() for method in made)


def _noise(own: File, reference: File) -> Mapping[str, float]:
    """Decibels by node, on the test images kept beside the file; none where these are gone."""
    try:
        images = own.model.kept(SAMPLES)["images"]
    except UserError:
        return {}
    some = max(FEWEST_IMAGES, MOST_LEVELS // images[0].size)  # every layer's output of all of them is in memory
    return signal_to_noise(own.proto, reference.proto, prepare_numpy(images[:some], own.model.preprocessing))


def _sensitivity(side: Side, store: Workspace, tell: Telling) -> Mapping[str, float]:
    """The validation accuracy that few bits in one layer alone cost, by the layer's name, as far as it was asked for
    before."""
    made = side.run.checkpoints / f"seed-{side.run.recipe().seed}" / f"step-{side.point.step}" / "made"
    if side.point.control or not (made / WEIGHTS).exists():
        return {}
    try:
        data = dataset_of(side.run, store, tell)
    except UserError:
        return {}
    rows = kept_for(made, data, subset(data.validation, LIMIT, len(data.classes)), "bits", store).read()
    whole = {row.layer: row.validation_accuracy for row in rows if row.value == 32}
    return {
        row.layer: whole[row.layer] - row.validation_accuracy
        for row in rows
        if row.value == FEW_BITS and row.layer in whole
    }


def _filters(own: File, other: File | None) -> Filters | None:
    """The first layer's kernels, where both files have it as a convolution."""
    name, node = next(iter(own.nodes.items()), ("", ""))
    twin = other.nodes.get(name) if other is not None else None
    if other is None or twin is None or own.held[node].op != "Conv" or own.numbers[node].ndim != 4:
        return None
    after, before = own.numbers[node], other.numbers[twin]
    gone = removed(before, after) if before.shape[1:] == after.shape[1:] and len(after) < len(before) else ()
    return Filters(pictures(before), pictures(after), gone)
