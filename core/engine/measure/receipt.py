"""The receipt of a step: what actually changed in the saved file, and if nothing was gained, why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from core.engine.measure.contents import contents, why_not_smaller
from core.engine.measure.graph import KernelUse, count, integer_layers, kernels, layers, zeros
from core.engine.measure.latency import Timing, inside_noise, ratio, spread
from core.engine.measure.size import compressed_bytes
from core.engine.method import Saved
from core.text.formatting import count as count_of
from core.text.formatting import size

SPARSE = 0.1  # a share of zeros from which they count as intended
MATTERS = 1.05  # a ratio closer to one than this is no gain
MULTIPLIED = "this runtime multiplies by zeros as by other numbers"


@dataclass(frozen=True)
class Subject:
    """A saved file with its parameter count in torch, multiply-accumulates and timing."""

    path: Path
    params: int
    macs: int
    timing: Timing


@dataclass(frozen=True)
class Receipt:
    """`first` is the run's first point, `before` the previous step, `twin` the same network in float32 in the same
    runtime, for a quantized file; `recall` the recall on the test images of the classes that the step reports;
    `decided` the options decided by a rule or a measurement, and their values; `remarks` the codes of remarks made
    while running the step."""

    after: Subject
    first: Subject | None
    before: Subject | None
    twin: Subject | None
    saved: Saved
    touched: tuple[int, int]
    agreement: float | None = None
    parity: float | None = None
    calibration_error: float | None = None
    noisy: bool = False
    recall: dict[str, float] = field(default_factory=dict)
    decided: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; what does not apply is absent."""
        uses, empty = kernels(self.after.path, self._threads), zeros(self.after.path)
        in_integers, _ = integer_layers(uses)
        found: dict[str, Any] = {
            "layers": {"touched": self.touched[0], "total": self.touched[1]},
            "kernels": [
                {"op": u.op, "type": u.data_type, "count": len(u.nodes), "integer": u.integer} for u in uses if u.layer
            ],
            "int8_layers": in_integers,
            "file": {
                "numbers": count(self.after.path).params,
                "folded_params": self.folded(),
                **({} if empty is None else {"zeros": empty}),
            },
            "parity_with_torch": self.parity,
            "calibration_error": self.calibration_error,
            "same_answer_as_before": self.agreement,
            "recall": self.recall or None,
            "decided": dict(self.decided) or None,
            "notes": list(self.saved.notes),
            "remarks": list(self.remarks) or None,
        }
        for name, other in (("first", self.first), ("before", self.before), ("fp32", self.twin)):
            if other is not None:
                found |= self._compared(name, other)
        found["no_gain"] = self._reasons(uses, empty or 0.0)
        return {key: value for key, value in found.items() if value is not None}

    @property
    def _threads(self) -> int:
        """Those that the file was timed with: kernels gain from further ones to different degrees."""
        return self.after.timing.threads

    def folded(self) -> int:
        """Parameters of the network that the file does not store: batch norms folded into convolutions."""
        return self.after.params - count(self.after.path).params

    def _compared(self, name: str, other: Subject) -> dict[str, Any]:
        mine, theirs = self.after.path.stat().st_size, other.path.stat().st_size
        latency: dict[str, Any] = {
            "ms": other.timing.latency().p50,
            "ms_now": self.after.timing.latency().p50,
            "predicted_by_macs": other.macs / self.after.macs if self.after.macs else None,
        }
        if self._distinct(other):
            latency["speedup"] = ratio(other.timing, self.after.timing)
            if (ends := spread(other.timing, self.after.timing)) is not None:
                latency["low"], latency["high"] = ends
        else:
            latency["withheld"] = "the machine was busy" if self._busy(other) else "the difference is inside the noise"
        sizes = {"before": theirs, "after": mine, "times_smaller": theirs / mine}
        return {f"bytes_{name}": sizes, f"latency_{name}": latency}

    def _reasons(self, uses: tuple[KernelUse, ...], empty: float) -> list[str]:
        """Sentences, empty if bytes and latency both fell relative to what the step should be compared with. Only
        reasons that the files, their kernels and their timings show are given."""
        other = self.twin or self.before
        if other is None:
            return []
        reasons = []
        mine, theirs = (subject.path.stat().st_size for subject in (self.after, other))
        if mine * MATTERS > theirs:
            why = why_not_smaller(contents(other.path), contents(self.after.path))
            reasons.append(f"no gain in bytes ({size(theirs)} → {size(mine)}): {why}")
        now, before = (subject.timing.latency().p50 for subject in (self.after, other))
        times = f"({before:.3f} → {now:.3f} ms)"
        if ratio(other.timing, self.after.timing) < MATTERS:
            if self._busy(other):
                reasons.append(f"latency did not fall {times}, but the machine was busy: a gain is not excluded")
            else:
                reasons.append(f"no gain in latency {times}: {self._why_not_faster(other, uses, empty)}")
        elif self._only_zeros(other, empty) and self._distinct(other):
            reasons.append(f"its zeros are not what made it faster {times}: {MULTIPLIED}")
        return reasons

    def _only_zeros(self, other: Subject, empty: float) -> bool:
        """Whether the number of multiplications did not change, but some of them became multiplications by zero."""
        as_many = other.macs <= self.after.macs * MATTERS
        return self.twin is None and as_many and empty - (zeros(other.path) or 0.0) > SPARSE

    def _why_not_faster(self, other: Subject, uses: tuple[KernelUse, ...], empty: float) -> str:
        if self.twin is not None:
            return why_rounding_is_not_faster(self.after.path, other.path, uses, self._threads)
        counts = f"({count_of(other.macs)} → {count_of(self.after.macs)})"
        if self.after.macs > other.macs * MATTERS:
            return f"the network does more multiplications than before {counts}"
        if other.macs <= self.after.macs * MATTERS:
            if self._only_zeros(other, empty):
                smaller = compressed_bytes(self.after.path) < compressed_bytes(other.path)
                only = "; only the compressed file shrinks" if smaller else ""
                return f"{MULTIPLIED} ({empty:.0%} of the weights are zero){only}"
            if self.after.macs != other.macs:
                return f"the network does about as many multiplications as before {counts}"
            return f"the network does as many multiplications as before ({count_of(self.after.macs)})"
        fewer = f"it does {other.macs / self.after.macs:.1f}× fewer multiplications, but "
        return fewer + why_fewer_are_not_faster(kernels(other.path, self._threads), uses)

    def _distinct(self, other: Subject) -> bool:
        """Whether the two timings are shown to differ."""
        return not self._busy(other) and not inside_noise(self.after.timing, other.timing)

    def _busy(self, other: Subject) -> bool:
        """Whether the machine was busy with something else while either file was timed."""
        return self.noisy or other.timing.latency().noisy


def why_rounding_is_not_faster(path: Path, twin: Path, uses: tuple[KernelUse, ...], threads: int = 1) -> str:
    """Why a quantized file is not faster than its float twin, from the types it stores and the kernels that ran, on as
    many threads as both were timed with."""
    held = layers(onnx.load(path))
    if not any(layer.data_type != onnx.TensorProto.FLOAT for layer in held):
        return "every layer stayed float32"
    in_integers, every = integer_layers(uses)
    if in_integers == 0:
        return "no layer ran an integer kernel: the stored weights are widened to float32 before they are used"
    before, after = (_spent(found) for found in (kernels(twin, threads), uses))
    ran = f"{in_integers} of {every} layers ran integer kernels, "
    if after.layers >= before.layers:
        return (
            f"{ran}which take no less time here than those in float32 (profiled: {before.layers} → {after.layers} µs)"
        )
    if after.total * MATTERS >= before.total:
        return (
            f"{ran}which take less time (profiled: {before.layers} → {after.layers} µs), but all other operators, "
            f"the rounding between layers among them, take more ({before.others} → {after.others} µs)"
        )
    return f"{ran}and why that is not faster is not known"


def why_fewer_are_not_faster(before: tuple[KernelUse, ...], after: tuple[KernelUse, ...]) -> str:
    """Where a network with fewer multiplications spends its time, from the profiles of both files."""
    old, new = _spent(before), _spent(after)
    if new.layers >= old.layers:
        return f"its layers take no less time here (profiled: {old.layers} → {new.layers} µs); why is not known"
    if new.total * MATTERS >= old.total:
        return (
            f"only its layers take less time (profiled: {old.layers} → {new.layers} µs), all other operators do not "
            f"({old.others} → {new.others} µs)"
        )
    profiled = f"(profiled: {old.total} → {new.total} µs)"
    return f"its operators together take less time {profiled}; why the file does not is not known"


@dataclass(frozen=True)
class Spent:
    """Microseconds per image from a profile: in layers that hold weights, and in all other operators."""

    layers: int
    others: int

    @property
    def total(self) -> int:
        return self.layers + self.others


def _spent(uses: tuple[KernelUse, ...]) -> Spent:
    held = sum(use.microseconds for use in uses if use.layer)
    return Spent(held, sum(use.microseconds for use in uses) - held)


def changed_layers(before: nn.Module | None, after: nn.Module) -> tuple[int, int]:
    """The number of weighted layers that differ from the layer of the same name before, and the number of layers."""
    held = {name: m for name, m in after.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    if before is None:
        return len(held), len(held)
    old = dict(before.named_modules())
    return sum(not _same(old.get(name), layer) for name, layer in held.items()), len(held)


def _same(old: nn.Module | None, new: nn.Conv2d | nn.Linear) -> bool:
    weight = getattr(old, "weight", None)
    if weight is None or weight.shape != new.weight.shape:
        return False
    return bool((weight.detach().cpu() == new.weight.detach().cpu()).all())
