"""A network whose channels cannot be followed within reason is refused by what it is, not as out of memory."""

from __future__ import annotations

import resource
import sys
from functools import partial

import pytest
import timm
import torch
from torch import nn

from core.engine.prune import structured
from core.engine.prune.room import limited
from core.engine.prune.structured import prune_channels
from core.errors import UserError
from core.recipe import parse_recipe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts this only on Linux")


def test_more_than_the_room_fails_and_the_limit_is_put_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited(2**27) as room:
        assert room <= 2**27
        with pytest.raises(MemoryError):
            bytearray(2**33)  # more than any freed memory that could be used again
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with limited(2**28):
        bytearray(2**26)


def test_a_network_that_takes_too_much_is_refused_and_its_neighbours_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    example = torch.zeros(1, 3, 8, 8)
    assert sum(p.numel() for p in prune_channels(net, example, 0.5).parameters()) < 260
    examined = structured._examined

    def greedy(*arguments: object) -> object:
        bytearray(2**33)
        return examined(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(structured, "limited", partial(limited, 2**27))
    monkeypatch.setattr(structured, "_examined", greedy)
    with pytest.raises(UserError, match=r"takes more than 0\.1 GB of memory") as caught:
        prune_channels(net, example, 0.5)
    assert caught.value.code == "not_prunable"


@pytest.mark.slow
def test_efficientvit_m0_is_refused_within_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structured, "limited", partial(limited, 2**29))
    net = timm.create_model("efficientvit_m0", num_classes=10, pretrained=False).eval()
    with pytest.raises(UserError, match="to follow its channels takes more than"):
        prune_channels(net, torch.zeros(1, 3, 224, 224), 0.3)


PRUNED = """
dataset = "digits"
backbone = "{backbone}"
[[steps]]
stage = "transfer"
method = "linear_probe"
[[steps]]
stage = "prune"
method = "{method}"
"""


@pytest.mark.parametrize(
    ("backbone", "method", "said"),
    [
        ("timm/efficientvit_m0.r224_in1k", "l2", True),
        ("timm/levit_128s.fb_dist_in1k", "taylor", True),
        ("timm/efficientvit_m0.r224_in1k", "magnitude", False),
        ("resnet18", "l2", False),
    ],
)
def test_what_the_preflight_could_not_prune_is_said_before_a_run_exists(backbone: str, method: str, said: bool) -> None:
    told = parse_recipe(PRUNED.format(backbone=backbone, method=method)).warnings()
    assert bool([one for one in told if "could not be removed" in one and backbone in one]) is said
