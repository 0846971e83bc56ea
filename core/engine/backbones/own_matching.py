"""Finds the tensors of a network in an imported file, ignoring wrappers and name prefixes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from core.engine.backbones.own_weights import OpenedWeights, Place, Spec, Specs

SHELLS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})  # torch's wrappers
USUAL = ("model.", "net.", "network.", "backbone.", "encoder.", "classifier.", "student.")
COUNTERS = ("total_ops", "total_params", "n_averaged")  # left among the weights by profilers and weight averaging
UNCOUNTED = "num_batches_tracked"  # missing in files from before torch 0.4.1, and without effect
AVERAGED = re.compile(r"ema|swa|averag\w*")  # a word of the place: no part of `schema`
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
CANDIDATES = 8  # prefixes tried per dictionary


@dataclass(frozen=True)
class Architecture:
    """A network on the meta device to be filled, the name of its head, and the family's function that renames tensors
    of old files."""

    net: nn.Module
    head: str
    renamed: Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors, by name."""
        return {key: tuple(tensor.shape) for key, tensor in self.net.state_dict().items()}

    def is_head(self, key: str) -> bool:
        """Whether a tensor belongs to the head."""
        return key in (f"{self.head}.weight", f"{self.head}.bias")


@dataclass(frozen=True)
class Fit:
    """How a dictionary of tensors fits an architecture: `keys` maps the network's names to the file's, `specs`
    describes those tensors, `outside` counts tensors that do not belong to the network, `positions` are the position
    embeddings in the file, `double` two of its names that mean the same tensor, if there are such."""

    place: Place
    prefix: str
    keys: Mapping[str, str]
    specs: Mapping[str, Spec]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]
    outside: int
    positions: Spec | None = None
    double: tuple[str, ...] = ()

    @property
    def home(self) -> Place:
        """The place with the prefix: what two fits of one network share."""
        return (*self.place, self.prefix)

    @property
    def whole(self) -> bool:
        """Whether every tensor fits."""
        return not (self.missing or self.surplus or self.misshapen)

    @property
    def where(self) -> str:
        """The place of the network in the file; empty if the file holds nothing else."""
        return " ".join(part for part in (".".join(self.place), f"({self.prefix})" if self.prefix else "") if part)

    @property
    def averaged(self) -> bool:
        """Whether these are averaged weights, by their place in the file."""
        return any(AVERAGED.fullmatch(word.lower()) for word in WORD.findall(self.where))

    @property
    def rank(self) -> tuple[bool, int, int]:
        """A sort key: the best fit has the largest."""
        return self.whole, len(self.keys) - len(self.misshapen), -len(self.surplus)


def fits(weights: OpenedWeights, wanted: Architecture) -> list[Fit]:
    """All ways to read the network from the file, the best first; never empty for a file with a tensor."""
    found = [
        _fit(place, specs, prefix, wanted)
        for place, specs in weights.groups.items()
        for prefix in _prefixes(specs, wanted.shapes)
    ]
    return sorted(found, key=lambda fit: fit.rank, reverse=True)


def clean(key: str) -> str:
    """The name without the wrappers that torch adds to compiled or distributed modules."""
    return ".".join(part for part in key.split(".") if part not in SHELLS)


def _prefixes(specs: Specs, shapes: Mapping[str, object]) -> list[str]:
    """Candidate prefixes of the network's names, the likeliest first."""
    cleaned = [clean(key) for key in specs]
    counted: Counter[str] = Counter()
    for key in cleaned:
        counted.update(prefix for prefix, rest in _cuts(key) if rest in shapes)
    usual = [prefix for prefix in USUAL if any(key.startswith(prefix) for key in cleaned)]
    likely = [prefix for prefix, _ in counted.most_common(CANDIDATES)]
    return list(dict.fromkeys([*likely, "", *usual]))


def _cuts(key: str) -> Iterator[tuple[str, str]]:
    parts = key.split(".")
    for number in range(min(len(parts), 6)):
        prefix = "".join(f"{part}." for part in parts[:number])
        yield prefix, ".".join(parts[number:])


def _fit(place: Place, specs: Specs, prefix: str, wanted: Architecture) -> Fit:
    inside = {clean(key).removeprefix(prefix): key for key in specs if clean(key).startswith(prefix)}
    inside = {name: key for name, key in inside.items() if name.rpartition(".")[2] not in COUNTERS}
    blank = {name: torch.empty(specs[key].shape, device="meta") for name, key in inside.items()}
    given = {id(tensor): inside[name] for name, tensor in blank.items()}
    fitted = {name: given[id(t)] for name, t in wanted.renamed(blank, wanted.net).items() if id(t) in given}
    found = {name: key for name, key in fitted.items() if name in wanted.shapes}
    own = {name: specs[key] for name, key in found.items()}
    return Fit(
        place,
        prefix,
        found,
        own,
        tuple(name for name in wanted.shapes if name not in found and not name.endswith(UNCOUNTED)),
        tuple(name for name in fitted if name not in wanted.shapes),
        tuple(name for name, spec in own.items() if not _same(name, spec.shape, wanted)),
        len(specs) - len(inside),
        next((specs[key] for name, key in inside.items() if name.endswith(("pos_embedding", "pos_embed"))), None),
        _double(specs, found.values()),
    )


def _double(specs: Specs, used: Collection[str]) -> tuple[str, ...]:
    """Two names of the file that mean one tensor of the network, such as `a.weight` and `module.a.weight`."""
    taken = {clean(key): key for key in used}
    return next(((key, taken[clean(key)]) for key in specs if taken.get(clean(key), key) != key), ())


def _same(name: str, shape: tuple[int, ...], wanted: Architecture) -> bool:
    """Whether the shape is as expected; a head may have another number of classes."""
    expected = wanted.shapes[name]
    return shape[1:] == expected[1:] and len(shape) == len(expected) if wanted.is_head(name) else shape == expected


def likeness(shapes: Iterable[tuple[int, ...]], others: Iterable[tuple[int, ...]]) -> float:
    """Dice coefficient, 0 to 1, of the tensor shapes of two networks, without scalars."""
    first, second = (Counter(shape for shape in group if shape) for group in (shapes, others))
    common = sum((first & second).values())
    return 2 * common / max(1, sum(first.values()) + sum(second.values()))


def listed(items: Sequence[str], most: int = 5) -> str:
    """The first few items, and the number of the others."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
