"""Saves networks whose architecture pruning may have changed: a plan of the changed widths and the tensors; no pickle.

The plan is relative to the catalog's architecture: module name → the attributes that define its shapes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from core.engine.backbones import load_backbone
from core.engine.backbones.fused import Fused, Part, bare
from core.engine.backbones.skeleton import on_meta
from core.engine.model import Model, Preprocessing
from core.errors import UserError, nearest
from core.files import write_atomic
from core.storage.sealed import DamagedError, seal, unseal

FORMAT = 1
MANIFEST, WEIGHTS = "model.json", "model.safetensors"
Plan = dict[str, dict[str, int | list[int]]]
SHAPES = (
    "in_channels",
    "out_channels",
    "groups",
    "num_channels",
    "num_features",
    "in_features",
    "out_features",
    "normalized_shape",
    "num_parameters",
    "embed_dim",
    "kdim",
    "vdim",
    "num_heads",
    "n_heads",
    "head_dim",
    "hidden_dim",
    "aux_logits",
)
IDENTITY = "identity"  # a module replaced by nn.Identity
AUXILIARY = ("AuxLogits", "aux1", "aux2")


def describe(net: nn.Module) -> Plan:
    """The attributes that define the shapes, by module name; {"identity": 1} for nn.Identity."""
    found: Plan = {}
    for name, module in net.named_modules():
        own = {key: _plain(vars(module)[key]) for key in SHAPES if _is_shape(vars(module).get(key))}
        if isinstance(module, nn.Identity):
            own = {IDENTITY: 1}
        if own:
            found[name] = own
    return found


def difference(net: nn.Module, original: nn.Module) -> Plan:
    """What changed in `describe` from `original` to `net`; modules missing in `net` are left out."""
    before = describe(original)
    changed: Plan = {}
    for name, attributes in describe(net).items():
        own = {key: value for key, value in attributes.items() if before.get(name, {}).get(key) != value}
        if own:
            changed[name] = own
    return changed


def rebuild(net: nn.Module, plan: Plan, tensors: dict[str, Tensor]) -> nn.Module:
    """Gives the freshly built `net` the shapes of `plan` and the parameters and buffers `tensors`, strictly.

    Raises UserError if the plan names modules or attributes that the network lacks, or if tensors are missing,
    unexpected, or of another type or shape; the first five are named.
    """
    for name, attributes in plan.items():
        for key, value in attributes.items():
            _apply(net, name, key, value)
    _refuse(_misfits(net, tensors))
    for name, tensor in tensors.items():
        owner, key = _owner(net, name)
        if key in owner._parameters:
            old = owner._parameters[key]
            assert old is not None
            owner._parameters[key] = nn.Parameter(tensor, requires_grad=old.requires_grad)
        else:
            owner._buffers[key] = tensor
    return net


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Pixels(_Strict):
    """The preprocessing in `model.json`."""

    size: int
    channels: Literal[1, 3]
    mean: list[float]
    std: list[float]
    crop: float = 1.0


class PartCard(_Strict):
    """A backbone of a fused network in `model.json`."""

    backbone: str
    width: int
    preprocessing: Pixels


class Manifest(_Strict):
    """The content of `model.json`: everything but the tensors; `parts` are those of a fused network, whose `backbone`
    is only a title."""

    format: int
    backbone: str
    width: int
    classes: list[str]
    preprocessing: Pixels
    plan: Plan
    sha256: str
    parts: list[PartCard] = []
    ranges: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]] = {}
    decided: dict[str, str] = {}
    fresh: bool = False
    alias: str = ""
    remarks: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []


def save_model(model: Model, folder: Path) -> None:
    """Writes `model.safetensors`, then `model.json`, each atomically; `folder` must exist."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.net.state_dict().items()}
    data = safetensors.torch.save(tensors)
    p = model.preprocessing
    parts = model.net.parts if isinstance(model.net, Fused) else ()
    plan = difference(model.net, _original(model.backbone, len(model.classes), p, model.width, parts))
    cards = [PartCard(backbone=o.backbone, width=o.width, preprocessing=_pixels(o.preprocessing)) for o in parts]
    manifest = Manifest(
        format=FORMAT,
        backbone=model.backbone,
        width=model.width,
        classes=list(model.classes),
        preprocessing=_pixels(p),
        plan=plan,
        sha256=sha256(data).hexdigest(),
        parts=cards,
        ranges={name: [low, high] for name, low, high in model.ranges},
        decided=dict(model.decided),
        fresh=model.fresh,
        alias=model.alias,
        remarks=[[code, message] for code, message in model.remarks],
    )
    write_atomic(folder / WEIGHTS, data)
    write_atomic(folder / MANIFEST, seal(manifest.model_dump_json(indent=1).encode()))


def load_model(folder: Path) -> Model:
    """The model that `save_model` wrote to `folder`.

    Raises UserError: missing_file, bad_manifest, newer_format, damaged (hash), bad_weights, not_finite, and
    `rebuild`'s.
    """
    manifest = _read_manifest(folder / MANIFEST)
    tensors = _read_tensors(folder / WEIGHTS, manifest.sha256)
    preprocessing = _preprocessing(manifest.preprocessing)
    parts = [Part(o.backbone, o.width, _preprocessing(o.preprocessing)) for o in manifest.parts]
    net = _original(manifest.backbone, len(manifest.classes), preprocessing, manifest.width, parts)
    net = rebuild(net, manifest.plan, tensors)
    classes = tuple(manifest.classes)
    ranges = tuple((name, low, high) for name, (low, high) in manifest.ranges.items())
    remarks = tuple((code, message) for code, message in manifest.remarks)
    return Model(
        net,
        manifest.backbone,
        classes,
        preprocessing,
        manifest.width,
        ranges,
        manifest.decided,
        remarks,
        manifest.fresh,
        manifest.alias,
    )


def _original(backbone: str, classes: int, pixels: Preprocessing, width: int, parts: Sequence[Part]) -> nn.Module:
    """The catalog's architecture on the meta device, without weights."""
    if parts:
        return on_meta(lambda: bare(parts, classes))
    size, channels = pixels.size, pixels.channels
    return on_meta(lambda: load_backbone(backbone, classes, "none", size, width=width, channels=channels))


def _pixels(preprocessing: Preprocessing) -> Pixels:
    p = preprocessing
    channels: Literal[1, 3] = 3 if p.channels == 3 else 1
    return Pixels(size=p.size, channels=channels, mean=list(p.mean), std=list(p.std), crop=p.crop)


def _preprocessing(pixels: Pixels) -> Preprocessing:
    return Preprocessing.from_json(pixels.model_dump())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError("missing_file", path.name, reason, "a file", "Save the model again.") from error


def _read_manifest(path: Path) -> Manifest:
    text = _read(path)
    try:
        data: Any = json.loads(unseal(text).body)
    except DamagedError as error:
        fix = "The file was changed or damaged: run the step again."
        raise UserError("damaged", path.name, str(error), "the file as it was written", fix) from error
    except (ValueError, RecursionError) as error:
        raise UserError("bad_manifest", path.name, str(error), "JSON", "Save the model again.") from error
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise UserError("newer_format", "format", version, f"at most {FORMAT}", "Update Condenser to read it.")
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or path.name
        raise UserError("bad_manifest", field, first["input"], first["msg"], "Save the model again.") from error


def _read_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    data = _read(path)
    found = sha256(data).hexdigest()
    if found != digest:
        given, allowed = f"sha256 {found[:12]}…", f"the file written with its manifest, sha256 {digest[:12]}…"
        raise UserError("damaged", path.name, given, allowed, "The file was changed or damaged; run the step again.")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise UserError("bad_weights", path.name, str(error), "a safetensors file", "Save the model again.") from error
    bad = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        given = f"NaN or infinity in {', '.join(bad[:5])}"
        raise UserError("not_finite", path.name, given, "finite numbers", "The training diverged; run the step again.")
    return tensors


def _is_shape(value: object) -> bool:
    if isinstance(value, tuple | list):
        return len(value) > 0 and all(isinstance(item, int) for item in value)
    return isinstance(value, int)


def _plain(value: Any) -> int | list[int]:
    return [int(item) for item in value] if isinstance(value, tuple | list) else int(value)


def _apply(net: nn.Module, name: str, key: str, value: int | list[int]) -> None:
    modules = dict(net.named_modules())
    if name not in modules:
        raise UserError("unknown_module", "plan", name, "modules of the backbone", nearest(name, modules))
    if key == IDENTITY:
        owner, own = _owner(net, name)
        owner._modules[own] = nn.Identity()
        return
    module = modules[name]
    old = vars(module).get(key)
    whole = _numbers(value)
    if key not in SHAPES or not _is_shape(old) or isinstance(value, list) != isinstance(old, tuple | list):
        given, allowed = f"{key} = {value}", f"shapes of {type(module).__name__}"
        raise UserError("bad_plan", f"plan.{name}", given, allowed, "Save the model again.")
    if key == "aux_logits":
        _set_auxiliary(module, whole[0])
    elif min(whole, default=0) < 1:
        raise UserError("bad_plan", f"plan.{name}.{key}", value, "at least 1", "Save the model again.")
    else:
        setattr(module, key, tuple(whole) if isinstance(old, tuple) else value)


def _numbers(value: int | list[int]) -> list[int]:
    return value if isinstance(value, list) else [value]


def _set_auxiliary(module: nn.Module, present: int) -> None:
    if not present:
        vars(module)["aux_logits"] = False
        for name in AUXILIARY:
            if name in module._modules:
                module._modules[name] = None


def _owner(net: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, key = name.rpartition(".")
    return net.get_submodule(path), key


def _misfits(net: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    """Mismatches between network and tensors, one line per tensor."""
    wanted = net.state_dict()
    lines = [f"{name} is missing" for name in wanted if name not in tensors]
    lines += [f"{name} is unexpected" for name in tensors if name not in wanted]
    for name in wanted.keys() & tensors.keys():
        old, new = wanted[name], tensors[name]
        owner, key = _owner(net, name)
        shape = _expected(owner, key)
        if old.is_floating_point() != new.is_floating_point():
            lines.append(f"{name} is {new.dtype}, expected {old.dtype}")
        elif shape is not None and tuple(new.shape) != shape:
            lines.append(f"{name} has shape {list(new.shape)}, expected {list(shape)}")
        elif old.ndim != new.ndim or any(a > b for a, b in zip(new.shape, old.shape, strict=True)):
            lines.append(f"{name} has shape {list(new.shape)}, expected at most {list(old.shape)}")
    return lines


def _expected(layer: nn.Module, key: str) -> tuple[int, ...] | None:
    """The exact shape that follows from a layer's attributes; None if they do not define it."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        whole = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
    elif isinstance(layer, nn.Linear):
        whole = (layer.out_features, layer.in_features)
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return () if key == "num_batches_tracked" else (layer.num_features,)
    elif isinstance(layer, nn.LayerNorm):
        return tuple(layer.normalized_shape)
    elif isinstance(layer, nn.MultiheadAttention) and key in ("in_proj_weight", "in_proj_bias"):
        whole = (3 * layer.embed_dim, layer.embed_dim)
    else:
        return None
    return whole if key.endswith("weight") else whole[:1]


def _refuse(misfits: list[str]) -> None:
    if misfits:
        given = "; ".join(sorted(misfits)[:5]) + (f"; and {len(misfits) - 5} more" if len(misfits) > 5 else "")
        allowed = "exactly the tensors of the backbone with its plan"
        raise UserError("wrong_weights", "weights", given, allowed, "Load the weights of this architecture.")
