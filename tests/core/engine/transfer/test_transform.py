"""Feature transformations: the directions are scikit-learn's, folding them into the head changes no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.cross_decomposition import CCA
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from core.engine.backbones.heads import head_layer
from core.engine.context import Context
from core.engine.data import Dataset, few_labels
from core.engine.measure.runtime import open_session, predict
from core.engine.method import build
from core.engine.model import Model
from core.engine.questions.preview import preview
from core.engine.transfer.embedding import extractor
from core.engine.transfer.linear_probe import solve
from core.engine.transfer.logistic import Problem, standardised
from core.engine.transfer.probing import ProbedTransfer
from core.engine.transfer.transform import Transform
from core.engine.transfer.transformations import NAMES, Facts, Transformation, transformation
from core.errors import UserError
from tests.core.engine.conftest import Reported

MakeContext = Callable[..., Context]
MakeModel = Callable[..., Model]


def pixels() -> tuple[Tensor, Tensor]:
    """The digits' pixels, standardised, without the three that never vary, and their classes."""
    data = load_digits()
    x, _, _ = standardised(torch.from_numpy(data.data))
    return x[:, x.std(0) > 0], torch.from_numpy(data.target)


def facts(*, shrink: bool = False) -> Facts:
    return Facts(*pixels(), 10, shrink)


def turned(x: Tensor) -> Tensor:
    """Another domain: the same images in other coordinates, of which few vary, with noise."""
    draw = torch.Generator().manual_seed(7)
    width = x.shape[1]
    mixture = torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q
    noise = torch.randn(x.shape, generator=draw, dtype=torch.float64)
    return standardised(3 + x @ (torch.eye(width, dtype=torch.float64) + 0.3 * mixture) + 0.1 * noise)[0]


def test_pca_is_scikit_learns() -> None:
    theirs = PCA(20).fit(facts().x.numpy())
    ours = transformation("pca").directions(facts())[:, :20].T.numpy()
    np.testing.assert_allclose(np.abs((ours * theirs.components_).sum(1)), 1, atol=1e-9)  # equal but for the sign


def test_whitening_is_scikit_learns() -> None:
    x = facts().x
    theirs = PCA(20, whiten=True).fit_transform(x.numpy()) * np.sqrt(len(x) / (len(x) - 1))  # it divides by N − 1
    ours = (x @ transformation("whitening").directions(facts())[:, :20]).numpy()
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-7)
    np.testing.assert_allclose(ours.T @ ours / len(x), np.eye(20), atol=1e-9)


def test_shrunk_whitening_whitens_the_ledoit_wolf_covariance() -> None:
    covariance, alpha = ledoit_wolf(facts().x.numpy(), assume_centered=True)
    p = transformation("whitening").directions(facts(shrink=True)).numpy()
    assert alpha > 0.001
    np.testing.assert_allclose(p.T @ covariance @ p, np.eye(p.shape[1]), atol=1e-9)


@pytest.mark.thorough
def test_cca_finds_scikit_learns_correlations() -> None:
    """And those of the closed form: the eigenvalues of Σxx⁻¹ Σxy Σyy⁻¹ Σyx are their squares."""
    x, y = pixels()
    z = (x @ transformation("cca").directions(facts())).numpy()
    one_hot = np.eye(10)[y.numpy()]
    centred = one_hot - one_hot.mean(0)
    explained = centred @ np.linalg.lstsq(centred, z, rcond=None)[0]
    ours = np.sqrt((explained**2).sum(0) / (z**2).sum(0))  # of each variate with the classes' best match
    theirs = CCA(4, max_iter=5000, tol=1e-12).fit(x.numpy(), one_hot[:, :9])
    a, b = theirs.transform(x.numpy(), one_hot[:, :9])
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(4)]
    np.testing.assert_allclose(ours[:4], expected, atol=1e-4)
    xs, n = x.numpy(), len(x)
    inverse, cross = np.linalg.inv(xs.T @ xs / n), xs.T @ centred / n
    squares = np.linalg.eigvals(inverse @ cross @ np.linalg.pinv(centred.T @ centred / n, rcond=1e-10) @ cross.T).real
    np.testing.assert_allclose(ours, np.sqrt(np.sort(squares)[::-1][:9]), atol=1e-9)
    np.testing.assert_allclose(z.T @ z / n, np.eye(9), atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shrink", [False, True])
def test_few_images_and_repeated_features_stay_finite(name: str, shrink: bool) -> None:
    x, y = pixels()
    x = torch.cat([x, x], 1)[:30]
    x = x - x.mean(0)
    kind = transformation(name)
    p = kind.directions(Facts(x, y[:30], 10, shrink, turned(x)))
    assert p.isfinite().all()
    assert (x @ p).abs().max() < 1e3
    assert 1 <= p.shape[1] <= kind.most(x.shape[1], 30, 10)


def test_pca_with_all_directions_is_the_linear_probe() -> None:
    """A rotation leaves the penalty and so the optimum as they are."""
    x, y = pixels()
    rotated = Problem.along(x, y, 10, transformation("pca").directions(facts())).solve(0.1)
    torch.testing.assert_close(rotated(x), solve(x, y, 10, 0.1)(x), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_folded_into_the_head_it_gives_the_same_answers(name: str) -> None:
    data = load_digits()
    raw, y = torch.from_numpy(data.data), torch.from_numpy(data.target)
    x, _, _ = standardised(raw)
    p = transformation(name).directions(Facts(x, y, 10, True, turned(x)))[:, :5]
    head = Problem.along(raw, y, 10, p).solve(0.01)
    assert head.weight.shape == (10, 64)
    seen = (x @ p).numpy()
    theirs = LogisticRegression(C=1 / (0.01 * len(y)), tol=1e-8, max_iter=5000).fit(seen, y.numpy())
    expected = torch.from_numpy(theirs.predict_proba(seen))
    torch.testing.assert_close(head(raw).softmax(1), expected, atol=2e-3, rtol=0)


def test_what_a_file_defines_is_what_the_menu_offers() -> None:
    assert NAMES == ("cca", "pca", "subspace_alignment", "whitening")
    assert Transform.target_choices == {"kind": ("subspace_alignment",)}
    kind = next(option for option in Transform.options() if option.name == "kind")
    assert kind.choices == NAMES
    assert all(isinstance(transformation(name), Transformation) for name in NAMES)
    assert len({type(transformation(name)) for name in NAMES}) == len(NAMES)


# in the stage


@pytest.fixture
def context(make_context: MakeContext, digits: Dataset) -> Context:
    labelled, _ = few_labels(digits.train, 300, 10, 0)
    return make_context(labelled=labelled)


@pytest.mark.thorough
def test_the_saved_file_is_a_linear_probes_and_says_what_it_became(
    context: Context, make_model: MakeModel, tmp_path: Path
) -> None:
    method = build("transfer", "transform", kind="cca", components=9)
    model = method.apply(make_model(), context)
    saved = method.save(model, tmp_path / "model.onnx", context)
    (note,) = saved.notes
    assert "cca with 9 directions" in note
    assert "10 × 32" in note
    images = context.data.test.images[:50]
    told = predict(open_session(tmp_path / "model.onnx", 1), images, model.preprocessing)
    layer = head_layer(model.net)
    assert isinstance(layer, nn.Linear)
    features = extractor(model).embed(images, context)
    torch.testing.assert_close(told, layer(features).detach(), atol=1e-4, rtol=1e-4)
    assert np.linalg.matrix_rank(layer.weight.detach().numpy(), tol=1e-5) == 9
    assert (told.argmax(1) == context.data.test.labels[:50]).float().mean() > 0.5  # chance is 0.1
    probe = build("transfer", "linear_probe", l2=0.1)
    probe.save(probe.apply(make_model(), context), tmp_path / "probe.onnx", context)
    assert (tmp_path / "model.onnx").stat().st_size == (tmp_path / "probe.onnx").stat().st_size


def test_zero_tries_several_numbers_of_directions(
    context: Context, make_model: MakeModel, reports: list[Reported]
) -> None:
    build("transfer", "transform", kind="whitening", l2=0.1).apply(make_model(), context)
    training = [report for report in reports if report[0] == "training"]
    learned, evaluation = training[:4], training[4:]  # 32, 16, 8, 4 directions at one penalty
    assert [report[1] for report in learned] == [report[1] for report in evaluation] == [1, 2, 3, 4]
    assert all(report[5].validation_accuracy is None and report[5].accuracy is not None for report in learned)
    assert all(report[5].validation_accuracy is not None for report in evaluation)
    assert all(report[2] == 4 for report in training)


@pytest.mark.parametrize(("kind", "components", "most"), [("pca", 33, 32), ("cca", 10, 9), ("whitening", 99, 32)])
def test_more_directions_than_there_are_is_refused_before_any_work(
    kind: str, components: int, most: int, context: Context, make_model: MakeModel, reports: list[object]
) -> None:
    method = build("transfer", "transform", kind=kind, components=components)
    with pytest.raises(UserError, match=f"0 to {most}") as caught:
        method.apply(make_model(), context)
    assert (caught.value.field, caught.value.code) == ("components", "out_of_range")
    assert str(most) in caught.value.fix
    assert not reports
    assert not context.cache.exists()


def test_few_images_bound_the_directions(context: Context, make_model: MakeModel) -> None:
    labelled, _ = few_labels(context.labelled, 12, 10, 0)
    method = build("transfer", "transform", kind="pca", components=12)
    with pytest.raises(UserError, match="0 to 11"):
        method.apply(make_model(), replace(context, labelled=labelled))


def test_a_preview_refuses_it_at_its_place(tmp_path: Path) -> None:
    recipe = """
schema = 1
name = "x"
dataset = "digits"
backbone = "resnet8_fashion"

[[steps]]
stage = "transfer"
method = "transform"
kind = "cca"
components = 10
"""
    with pytest.raises(UserError) as caught:
        preview(recipe, tmp_path)
    assert caught.value.field == "steps.0.components"
    foreseen = preview(recipe.replace("components = 10", "components = 9"), tmp_path)
    assert foreseen.rows[0].exact


def test_it_shares_the_base_of_the_probe() -> None:
    assert issubclass(Transform, ProbedTransfer)
    assert [o.name for o in Transform.options()] == ["l2", "kind", "components", "shrink"]
