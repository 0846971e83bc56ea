"""Removes channels permanently: the only adapter for torch-pruning (https://arxiv.org/abs/2301.12900).

The library traces which layers share channels (`trace`); ranking, counting and checks are ours (`channel_selection`).
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch_pruning.dependency import Group

from core.engine.method import methods
from core.engine.prune.attention import Score, widths_settled
from core.engine.prune.channel_selection import (
    ChannelSet,
    Scope,
    channel_sets,
    kept_channels,
    largest_ratio,
    own_ratios,
    refuse_empty,
    remove,
)
from core.engine.prune.cutter import Ranker
from core.engine.prune.room import limited
from core.engine.prune.trace import last_layers, release, shuffle_entries, trace, traceable
from core.errors import UserError, nearest
from core.rules.layer_patterns import matches, refuse_unknown

LIBRARY_FAULTS = (RuntimeError, ValueError, AssertionError, IndexError, KeyError, TypeError, AttributeError)
NETWORKS = Path(__file__).parents[1] / "backbones"  # code that runs as part of a network
OURS = Path(__file__).parents[1]
THEIRS = (Path(torch_pruning.__file__).parent, Path(nn.modules.module.__file__))  # these trace channels, run a network
BeforeCut = Callable[[nn.Module], None]
NO_RATIOS: Mapping[str, float] = MappingProxyType({})


def random_scores(seed: int) -> Score:
    """Gives every channel a seeded uniform score: the baseline that any importance has to beat."""
    draw = torch.Generator().manual_seed(seed)

    def score(group: Group) -> Tensor:
        return torch.rand(len(group[0].idxs), generator=draw)

    return score


def prune_channels(
    model: nn.Module,
    example_input: Tensor,
    ratio: float,
    importance: str | Score = "l2",
    *,
    scope: Scope = "local",
    round_to: int = 1,
    ignored: Sequence[str] = (),
    seed: int = 0,
    iterations: int = 1,
    layer_ratios: Mapping[str, float] = NO_RATIOS,
) -> nn.Module:
    """A copy of `model` without its least important channels, the share `ratio` of all; classes are kept.

    `example_input` is a batch [N, C, H, W] that the model accepts; `importance` the name of a method that needs no
    images ("l1", "l2", "bn_scale", "fpgm", "lamp", "random", …) or a callable that maps a torch_pruning Group to one
    score per channel; `scope` "local" removes the share from every group, "global" from all channels together;
    `round_to` rounds kept channels up to a multiple; `ignored` lists modules, or patterns of names, whose outputs are
    not pruned; `iterations` is the number of equal cuts, with a new ranking before each; `layer_ratios` gives layers,
    by name or pattern, a ratio of their own. Ratio 0 returns an equal copy. The model's gradients are copied too, so
    that an importance can read them. Auxiliary heads (googlenet, inception_v3) are dropped.
    Raises UserError: ratio_leaves_no_channel, not_prunable, unknown_module, unknown_layer, out_of_range,
    unknown_choice, and whatever the importance raises (no_batch_norm).
    """
    rounds = prune_rounds(
        model,
        example_input,
        ratio,
        importance,
        scope=scope,
        round_to=round_to,
        ignored=ignored,
        seed=seed,
        iterations=iterations,
        layer_ratios=layer_ratios,
    )
    return list(rounds)[-1]


def prune_rounds(
    model: nn.Module,
    example_input: Tensor,
    ratio: float,
    importance: str | Score = "l2",
    *,
    scope: Scope = "local",
    round_to: int = 1,
    ignored: Sequence[str] = (),
    seed: int = 0,
    iterations: int = 1,
    layer_ratios: Mapping[str, float] = NO_RATIOS,
    before_cut: BeforeCut = lambda net: None,
) -> Iterator[nn.Module]:
    """As `prune_channels`, but yields the network after each round; the caller may train it before requesting the next.

    Every round yields the same module object, smaller; after round k of n the share k/n · ratio has been removed.
    `before_cut` is called with the network before each cut, in evaluation mode with every parameter differentiable: it
    may store in the gradients what the importance reads.
    """
    _check_numbers({"ratio": ratio, **{f"layer_ratios.{n}": r for n, r in layer_ratios.items()}}, scope)
    _check_counts(round_to, iterations)
    score = _score(importance, seed, model)
    net = _copy(model)
    sizes: dict[str, int] = {}
    for number in range(1, iterations + 1):
        if ratio > 0 or any(layer_ratios.values()):
            with traceable(net):
                before_cut(net)
                with _reported(net, example_input):
                    graph, sets, own = _examined(net, example_input, score, ignored, layer_ratios, sizes)
                    refuse_empty(sets, own, ratio, scope)
                    share = number / iterations
                    for one, kept in zip(sets, kept_channels(sets, own, ratio, scope, round_to, share), strict=True):
                        remove(graph, one, kept)
                    widths_settled(net)
                    release(graph)
        yield net


def reachable_ratio(
    model: nn.Module,
    example_input: Tensor,
    scope: Scope,
    ignored: Sequence[str] = (),
    layer_ratios: Mapping[str, float] = NO_RATIOS,
) -> float:
    """The largest ratio that leaves a channel in every layer; raises as `prune_channels` does."""
    net = _copy(model)
    with traceable(net), _reported(net, example_input):
        graph, sets, own = _examined(net, example_input, random_scores(0), ignored, layer_ratios, {})
        release(graph)
    return largest_ratio(sets, own, scope)[0]


def widths(before: nn.Module, after: nn.Module, example_input: Tensor, ignored: Sequence[str] = ()) -> dict[str, float]:
    """The ratio that reduces each group of `before` to its width in `after`, by the name of its root."""
    net = _copy(before)
    with traceable(net), _reported(net, example_input):
        graph, sets, _ = _examined(net, example_input, random_scores(0), ignored, NO_RATIOS, {})
        release(graph)
    return {one.name: 1 - _outputs(after.get_submodule(one.name)) / one.size for one in sets}


def _outputs(module: nn.Module) -> int:
    found = module.out_features if isinstance(module, nn.Linear) else module.out_channels
    return int(found)  # type: ignore[arg-type]


def _examined(
    net: nn.Module,
    example: Tensor,
    score: Score,
    ignored: Sequence[str],
    layer_ratios: Mapping[str, float],
    sizes: dict[str, int],
) -> tuple[Any, list[ChannelSet], list[float | None]]:
    """The dependency graph, the prunable groups, and the individual ratios of some of them."""
    named = _named(net, ignored)
    graph, outputs = trace(net, example, score)
    protected = [*last_layers(graph, outputs), *shuffle_entries(net), *named]
    sets = channel_sets(graph, protected, score, sizes)
    return graph, sets, own_ratios(sets, layer_ratios)


def is_of_library(fault: BaseException) -> bool:
    """Whether an exception arose while torch-pruning traced a network or the network ran, and not in this program's own
    code, which they may have called in turn: the last frame that belongs to either decides."""
    theirs = False
    for frame, _ in traceback.walk_tb(fault.__traceback__):
        path = Path(frame.f_code.co_filename)
        if any(path.is_relative_to(place) for place in THEIRS):
            theirs = True
        elif path.is_relative_to(OURS) and not path.is_relative_to(NETWORKS):
            theirs = False
    return theirs


@contextmanager
def _reported(net: nn.Module, example: Tensor) -> Iterator[None]:
    """Raises a UserError for what the library cannot trace, or not within the memory that `limited` allows, and checks
    that the output's shape does not change."""
    try:
        before = _shape(net, example)
        with limited() as room:
            yield
        after = _shape(net, example)
    except UserError:
        raise
    except MemoryError as fault:
        raise _not_prunable(net, f"to follow its channels takes more than {room / 2**30:.1f} GB of memory") from fault
    except LIBRARY_FAULTS as fault:
        if "allocate memory" in str(fault) or not is_of_library(fault):
            raise  # the machine's limit, or an error of ours: not the network's
        raise _not_prunable(net, f"{type(fault).__name__}: {fault}") from fault
    if after != before:
        raise _not_prunable(net, f"its output changed from {before} to {after}")


def _not_prunable(net: nn.Module, reason: str) -> UserError:
    allowed = "networks whose channels torch-pruning can follow"
    return UserError("not_prunable", "model", f"{type(net).__name__} ({reason})", allowed, "Choose another backbone.")


def _check_numbers(ratios: Mapping[str, float], scope: str) -> None:
    for field, ratio in ratios.items():
        if not 0 <= ratio < 1:
            raise UserError("out_of_range", field, ratio, "a number from 0 up to, but not, 1", "Set ratio within it.")
    if scope not in ("local", "global"):
        raise UserError("unknown_choice", "scope", scope, "local or global", nearest(scope, ("local", "global")))


def _check_counts(round_to: int, iterations: int) -> None:
    for field, given in (("round_to", round_to), ("iterations", iterations)):
        if given < 1:
            raise UserError("out_of_range", field, given, "a whole number of at least 1", f"Set {field} to 1.")


def _score(importance: str | Score, seed: int, net: nn.Module) -> Score:
    """The score of that name; available are all methods of the stage that rank channels without images."""
    if not isinstance(importance, str):
        return importance
    made = {name: method() for name, method in methods("prune").items()}
    menu = {name: method for name, method in made.items() if isinstance(method, Ranker) and not method.reads_images}
    if importance not in menu:
        allowed = f"one of {', '.join(menu)}, or a callable"
        raise UserError("unknown_choice", "importance", importance, allowed, nearest(importance, menu))
    menu[importance].refuse(net)
    return _score(menu[importance].importance(seed), seed, net)


def _copy(model: nn.Module) -> nn.Module:
    """A deep copy that includes gradients, which deepcopy does not copy."""
    net = copy.deepcopy(model)
    for old, new in zip(model.parameters(), net.parameters(), strict=True):
        new.grad = None if old.grad is None else old.grad.detach().clone()
    return net


def _shape(net: nn.Module, example: Tensor) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(net(example).shape)


def _named(net: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The modules that names or patterns match, and all modules within them."""
    known = dict(net.named_modules())
    refuse_unknown(names, known, "ignored", "unknown_module", "names of the model's modules, or patterns of them")
    return [module for name, module in known.items() if any(matches(pattern, name) for pattern in names)]
