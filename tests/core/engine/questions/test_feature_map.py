"""The feature map: the features are what the file's head reads, and the layouts are those of scikit-learn, always the
same."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.decomposition import PCA

from core.engine.data import Dataset
from core.engine.measure.features_in_plane import flat, neighbours, principal
from core.engine.measure.runtime import open_session, predict, prepared_as_bundled
from core.engine.model import Preprocessing
from core.engine.questions import feature_map as engine
from core.engine.questions.answers import read_card
from core.questions.feature_map import LIMIT, FeatureMap, FeatureMapRequest, Plane
from core.run_files.sides import side
from core.runs import Run
from core.workspace import Workspace


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Workspace:
    store = Workspace.open_or_create(tmp_path)
    copytree(finished.folder, tmp_path / "runs" / finished.id)
    return store


def asked(store: Workspace, step: int, plane: Plane = "pca") -> FeatureMap:
    request = FeatureMapRequest(f"{store.run_ids()[0]}:{step}", plane)
    return engine.answer(request, store.ask(request))


def test_the_features_are_what_the_head_makes_its_answers_of(copied: Workspace, digits: Dataset) -> None:
    chosen, images = side(copied, f"{copied.run_ids()[0]}:0"), digits.validation.images[:50]
    features = engine.features_of(chosen, [images[:30], images[30:]], lambda *each: None)  # type: ignore[arg-type]
    path = chosen.run.folder / str(chosen.point.artifact)
    held = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    head = onnx.load(path).graph.node[-1]
    weight, bias = held[head.input[1]], held[head.input[2]] if len(head.input) > 2 else 0.0
    if features.shape[1] != weight.shape[0]:
        weight = weight.T
    pixels = Preprocessing.from_json(read_card(chosen)["preprocessing"])
    logits = predict(open_session(path), images, pixels, prepared=prepared_as_bundled).numpy()
    np.testing.assert_allclose(features @ weight + bias, logits, atol=1e-3)


@pytest.mark.parametrize("step", [0, 2])
def test_every_validation_image_has_its_place_and_asking_again_gives_the_same(
    copied: Workspace, digits: Dataset, step: int
) -> None:
    found = asked(copied, step)
    assert len(found.x) == min(LIMIT, len(digits.validation))
    assert found.label == tuple(digits.validation.labels[list(found.place)].tolist())
    assert not any(found.target)
    assert found.explained is not None
    assert 0 < found.explained <= 1
    kept = engine.kept_path(side(copied, f"{copied.run_ids()[0]}:{step}"), "pca")
    assert kept.exists()
    assert asked(copied, step) == found
    kept.unlink()
    assert asked(copied, step) == found, "and computed anew too"


def test_principal_components_are_scikit_learns() -> None:
    spread = np.arange(1, 13)
    features = (np.random.default_rng(0).normal(size=(60, 12)) * spread).astype(np.float32)
    plane, share = principal(features)
    known = PCA(2).fit(features)
    np.testing.assert_allclose(np.abs(plane), np.abs(known.transform(features)), atol=1e-3)
    assert share == pytest.approx(known.explained_variance_ratio_.sum(), abs=1e-5)
    assert principal(np.ones((5, 1), np.float32))[0].tolist() == [[0.0, 0.0]] * 5


def test_t_sne_keeps_neighbours_together_and_is_always_the_same() -> None:
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(3), 20)
    features = (20 * groups[:, None] + draw.normal(size=(60, 8))).astype(np.float32)
    plane = neighbours(features)
    assert np.array_equal(plane, neighbours(features))
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=2) + np.diag(np.full(60, np.inf))
    assert (groups[apart.argmin(axis=1)] == groups).all()


def test_maps_and_tokens_are_averaged() -> None:
    assert flat(np.arange(16, dtype=np.float32).reshape(1, 4, 2, 2)).tolist() == [[1.5, 5.5, 9.5, 13.5]]
    assert flat(np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)).tolist() == [[2.0, 3.0]]
