"""A fault of our own code while channels are removed is not called a network that cannot be pruned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.engine.backbones import load_backbone
from core.engine.prune import structured
from core.engine.prune.structured import prune_channels
from core.errors import UserError

IMAGE = torch.zeros(2, 1, 8, 8)


def small() -> nn.Module:
    return load_backbone("resnet8", 10, "none", 8, width=8, channels=1)


@pytest.mark.parametrize("fault", [TypeError, KeyError, AttributeError, IndexError, ValueError, RuntimeError])
@pytest.mark.parametrize("place", ["channel_sets", "last_layers"])
def test_our_own_fault_keeps_its_name(monkeypatch: pytest.MonkeyPatch, fault: type[Exception], place: str) -> None:
    real = getattr(structured, place)

    def broken(*given: Any, **more: Any) -> Any:
        real(*given, **more)
        _in_our_code(fault)

    monkeypatch.setattr(structured, place, broken)
    with pytest.raises(fault, match="a bug") as told:
        prune_channels(small(), IMAGE, 0.5)
    assert not isinstance(told.value, UserError)


def _in_our_code(fault: type[Exception]) -> None:
    raise fault("a bug")


class Untraceable(nn.Module):
    """Runs once, then fails: what a network does that the library cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(1, 8, 3), nn.Linear(8, 10)
        self.runs = 0

    def forward(self, images: Tensor) -> Tensor:
        self.runs += 1
        if self.runs > 1:
            raise TypeError("a network with a temper")
        found: Tensor = self.head(self.layer(images).mean((2, 3)))
        return found


def test_a_network_that_cannot_be_followed_is_refused_as_such() -> None:
    with pytest.raises(UserError) as told:
        prune_channels(Untraceable(), IMAGE, 0.5)
    assert told.value.code == "not_prunable"
    assert "a network with a temper" in told.value.given
