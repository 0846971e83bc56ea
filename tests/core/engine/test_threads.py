"""How many threads an operation has, and what is made ahead on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_small, resnet18

from core.engine.backbones import load_backbone
from core.engine.measure.complexity import complexity
from core.engine.model import Preprocessing
from core.engine.threads import SHARE, ahead, on_threads, shared
from core.engine.training.operation_threads import mean_work, operation_threads

CPU = torch.device("cpu")


def test_an_operation_has_a_thread_for_each_share_of_work_and_never_more_than_the_cores() -> None:
    assert [shared(work * SHARE, 4) for work in (0, 0.9, 1, 1.9, 2, 3, 9)] == [1, 1, 1, 1, 2, 3, 4]
    assert shared(100 * SHARE, 1) == 1


@pytest.mark.parametrize("build", [resnet18, mobilenet_v3_small])
def test_the_work_of_all_layers_is_what_the_counter_of_torch_says(build: type[nn.Module]) -> None:
    net = build()
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert mean_work(net, (1, 3, 96, 96)) * len(layers) == pytest.approx(complexity(net, (3, 96, 96)).macs)


def test_counting_leaves_the_network_as_it_was() -> None:
    net = load_backbone("resnet8", 10, "none", 16, channels=3).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    mean_work(net, (1, 3, 16, 16))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_small_networks_have_one_thread_and_large_ones_many() -> None:
    def preprocessing(size: int) -> Preprocessing:
        return Preprocessing(size, 3, (0.5,) * 3, (0.5,) * 3)

    small, large = load_backbone("resnet8", 10, "none", 64, channels=3), resnet18()
    assert operation_threads(small, preprocessing(64), 64, 8, CPU) == 1
    assert operation_threads(large, preprocessing(224), 32, 8, CPU) > 1
    assert operation_threads(large, preprocessing(224), 32, 1, CPU) == 1
    assert operation_threads(large, preprocessing(224), 32, 8, torch.device("meta")) == 1, "a device has its own"


def test_the_next_one_is_made_while_the_one_before_is_used() -> None:
    made, asked = threading.Event(), []

    def items() -> Iterator[int]:
        asked.append(threading.current_thread())
        yield 0
        made.set()
        yield 1

    found = ahead(items())
    assert next(found) == 0
    assert made.wait(5), "before it is asked for"
    assert list(found) == [1]
    assert asked[0] is not threading.current_thread()
    assert list(ahead(iter([1, 2]), here=True)) == [1, 2]


def test_what_fails_ahead_fails_where_it_is_used() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="the second"):
        next(found)


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with on_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
