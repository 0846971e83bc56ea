"""The preview of augmentation on a step's card: asked for by a button, shown while the recipe is the same."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import Job
from core.workspace import Workspace
from tests.dashboard.test_pages import shown, text, workspace

__all__ = ["workspace"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one dot
SHOWN = "As the first epoch sees them"


@pytest.fixture(autouse=True)
def asked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked; the answer is one dot."""
    real, found = workspace.create_job, list[Any]()

    def create(kind: str, request: Any) -> Job:
        job = real(kind, request)
        if kind == "augmented":
            found.append(request)
            job.answer({"images": 8, "before": PIXEL, "after": PIXEL})
        return job

    monkeypatch.setattr("dashboard.data.asking.ensure_supervisor", lambda workspace: None)
    monkeypatch.setattr("dashboard.data.asking.POLL", None)
    monkeypatch.setattr(Workspace, "create_job", lambda self, kind, request: create(kind, request))
    return found


def with_method(method: str) -> AppTest:
    app = shown("design")
    menu = next(box for box in app.selectbox if str(box.key).endswith("_method_0"))
    menu.set_value(method).run()
    assert not app.exception
    return app


@pytest.mark.thorough
def test_the_first_images_are_shown_until_the_recipe_changes(workspace: Workspace, asked: list[Any]) -> None:
    app = with_method("fine_tune")
    app.button(key="design_augmented_0").click().run().run()
    assert not app.exception
    assert SHOWN in text(app)
    assert asked[0]["step"] == 0
    assert 'method = "fine_tune"' in asked[0]["recipe"]
    menu = next(box for box in app.selectbox if str(box.key).endswith("_method_0"))
    menu.set_value("partial").run()
    assert SHOWN not in text(app), "they were of another recipe"


def test_a_probe_has_no_augmentation_to_show(workspace: Workspace) -> None:
    app = with_method("linear_probe")
    assert not [button for button in app.button if str(button.key).startswith("design_augmented")]
