"""Why a file is no smaller or no faster: each reason with files that show it, and none where nothing shows one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.engine.measure import receipt
from core.engine.measure.contents import contents, payload, why_not_smaller
from core.engine.measure.graph import KernelUse, kernels
from core.engine.measure.latency import Timing
from core.engine.measure.receipt import Receipt, Subject
from core.engine.method import Saved

RANDOM = np.random.default_rng(0)


def file(
    path: Path, width: int = 16, *, layers: int = 2, kind: str = "float", zeros: float = 0.0, labels: int = 0
) -> Path:
    """`layers` square matrices on an image [1, width]: in float32, as int8 that is widened (`stored`), or as int8 that
    runs on integers (`int8`); with so many bytes of labels in the metadata."""
    nodes, stored, name = [], [], "image"
    for number in range(layers):
        weight = RANDOM.integers(-100, 100, (width, width))
        weight[RANDOM.random(weight.shape) < zeros] = 0
        matrix, out = f"w{number}", f"y{number}"
        if kind == "float":
            stored.append(numpy_helper.from_array(weight.astype(np.float32), matrix))
        else:
            stored.append(numpy_helper.from_array(weight.astype(np.int8), f"{matrix}q"))
            stored.append(numpy_helper.from_array(np.asarray(0.1, np.float32), f"{matrix}s"))
            stored.append(numpy_helper.from_array(np.asarray(0, np.int8), f"{matrix}z"))
            widen = [f"{matrix}q", f"{matrix}s", f"{matrix}z"]
            nodes.append(helper.make_node("DequantizeLinear", widen, [matrix]))
        if kind == "int8":
            stored += [numpy_helper.from_array(np.asarray(0.1, np.float32), f"s{number}")]
            stored += [numpy_helper.from_array(np.asarray(128, np.uint8), f"z{number}")]
            pair = [f"s{number}", f"z{number}"]
            nodes.append(helper.make_node("QuantizeLinear", [name, *pair], [f"q{number}"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"q{number}", *pair], [f"d{number}"]))
            name = f"d{number}"
        nodes.append(helper.make_node("MatMul", [name, matrix], [out], f"product{number}"))
        name = out
    if kind == "int8":
        pair = ["s0", "z0"]
        nodes.append(helper.make_node("QuantizeLinear", [name, *pair], ["last"]))
        nodes.append(helper.make_node("DequantizeLinear", ["last", *pair], ["logits"]))
        name = "logits"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", width]) for n in ("image", name)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    model.metadata_props.add(key="labels", value="x" * labels)
    onnx.save(model, path)
    return path


def subject(path: Path, macs: int = 1000, *, ms: float = 1.0, noisy: bool = False) -> Subject:
    return Subject(path, 100, macs, Timing((ms,) * 30, 2.0 if noisy else 1.0, 1.0, 1))


def reasons(after: Subject, *, before: Subject | None = None, twin: Subject | None = None) -> list[str]:
    told = Receipt(after, None, before, twin, Saved(), (1, 1)).to_json()["no_gain"]
    assert isinstance(told, list)
    return told


# bytes


def test_the_parts_of_a_file_add_up_to_it(tmp_path: Path) -> None:
    path = file(tmp_path / "int8.onnx", kind="int8", labels=500)
    found = contents(path)
    assert found.total == path.stat().st_size
    assert (found.weights, found.numbers) == (2 * 256, {"int8": 512})
    assert found.scales == 2 * (4 + 1) + 2 * (4 + 1), "of weights and of activations"
    assert found.graph > 500
    plain = contents(file(tmp_path / "float.onnx"))
    assert (plain.weights, plain.scales, plain.numbers) == (2048, 0, {"float": 512})


@pytest.mark.parametrize("raw", [True, False])
def test_numbers_are_counted_in_either_form_that_a_file_may_hold_them_in(raw: bool) -> None:
    values = np.arange(10, dtype=np.float32)
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [10], values.tobytes() if raw else values.tolist(), raw=raw)
    assert payload(tensor) == pytest.approx(40, abs=2)


def test_a_tiny_int8_file_grew_because_of_scales_and_graph_not_because_of_its_bits(tmp_path: Path) -> None:
    """The case that was told wrongly: the weights do shrink to a quarter."""
    plain, small = file(tmp_path / "float.onnx", 8), file(tmp_path / "int8.onnx", 8, kind="int8")
    assert small.stat().st_size > plain.stat().st_size
    (told,) = (r for r in reasons(subject(small, ms=0.5), twin=subject(plain)) if "bytes" in r)
    assert "as many" not in told
    assert "weights 512 B → 128 B" in told
    assert "scales and zero points 0 B → 20 B" in told
    assert "the graph itself (operators, names, shapes, labels)" in told


def test_the_same_weights_in_the_same_bits_are_said_to_be_so(tmp_path: Path) -> None:
    one, other = file(tmp_path / "one.onnx"), file(tmp_path / "other.onnx")
    (told,) = (r for r in reasons(subject(other, ms=0.5), before=subject(one)) if "bytes" in r)
    assert told.endswith("it stores as many weights in as many bits as before (512 of float, 2.0 kB)")


def test_a_graph_that_grew_is_named_though_the_weights_are_the_same(tmp_path: Path) -> None:
    one, other = file(tmp_path / "one.onnx"), file(tmp_path / "other.onnx", labels=3000)
    told = why_not_smaller(contents(one), contents(other))
    assert "as many weights in as many bits" in told
    assert "the graph itself" in told


def test_more_weights_are_said_to_be_more(tmp_path: Path) -> None:
    one, other = file(tmp_path / "one.onnx"), file(tmp_path / "other.onnx", 32)
    (told,) = (r for r in reasons(subject(other, 9000, ms=0.5), before=subject(one, 9000)) if "bytes" in r)
    assert "as many" not in told
    assert "weights 2.0 kB → 8.2 kB" in told


def test_a_smaller_file_needs_no_reason(tmp_path: Path) -> None:
    big, small = file(tmp_path / "big.onnx", 64), file(tmp_path / "small.onnx", 64, kind="stored")
    assert reasons(subject(small, ms=0.5), twin=subject(big)) == []


# latency


def of_latency(after: Subject, **others: Any) -> str:
    (told,) = (r for r in reasons(after, **others) if "latency" in r)
    return told


def test_a_busy_machine_is_no_proof_that_nothing_was_gained(tmp_path: Path) -> None:
    path = file(tmp_path / "a.onnx")
    told = of_latency(subject(path), before=subject(path, noisy=True))
    assert told == "latency did not fall (1.000 → 1.000 ms), but the machine was busy: a gain is not excluded"


def test_as_many_or_more_multiplications(tmp_path: Path) -> None:
    path = file(tmp_path / "a.onnx")
    assert "as many multiplications as before (1 k)" in of_latency(subject(path), before=subject(path))
    more = of_latency(subject(path, 3000, ms=2.0), before=subject(path))
    assert "more multiplications than before (1 k → 3 k)" in more
    fewer = of_latency(subject(path, 970_000), before=subject(path, 1_000_000))
    assert "about as many multiplications as before (1 M → 970 k)" in fewer


def test_zeros_are_a_reason_only_where_the_step_made_them(tmp_path: Path) -> None:
    full, sparse = file(tmp_path / "full.onnx", 48), file(tmp_path / "sparse.onnx", 48, zeros=0.7)
    told = of_latency(subject(sparse), before=subject(full))
    assert "multiplies by zeros as by other numbers (71% of the weights are zero); only the compressed file" in told
    again = of_latency(subject(sparse), before=subject(sparse))
    assert "zeros" not in again
    assert "as many multiplications" in again
    (faster,) = reasons(subject(sparse, ms=0.5), before=subject(full))[1:]
    assert faster.startswith("its zeros are not what made it faster (1.000 → 0.500 ms)")


def test_what_is_within_the_noise_is_not_called_faster(tmp_path: Path) -> None:
    full, sparse = file(tmp_path / "full.onnx", 48), file(tmp_path / "sparse.onnx", 48, zeros=0.7)
    wide = Subject(full, 100, 1000, Timing((0.7,) * 12 + (1.0,) * 6 + (1.3,) * 12, 1.0, 1.0, 1))
    busy = subject(full, noisy=True)
    for after, before in ((subject(sparse, ms=0.9), wide), (subject(sparse, ms=0.5), busy)):
        assert not any("made it faster" in told for told in reasons(after, before=before))


def test_weights_that_are_only_stored_in_fewer_bits_run_no_integer_kernel(tmp_path: Path) -> None:
    plain, stored = file(tmp_path / "float.onnx"), file(tmp_path / "stored.onnx", kind="stored")
    assert not any(use.integer for use in kernels(stored))
    told = of_latency(subject(stored), twin=subject(plain))
    assert "no layer ran an integer kernel: the stored weights are widened to float32" in told


def test_where_every_layer_stayed_in_floats_that_is_the_reason(tmp_path: Path) -> None:
    plain, same = file(tmp_path / "float.onnx"), file(tmp_path / "same.onnx")
    assert of_latency(subject(same), twin=subject(plain)).endswith("every layer stayed float32")


def spent(layers: int, others: int, *, integer: bool) -> tuple[KernelUse, ...]:
    held = KernelUse("QGemm" if integer else "MatMul", "int8", ("a", "b"), layers, integer, True)
    return (held, KernelUse("QuantizeLinear", "float", ("c",), others, False, False))


@pytest.mark.parametrize(
    ("float_time", "int8_time", "expected"),
    [
        ((100, 10), (100, 10), "which take no less time here than those in float32 (profiled: 100 → 100 µs)"),
        (
            (100, 10),
            (50, 90),
            "but all other operators, the rounding between layers among them, take more (10 → 90 µs)",
        ),
        ((100, 10), (20, 10), "why that is not faster is not known"),
    ],
)
def test_integer_kernels_are_judged_by_their_profile(
    tmp_path: Path, float_time: tuple[int, int], int8_time: tuple[int, int], expected: str
) -> None:
    twin, path = file(tmp_path / "float.onnx"), file(tmp_path / "int8.onnx", kind="int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipt, "kernels", lambda path, threads: spent(*float_time, integer=False))
        told = receipt.why_rounding_is_not_faster(path, twin, spent(*int8_time, integer=True))
    assert told.startswith("2 of 2 layers ran integer kernels, ")
    assert expected in told


@pytest.mark.parametrize("threads", [1, 3])
def test_reasons_are_read_off_profiles_with_the_threads_of_the_timings(tmp_path: Path, threads: int) -> None:
    twin, path = file(tmp_path / "float.onnx"), file(tmp_path / "int8.onnx", kind="int8")
    timed = Timing((1.0,) * 30, 1.0, 1.0, threads)
    profiled: list[int] = []

    def watched(path: Path, threads: int = 1, runs: int = 1) -> tuple[KernelUse, ...]:
        profiled.append(threads)
        return kernels(path, threads, runs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipt, "kernels", watched)
        reasons(Subject(path, 100, 1000, timed), twin=Subject(twin, 100, 1000, timed))
        reasons(Subject(twin, 100, 500, timed), before=Subject(twin, 100, 1000, timed))
    assert profiled == [threads] * 4


def test_integer_kernels_of_a_real_file_are_seen(tmp_path: Path) -> None:
    twin, path = file(tmp_path / "float.onnx", 64), file(tmp_path / "int8.onnx", 64, kind="int8")
    assert any(use.integer for use in kernels(path))
    told = of_latency(subject(path), twin=subject(twin))
    assert "no gain in latency (1.000 → 1.000 ms): 2 of 2 layers ran integer kernels, " in told


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((100, 10), (100, 10), "its layers take no less time here (profiled: 100 → 100 µs); why is not known"),
        (
            (100, 10),
            (60, 60),
            "only its layers take less time (profiled: 100 → 60 µs), all other operators do not (10 → 60 µs)",
        ),
        (
            (100, 10),
            (50, 10),
            "its operators together take less time (profiled: 110 → 60 µs); why the file does not is not known",
        ),
    ],
)
def test_fewer_multiplications_that_gain_nothing(
    before: tuple[int, int], after: tuple[int, int], expected: str
) -> None:
    told = receipt.why_fewer_are_not_faster(spent(*before, integer=False), spent(*after, integer=False))
    assert told == expected


def test_fewer_multiplications_of_real_files_are_counted(tmp_path: Path) -> None:
    wide, thin = file(tmp_path / "wide.onnx", 64), file(tmp_path / "thin.onnx", 16)
    told = of_latency(subject(thin, 250), before=subject(wide, 1000))
    assert "it does 4.0× fewer multiplications, but " in told
    assert "vector" not in told, "nothing measured says so"
