"""dkd, dist and logit_std: equal to their papers, to another library, finite and right at their limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchdistill.losses.mid_level import DISTLoss, KDLoss, LogitStdKDLoss

from core.engine import build
from core.engine.distill import Distill
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import Batch
from core.options import Value
from tests.core.engine.conftest import MakeContext
from tests.core.engine.distill import reference

LOGIT = ("kd", "dkd", "dist", "logit_std")
MODULE = ("student", "output", "teacher", "output")


def made(method: str, **options: Value) -> Distill:
    found = build("distill", method, **options)
    assert isinstance(found, Distill)
    return found


def soft(method: str, student: Tensor, teacher: Tensor, target: Tensor | None = None, **options: Value) -> Tensor:
    return made(method, **options).soft_loss(Output(student), Output(teacher), target)


@pytest.fixture
def logits() -> tuple[Tensor, Tensor, Tensor]:
    """Those of 12 images and 7 classes from a student and a surer teacher, and the targets."""
    draw = torch.Generator().manual_seed(3)
    student, teacher = (torch.randn(12, 7, dtype=torch.float64, generator=draw) for _ in range(2))
    return student, 3 * teacher, torch.randint(0, 7, (12,), generator=draw)


@pytest.mark.parametrize("t", [1.0, 4.0, 20.0])
def test_dkd_equals_its_paper(logits: tuple[Tensor, Tensor, Tensor], t: float) -> None:
    student, teacher, target = logits
    expected = reference.dkd(student.numpy(), teacher.numpy(), target.numpy(), 1.5, 6.0, t)
    found = soft("dkd", student, teacher, target, alpha=1.5, beta=6.0, temperature=t)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_dkd_is_kd_when_the_others_weigh_what_the_teacher_gives_them(logits: tuple[Tensor, Tensor, Tensor]) -> None:
    """KD = TCKD + (1 − p_t) · NCKD (Zhao et al. 2022, equation 6)."""
    student, teacher, target = (part[:1] for part in logits)
    left = 1 - float((teacher / 4).softmax(1)[0, target])
    decoupled = soft("dkd", student, teacher, target, alpha=1.0, beta=left)
    torch.testing.assert_close(decoupled, soft("kd", student, teacher))


def test_dkd_takes_the_teachers_class_where_there_is_no_label(logits: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, target = logits
    guessed = teacher.argmax(1)
    torch.testing.assert_close(soft("dkd", student, teacher, None), soft("dkd", student, teacher, guessed))
    mixed = torch.where(torch.arange(12) < 5, target, -1)
    filled = torch.where(mixed < 0, guessed, mixed)
    torch.testing.assert_close(soft("dkd", student, teacher, mixed), soft("dkd", student, teacher, filled))


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_dist_equals_its_paper(logits: tuple[Tensor, Tensor, Tensor], tau: float) -> None:
    student, teacher, _ = logits
    expected = reference.dist(student.numpy(), teacher.numpy(), 2.0, 0.5, tau)
    found = soft("dist", student, teacher, beta=2.0, gamma=0.5, tau=tau)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("t", [1.0, 2.0, 20.0])
def test_logit_std_equals_its_paper(logits: tuple[Tensor, Tensor, Tensor], t: float) -> None:
    student, teacher, _ = logits
    expected = reference.logit_std(student.numpy(), teacher.numpy(), t)
    assert float(soft("logit_std", student, teacher, temperature=t)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_logit_std_does_not_see_size_or_place(logits: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, _ = logits
    torch.testing.assert_close(
        soft("logit_std", 5 * student + 3, teacher), soft("logit_std", student, 0.5 * teacher - 8), rtol=1e-5, atol=1e-7
    )
    assert float(soft("kd", 5 * student, teacher)) != pytest.approx(float(soft("kd", student, teacher)), rel=0.1)


def test_dist_does_not_see_a_scale_of_the_probabilities() -> None:
    """The student may be right about all relations and still less sure."""
    teacher = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.6, 0.3]], dtype=torch.float64)
    student = 0.5 * teacher + 0.5 / 3
    assert float(soft("dist", student.log(), teacher.log(), gamma=0.0)) == pytest.approx(0, abs=1e-9)
    assert float(soft("kd", student.log(), teacher.log())) > 0.01


# another library


def there(loss: torch.nn.Module, student: Tensor, teacher: Tensor, target: Tensor | None = None) -> float:
    value: Tensor = loss({"student": {"output": student}}, {"teacher": {"output": teacher}}, target)
    return float(value)


def test_torchdistill_says_the_same(logits: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, target = logits
    dist = DISTLoss(*MODULE, beta=2.0, gamma=0.5, tau=3.0)
    assert float(soft("dist", student, teacher, beta=2.0, gamma=0.5, tau=3.0)) == pytest.approx(
        there(dist, student, teacher), rel=1e-9
    )
    hard = F.cross_entropy(student, target)
    for method, loss in (("kd", KDLoss), ("logit_std", LogitStdKDLoss)):
        theirs = there(loss(*MODULE, temperature=3.0, alpha=0.25), student, teacher, target)  # alpha weighs the labels
        ours = 0.75 * soft(method, student, teacher, temperature=3.0) + 0.25 * hard
        assert float(ours) == pytest.approx(theirs, rel=1e-9), method


# limits of all four


@pytest.mark.parametrize("method", LOGIT)
def test_a_perfect_student_has_no_loss(method: str, logits: tuple[Tensor, Tensor, Tensor]) -> None:
    _, teacher, target = logits
    assert float(soft(method, teacher, teacher + 7, target)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", LOGIT)
def test_the_order_of_images_and_of_classes_does_not_matter(method: str, logits: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, target = logits
    rows, columns = torch.randperm(12), torch.randperm(7)
    moved = columns.argsort()[target[rows]]
    found = soft(method, student[rows][:, columns], teacher[rows][:, columns], moved)
    torch.testing.assert_close(found, soft(method, student, teacher, target))


@pytest.mark.parametrize("method", LOGIT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "rows",
    [
        ([[200.0, 0.0, 0.0]], [[0.0, 200.0, 0.0]]),
        ([[200.0, 0.0, 0.0]], [[200.0, 0.0, 0.0]]),
        ([[-200.0, 200.0, 200.0], [0.0, 0.0, 0.0]], [[1e4, -1e4, 0.0], [3.0, 3.0, 3.0]]),
    ],
)
def test_extreme_logits_stay_finite(method: str, dtype: torch.dtype, rows: tuple[list[list[float]], ...]) -> None:
    student, teacher = (torch.tensor(part, dtype=dtype) for part in rows)
    student.requires_grad_()
    for options in ({}, {"tau" if method == "dist" else "temperature": 1.0}):
        loss = soft(method, student, teacher, torch.zeros(len(student), dtype=torch.long), **options)
        (slope,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(loss)
        assert torch.isfinite(slope).all()


@pytest.mark.parametrize("method", LOGIT)
def test_its_slope_is_right(method: str, logits: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, target = logits
    assert torch.autograd.gradcheck(lambda s: soft(method, s, teacher, target), student.clone().requires_grad_())


# the warm-up, in the loop


def batch(epoch: int) -> Batch:
    nothing = torch.zeros(1)
    return Batch(nothing, nothing, nothing, nothing, 0, epoch)


def test_dkd_warms_up() -> None:
    method = made("dkd", warmup=4)
    assert [method.share(batch(epoch)) for epoch in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert made("dkd", warmup=0).share(batch(0)) == 1
    assert made("kd").share(batch(0)) == 1


def test_the_loop_obeys_the_warm_up(make_context: MakeContext, make_model: Callable[..., Model]) -> None:
    """With all the weight on a soft loss that has not begun, the first steps hardly move the student."""

    def moved(warmup: int) -> float:
        method = made(
            "dkd", warmup=warmup, weight=1.0, student="resnet8", width=4, epochs=1, augment="none", learning_rate=0.01
        )
        context = make_context(folder=make_context().folder / str(warmup))
        before = method.new_student(context).net.state_dict()["head.weight"]
        after = method.apply(make_model(), context).net.state_dict()["head.weight"]
        return float((after - before).norm())

    assert moved(1000) < 0.1 * moved(0)
