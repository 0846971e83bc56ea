"""Which tensors of a person's file are the network: wrappers around it and prefixes of its names are seen through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from core.engine.backbones.own_weights import OpenedWeights, Place, Spec, Specs

SHELLS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})  # torch's wrappers
USUAL = ("model.", "net.", "network.", "backbone.", "encoder.", "classifier.", "student.")
COUNTERS = ("total_ops", "total_params", "n_averaged")  # what profilers and averages leave among the weights
UNCOUNTED = "num_batches_tracked"  # absent in files of torch before 0.4.1, and of no effect
AVERAGED = ("ema", "averag", "swa")
CANDIDATES = 8  # prefixes that are tried in a dictionary


@dataclass(frozen=True)
class Architecture:
    """A network on the meta device as it is to be filled, its head by name, and how its family renames old files'
    tensors."""

    net: nn.Module
    head: str
    renamed: Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(tensor.shape) for key, tensor in self.net.state_dict().items()}

    def is_head(self, key: str) -> bool:
        return key in (f"{self.head}.weight", f"{self.head}.bias")


@dataclass(frozen=True)
class Fit:
    """How a dictionary of tensors fits an architecture: `keys` are the file's names by the network's, `specs` what they
    are, `outside` how many tensors do not belong to the network, `positions` the position embeddings in the file."""

    place: Place
    prefix: str
    keys: Mapping[str, str]
    specs: Mapping[str, Spec]
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]
    outside: int
    positions: Spec | None = None

    @property
    def whole(self) -> bool:
        return not (self.missing or self.surplus or self.misshapen)

    @property
    def where(self) -> str:
        """Where the network lies in the file, empty where the file is nothing else."""
        return ".".join(self.place) + (f" ({self.prefix})" if self.prefix else "")

    @property
    def averaged(self) -> bool:
        return any(word in self.where.lower() for word in AVERAGED)

    @property
    def rank(self) -> tuple[bool, int, int]:
        return self.whole, len(self.keys) - len(self.misshapen), -len(self.surplus)


def fits(weights: OpenedWeights, wanted: Architecture) -> list[Fit]:
    """Every way to read the network out of the file, the best one first; never empty for a file with a tensor."""
    found = [
        _fit(place, specs, prefix, wanted)
        for place, specs in weights.groups.items()
        for prefix in _prefixes(specs, wanted.shapes)
    ]
    return sorted(found, key=lambda fit: fit.rank, reverse=True)


def clean(key: str) -> str:
    """The name without what torch puts around a module that is compiled or spread over machines."""
    return ".".join(part for part in key.split(".") if part not in SHELLS)


def _prefixes(specs: Specs, shapes: Mapping[str, object]) -> list[str]:
    """What may stand before the network's own names, the likeliest first."""
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
        place, prefix, found, own,
        tuple(name for name in wanted.shapes if name not in found and not name.endswith(UNCOUNTED)),
        tuple(name for name in fitted if name not in wanted.shapes),
        tuple(name for name, spec in own.items() if not _same(name, spec.shape, wanted)),
        len(specs) - len(inside),
        next((specs[key] for name, key in inside.items() if name.endswith(("pos_embedding", "pos_embed"))), None),
    )  # fmt: skip


def _same(name: str, shape: tuple[int, ...], wanted: Architecture) -> bool:
    """A head may have another number of classes."""
    expected = wanted.shapes[name]
    return shape[1:] == expected[1:] and len(shape) == len(expected) if wanted.is_head(name) else shape == expected


def likeness(shapes: Iterable[tuple[int, ...]], others: Iterable[tuple[int, ...]]) -> float:
    """Share of the tensors of two networks that have the same shapes, 0 to 1 (Dice's coefficient), scalars left out."""
    first, second = (Counter(shape for shape in group if shape) for group in (shapes, others))
    common = sum((first & second).values())
    return 2 * common / max(1, sum(first.values()) + sum(second.values()))


def listed(items: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
