from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from core.engine import build
from core.engine.distill import Distill
from core.engine.output import Output
from core.errors import UserError


def kd(**options: float) -> Distill:
    method = build("distill", "kd", **options)
    assert isinstance(method, Distill)
    return method


def slow_kd(student: np.ndarray, teacher: np.ndarray, t: float) -> float:
    """T² · Σ p log(p / q), a plain loop in float64."""
    total = 0.0
    for s, r in zip(student.astype(float), teacher.astype(float), strict=True):
        p = [math.exp(v / t - max(r) / t) for v in r]
        q = [math.exp(v / t - max(s) / t) for v in s]
        p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return t * t * total / len(student)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_equals_a_slow_reference(temperature: float) -> None:
    student, teacher = torch.randn(16, 10, dtype=torch.float64), 3 * torch.randn(16, 10, dtype=torch.float64)
    found = kd(temperature=temperature).soft_loss(Output(student), Output(teacher), None)
    assert float(found) == pytest.approx(slow_kd(student.numpy(), teacher.numpy(), temperature), rel=1e-12)


def test_a_perfect_student_has_no_loss() -> None:
    logits = torch.randn(8, 5)
    assert float(kd().soft_loss(Output(logits), Output(logits + 7), None)) == pytest.approx(0, abs=1e-6)


def test_weight_is_the_share_of_the_soft_loss() -> None:
    student, teacher = Output(torch.randn(8, 5)), Output(torch.randn(8, 5))
    target = torch.arange(8) % 5
    soft = kd().soft_loss(student, teacher, target)
    hard = F.cross_entropy(student.logits, target)
    for weight in (0.0, 0.3, 1.0):
        torch.testing.assert_close(
            kd(weight=weight).loss(student, teacher, target), weight * soft + (1 - weight) * hard
        )
    torch.testing.assert_close(kd(weight=0.3, gain=5.0).loss(student, teacher, None), 0.3 * 5 * soft)


def test_images_without_a_label_add_the_soft_term_only() -> None:
    student, teacher = Output(torch.randn(8, 5)), Output(torch.randn(8, 5))
    mixed = torch.tensor([0, 1, 2, -1, -1, -1, -1, -1])
    expected = 0.5 * kd().soft_loss(student, teacher, None) + 0.5 * F.cross_entropy(student.logits[:3], mixed[:3])
    torch.testing.assert_close(kd(weight=0.5).loss(student, teacher, mixed), expected)
    none = kd(weight=0.5).loss(student, teacher, torch.full((8,), -1))
    torch.testing.assert_close(none, 0.5 * kd().soft_loss(student, teacher, None))


def test_extreme_logits_stay_finite() -> None:
    student = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = kd(temperature=1.0).soft_loss(Output(student), Output(torch.tensor([[0.0, 200.0, 0.0]])), None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_high_temperature_matches_logits() -> None:
    """For T → ∞ the loss is the squared distance of the centred logits / 2C (Hinton et al. 2015, section 2.1)."""
    student, teacher = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    centred = [v - v.mean(1, keepdim=True) for v in (student, teacher)]
    limit = (centred[0] - centred[1]).square().sum(1).mean() / (2 * 6)
    found = kd(temperature=100.0).soft_loss(Output(student), Output(teacher), None)
    assert float(found) == pytest.approx(float(limit), rel=0.05)


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0.0), ("weight", 1.5), ("temperatur", 3.0), ("batch", 0)]
)
def test_bad_options_are_refused(option: str, value: float) -> None:
    with pytest.raises(UserError) as caught:
        build("distill", "kd", **{option: value})
    assert caught.value.field == option
