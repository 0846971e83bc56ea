"""The album of images on which models disagree equals a comparison of their files' answers in onnxruntime."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from assets import predict as script
from core.engine.data import load_dataset
from core.engine.questions.answer import answer
from core.errors import UserError
from core.questions.disagreements import Disagreements, DisagreementsRequest
from core.runs import Run
from core.workspace import Workspace
from tests.sessions import opened


def asked(store: Workspace, *points: str) -> Disagreements:
    job = store.ask(DisagreementsRequest(points))
    answer(job)
    return DisagreementsRequest.answer_from_document(job.result())


def test_it_equals_a_comparison_of_the_files_one_image_after_the_other(store: Workspace, finished: Run) -> None:
    points = tuple(f"{finished.id}:{step}" for step in (0, 1, 2))
    found = asked(store, *points)
    test = load_dataset("digits", 8).test
    alone = []
    for step in (0, 1, 2):
        session = opened(finished.artifacts / f"step-{step}" / "model.onnx")
        pixels = _pixels(finished, step)
        images = (script.normalise((Image.fromarray(image[0].numpy()),), pixels) for image in test.images)
        alone.append([int(session.run(["logits"], {"image": image})[0].argmax()) for image in images])
    answers = np.array(alone)
    others = np.flatnonzero((answers != answers[0]).any(0))
    assert (found.images, found.disagreed, found.points) == (360, len(others), points)
    assert len(others) > 0
    assert len(found.shown) == min(len(others), 48)
    assert {one.place for one in found.shown} <= set(others)
    for one in found.shown:
        assert [guess.index for guess in one.guesses] == answers[:, one.place].tolist()
        assert one.label == int(test.labels[one.place])
        with Image.open(io.BytesIO(base64.b64decode(one.picture))) as picture:
            np.testing.assert_array_equal(np.asarray(picture), test.images[one.place, 0].numpy())
    least = [min(guess.probability for guess in one.guesses) for one in found.shown]
    assert least == sorted(least, reverse=True)


def _pixels(run: Run, step: int) -> dict[str, object]:
    card = json.loads((run.artifacts / f"step-{step}" / "card.json").read_text())
    found: dict[str, object] = card["preprocessing"]
    return found


def test_one_model_disagrees_with_nobody(store: Workspace, finished: Run) -> None:
    with pytest.raises(UserError) as told:
        asked(store, f"{finished.id}:0", f"{finished.id}:7")
    assert told.value.code == "too_few_models"


def test_a_dataset_that_is_gone_is_said(store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*words: object, **more: object) -> None:
        raise UserError("unknown_dataset", "dataset", "digits", "a dataset", "Import it again.")

    monkeypatch.setattr("core.engine.data.of_run.load_dataset", gone)
    with pytest.raises(UserError) as told:
        asked(store, f"{finished.id}:0", f"{finished.id}:1")
    assert told.value.code == "unknown_dataset"
