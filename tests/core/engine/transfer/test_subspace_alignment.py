"""Subspace alignment: the deployed head is a slow float64 reference's, in a real recipe, with an honest note."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from core.controls import SOURCE_ONLY
from core.engine.backbones.heads import head_layer
from core.engine.context import Context
from core.engine.data import Dataset, Unlabelled, few_labels, load_dataset, matched
from core.engine.measure.runtime import open_session, predict
from core.engine.method import build
from core.engine.model import Model
from core.engine.model_file import load_model
from core.engine.questions.preview import preview
from core.engine.transfer.embedding import extractor
from core.engine.transfer.probing import ProbedTransfer, TargetFeatures
from core.engine.transfer.transform import Transform
from core.errors import UserError, UserErrors
from core.recipe import parse_recipe
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.core.engine.conftest import MakeContext, Reported
from tests.core.engine.pipeline.test_target_run import finished_run

Array = NDArray[np.float64]
MakeModel = Callable[..., Model]

RECIPE = """
dataset = "glyphs"
target = "digits"
backbone = "resnet8"
image_size = 8
labels = 200

[[steps]]
stage = "transfer"
method = "transform"
kind = "subspace_alignment"
components = 6
l2 = 0.1
"""


def domains() -> tuple[Array, NDArray[np.int64], Array]:
    """A source with three classes, and a target that is the source turned, stretched and moved."""
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 40)
    source = draw.normal(size=(120, 7)) * np.arange(1, 8) + 4 * np.eye(7)[y]
    target = (draw.normal(size=(90, 7)) + 4 * np.eye(7)[np.repeat(np.arange(3), 30)]) @ draw.normal(size=(7, 7)) + 5
    return source, y, target


def reference(source: Array, y: NDArray[np.int64], target: Array, d: int, l2: float) -> tuple[Array, Array]:
    """The paper, step by step: (logits of the target, logits of the source as the classifier learned it)."""
    s, t = StandardScaler().fit_transform(source), StandardScaler().fit_transform(target)
    xs, xt = (PCA(d, svd_solver="full").fit(x).components_.T for x in (s, t))
    m = xs.T @ xt
    learned = LogisticRegression(C=1 / (l2 * len(s)), tol=1e-10, max_iter=10_000).fit(s @ xs @ m, y)
    return learned.decision_function(t @ xt), learned.decision_function(s @ xs @ m)


def centred(logits: Tensor | Array) -> Array:
    """The softmax is the same whatever is added to all of a row."""
    rows = np.asarray(logits)
    return np.asarray(rows - rows.mean(1, keepdims=True))


@pytest.mark.parametrize("d", [1, 3, 7])
def test_the_head_is_the_references(d: int) -> None:
    source, y, target = domains()
    method = build("transfer", "transform", kind="subspace_alignment", components=d)
    assert isinstance(method, ProbedTransfer)
    features, there = torch.from_numpy(source), TargetFeatures(torch.from_numpy(target), (0, 1, 2))
    (problem,) = method.candidates(features, torch.from_numpy(y), 3, there)
    learned = problem.solve(0.05)
    on_target, on_source = reference(source, y, target, d, 0.05)
    np.testing.assert_allclose(centred(problem.deployed()(there.features)), centred(on_target), atol=2e-4)
    np.testing.assert_allclose(centred(learned(features)), centred(on_source), atol=2e-4)


def test_an_aligned_map_recovers_a_target_that_is_the_source_stretched_and_moved() -> None:
    """Standardised by itself, such a target is the source: the deployed head answers as the learned one."""
    source, y, _ = domains()
    features = torch.from_numpy(source)
    moved = features * torch.arange(2, 9) - 11
    method = build("transfer", "transform", kind="subspace_alignment", components=4)
    assert isinstance(method, ProbedTransfer)
    (problem,) = method.candidates(features, torch.from_numpy(y), 3, TargetFeatures(moved, (0, 1, 2)))
    learned = problem.solve(0.05)
    torch.testing.assert_close(problem.deployed()(moved), learned(features), atol=1e-8, rtol=0)


def test_classes_that_the_target_lacks_do_not_turn_the_source() -> None:
    """They are learned all the same."""
    source, y, target = domains()
    method = build("transfer", "transform", kind="subspace_alignment", components=3)
    assert isinstance(method, ProbedTransfer)
    there = TargetFeatures(torch.from_numpy(target), (0, 1))
    labels = torch.from_numpy(y)
    (problem,) = method.candidates(torch.from_numpy(source), labels, 3, there)
    far = torch.from_numpy(source).clone()
    far[labels == 2] *= 100
    (other,) = method.candidates(far, labels, 3, there)
    one, two = problem.view, other.view
    assert torch.equal(one.mean, two.mean)
    assert torch.equal(one.scale, two.scale)
    seen = torch.from_numpy(source)  # the axes may be turned within the space: distances there are the same
    torch.testing.assert_close(torch.cdist(one(seen), one(seen)), torch.cdist(two(seen), two(seen)), atol=1e-6, rtol=0)
    assert len(problem.labels) == len(y)


# in the stage


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return load_dataset("glyphs", 8)


@pytest.fixture
def context(make_context: MakeContext, glyphs: Dataset, digits: Dataset) -> Context:
    labelled, _ = few_labels(glyphs.train, 300, 10, 0)
    target = matched(glyphs, digits, lambda code, message: None)
    return make_context(data=glyphs, labelled=labelled, target=target.unlabelled)


def test_the_choice_is_made_on_the_source_as_the_classifier_learned_it(
    context: Context, make_model: MakeModel, reports: list[Reported]
) -> None:
    """The accuracy by which a setting is chosen is not that of the deployed head, which is for the target."""
    method = build("transfer", "transform", kind="subspace_alignment", components=5, l2=0.1)
    model = method.apply(make_model(), context)
    told = [report[5].validation_accuracy for report in reports if report[0] == "training"][-1]
    features = extractor(make_model()).embed(context.data.validation.images, context)
    layer = head_layer(model.net)
    deployed = float((layer(features).argmax(1) == context.data.validation.labels).float().mean())
    assert told is not None
    assert told > deployed


def test_without_a_target_it_is_refused_before_any_work(
    context: Context, make_model: MakeModel, reports: list[Reported]
) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_recipe(RECIPE.replace('target = "digits"', ""))
    (error,) = caught.value.errors
    assert (error.code, error.field) == ("no_target", "steps.0.kind")
    assert "subspace_alignment" in error.given
    assert 'target = "…"' in error.fix
    assert "another kind" in error.fix
    with pytest.raises(UserError, match="kind") as refused:
        build("transfer", "transform", kind="subspace_alignment").apply(make_model(), replace(context, target=None))
    assert refused.value.code == "no_target"
    assert not reports
    assert not context.cache.exists()


def test_the_fewer_of_both_domains_bound_the_directions(context: Context, make_model: MakeModel) -> None:
    assert context.target is not None
    few = replace(context, target=Unlabelled(context.target.images[:8], context.target.shared))
    method = build("transfer", "transform", kind="subspace_alignment", components=8)
    with pytest.raises(UserError, match="0 to 7"):
        method.apply(make_model(), few)


def test_other_transformations_take_no_notice_of_a_target(context: Context, make_model: MakeModel) -> None:
    method = build("transfer", "transform", kind="pca", components=5, l2=0.1)
    one, two = (method.apply(make_model(), b).net.state_dict() for b in (context, replace(context, target=None)))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not method.controls(make_model(), context)


def test_its_control_is_the_same_classifier_that_never_saw_the_target(context: Context, make_model: MakeModel) -> None:
    method = build("transfer", "transform", kind="subspace_alignment", components=5, l2=0.1)
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
    control = method.controls(model, context)[SOURCE_ONLY]().net.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.net.state_dict().items())
    plain = build("transfer", "transform", kind="pca", components=5, l2=0.1).apply(make_model(), context)
    assert all(torch.equal(control[name], tensor) for name, tensor in plain.net.state_dict().items())


# in a recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Workspace.open_or_create(tmp_path_factory.mktemp("aligned")).create_run(RECIPE)
    finished_run(run)
    assert run.state().status is Status.FINISHED, run.state().details
    return run


def test_a_recipe_tells_both_domains_and_what_they_mean(run: Run) -> None:
    (point,), (control,) = run.summary().points, run.summary().controls
    assert control.control == SOURCE_ONLY
    for told in (point, control):
        assert told.accuracy is not None
        assert told.target_accuracy is not None
    notes, beside = json.dumps(point.receipt), json.dumps(control.receipt)
    assert "subspace_alignment with 6 directions" in notes
    assert "treats every image as one of the target" in notes
    assert "treats every image as one of the target" not in beside
    assert "pca with 6 directions" in beside
    assert Transform.title.en in point.name


def test_the_saved_file_holds_the_aligned_map(
    run: Run, digits: Dataset, glyphs: Dataset, make_context: MakeContext
) -> None:
    """What onnxruntime answers on the target's images is what the reference says of their features."""
    model = load_model(run.checkpoints / "seed-0" / "step-0" / "made")
    labelled, _ = few_labels(glyphs.train, 200, 10, 0)
    embed, context = extractor(model).embed, make_context()
    here, there = (embed(images, context).double().numpy() for images in (labelled.images, digits.train.images))
    expected, _ = reference(here, labelled.labels.numpy(), there, 6, 0.1)
    file = run.folder / str(run.summary().points[0].artifact)
    told = predict(open_session(file, 1), digits.train.images, model.preprocessing)
    np.testing.assert_allclose(centred(told), centred(expected), atol=5e-3)
    layer = head_layer(model.net)
    assert isinstance(layer, nn.Linear)
    assert np.linalg.matrix_rank(layer.weight.detach().numpy(), tol=1e-5) == 6


def test_it_is_foreseen(tmp_path: Path) -> None:
    (row,) = preview(RECIPE, tmp_path).rows
    assert row.exact
    with pytest.raises(UserError) as caught:
        preview(RECIPE.replace("components = 6", "components = 4000"), tmp_path)
    assert caught.value.field == "steps.0.components"
