"""Right answers counted apart by brightness and size: of the page, and what the engine says of each image."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image

from core.engine.data import Dataset, import_images
from core.engine.questions import traits as engine
from core.intervals import wilson
from core.jobs import Job
from core.questions.traits import Traits, TraitsRequest
from core.runs import Run
from core.sides import sides
from core.workspace import Workspace
from dashboard.inspect import evidence
from dashboard.inspect.by_subset import parts, shares
from dashboard.inspect.choice import Choice
from tests.dashboard.test_inspect import LABELS, inspect, measured, workspace
from tests.dashboard.test_pages import text

__all__ = ["workspace"]
FOUND = Traits(tuple(n / 20 for n in range(len(LABELS))), tuple(20 + n // 6 for n in range(len(LABELS))))


def test_parts_have_about_as_many_images_and_equal_values_stay_together() -> None:
    values = np.random.default_rng(0).random(1003)
    found = parts(values)
    assert sorted(np.concatenate([places for *_, places in found]).tolist()) == list(range(1003))
    assert {len(places) for *_, places in found} <= {200, 201, 202}
    assert all(one[1] < other[0] for one, other in pairwise(found))
    assert [len(places) for *_, places in parts(np.array([1.0, 1, 1, 1, 1, 1, 2, 3]))] == [6, 1, 1]
    assert len(parts(np.ones(7))) == 1


def test_the_shares_are_counted_from_both_answers(workspace: Workspace) -> None:
    before, own = sides(measured(workspace))
    choice = Choice(own.run, own.point, before)
    pair = evidence.known(choice)
    assert pair is not None
    table, order = shares(choice, pair, np.array(FOUND.side, float), "side")
    assert order == ["20 px", "21 px"]
    now, then = table[: len(order)], table[len(order) :]
    assert now["right"].tolist() == [4, 3]
    assert then["right"].tolist() == [5, 4]
    assert (now["low"].tolist()[0], now["high"].tolist()[0]) == wilson(4 / 6, 6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_view_asks_once_and_draws(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    asked: list[str] = []
    real = Workspace.create_job

    def create(self: Workspace, kind: str, request: dict[str, object]) -> Job:
        job = real(self, kind, request)  # type: ignore[arg-type]
        if kind == "traits":
            asked.append(kind)
            job.answer(TraitsRequest.answer_to_document(FOUND))
        return job

    monkeypatch.setattr("dashboard.data.asking.supervisor", lambda workspace: object())
    monkeypatch.setattr("dashboard.data.asking.POLL", None)
    monkeypatch.setattr(Workspace, "create_job", create)
    app = inspect(measured(workspace), language, view="subsets").run()
    assert not app.exception, [e.value for e in app.exception]
    assert asked == ["traits"]
    assert ("five parts from dark to bright" if language == "en" else "从暗到亮") in text(app)
    app.segmented_control(key="inspect_subset_by").set_value("side").run()
    assert not app.exception, [e.value for e in app.exception]
    assert ("shorter side" if language == "en" else "短边") in text(app)


def test_the_engine_measures_the_images_that_the_run_was_tested_on(
    finished: Run, tmp_path: Path, digits: Dataset
) -> None:
    store = Workspace.open_or_create(tmp_path)
    copytree(finished.folder, tmp_path / "runs" / finished.id)
    request = TraitsRequest(finished.id)
    found = engine.answer(request, store.ask(request))
    np.testing.assert_allclose(found.brightness, digits.test.images.numpy().mean((1, 2, 3)) / 255, atol=1e-6)
    assert found.side == ()


def test_luminance_is_that_of_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    known = [np.asarray(Image.fromarray(each).convert("L")).mean() / 255 for each in pixels]
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(engine.brightness(images).numpy(), known, atol=3e-3)


def test_sides_of_ones_own_images_are_as_stored(workspace: Workspace, tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "given" / label).mkdir(parents=True)
        for side in range(10, 20):
            pixels = np.random.default_rng(side).integers(0, 256, (side, side + 9), dtype=np.uint8)
            Image.fromarray(pixels if label == "a" else 255 - pixels).save(tmp_path / "given" / label / f"{side}.png")
    import_images(tmp_path / "given", "own", workspace.datasets)
    recipe = 'dataset = "own"\nbackbone = "resnet8"\n[[steps]]\nstage = "transfer"\nmethod = "fine_tune"\n'
    run = workspace.create_run(recipe)
    data = engine.dataset_of(run, workspace, lambda *each: None)
    found = engine.sides(run, workspace, len(data.test))
    assert len(found) == len(data.test)
    assert set(found) <= set(range(10, 20))
