"""What every way to prune keeps to; one joins by being in the folder."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.engine.method import methods
from core.engine.model import Model
from core.engine.prune import Prune
from core.engine.prune.channels import ChannelPrune
from core.options import Value
from tests.core.engine.conftest import MakeContext

KINDS = methods("prune")
WITH_RATIO = [name for name, kind in KINDS.items() if "ratio" in kind.model_fields]
MakeModel = Callable[..., Model]


def cut(name: str, model: Model, make_context: MakeContext, **options: Value) -> nn.Module:
    """The network after the last cut, before any recovery; few images where the method reads some."""
    cheap = {"images": 32} if "images" in KINDS[name].model_fields else {}
    method = KINDS[name].model_validate({**cheap, **options})
    assert isinstance(method, Prune)
    *_, net = method.cuts(model.with_net(copy.deepcopy(model.net)), make_context())
    return net.eval()


@pytest.mark.parametrize("name", WITH_RATIO)
def test_ratio_0_is_the_same_network(name: str, make_model: MakeModel, make_context: MakeContext) -> None:
    model = make_model()
    net, images = cut(name, model, make_context, ratio=0.0), torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(net(images), model.net.eval()(images))


@pytest.mark.parametrize("name", KINDS)
def test_classes_stay_and_answers_are_finite(name: str, make_model: MakeModel, make_context: MakeContext) -> None:
    net = cut(name, make_model(), make_context)
    with torch.no_grad():
        logits = net(torch.rand(4, 1, 8, 8))
    assert logits.shape == (4, 10)
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize("name", KINDS)
def test_something_goes_and_the_incoming_network_is_left_alone(
    name: str, make_model: MakeModel, make_context: MakeContext
) -> None:
    model = make_model()
    before = {key: tensor.clone() for key, tensor in model.net.state_dict().items()}
    net = cut(name, model, make_context)
    assert used(net) < used(model.net)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.net.state_dict().items())


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if issubclass(kind, ChannelPrune)])
def test_a_channel_goes_from_every_stage_at_half(name: str, make_model: MakeModel, make_context: MakeContext) -> None:
    """A local cut takes the same share everywhere, whatever the importance is."""
    net = cut(name, make_model(), make_context, ratio=0.5)
    widths = [module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)]
    whole = [module.out_channels for module in make_model().net.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [width // 2 for width in whole]


def used(net: nn.Module) -> int:
    """Parameters that are not zero."""
    return sum(int((tensor != 0).sum()) for tensor in net.parameters())
