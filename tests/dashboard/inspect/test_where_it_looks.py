"""The view Where it looks: by which method, why, and where, in words."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.points import Point
from core.questions.saliency import Look, Saliency
from core.run_files.sides import Side
from core.runs import Run
from tests.dashboard.inspect.test_layers_view import PNG


def side(step: int) -> Side:
    return Side(Run.__new__(Run), Point(step=step, stage="prune", method="l2", name="net [x]"))


def drawn(**more: Any) -> str:
    looks = (Look(0, 0.9, 0.9, PNG, (0.1, 0.9)), Look(1, 0.8, 0.15, PNG, None))
    given: dict[str, Any] = {
        "classes": ("bag", "coat"),
        "label": 0,
        "target": 0,
        "picture": PNG,
        "method": "grad_cam",
        "why": "gradients",
        "looks": looks,
        "overlap": 0.42,
    }
    app = AppTest.from_function(_draw, args=([side(0), side(1)], Saliency(**{**given, **more})))
    app.run()
    assert not app.exception, [one.value for one in app.exception]
    return "\n".join(str(one.value) for one in (*app.markdown, *app.caption))


def _draw(sides: object, found: object) -> None:
    from dashboard.inspect import where_it_looks

    where_it_looks.draw(sides, found)  # type: ignore[arg-type]


def test_the_method_its_reason_and_the_place_are_said() -> None:
    told = drawn()
    assert "test image of **bag**" in told
    assert "Made by Grad-CAM" in told
    assert "have gradients" in told
    assert "Answers bag (90.0 %)." in told
    assert "Strongest at the top right." in told
    assert "Answers coat (80.0 %). bag: 15.0 %." in told
    assert "Nothing in the image speaks for this class." in told
    assert "share 42 % of their area" in told


@pytest.mark.parametrize(
    ("why", "words"), [("no_gradients", "a quantized file has no gradients"), ("no_maps", "no feature maps")]
)
def test_why_occlusion_was_needed_is_said(why: str, words: str) -> None:
    told = drawn(method="occlusion", why=why, overlap=None)
    assert "Made by occlusion" in told
    assert words in told
    assert "of their area" not in told


def test_a_rollout_says_that_it_is_of_no_class() -> None:
    told = drawn(method="rollout", why="attention")
    assert "same for every class" in told
    assert "Made by attention rollout" in told
    assert "every patch attends to every other" in told
    assert "Attention goes evenly to the whole image." in told
    assert "speaks for" not in told
    assert "not whether it mattered" in told
