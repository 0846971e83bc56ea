"""The receipt of a step: what really changed in the saved file, and where nothing was gained, why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from core.engine.measure.graph import count, integer_layers, kernels, zeros
from core.engine.measure.latency import Timing, inside_noise, ratio
from core.engine.method import Saved

TINY = 0.2  # milliseconds: below, the fixed cost of starting each operator outweighs its arithmetic
SPARSE = 0.1  # a share of zeros that someone meant
MATTERS = 1.05  # a ratio nearer to one than this is no gain


@dataclass(frozen=True)
class Subject:
    """A saved file and what is known of it: its network in torch, multiply-accumulates, timing."""

    path: Path
    params: int
    macs: int
    timing: Timing


@dataclass(frozen=True)
class Receipt:
    """`first` is the run's first point, `before` the step before, `twin` the same network in float32 in the same
    runtime, for a quantized file; `recall` the share of right answers among the test images of classes that the step
    watches; `remarks` the codes of what making it came to."""

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
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; what does not apply is absent."""
        uses, empty = kernels(self.after.path), zeros(self.after.path)
        in_integers, layers = integer_layers(uses)
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
            "notes": list(self.saved.notes),
            "remarks": list(self.remarks) or None,
        }
        for name, other in (("first", self.first), ("before", self.before), ("fp32", self.twin)):
            if other is not None:
                found |= self._compared(name, other)
        found["no_gain"] = self._reasons(in_integers, layers, empty or 0.0)
        return {key: value for key, value in found.items() if value is not None}

    def folded(self) -> int:
        """Parameters of the network that the file does not hold as such: batch norms folded into convolutions."""
        return self.after.params - count(self.after.path).params

    def _compared(self, name: str, other: Subject) -> dict[str, Any]:
        mine, theirs = self.after.path.stat().st_size, other.path.stat().st_size
        latency: dict[str, Any] = {
            "ms": other.timing.latency().p50,
            "ms_now": self.after.timing.latency().p50,
            "predicted_by_macs": other.macs / self.after.macs if self.after.macs else None,
        }
        told_apart = not inside_noise(self.after.timing, other.timing)
        if told_apart and not self.noisy:
            latency["speedup"] = ratio(other.timing, self.after.timing)
        else:
            latency["withheld"] = "the machine was busy" if self.noisy else "the difference is inside the noise"
        sizes = {"before": theirs, "after": mine, "times_smaller": theirs / mine}
        return {f"bytes_{name}": sizes, f"latency_{name}": latency}

    def _reasons(self, in_integers: int, layers: int, empty: float) -> list[str]:
        """Sentences, empty where bytes and time both fell against what the step should be compared to."""
        other = self.twin or self.before
        if other is None:
            return []
        reasons = []
        if self.after.path.stat().st_size * MATTERS > other.path.stat().st_size:
            reasons.append("no gain in bytes because the file stores as many numbers in as many bits as before")
        if self.twin is None and empty > SPARSE and other.macs <= self.after.macs * MATTERS:
            now, before = (subject.timing.latency().p50 for subject in (self.after, other))
            reasons.append(
                f"no gain in latency on this runtime ({before:.3f} → {now:.3f} ms): it multiplies by zeros "
                f"({empty:.0%} of the weights) as by other numbers; only the compressed file shrinks"
            )
        elif ratio(other.timing, self.after.timing) < MATTERS:
            reasons.append(f"no gain in latency because {self._why_not_faster(other, in_integers, layers)}")
        return reasons

    def _why_not_faster(self, other: Subject, in_integers: int, layers: int) -> str:
        milliseconds = self.after.timing.latency().p50
        if self.twin is not None and in_integers == 0:
            return "no layer ran an integer kernel: the weights are widened to float32 before they are used"
        if self.twin is not None:
            return (
                f"{in_integers} of {layers} layers ran int8 kernels, but at {milliseconds:.3f} ms an image rounding "
                "the activations between layers costs what the cheaper arithmetic saves"
            )
        if other.macs <= self.after.macs * MATTERS:
            return "the network does as many multiplications as before"
        if milliseconds < TINY:
            return f"at {milliseconds:.3f} ms an image starting the operators costs more than their arithmetic"
        return "the thinner layers use this processor's vector units less well"


def changed_layers(before: nn.Module | None, after: nn.Module) -> tuple[int, int]:
    """How many layers with weights differ from the layer of the same name before, and how many there are."""
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
