"""The order of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.catalog import Catalog
from core.errors import UserError


def order_faults(steps: Sequence[tuple[str, str]]) -> Iterator[UserError]:
    """A transfer step comes first, nothing is trained after quantization, exports come last."""
    names = [f"steps.{n} ({stage}.{method})" for n, (stage, method) in enumerate(steps)]
    stages = [stage for stage, _ in steps]
    if stages[0] != "transfer":
        later = f" {names[stages.index('transfer')]} must come first." if "transfer" in stages else ""
        fix = f"Begin with a transfer step: the backbone has no head for your classes yet.{later}"
        yield UserError("conflicting_steps", "steps.0.stage", names[0], "a transfer step first", fix)
    for n, stage in enumerate(stages):
        before = stages[:n]
        if stage != "export" and "export" in before:
            earlier = names[before.index("export")]
            fix = f"Move {earlier} after {names[n]}."
            yield UserError("conflicting_steps", f"steps.{n}.stage", f"{names[n]} after {earlier}", "export last", fix)
        elif stage != "export" and "quantize" in before:
            earlier = names[before.index("quantize")]
            fix = "Keep one of the two." if stage == "quantize" else f"Move {names[n]} before {earlier}."
            allowed = "one quantize step, after everything that trains"
            yield UserError("conflicting_steps", f"steps.{n}.stage", f"{names[n]} after {earlier}", allowed, fix)


def export_faults(steps: Sequence[tuple[str, str]], catalog: Catalog) -> Iterator[UserError]:
    """Formats made from the torch network after a quantize step, whose integers only the ONNX file holds."""
    menu = catalog.methods.get("export", {})
    able = ", ".join(name for name, entry in menu.items() if entry.takes_quantized)
    quantized = ""
    for n, (stage, method) in enumerate(steps):
        name = f"steps.{n} ({stage}.{method})"
        if quantized and stage == "export" and method in menu and not menu[method].takes_quantized:
            allowed = (
                f"one of {able} after a quantize step: only the ONNX file holds integers, this format holds floats"
            )
            fix = f"Remove it, or export {method} in a recipe without {quantized}."
            yield UserError("conflicting_steps", f"steps.{n}.method", f"{name} after {quantized}", allowed, fix)
        quantized = quantized or (name if stage == "quantize" else "")
