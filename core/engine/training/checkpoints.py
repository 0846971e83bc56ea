"""The training state at an epoch's end, on disk: tensors in safetensors, the rest in a manifest with their hash."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as serialize
from torch import Tensor, nn

from core.files import make_folder, remove_file, write_atomic
from core.storage.sealed import read_sealed, seal

SAVE_EVERY = 10.0  # seconds: an epoch of a tiny network is shorter than its own flush to disk
KEPT = 2
NO_BAR = (-1.0, math.inf)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class State:
    """`epoch` epochs are done; `best` holds the weights of the best validation accuracy so far, of `best_epoch`.

    `good` and `good_optimizer` are the state at the end of the last complete epoch, for rolling back; `rate` scales the
    learning rate and is halved by a roll-back; `average` is the exponential moving average of the weights, or None; if
    there is one, `best` holds averaged weights. While `best_epoch` is 0, `best` may be a network that training has to
    beat, with accuracy `best_accuracy`; `bar` is the (accuracy, loss) to beat: a higher accuracy, or the same one with
    at most this loss.
    """

    epoch: int
    best: dict[str, Tensor]
    best_epoch: int
    best_accuracy: float
    good: dict[str, Tensor]
    good_optimizer: dict[str, Any]
    rate: float = 1.0
    halvings: int = 0
    precision: torch.dtype | None = None
    saved_at: float = 0.0
    average: dict[str, Tensor] | None = None
    bar: tuple[float, float] = NO_BAR


def start(net: nn.Module, optimizer: torch.optim.Optimizer, *, averaged: bool = False) -> State:
    """The state before the first epoch, with the current weights."""
    weights = _copy(net.state_dict())
    average = weights if averaged else None
    return State(0, weights, 0, -1.0, weights, _copy_optimizer(optimizer), saved_at=time.monotonic(), average=average)


def defend(state: State, best: dict[str, Tensor], accuracy: float, bar: tuple[float, float]) -> State:
    """Keeps the weights `best`, of this validation accuracy, unless an epoch beats the bar."""
    return replace(state, best=_copy(best), best_accuracy=accuracy, bar=bar)


def advance(
    state: State,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    evaluation: tuple[float, float],
    precision: torch.dtype,
    average: dict[str, Tensor] | None = None,
) -> State:
    """The state after one more epoch with this validation (accuracy, loss), of the averaged weights if there are any;
    of two equal epochs the later counts as better, but the incoming network keeps its place unless the loss fell."""
    weights = _copy(net.state_dict())
    average = copied(average)
    ahead = replace(
        state,
        epoch=state.epoch + 1,
        good=weights,
        good_optimizer=_copy_optimizer(optimizer),
        halvings=0,
        precision=precision,
        average=average,
    )
    accuracy, loss = evaluation
    passed = accuracy > state.bar[0] or (accuracy == state.bar[0] and loss <= state.bar[1])
    if accuracy >= state.best_accuracy if state.best_epoch else passed:
        best = weights if average is None else average
        return replace(ahead, best=best, best_epoch=state.epoch + 1, best_accuracy=accuracy)
    return ahead


def roll_back(state: State, net: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Restores weights and optimizer from the end of the last complete epoch; halves the learning rate from here on."""
    net.load_state_dict(state.good)
    optimizer.load_state_dict(state.good_optimizer)
    return replace(state, rate=state.rate / 2, halvings=state.halvings + 1)


def save(folder: Path, state: State, *, due: bool) -> State:
    """Writes the state if it is due or the last one is old enough; keeps the two newest."""
    now = time.monotonic()
    if not due and now - state.saved_at < SAVE_EVERY:
        return state
    make_folder(folder)
    tensors = {f"net.{k}": v for k, v in state.good.items()}
    if state.best_epoch != state.epoch:
        tensors |= {f"best.{k}": v for k, v in state.best.items()}
    tensors |= {f"average.{k}": v for k, v in (state.average or {}).items()}
    state = replace(state, saved_at=now)
    moments, scalars = _flatten(state.good_optimizer)
    data = serialize({k: v.contiguous() for k, v in (tensors | moments).items()})
    manifest = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_accuracy": state.best_accuracy,
        "bar": [state.bar[0], None if math.isinf(state.bar[1]) else state.bar[1]],
        "rate": state.rate,
        "precision": str(state.precision).removeprefix("torch."),
        "optimizer": scalars,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "sha256": sha256(data).hexdigest(),
    }
    stem = f"epoch-{state.epoch:05d}"
    write_atomic(folder / f"{stem}.safetensors", data)
    write_atomic(folder / f"{stem}.json", seal(json.dumps(manifest, indent=1).encode()))
    for old in sorted(folder.glob("epoch-*.json"))[:-KEPT]:
        remove_file(old)
        remove_file(old.with_suffix(".safetensors"))
    return state


def restore(folder: Path, net: nn.Module, optimizer: torch.optim.Optimizer) -> State | None:
    """Loads the newest intact checkpoint into `net` and `optimizer`; skips damaged ones; None if there is none."""
    for path in sorted(folder.glob("epoch-*.json"), reverse=True):
        try:
            manifest = json.loads(read_sealed(path))
            data = path.with_suffix(".safetensors").read_bytes()
            if sha256(data).hexdigest() != manifest["sha256"]:
                continue
            tensors = load(data)
        except (OSError, ValueError, KeyError, SafetensorError):
            continue
        weights = _part(tensors, "net.")
        average = _part(tensors, "average.") or None
        best = _part(tensors, "best.") or average or weights
        net.load_state_dict(weights)
        _unflatten(optimizer, _part(tensors, "optimizer."), manifest["optimizer"])
        device = next(net.parameters()).device
        accuracy, loss = manifest["bar"]
        if average is not None:
            average = {k: v.to(device) for k, v in average.items()}
        return State(
            manifest["epoch"],
            {k: v.to(device) for k, v in best.items()},
            manifest["best_epoch"],
            manifest["best_accuracy"],
            _copy(net.state_dict()),
            _copy_optimizer(optimizer),
            rate=manifest["rate"],
            precision=PRECISIONS[manifest["precision"]],
            saved_at=time.monotonic(),
            average=average,
            bar=(accuracy, math.inf if loss is None else loss),
        )
    return None


def copied(tensors: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
    """A copy of tensors by name, if there are any."""
    return None if tensors is None else _copy(tensors)


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in tensors.items()}


def _copy_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    state = optimizer.state_dict()
    copied = {
        i: {k: v.clone() if isinstance(v, Tensor) else v for k, v in moments.items()}
        for i, moments in state["state"].items()
    }
    return {"state": copied, "param_groups": [dict(group) for group in state["param_groups"]]}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _flatten(optimizer: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, scalars = {}, {}
    for index, moments in optimizer["state"].items():
        for name, value in moments.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                scalars[f"{index}.{name}"] = value
    return tensors, scalars


def _unflatten(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in (tensors | scalars).items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = _laid_out(value, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out(value: Any, parameter: Tensor) -> Any:
    """A moment in its parameter's memory layout: fused optimizers traverse both by address, not by index."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
