"""Steps and fields under the names that they have on a page."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.recipe import Step
from dashboard import step_names
from dashboard.i18n import speaking

STEPS = (Step("transfer", "linear_probe"), Step("prune", "l2"), Step("quantize", "static"))


@pytest.mark.parametrize(
    ("text", "en"),
    [
        ("steps.2 (quantize.static) after steps.1", "step 3, Quantize after step 2, Prune"),
        ("Set steps.1.ratio = 0.5.", "Set step 2, Prune: Pruning ratio = 0.5."),
        ("steps.1.method = kd", "step 2, Prune = kd"),
        ("steps.1.epochs", "step 2, Prune: Recovery epochs"),  # as that method calls it, not another one
        ("steps.9.ratio, steps.1.nothing", "steps.9.ratio, steps.1.nothing"),
        ("labels = 0", "labels = 0"),
    ],
)
def test_paths_become_words(text: str, en: str) -> None:
    with speaking("en"):
        assert step_names.in_words(text, STEPS) == en


def test_a_mistake_keeps_its_field() -> None:
    with speaking("zh"):
        (found,) = step_names.mistakes([UserError("x", "steps.1.ratio", 1, "as steps.0", "Mend steps.2.")], STEPS)
        assert found.field == "steps.1.ratio"
        assert (found.allowed, found.fix) == ("as 第 1 步（迁移）", "Mend 第 3 步（量化）.")
        assert step_names.field("steps.1.ratio", STEPS) == "第 2 步（剪枝）：剪枝率"
        assert step_names.field("steps.2.stage", STEPS) == "第 3 步（量化）"
