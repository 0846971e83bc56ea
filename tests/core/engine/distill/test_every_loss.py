"""What every distillation loss keeps to; one joins by being in the folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.engine import build
from core.engine.distill import Distill
from core.engine.method import methods
from core.engine.output import Output

NAMES = list(methods("distill"))
IMAGES, CLASSES = 8, 6
TARGET = torch.arange(IMAGES) % CLASSES


def made(name: str) -> Distill:
    found = build("distill", name)
    assert isinstance(found, Distill)
    return found


def output(seed: int) -> Output:
    """Logits, two maps and an embedding, in float64."""
    draw = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(IMAGES, *shape, dtype=torch.float64, generator=draw)

    return Output(numbers(CLASSES), [numbers(4, 6, 6), numbers(8, 3, 3)], numbers(16))


def mapped(given: Output, change: Callable[[Tensor], Tensor]) -> Output:
    embedding = None if given.embedding is None else change(given.embedding)
    return Output(change(given.logits), [change(feature) for feature in given.features], embedding)


def tensors(given: Output) -> list[Tensor]:
    assert given.embedding is not None
    return [given.logits, *given.features, given.embedding]


def with_gradients(name: str, student: Output, teacher: Output) -> tuple[Tensor, list[Tensor]]:
    """The loss, and its gradients by what the student answers and it reads."""
    student = mapped(student, lambda tensor: tensor.detach().clone().requires_grad_())
    loss = made(name).soft_loss(student, teacher, TARGET)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), [tensor.grad for tensor in tensors(student) if tensor.grad is not None]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_finite_number_that_teaches_the_student(name: str) -> None:
    loss, gradients = with_gradients(name, output(0), output(1))
    assert loss.shape == ()
    assert bool(loss.isfinite())
    assert any(bool((gradient != 0).any()) for gradient in gradients)


@pytest.mark.parametrize("size", [0.0, 1e4])
@pytest.mark.parametrize("name", NAMES)
def test_it_stays_finite_where_logits_are_extreme(name: str, size: float) -> None:
    """Very sure and wrong, or answering the same for every class; in float32, as a student is trained."""
    student, teacher = (mapped(output(seed), Tensor.float) for seed in (0, 1))
    sure = size * torch.nn.functional.one_hot(TARGET, CLASSES).float()
    student, teacher = replace(student, logits=sure), replace(teacher, logits=sure.flip(1))
    loss, gradients = with_gradients(name, student, teacher)
    assert bool(loss.isfinite())
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_depend_on_the_order_of_the_images(name: str) -> None:
    student, teacher, order = output(0), output(1), torch.randperm(IMAGES, generator=torch.Generator().manual_seed(2))
    shuffled, taught = (mapped(given, lambda tensor: tensor[order]) for given in (student, teacher))
    there = made(name).soft_loss(shuffled, taught, TARGET[order])
    torch.testing.assert_close(there, made(name).soft_loss(student, teacher, TARGET), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if methods("distill")[name].rests_at_equality])  # type: ignore[attr-defined]
def test_it_is_least_where_both_answer_alike(name: str) -> None:
    teacher = output(1)
    least, gradients = with_gradients(name, teacher, teacher)
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-5
    for seed in (2, 3, 4):
        noise = output(seed)
        near = [a + 0.1 * b for a, b in zip(tensors(teacher), tensors(noise), strict=True)]
        moved = Output(near[0], near[1:-1], near[-1])
        assert float(made(name).soft_loss(moved, teacher, TARGET)) > float(least)
