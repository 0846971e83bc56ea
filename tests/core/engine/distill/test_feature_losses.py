"""The losses that compare features: equal to their papers and to another library, across sizes, in training."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchdistill.losses.mid_level import ATLoss, PKTLoss, RKDLoss, SPKDLoss, VIDLoss

from core.engine import build
from core.engine.backbones import find, load_backbone
from core.engine.backbones.features import observe
from core.engine.context import CancelledError
from core.engine.distill import Distill
from core.engine.model import Model
from core.engine.output import Output
from core.engine.prune.structured import prune_channels
from core.errors import UserError
from core.options import Value
from tests.core.engine.conftest import MakeContext
from tests.core.engine.distill import reference

MAPS = ("fitnet", "attention", "similarity", "vid")
VECTORS = ("rkd", "pkt")
FEATURE = (*MAPS, *VECTORS)
MakeModel = Callable[..., Model]


def made(method: str, **options: Value) -> Distill:
    found = build("distill", method, **options)
    assert isinstance(found, Distill)
    return found


def output(*shapes: tuple[int, ...], width: int = 9, seed: int = 0) -> Output:
    """Random features of these shapes, and an embedding."""
    draw = torch.Generator().manual_seed(seed)
    features = [torch.randn(shape, dtype=torch.float64, generator=draw) for shape in shapes]
    n = shapes[0][0] if shapes else 6
    logits, embedding = (torch.randn(n, k, dtype=torch.float64, generator=draw) for k in (5, width))
    return Output(logits, features, embedding)


SHAPES = ((6, 4, 4, 4), (6, 8, 2, 2))
MINE, THEIRS = output(*SHAPES), output(*SHAPES, seed=1)


def soft(method: str, student: Output = MINE, teacher: Output = THEIRS, **options: Value) -> Tensor:
    return made(method, **options).soft_loss(student, teacher, None)


def arrays(found: Output) -> list[reference.Array]:
    return [feature.numpy() for feature in found.features]


def vector(found: Output) -> reference.Array:
    assert found.embedding is not None
    return np.asarray(found.embedding.numpy())


# the papers


def test_fitnet_equals_its_paper() -> None:
    assert float(soft("fitnet")) == pytest.approx(reference.fitnet(arrays(MINE), arrays(THEIRS)), rel=1e-9)
    one = output((6, 4, 4, 4)), output((6, 4, 4, 4), seed=2)
    torch.testing.assert_close(soft("fitnet", *one), F.mse_loss(one[0].features[0], one[1].features[0]))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_attention_equals_its_paper(p: int) -> None:
    expected = reference.attention(arrays(MINE), arrays(THEIRS), p)
    assert float(soft("attention", p=p)) == pytest.approx(expected, rel=1e-9)
    larger = output((6, 5, 8, 8), (6, 3, 2, 2), seed=4)
    expected = reference.attention(arrays(MINE), arrays(larger), p)
    assert float(soft("attention", MINE, larger, p=p)) == pytest.approx(expected, rel=1e-9)


def test_similarity_equals_its_paper() -> None:
    assert float(soft("similarity")) == pytest.approx(reference.similarity(arrays(MINE), arrays(THEIRS)), rel=1e-9)
    other = output((6, 3, 5, 5), (6, 10, 16), seed=5)
    expected = reference.similarity(arrays(MINE), arrays(other))
    assert float(soft("similarity", MINE, other)) == pytest.approx(expected, rel=1e-9)


def test_rkd_equals_its_paper() -> None:
    wide = output(width=20, seed=6)
    for distance, angle in ((25.0, 50.0), (1.0, 0.0), (0.0, 1.0)):
        expected = reference.rkd(vector(MINE), vector(wide), distance, angle)
        found = soft("rkd", MINE, wide, distance_weight=distance, angle_weight=angle)
        assert float(found) == pytest.approx(expected, rel=1e-9)


def test_pkt_equals_its_paper() -> None:
    wide = output(width=20, seed=6)
    expected = reference.pkt(vector(MINE), vector(wide))
    assert float(soft("pkt", MINE, wide)) == pytest.approx(expected, rel=1e-4, abs=1e-9)  # the code adds 1e-7 inside


@pytest.mark.parametrize("variance", [0.5, 5.0, 40.0])
def test_vid_equals_its_paper(variance: float) -> None:
    expected = reference.vid(arrays(MINE), arrays(THEIRS), variance)
    assert float(soft("vid", variance=variance)) == pytest.approx(expected, rel=1e-9)
    found = made("vid", variance=variance).learner(MINE, THEIRS)
    assert found is not None
    variances = [F.softplus(p) for name, p in found.named_parameters() if "scales" in name]
    assert all(float((v.detach() - variance).abs().max()) < 1e-3 * variance for v in variances)


# another library


def pair(student: Tensor, teacher: Tensor) -> tuple[dict[str, dict[str, Tensor]], dict[str, dict[str, Tensor]]]:
    return {"m": {"output": student}}, {"m": {"output": teacher}}


ONE = {"pair": {"student": {"path": "m", "io": "output"}, "teacher": {"path": "m", "io": "output"}}}


def test_torchdistill_says_the_same() -> None:
    mine, theirs = (Output(o.logits, o.features[:1], o.embedding) for o in (MINE, THEIRS))
    maps = pair(mine.features[0], theirs.features[0])
    assert float(soft("attention", mine, theirs)) == pytest.approx(float(ATLoss(ONE)(*maps)), rel=1e-9)
    assert mine.embedding is not None
    assert theirs.embedding is not None
    vectors = pair(mine.embedding, theirs.embedding)
    rkd = RKDLoss("m", "m", 25.0, 50.0, "mean")
    assert float(soft("rkd")) == pytest.approx(float(rkd(*vectors)), rel=1e-9)
    pkt = PKTLoss("m", "output", "m", "output")
    assert float(soft("pkt")) == pytest.approx(
        float(pkt(*pair(mine.embedding.clone(), theirs.embedding.clone()))), rel=1e-6
    )
    variance = torch.full((4, 1, 1), 2.0, dtype=torch.float64)
    told = {"m": {"output": (mine.features[0], variance)}}, maps[1]
    assert float(soft("vid", mine, theirs, variance=2.0)) == pytest.approx(float(VIDLoss(ONE)(*told)), rel=1e-9)


def test_torchdistills_similarity_has_another_norm() -> None:
    """Its rows are divided by the sum of their numbers: why it is no reference for ours."""
    mine, theirs = (Output(o.logits, o.features[:1], o.embedding) for o in (MINE, THEIRS))
    other = SPKDLoss("m", "m", "batchmean")(*pair(mine.features[0], theirs.features[0]))
    assert float(soft("similarity", mine, theirs)) != pytest.approx(float(other), rel=0.1)


# limits


@pytest.mark.parametrize("method", FEATURE)
def test_an_equal_student_has_no_loss(method: str) -> None:
    least = math.log(5) / 2 * len(SHAPES) if method == "vid" else 0.0  # a likelihood's part that knows no student
    assert float(soft(method, THEIRS, THEIRS)) == pytest.approx(least, abs=1e-9)
    assert float(soft(method)) > least + 1e-6


@pytest.mark.parametrize("method", FEATURE)
def test_the_order_of_images_does_not_matter(method: str) -> None:
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))

    def shuffled(o: Output) -> Output:
        assert o.embedding is not None
        return Output(o.logits[order], [f[order] for f in o.features], o.embedding[order])

    torch.testing.assert_close(soft(method, shuffled(MINE), shuffled(THEIRS)), soft(method))


def scaled(o: Output, by: float) -> Output:
    assert o.embedding is not None
    return Output(o.logits, [by * f for f in o.features], by * o.embedding)


@pytest.mark.parametrize("method", ["attention", "similarity", "rkd", "pkt"])
def test_it_does_not_see_the_size_of_activations(method: str) -> None:
    torch.testing.assert_close(soft(method, scaled(MINE, 3.0), scaled(THEIRS, 0.2)), soft(method))


def test_rkd_does_not_see_a_turn() -> None:
    turn, _ = torch.linalg.qr(torch.randn(9, 9, dtype=torch.float64))
    assert MINE.embedding is not None
    turned = Output(MINE.logits, MINE.features, MINE.embedding @ turn + 4)
    assert float(soft("rkd", turned, MINE)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", FEATURE)
@pytest.mark.parametrize("kind", ["zero", "equal", "huge"])
def test_odd_features_stay_finite(method: str, kind: str) -> None:
    factor = {"zero": 0.0, "equal": 0.0, "huge": 1e8}[kind]
    student = scaled(MINE, factor)
    if kind == "equal":
        assert MINE.embedding is not None
        student = Output(MINE.logits, [f[:1].expand_as(f) for f in MINE.features], MINE.embedding[:1].expand(6, -1))
    learns = [*student.features, student.embedding]
    inputs = [part.detach().clone().requires_grad_() for part in learns if part is not None]
    loss = soft(method, Output(student.logits, inputs[:-1], inputs[-1]), THEIRS)
    slopes = torch.autograd.grad(loss, inputs, allow_unused=True)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(slope).all() for slope in slopes if slope is not None)


@pytest.mark.parametrize("method", FEATURE)
def test_its_slope_is_right(method: str) -> None:
    part = "embedding" if method in VECTORS else "features"
    start = MINE.embedding if part == "embedding" else MINE.features[0]
    assert start is not None

    def loss(x: Tensor) -> Tensor:
        student = Output(MINE.logits, [x, MINE.features[1]], MINE.embedding)
        return soft(method, Output(MINE.logits, MINE.features, x) if part == "embedding" else student)

    assert torch.autograd.gradcheck(loss, start.clone().requires_grad_(), atol=1e-4)


# sizes, widths, tokens


@pytest.mark.parametrize("method", FEATURE)
@pytest.mark.parametrize(
    "shapes",
    [
        ((6, 5, 8, 8), (6, 7, 4, 4), (6, 3, 2, 2)),  # more stages, wider, larger
        ((6, 17, 12), (6, 17, 12), (6, 17, 12), (6, 17, 12)),  # tokens with a class token
        ((6, 16, 12), (6, 16, 12)),  # tokens without
        ((6, 7, 12), (6, 7, 12)),  # tokens that are no square
        ((6, 6, 3, 3),),  # one stage
    ],
)
def test_any_two_networks_compare(method: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    for student, teacher in ((MINE, output(*shapes, seed=7)), (output(*shapes, seed=8), MINE)):
        layers = made(method).learner(student, teacher)
        loss: Tensor = (layers.double() if layers else made(method).soft_loss)(student, teacher, None)
        assert loss.shape == ()
        assert torch.isfinite(loss)


def test_stages_are_matched_from_the_deep_end() -> None:
    more = output((6, 2, 9, 9), *SHAPES, seed=9)
    same = Output(more.logits, more.features[1:], more.embedding)
    for method in MAPS:
        torch.testing.assert_close(soft(method, more, THEIRS), soft(method, same, THEIRS))


def test_tokens_of_one_network_are_compared_one_by_one() -> None:
    mine, theirs = output((6, 17, 12)), output((6, 17, 12), seed=3)
    torch.testing.assert_close(soft("fitnet", mine, theirs), F.mse_loss(mine.features[0], theirs.features[0]))


@pytest.mark.parametrize("method", ["fitnet", "vid"])
def test_other_widths_alone_are_refused(method: str) -> None:
    with pytest.raises(UserError) as caught:
        soft(method, MINE, output((6, 5, 4, 4), (6, 8, 2, 2)))
    assert (caught.value.code, caught.value.field) == ("different_channels", "student")


@pytest.mark.parametrize("method", FEATURE)
def test_a_cache_of_logits_is_refused(method: str) -> None:
    for student, teacher, field in ((MINE, Output(THEIRS.logits), "teacher"), (Output(MINE.logits), THEIRS, "student")):
        with pytest.raises(UserError) as caught:
            soft(method, student, teacher)
        assert caught.value.field == field


def test_regressors_stand_only_where_widths_differ() -> None:
    same = made("fitnet").learner(MINE, THEIRS)
    assert same is not None
    assert not list(same.parameters())
    torch.testing.assert_close(same(MINE, THEIRS, None), soft("fitnet"))
    other = made("fitnet").learner(MINE, output((6, 5, 4, 4), (6, 8, 2, 2)))
    assert other is not None
    assert next(tuple(p.shape) for p in other.parameters()) == (5, 4, 1, 1)


@pytest.fixture(scope="module")
def families() -> tuple[Output, Output]:
    """A student for 8-pixel grey images and a depthwise network for 32-pixel colour ones."""
    small, large = torch.rand(4, 1, 8, 8), torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        student = observe(load_backbone("resnet8", 10, "none", 8, channels=1), small)
        return student, observe(load_backbone("mobilenet_v3_small", 10, "none", 32), large)


@pytest.mark.parametrize("method", FEATURE)
def test_networks_of_two_families_compare(method: str, families: tuple[Output, Output]) -> None:
    student, teacher = families
    layers = made(method).learner(student, teacher)
    assert torch.isfinite((layers or made(method).soft_loss)(student, teacher, None))


# training


QUICK: dict[str, Value] = {
    "student": "resnet8",
    "width": 4,
    "epochs": 3,
    "batch": 64,
    "views": 2,
    "learning_rate": 0.01,
}


@pytest.fixture
def teacher(make_model: MakeModel) -> Model:
    """A thinned network of other widths than the student's."""
    model = make_model(8)
    return model.with_net(prune_channels(model.net, torch.zeros(2, 1, 8, 8), 0.3))


QUICKEST = ("fitnet", "attention", "rkd")  # a loss over maps with layers of its own, one without, one over vectors


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in QUICKEST else pytest.mark.slow) for name in FEATURE]
)
def test_training_lowers_the_soft_loss(method: str, make_context: MakeContext, teacher: Model) -> None:
    """Without labels the student itself comes nearer, not only the layers that learn along."""
    context = make_context()
    kind = made(method, weight=1.0, **QUICK)
    pixels = context.data.validation.images[:64].float()
    before = kind.new_student(context)
    taught = kind.apply(teacher, context)
    evaluator = partial(nearness, images=pixels, model=teacher)
    assert evaluator(taught) > evaluator(before), method
    assert {p.shape for p in taught.net.parameters()} == {p.shape for p in before.net.parameters()}


def nearness(student: Model, images: Tensor, model: Model) -> float:
    """How well the teacher's embedding is told from the student's by least squares: the share of variance."""
    with torch.no_grad():
        found = [observe(m.net.eval(), (images / 255 - 0.5) / 0.5).embedding for m in (student, model)]
    assert found[0] is not None
    assert found[1] is not None
    mine, theirs = (e.double() - e.double().mean(0) for e in found if e is not None)
    rest = theirs - mine @ torch.linalg.lstsq(mine, theirs, driver="gelsd").solution
    return 1 - float(rest.square().sum() / theirs.square().sum())


@pytest.mark.thorough
def test_a_stopped_training_ends_bit_identical(make_context: MakeContext, teacher: Model) -> None:
    """With layers of the loss that learn along."""
    kind = made("fitnet", **QUICK)
    whole = kind.apply(teacher, make_context(folder=make_context().folder / "whole"))
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 30

    with pytest.raises(CancelledError):
        kind.apply(teacher, make_context(cancelled=soon))
    again = kind.apply(teacher, make_context())
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, again.net.state_dict()[name]), name


def test_the_teacher_keeps_its_weights(make_context: MakeContext, teacher: Model) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.net.state_dict().items()}
    made("vid", **{**QUICK, "epochs": 1}).apply(teacher, make_context())
    assert all(torch.equal(tensor, teacher.net.state_dict()[name]) for name, tensor in before.items())
    assert find(teacher.backbone).name == "resnet8"
