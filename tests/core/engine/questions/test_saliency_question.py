"""Where saved models look, as a question: one method for all, and its reason."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.engine.data import prepare_numpy
from core.engine.model import Preprocessing
from core.engine.questions.answer import answer
from core.engine.questions.saliency import of_whole, overlaid
from core.errors import UserError
from core.questions.saliency import Saliency, SaliencyRequest
from core.runs import Run
from core.workspace import Workspace


def asked(store: Workspace, run: Run, *steps: int, place: int = 3, **more: Any) -> Saliency:
    job = store.ask(SaliencyRequest(tuple(f"{run.id}:{step}" for step in steps), place, **more))
    answer(job)
    return SaliencyRequest.answer_from_document(job.result())


def test_networks_in_floats_are_asked_by_gradients(store: Workspace, finished: Run) -> None:
    found = asked(store, finished, 1, 0)
    assert (found.method, found.why, len(found.looks)) == ("grad_cam", "gradients", 2)
    with np.load(finished.artifacts / "step-1" / "predictions.npz") as kept:
        assert (found.target, found.label) == (kept["test_answers"][3], kept["test_labels"][3])
        assert found.looks[0].probability == pytest.approx(kept["test_confidences"][3], abs=1e-5)
    assert found.looks[0].asked == found.looks[0].probability
    assert found.overlap is None or 0 <= found.overlap <= 1


def test_a_quantized_file_is_asked_by_occlusion_and_so_is_the_other(store: Workspace, finished: Run) -> None:
    found = asked(store, finished, 2, 1, target=5)
    assert (found.method, found.why, found.target) == ("occlusion", "no_gradients", 5)
    for look in found.looks:
        with Image.open(io.BytesIO(base64.b64decode(look.overlay))) as picture:
            assert picture.size == (224, 224)


def test_what_cannot_be_is_said(store: Workspace, finished: Run) -> None:
    assert asked(store, finished, 0, method="occlusion").why == "chosen"
    for more, code in (
        ({"method": "grad_cam"}, "no_gradients"),
        ({"method": "rollout"}, "no_rollout_no_attention"),
        ({"place": 360}, "out_of_range"),
        ({"target": 10}, "other_classes"),
    ):
        with pytest.raises(UserError) as told:
            asked(store, finished, 2, **more)
        assert told.value.code == code


def test_a_map_lies_where_the_centre_crop_was_cut() -> None:
    """A corner of what the network sees is no corner of the image."""
    pixels = Preprocessing(8, 1, (0.0,), (1.0,), crop=0.8)
    image = np.zeros((1, 1, 10, 10), np.uint8)
    image[0, 0, 1, 8] = 255
    reasons = of_whole(prepare_numpy(image, pixels)[0, 0], pixels)
    assert reasons.shape == (10, 10)
    assert np.argwhere(reasons).tolist() == [[1, 8]]
    whole = Preprocessing(8, 1, (0.0,), (1.0,))
    assert of_whole(reasons[:8, :8], whole).shape == (8, 8)


def test_the_brightest_spot_is_where_the_map_is_highest() -> None:
    reasons = np.zeros((8, 8), np.float32)
    reasons[6, 1] = 1
    shown = overlaid(np.full((8, 8), 100, np.uint8), reasons).astype(int).sum(2)
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert (row // 28, column // 28) == (6, 1)
