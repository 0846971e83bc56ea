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
        ("labels = 0", "“Labels used” = all"),
        ("steps.1: ratio = 0 removes nothing.", "step 2, Prune: “Pruning ratio” = 0 removes nothing."),
        (
            "fashion has 90 images: set calibration_images to 90 or less.",
            "fashion has 90 images: set “Calibration images” to 90 or less.",
        ),
        (
            "Choose a method that compares logits, such as kd.",
            "Choose a method that compares logits, such as “Soft labels”.",
        ),
        (
            "Choose a dataset with its classes, or linear_probe or fine_tune, which learn new classes.",
            "Choose a dataset with its classes, or “Linear probe” or “Fine-tuning”, which learn new classes.",
        ),
        ("export.openvino of resnet8", "“OpenVINO IR” of resnet8"),
        ("Set labels to fewer than the training images.", "Set “Labels used” to fewer than the training images."),
        ("a dataset with labels; my_set, target and pool stay", "a dataset with labels; my_set, target and pool stay"),
        ('Add a line target = "…".', 'Add a line target = "…".'),
    ],
)
def test_paths_become_words(text: str, en: str) -> None:
    with speaking("en"):
        assert step_names.in_words(text, STEPS) == en


@pytest.mark.parametrize(
    ("text", "zh"),
    [
        ("Set round_to to 1 or more, or target to none.", "请将“取整”设为 1 或更大，或将“剪到满足”设为无上限。"),
        (
            "steps.1: ratio = 0 removes nothing; the step only renews batch-norm statistics and trains.",
            "第 2 步（剪枝）：“剪枝率” = 0 不剪除任何内容；该步骤只更新批归一化统计量并训练。",
        ),
        ("Set steps.9.pool = false, or labels = 0.", "请将 steps.9.pool 设为 false；或：“使用的标签数” = 全部。"),
        ("Use a method that compares logits, such as kd.", "请使用比较对数几率的方法，例如“软标签蒸馏”。"),
        (
            "my dataset has 90 images: set calibration_images to 90 or less.",
            "my dataset 有 90 张图像：请将“校准图像数”设为 90 或更小。",
        ),
    ],
)
def test_fields_and_methods_become_chinese_words(text: str, zh: str) -> None:
    with speaking("zh"):
        assert step_names.in_words(text, STEPS, 1) == zh


def test_a_step_of_a_recipe_that_cannot_be_read_keeps_its_number() -> None:
    with speaking("en"):
        assert step_names.in_words("steps.1: it is larger.", ()) == "step 2: it is larger."


def test_a_mistake_keeps_its_field() -> None:
    with speaking("zh"):
        (found,) = step_names.mistakes([UserError("x", "steps.1.ratio", 1, "as steps.0", "Mend steps.2.")], STEPS)
        assert found.field == "steps.1.ratio"
        assert (found.allowed, found.fix) == ("as 第 1 步（迁移）", "Mend 第 3 步（量化）.")
        assert step_names.field("steps.1.ratio", STEPS) == "第 2 步（剪枝）：剪枝率"
        assert step_names.field("steps.2.stage", STEPS) == "第 3 步（量化）"
