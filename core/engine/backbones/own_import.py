"""Import of a trained network: read, recognised, checked against its architecture, and stored with a hash."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from core.engine.backbones import Backbone, backbones, families, find, skeleton
from core.engine.backbones import state as weight_files
from core.engine.backbones.heads import head_layer
from core.engine.backbones.own_matching import Architecture, Fit, clean, fits, likeness, listed
from core.engine.backbones.own_weights import OpenedWeights, in_float32, opened
from core.engine.backbones.skeleton import on_meta
from core.engine.measure.complexity import complexity
from core.errors import UserError
from core.files import make_folder, move, remove_tree, write_atomic
from core.own.models import CARD, PREFIX, SCHEMA, WEIGHTS, OwnNetwork, checked_labels, network_home, new_name
from core.questions.import_network import ImportedNetwork, ImportNetworkRequest
from core.rules.networks import LARGEST_IMAGE, SMALLEST_IMAGE, size_faults
from core.storage.sealed import file_hash, seal

Progress = Callable[[str, int, int | None], None]  # (what, done, total); may raise to end the import
NEAR = 0.3  # likeness below which suggesting an architecture would mislead
NEAR_SIZE = 0.5  # |log ratio of parameters| of candidates: allows for heads with few or many classes
SHOWN = 3  # suggested architectures
MOST_CLASSES = 100_000
LEAST_CROP = 0.1
TWO_OUTPUTS = (
    "If its sigmoid is the probability of a class, put a row of zeros before the last layer's weight, and a zero "
    "before its bias: the network then has two outputs, that class is the second, and its probabilities are the same."
)


def import_network(wanted: ImportNetworkRequest, folder: Path, report: Progress) -> ImportedNetwork:
    """Imports the requested file into `folder` (a workspace's `models`).

    Raises UserError, and leaves the folder as it was, if the file is invalid, holds another architecture, or does not
    fit the request.
    """
    path, name = Path(wanted.path), new_name(wanted.name, folder)
    base = _architecture(wanted.backbone)
    report("reading", 0, None)
    digest = _hash(path)
    with opened(path, lambda: report("reading", 0, None)) as weights:
        base = _with_form(base, weights)
        fit, passed, size = _fitted(path, weights, base, wanted)
        tensors = weights.take(fit.place, list(fit.keys.values()))
    report("checking", 0, None)
    state = in_float32({name: tensors[key] for name, key in fit.keys.items()})
    net, classes = _filled(base, state, size)
    labels = _labels(wanted.labels, classes)
    mean, std, crop = _pixels(wanted, base)
    cost = complexity(net, (base.channels, size, size))
    kept = {key: tensor.contiguous() for key, tensor in net.state_dict().items()}
    data = save(kept)
    card = OwnNetwork(
        schema_version=SCHEMA,
        name=name,
        architecture=base.name,
        width=base.own_width,
        channels=base.channels,
        classes=labels or [str(number) for number in range(classes)],
        named=bool(labels),
        size=size,
        mean=mean,
        std=std,
        crop=crop,
        params=cost.params,
        macs=cost.macs,
        sha256=sha256(data).hexdigest(),
        bytes=len(data),
        file=path.name.encode("utf-8", "replace").decode(),
        file_sha256=digest,
        notes=_notes(fit, passed, weights, labels),
    )
    report("storing", 0, None)
    _store(card, data, folder)
    return ImportedNetwork(
        PREFIX + name,
        base.name,
        classes,
        size,
        card.classes,
        card.named,
        mean,
        std,
        crop,
        cost.params,
        cost.macs,
        len(data),
        card.notes,
    )


def _architecture(backbone: str) -> Backbone:
    if backbone.startswith(PREFIX):
        return find(find(backbone).architecture)
    return find(backbone)


def _hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        given = f"{path.name} ({error.strerror})"
        raise UserError("missing_path", "path", given, "a file that you may read", "Check the path.") from error


def _with_form(base: Backbone, weights: OpenedWeights) -> Backbone:
    """For a small network: the width and channels of the first layer in the file."""
    if base.family != "small" or base.fixed:
        return base
    for specs in weights.groups.values():
        for key, spec in specs.items():
            if clean(key).endswith("stem.0.weight") and len(spec.shape) == 4:
                channels = 3 if spec.shape[1] == 3 else 1
                pixels = base.preprocessing(base.image_size, channels)
                return replace(base, own_width=spec.shape[0], channels=channels, mean=pixels.mean, std=pixels.std)
    return base


# which tensors


def _fitted(
    path: Path, weights: OpenedWeights, base: Backbone, wanted: ImportNetworkRequest
) -> tuple[Fit, list[Fit], int]:
    """How the file fits the architecture, the networks in it that are passed over for averaged ones, and the image
    size; raises UserError if it does not fit."""
    size = wanted.size or base.image_size
    _refuse_size(size, base)
    found = fits(weights, _empty(base, size))
    whole = [fit for fit in found if fit.whole]
    if not whole:
        raise _unfit(path, weights, base, found, size)
    chosen = [fit for fit in whole if fit.averaged] or whole
    several = [fit.where or "one without a name" for fit in chosen] if len({fit.home for fit in chosen}) > 1 else []
    if several := several or [*chosen[0].double]:
        given = f"{path.name} holds several: {listed(several)}"
        fix = "Save only the one you want: torch.save(model.state_dict(), 'weights.pth')."
        raise UserError("several_networks", "path", given, f"one network of the architecture {base.name}", fix)
    passed = {fit.home: fit for fit in whole if fit.home != chosen[0].home}
    return chosen[0], list(passed.values()), size


def _refuse_size(size: int, base: Backbone) -> None:
    if not SMALLEST_IMAGE <= size <= LARGEST_IMAGE:
        allowed = f"a whole number from {SMALLEST_IMAGE} to {LARGEST_IMAGE}"
        fix = f"The nearest allowed value is {max(SMALLEST_IMAGE, min(size, LARGEST_IMAGE))}."
        raise UserError("out_of_range", "size", size, allowed, fix)
    for fault in size_faults(size, base.to_json(), base.name, "size"):
        raise fault


def _empty(base: Backbone, size: int) -> Architecture:
    family = families()[base.family]
    net = on_meta(lambda: family.architecture(base, base.classes, size, base.own_width, base.channels))
    head = head_layer(net)
    return Architecture(net, next(name for name, module in net.named_modules() if module is head), family.fit)


def _unfit(path: Path, weights: OpenedWeights, base: Backbone, found: Sequence[Fit], size: int) -> UserError:
    """The error for a file that does not fit the architecture, with the most helpful advice."""
    count = sum(map(len, weights.groups.values()))
    if not found:
        fix = "Save the weights: torch.save(model.state_dict(), 'weights.pth')."
        given = f"{path.name} without a tensor that has a name"
        return UserError("no_weights", "path", given, "a file of weights", fix)
    best = found[0]
    other = _other_size(best, base, size)
    if other:
        given = f"position embeddings for {other} pixels a side"
        fix = f"Import it with --size {other}."
        return UserError("wrong_image_size", "size", given, f"weights for size {size}", fix)
    if not best.missing and not best.surplus:
        return _differing(path, best, base, size)
    near = _nearest(weights, base)
    if near and near[0][0] == base.name:
        return _differing(path, best, base, size)
    given = f"{path.name} with {count} tensors, {len(best.keys)} of them with names of {base.name}"
    names = [f"{name} ({100 * alike:.0f} % of the tensors have the same shapes)" for name, alike in near]
    fix = (
        f"The most similar {'are' if len(names) > 1 else 'is'} {listed(names)}: import it with --backbone {near[0][0]}."
        if near
        else "No architecture of the catalog is similar; see condenser list backbones."
    )
    wanted = len(_empty(base, size).shapes)
    return UserError("other_architecture", "backbone", given, f"the {wanted} tensors of {base.name}", fix)


def _differing(path: Path, best: Fit, base: Backbone, size: int) -> UserError:
    """The error for the right architecture with missing, unknown or misshapen tensors."""
    shapes = _empty(base, size).shapes
    differences = [
        *(f"{name} is {_shape(best.specs[name].shape)}, not {_shape(shapes[name])}" for name in best.misshapen),
        *(f"{name} is missing" for name in best.missing),
        *(f"{name} is unknown" for name in best.surplus),
    ]
    fix = f"{listed(differences)}. Only the last layer may differ from {base.name}, in its number of classes."
    given = f"{path.name}, in which {len(differences)} tensors differ"
    return UserError("weights_shapes", "path", given, f"the {len(shapes)} tensors of {base.name}", fix)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _other_size(best: Fit, base: Backbone, size: int) -> int:
    """The image size of a vision transformer's position embeddings, if it is not `size`; otherwise 0."""
    positions = best.positions
    if positions is None or len(positions.shape) != 3 or base.multiple == 1:
        return 0
    side = math.isqrt(positions.shape[1] - 1) * base.multiple
    return side if side != size and SMALLEST_IMAGE <= side <= LARGEST_IMAGE else 0


def _nearest(weights: OpenedWeights, base: Backbone) -> list[tuple[str, float]]:
    """(name, likeness) of the architectures with the most similar tensor shapes, the most similar first."""
    largest = max(weights.groups.values(), key=len)
    shapes = [spec.shape for spec in largest.values()]
    numbers = sum(math.prod(shape) for shape in shapes)
    alike = {name: likeness(shapes, own) for name, own in _catalog_shapes(base, numbers)}
    best = sorted(alike.items(), key=lambda item: -item[1])[:SHOWN]
    return [(name, share) for name, share in best if share >= max(NEAR, 0.8 * best[0][1])]


def _catalog_shapes(base: Backbone, numbers: int) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """The tensor shapes of each architecture with a similar number of parameters; the others would take too long."""
    near = [name for name, entry in backbones().items() if abs(math.log(entry.params / max(1, numbers))) < NEAR_SIZE]
    for name in dict.fromkeys((base.name, *near)):
        yield name, [tuple(tensor.shape) for tensor in skeleton(name).state_dict().values()]


# the network


def _filled(base: Backbone, state: Mapping[str, Tensor], size: int) -> tuple[nn.Module, int]:
    """The network with these weights, and its number of classes; checked to return finite logits for an image."""
    empty = _empty(base, size)
    classes = len(state[f"{empty.head}.weight"])
    if not 2 <= classes <= MOST_CLASSES:
        given = f"a head whose number of outputs is {classes}"
        fix = TWO_OUTPUTS if classes == 1 else "Only classifiers of two classes or more can be imported."
        raise UserError("out_of_range", "path", given, f"2 to {MOST_CLASSES:,}", fix)
    family = families()[base.family]
    net = on_meta(lambda: family.architecture(base, classes, size, base.own_width, base.channels))
    whole = {**_counters(net), **state}
    weight_files.fill(net, whole, base.name)
    net.eval()
    with torch.inference_mode():
        answer = net(torch.zeros(1, base.channels, size, size))
    if answer.shape != (1, classes) or not torch.isfinite(answer).all():
        fix = "Check that it is the right file, and that --size is the size it was trained with."
        raise UserError("weights_not_finite", "path", "no finite output for a grey image", "finite logits", fix)
    return net, classes


def _counters(net: nn.Module) -> dict[str, Tensor]:
    """Zeros for counters that old files lack and that do not affect the output."""
    return {key: torch.zeros((), dtype=torch.int64) for key in net.state_dict() if key.endswith("num_batches_tracked")}


def _labels(given: Sequence[str], classes: int) -> list[str]:
    if not given:
        return []
    names = checked_labels(list(given))
    if len(names) != classes:
        fix = "Write one class name per line, in the order of the outputs."
        raise UserError("label_count", "labels", f"{len(names)} names", f"{classes}, one for each output", fix)
    return names


def _pixels(wanted: ImportNetworkRequest, base: Backbone) -> tuple[list[float], list[float], float]:
    """Mean, standard deviation and crop; raises UserError out_of_range."""
    own = base.preprocessing(base.image_size, base.channels)
    mean = _values("mean", wanted.mean or own.mean, base.channels, 0.0)
    std = _values("std", wanted.std or own.std, base.channels, 1e-3)
    crop = wanted.crop or base.crop
    if not LEAST_CROP <= crop <= 1:
        fix = "Give the share of a side that the centre crop keeps, such as 0.875; 1 keeps all of it."
        raise UserError("out_of_range", "crop", crop, f"{LEAST_CROP} to 1", fix)
    return mean, std, crop


def _values(name: str, given: Sequence[float], channels: int, least: float) -> list[float]:
    values = [float(value) for value in (given if len(given) == channels else list(given) * channels)]
    if len(values) != channels or not all(math.isfinite(v) and least <= v <= 1 for v in values):
        allowed = f"{channels} number{'s' if channels > 1 else ''} from {least:g} to 1, for pixels from 0 to 1"
        fix = f"Give --{name} as in training, such as --{name} {','.join(['0.5'] * channels)}."
        raise UserError("out_of_range", name, ", ".join(map(str, given)), allowed, fix)
    return values


def _notes(fit: Fit, passed: Sequence[Fit], weights: OpenedWeights, labels: Sequence[str]) -> list[str]:
    """Remarks on how the file was read, one sentence each."""
    notes = []
    others = sum(len(specs) for place, specs in weights.groups.items() if place != fit.place) + fit.outside
    others -= sum(len(each.keys) for each in passed)
    if fit.where:
        notes.append(f"The network was found under {fit.where}.")
    if fit.averaged:
        ignored = "; the others in the file were ignored" if passed else ""
        notes.append(f"These are the averaged weights{ignored}.")
    if others:
        notes.append(f"{others} tensors that do not belong to the network were ignored.")
    kinds = sorted({spec.kind for spec in fit.specs.values() if "float" in spec.kind} - {"float32"})
    if kinds:
        notes.append(f"Converted from {', '.join(kinds)} to float32.")
    if not labels:
        notes.append("Without --labels its classes are numbered from 0, in the order of its outputs.")
    return notes


# storing


def _store(card: OwnNetwork, data: bytes, folder: Path) -> None:
    with _stage(folder) as stage:
        write_atomic(stage / WEIGHTS, data)
        write_atomic(stage / CARD, seal(card.model_dump_json(indent=1).encode()))
        new_name(card.name, folder)  # another process may have taken the name meanwhile
        move(stage, network_home(card.name, folder))


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill, which is always removed."""
    make_folder(folder)
    stage = folder / f".new-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        yield make_folder(stage)
    finally:
        remove_tree(stage)
