"""Writing a file whose weights are integers and whose arithmetic is float, and saying what that came to."""

from __future__ import annotations

from pathlib import Path

import onnx

from core.engine.measure.graph import Layer, layers, weight_bytes_of
from core.engine.quantize import Conversion
from core.engine.quantize.weights import Rounding, packed_twin, shrink, storage_notes
from core.files import write_atomic


def store(
    model: onnx.ModelProto, target: Path, chosen: tuple[Layer, ...], rounding: Rounding, bits: int, form: str = "cast"
) -> Conversion:
    """Writes `model`, the chosen layers' weights in the integers that `rounding` makes, and the bit-packed file beside
    it where some have no type of their width. `bits` are the method's; `form` as in `shrink`."""
    total, before = len(layers(model)), weight_bytes_of(model)
    stored = shrink(model, chosen, rounding, form)
    write_atomic(target, model.SerializeToString(deterministic=True))
    names = {f"{weight.name}_integers" for weight in stored}
    touched = sum(layer.weight in names for layer in layers(model))
    packed = packed_twin(target, model, stored)
    size = packed.stat().st_size if packed else None
    notes = storage_notes(stored, form)
    return Conversion(bits, touched, total, before, weight_bytes_of(model), packed, size, notes)
