"""Weights from a .safetensors file: read and checked against the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from core.errors import UserError

SHOWN = 5  # of many wrong keys


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file without a leading `module.`; raises UserError on any other file."""
    if path.suffix != ".safetensors":
        fix = "Import it with `condenser import-model`, or save it with safetensors.torch.save_file."
        raise UserError("weights_format", "weights", path.name, '"default", "none" or a .safetensors file', fix)
    if not path.is_file():
        raise UserError("no_such_file", "weights", str(path), "an existing .safetensors file", "Check the path.")
    try:
        state = load(path.read_bytes())  # not load_file: its tensors would change with the file
    except (SafetensorError, OSError) as error:
        given = f"{path.name} ({error})"
        fix = "Save or copy the file again: it is incomplete or not in safetensors format."
        raise UserError("weights_damaged", "weights", given, "an intact .safetensors file", fix) from error
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def fill(net: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Loads `state` into `net`, an architecture called `name`; raises UserError if it does not fit."""
    own = net.state_dict()
    missing, surplus = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or surplus:
        given = _listed([*(f"{k} missing" for k in missing), *(f"{k} unknown" for k in surplus)])
        fix = f"Choose the architecture the file was saved from; only {len(own.keys() & state.keys())} names match."
        raise UserError("weights_keys", "weights", given, f"the {len(own)} tensors of {name}", fix)
    wrong = [f"{k} {_shape(state[k])}" for k in own if own[k].shape != state[k].shape]
    if wrong:
        expected = _listed([f"{k} {_shape(own[k])}" for k in own if own[k].shape != state[k].shape])
        fix = "Choose the architecture, width and image size the file was saved with."
        raise UserError("weights_shapes", "weights", _listed(wrong), expected, fix)
    for key, tensor in state.items():
        _check_values(key, tensor, own[key])
    versions = getattr(own, "_metadata", None)
    ordered = type(own)((key, state[key].to(own[key].dtype)) for key in own)
    ordered._metadata = versions  # type: ignore[attr-defined]
    net.load_state_dict(ordered, strict=True, assign=True)


def _check_values(key: str, tensor: Tensor, own: Tensor) -> None:
    if own.is_floating_point() and not tensor.is_floating_point():
        fix = "Save the weights in float32 before quantizing them."
        raise UserError("weights_type", "weights", f"{key} {tensor.dtype}", "floating-point weights", fix)
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        fix = "Train again with a lower learning rate, or take an earlier checkpoint."
        raise UserError("weights_not_finite", "weights", f"{key} holds NaN or infinity", "finite weights", fix)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
