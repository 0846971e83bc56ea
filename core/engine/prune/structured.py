"""Removing channels for good: the one adapter over torch-pruning (https://arxiv.org/abs/2301.12900).

The library follows which layers share channels (`trace`); ranking, counting and refusing are ours (`ranking`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_pruning.dependency import Group
from torch_pruning.pruner.importance import GroupMagnitudeImportance

from core.engine.prune.attention import Score, widths_settled
from core.engine.prune.ranking import Scope, channel_sets, kept_channels, refuse_empty, remove
from core.engine.prune.trace import last_layers, release, shuffle_entries, trace, traceable
from core.errors import UserError, nearest

LIBRARY_FAULTS = (RuntimeError, ValueError, AssertionError, IndexError, KeyError, TypeError, AttributeError)


def group_l2() -> Score:
    """Group L2 norm: over all layers that share a channel, its squared weights, relative to the group's mean."""
    kinds = [nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.LayerNorm]
    score: Score = GroupMagnitudeImportance(p=2, target_types=kinds)
    return score


def random_scores(seed: int) -> Score:
    """Every channel gets a seeded uniform score: the control that any importance has to beat."""
    draw = torch.Generator().manual_seed(seed)

    def score(group: Group) -> Tensor:
        return torch.rand(len(group[0].idxs), generator=draw)

    return score


IMPORTANCES: dict[str, Callable[[int], Score]] = {"l2": lambda seed: group_l2(), "random": random_scores}


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
) -> nn.Module:
    """A copy of `model` without the share `ratio` of its channels, the least important ones; classes are kept.

    `example_input` is a batch [N, C, H, W] the model accepts; `importance` a name ("l2", "random") or a callable that
    maps a torch_pruning Group to one score a channel; `scope` "local" removes the share from every group, "global"
    from all channels together; `round_to` rounds kept channels up to a multiple; `ignored` names modules whose outputs
    stay whole; `iterations` ranks anew after each of so many equal cuts. Ratio 0 returns an equal copy. Gradients on
    the model travel to the copy, so that an importance may read them. Auxiliary heads (googlenet, inception_v3) go.
    Raises UserError: ratio_leaves_no_channel, not_prunable, unknown_module, out_of_range, unknown_choice.
    """
    rounds = prune_rounds(
        model, example_input, ratio, importance,
        scope=scope, round_to=round_to, ignored=ignored, seed=seed, iterations=iterations,
    )  # fmt: skip
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
) -> Iterator[nn.Module]:
    """As `prune_channels`, but yields the network after each round; the caller may train it before asking for the next.

    Every round yields the same module object, smaller; after round k of n the share k/n · ratio is gone.
    """
    _check_numbers(ratio, round_to, iterations, scope)
    score = _score(importance, seed)
    net = _copy(model)
    sizes: dict[str, int] = {}
    for number in range(1, iterations + 1):
        if ratio > 0:
            with traceable(net), _told(net, example_input):
                graph, protected = _groups(net, example_input, score, ignored)
                sets = channel_sets(graph, protected, score, sizes)
                refuse_empty(sets, ratio, scope)
                for one, kept in zip(
                    sets, kept_channels(sets, ratio * number / iterations, scope, round_to), strict=True
                ):
                    remove(graph, one, kept)
                widths_settled(net)
                release(graph)
        yield net


def _groups(net: nn.Module, example: Tensor, score: Score, ignored: Sequence[str]) -> tuple[Any, list[nn.Module]]:
    """The dependency graph, and the layers whose outputs stay whole."""
    named = _named(net, ignored)
    graph, outputs = trace(net, example, score)
    return graph, [*last_layers(graph, outputs), *shuffle_entries(net), *named]


@contextmanager
def _told(net: nn.Module, example: Tensor) -> Iterator[None]:
    """Turns what the library cannot follow into a UserError, and checks that the answers keep their shape."""
    try:
        before = _shape(net, example)
        yield
        after = _shape(net, example)
    except UserError:
        raise
    except LIBRARY_FAULTS as fault:
        if "allocate memory" in str(fault):
            raise  # the machine's limit, not the network's
        raise _not_prunable(net, f"{type(fault).__name__}: {fault}") from fault
    if after != before:
        raise _not_prunable(net, f"its output changed from {before} to {after}")


def _not_prunable(net: nn.Module, reason: str) -> UserError:
    allowed = "networks whose channels torch-pruning can follow"
    return UserError("not_prunable", "model", f"{type(net).__name__} ({reason})", allowed, "Choose another backbone.")


def _check_numbers(ratio: float, round_to: int, iterations: int, scope: str) -> None:
    if not 0 <= ratio < 1:
        raise UserError("out_of_range", "ratio", ratio, "a number from 0 up to, but not, 1", "Set ratio within it.")
    for field, given in (("round_to", round_to), ("iterations", iterations)):
        if given < 1:
            raise UserError("out_of_range", field, given, "a whole number of at least 1", f"Set {field} to 1.")
    if scope not in ("local", "global"):
        raise UserError("unknown_choice", "scope", scope, "local or global", nearest(scope, ("local", "global")))


def _score(importance: str | Score, seed: int) -> Score:
    if not isinstance(importance, str):
        return importance
    if importance not in IMPORTANCES:
        allowed = f"one of {', '.join(IMPORTANCES)}, or a callable"
        raise UserError("unknown_choice", "importance", importance, allowed, nearest(importance, IMPORTANCES))
    return IMPORTANCES[importance](seed)


def _copy(model: nn.Module) -> nn.Module:
    """A deep copy with its gradients, which deepcopy leaves behind."""
    net = copy.deepcopy(model)
    for old, new in zip(model.parameters(), net.parameters(), strict=True):
        new.grad = None if old.grad is None else old.grad.detach().clone()
    return net


def _shape(net: nn.Module, example: Tensor) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(net(example).shape)


def _named(net: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    known = dict(net.named_modules())
    for name in names:
        if name not in known:
            raise UserError("unknown_module", "ignored", name, "names of the model's modules", nearest(name, known))
    return [module for name in names for module in known[name].modules()]
