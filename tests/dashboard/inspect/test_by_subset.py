"""Right answers counted apart by brightness and size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from core.jobs import Job
from core.questions.traits import Traits, TraitsRequest
from core.run_files.sides import sides
from core.statistics.intervals import wilson
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
    assert now["right"].tolist() == [5, 2]
    assert then["right"].tolist() == [5, 4]
    assert (now["low"].tolist()[1], now["high"].tolist()[1]) == wilson(2 / 6, 6)


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
    app = inspect(measured(workspace), language, view="subsets")
    assert not app.exception, [e.value for e in app.exception]
    assert asked == ["traits"]
    assert ("five parts from dark to bright" if language == "en" else "从暗到亮") in text(app)
    if language == "en":  # AppTest looks options up by their English names
        app.segmented_control(key="inspect_subset_by").set_value("side").run()
        assert not app.exception, [e.value for e in app.exception]
        assert "shorter side" in text(app)
