"""Every number of a point and of its receipt again, from the files a run saved: with onnx, onnxruntime and NumPy.

Only the network in torch is rebuilt by the engine. What is found otherwise fails with the name of the number.
"""

from __future__ import annotations

import json
import math
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.stats import binomtest
from sklearn import metrics

from core.engine.data import Dataset, prepare, prepare_numpy
from core.engine.model import Preprocessing
from core.engine.model_file import load_model
from tests.sessions import opened

Document = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
LAYERS = ("Conv", "Gemm", "MatMul")
NOT_LEARNED = ("running_mean", "running_var", "num_batches_tracked")
INTEGER_TYPES = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT4, onnx.TensorProto.INT2)


@dataclass(frozen=True)
class Step:
    """A point's folder of artifacts, and its network in torch."""

    artifacts: Path
    made: Path

    @property
    def file(self) -> Path:
        return self.artifacts / "model.onnx"

    def arrays(self, name: str) -> Arrays:
        with np.load(self.artifacts / name, allow_pickle=False) as found:
            return dict(found)

    def tensors(self) -> Arrays:
        return load_file(self.made / "model.safetensors")


def rederive(run: Path, points: list[Document], data: Dataset, seed: int) -> None:
    """Fails where a number of the run's points cannot be found again in its folder."""
    steps = [
        Step((run / p["artifact"]).parent, run / "checkpoints" / f"seed-{seed}" / f"step-{p['step']}" / "made")
        for p in points
    ]
    trained = [n for n, p in enumerate(points) if p["stage"] != "quantize"]
    for n, point in enumerate(points):
        _point(point, steps[n], data)
        _file(point, steps[n])
        twin = max(t for t in trained if t <= n)
        others = {"first": 0, "before": n - 1, "fp32": twin} if n else {}
        others = {name: other for name, other in others.items() if name != "fp32" or twin != n}
        _layers(point, steps, n, quantized=twin != n)
        _answers(point, steps, n, data, quantized=twin != n)
        for name in ("first", "before", "fp32"):
            assert (f"bytes_{name}" in point["receipt"]) == (f"latency_{name}" in point["receipt"]) == (name in others)
        for name, other in others.items():
            _compared(point, steps[n], name, points[other], steps[other])
        reference = others.get("fp32", others.get("before"))
        _no_gain(
            point, steps[n], "fp32" if "fp32" in others else "before", None if reference is None else steps[reference]
        )
        _kernels(point["receipt"], steps[n].file)


def _point(point: Document, step: Step, data: Dataset) -> None:
    """Accuracies from the stored answers, and those from the file itself; latency from every counted run."""
    stored = step.arrays("predictions.npz")
    pixels = Preprocessing.from_json(json.loads((step.artifacts / "card.json").read_text())["preprocessing"])
    session = opened(step.file, _one_thread())
    for name, split in (("test", data.test), ("validation", data.validation)):
        np.testing.assert_array_equal(stored[f"{name}_labels"], split.labels.numpy())
        blocks = [prepare_numpy(block.numpy(), pixels) for block in torch.split(split.images, 64)]
        again = np.concatenate([session.run(["logits"], {"image": block})[0] for block in blocks]).argmax(1)
        np.testing.assert_array_equal(stored[f"{name}_answers"], again)
    right = int((stored["test_answers"] == stored["test_labels"]).sum())
    interval = binomtest(right, len(data.test)).proportion_ci(method="wilson")
    assert point["accuracy"] == right / len(data.test)
    assert (point["accuracy_low"], point["accuracy_high"]) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert point["validation_accuracy"] == np.mean(stored["validation_answers"] == stored["validation_labels"])
    timings = step.arrays("timings.npz")
    _spread(point["spread"], stored, data)
    milliseconds, (wall, processor) = timings["after"], timings["after_seconds"]
    latency = point["latency_ms"]
    assert latency["n"] == len(milliseconds) >= 30
    assert (latency["p50"], latency["p95"]) == pytest.approx(tuple(np.percentile(milliseconds, (50, 95))))
    assert latency["noisy"] == (wall > 1.15 * processor)
    turns = np.split(milliseconds, np.cumsum(timings["after_turns"])[:-1])
    halves = [float(np.median(np.concatenate(turns[start::2]))) for start in (0, 1)]
    assert latency["apart"] == pytest.approx(max(halves) / min(halves) - 1)


def _spread(spread: Document, stored: Arrays, data: Dataset) -> None:
    """The figures over classes, by scikit-learn from the stored answers; the first five from the stored ranks."""
    labels, answers, ranks = (stored[f"test_{name}"] for name in ("labels", "answers", "ranks"))
    np.testing.assert_array_equal(ranks == 0, answers == labels)
    recalls = metrics.recall_score(labels, answers, average=None, zero_division=0)
    assert spread["macro_f1"] == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    assert spread["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, answers))
    assert spread["worst_recall"] == pytest.approx(recalls.min())
    assert spread["worst_class"] == data.classes[int(recalls.argmin())]
    if len(data.classes) < 10:
        assert "top5_accuracy" not in spread
    else:
        assert spread["top5_accuracy"] == pytest.approx(np.mean(ranks < 5))


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return options


def _file(point: Document, step: Step) -> None:
    """Bytes; parameters of the network in torch and numbers stored in the file; multiplications of one image."""
    data = step.file.read_bytes()
    assert point["bytes"] == len(data)
    assert point["compressed_bytes"] == len(zlib.compress(data, 9))
    macs, numbers = multiplications(step.file)
    learned = sum(t.size for name, t in step.tensors().items() if not name.endswith(NOT_LEARNED))
    assert point["macs"] == macs
    assert point["params"] == learned
    file = point["receipt"]["file"]
    assert (file["numbers"], file["folded_params"]) == (numbers, learned - numbers)


def multiplications(path: Path) -> tuple[int, int]:
    """Multiply-accumulates, and weights and biases stored (shared ones once), from shapes that onnxruntime computed."""
    graph = onnx.load(path)
    stored = {t.name: t for t in graph.graph.initializer}
    layers = [n for n in graph.graph.node if n.op_type in ("Conv", "Gemm")]
    outputs = {n.output[0] for n in layers}
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sorted(outputs))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    image = np.zeros([1, *given.shape[1:]], np.float32)
    shapes = dict(zip(sorted(outputs), (v.shape for v in session.run(None, {given.name: image})), strict=True))
    made_by = {n.output[0]: n for n in graph.graph.node}
    macs, sizes = 0, dict[str, int]()
    for node in layers:
        tensors = [stored[name if name in stored else made_by[name].input[0]] for name in node.input[1:]]
        weight = list(tensors[0].dims)
        sizes |= {t.name: int(np.prod(t.dims)) for t in tensors}
        if node.op_type == "Conv":
            macs += int(np.prod(shapes[node.output[0]])) * int(np.prod(weight[1:]))
        else:
            macs += int(np.prod(weight))
    return macs, sum(sizes.values())


def _layers(point: Document, steps: list[Step], n: int, *, quantized: bool) -> None:
    """Layers touched: of a network those whose weights are others than before, of a quantized file its integers."""
    if quantized:
        graph = onnx.load(steps[n].file).graph
        stored, made_by = {t.name: t for t in graph.initializer}, {o: node for node in graph.node for o in node.output}
        kinds = [_stored(node.input[1], stored, made_by) for node in graph.node if node.op_type in LAYERS]
        touched, total = sum(kind in INTEGER_TYPES for kind in kinds), len(kinds)
    else:
        now = {k: t for k, t in steps[n].tensors().items() if k.endswith("weight") and t.ndim in (2, 4)}
        before = steps[n - 1].tensors() if n else {}
        same = [k for k, t in now.items() if k in before and np.array_equal(before[k], t)]
        touched, total = len(now) - len(same), len(now)
    assert point["receipt"]["layers"] == {"touched": touched, "total": total}


def _stored(name: str, stored: dict[str, onnx.TensorProto], made_by: dict[str, onnx.NodeProto]) -> int:
    """The type in which a layer's weight lies in the file, behind the nodes that widen it."""
    while name not in stored:
        name = made_by[name].input[0]
    return int(stored[name].data_type)


def _answers(point: Document, steps: list[Step], n: int, data: Dataset, *, quantized: bool) -> None:
    """Agreement with the step before, calibration error, and parity with the network in torch."""
    receipt, stored = point["receipt"], steps[n].arrays("predictions.npz")
    if n:
        before = steps[n - 1].arrays("predictions.npz")["validation_answers"]
        assert receipt["same_answer_as_before"] == pytest.approx(np.mean(before == stored["validation_answers"]))
    right = stored["test_answers"] == stored["test_labels"]
    sure = stored["test_confidences"].astype(np.float64)
    bins = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
    gaps = [abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())]
    assert receipt["calibration_error"] == pytest.approx(sum(gaps), abs=1e-5)
    assert ("parity_with_torch" in receipt) == (not quantized)
    if not quantized:
        model = load_model(steps[n].made)
        images = data.validation.images[:64]
        with torch.inference_mode():
            exact = model.net.eval()(prepare(images, model.preprocessing)).numpy()
        session = opened(steps[n].file, _one_thread())
        mine = session.run(["logits"], {"image": prepare_numpy(images.numpy(), model.preprocessing)})[0]
        assert receipt["parity_with_torch"] == pytest.approx(float(np.abs(mine - exact).max()), rel=0.5, abs=1e-5)


def _compared(point: Document, step: Step, name: str, other: Document, theirs: Step) -> None:
    """Bytes beside another file's; speed-up as timed in turns, and as the multiplications alone would have it."""
    receipt = point["receipt"]
    mine, before = step.file.stat().st_size, theirs.file.stat().st_size
    sizes = {"before": before, "after": mine, "times_smaller": pytest.approx(before / mine)}
    assert receipt[f"bytes_{name}"] == sizes
    timings, latency = step.arrays("timings.npz"), receipt[f"latency_{name}"]
    medians = [float(np.median(timings[who])) for who in (name, "after")]
    assert (latency["ms"], latency["ms_now"]) == pytest.approx(tuple(medians))
    assert latency["predicted_by_macs"] == pytest.approx(other["macs"] / point["macs"])
    spans = [np.percentile(timings[who], (25, 75)) for who in (name, "after")]
    blurred = any(low <= middle <= high for (low, high), middle in zip(spans, reversed(medians), strict=True))
    if _busy(timings, name) or blurred:
        assert "speedup" not in latency
        assert latency["withheld"]
    else:
        assert latency["speedup"] == pytest.approx(medians[0] / medians[1])
        theirs_by_turn, mine_by_turn = (_by_turn(timings, who) for who in (name, "after"))
        ends = np.percentile(theirs_by_turn / mine_by_turn, (25, 75))
        assert (latency["low"], latency["high"]) == pytest.approx(tuple(ends))


def _by_turn(timings: Arrays, who: str) -> NDArray[np.float64]:
    """The median of each turn, in milliseconds."""
    turns = np.split(timings[who], np.cumsum(timings[f"{who}_turns"])[:-1])
    return np.array([np.median(turn) for turn in turns])


def _no_gain(point: Document, step: Step, name: str, other: Step | None) -> None:
    """A sentence for bytes and one for latency, exactly where there is no gain of 5 %."""
    told = point["receipt"]["no_gain"]
    if other is None:
        assert told == []
        return
    timings = step.arrays("timings.npz")
    slower = np.median(timings[name]) / np.median(timings["after"]) < 1.05
    busy = _busy(timings, name)
    larger = step.file.stat().st_size * 1.05 > other.file.stat().st_size
    assert any("no gain in bytes" in sentence for sentence in told) == larger
    assert any("no gain in latency" in sentence for sentence in told) == (slower and not busy)
    assert any("but the machine was busy" in sentence for sentence in told) == (slower and busy)
    assert len(told) == larger + slower


def _busy(timings: Arrays, name: str) -> bool:
    """Whether wall time exceeded processor time by 15 % for either of both files."""
    return any(wall > 1.15 * used for wall, used in (timings["after_seconds"], timings[f"{name}_seconds"]))


def _kernels(receipt: Document, path: Path) -> None:
    """What onnxruntime itself says it ran: kernels that hold weights, by operator, type and count; those in int8."""
    options = _one_thread()
    with tempfile.TemporaryDirectory() as folder:
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "p"))
        session = opened(path, options)
        given = session.get_inputs()[0]
        session.run(None, {given.name: np.zeros([1, *given.shape[1:]], np.float32)})
        events = json.loads(Path(session.end_profiling()).read_text())
    ran = {e["name"]: e["args"] for e in events if e["cat"] == "Node" and e["name"].endswith("_kernel_time")}
    held = [args for args in ran.values() if _holds_weights(args)]
    kinds = Counter((args["op_name"], *args["input_type_shape"][0]) for args in held)
    told = {(k["op"], k["type"]): k["count"] for k in receipt["kernels"]}
    assert told == dict(kinds)
    integers = sum(count for (op, _), count in kinds.items() if op.startswith(("QLinear", "QGemm", "MatMulN")))
    assert receipt["int8_layers"] == integers


def _holds_weights(args: Document) -> bool:
    """Convolutions and matrix products, but for products of two activations."""
    if not any(word in args["op_name"] for word in ("Conv", "Gemm", "MatMul")):
        return False
    matrices = [shape for item in args["input_type_shape"] for shape in item.values() if len(shape) > 1]
    activations = "MatMul" in args["op_name"] and len(matrices) == 2
    return not activations or int(args["parameter_size"]) >= math.prod(matrices[1])
