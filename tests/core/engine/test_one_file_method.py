"""A contributor's method: ONE file in a stage's folder, and it is in catalog, help, checks and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
METHOD = '''
"""Cosine distance of the logits, and a look at the features."""

from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words


class Cosine(Distill):
    """1 - cosine of the logits, and of the embeddings where their widths agree."""

    reads_features = True
    title = Words("Cosine of the logits", "对数几率余弦")
    summary = Words("The student points where the teacher points.", "学生与教师方向一致。")
    source = "a test"

    sharpness: float = knob(2.0, "Sharpness", "Multiplies the loss.", zh=("锐度", "损失的倍数。"), ge=0.5, le=8.0)

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        assert teacher.features and student.features and teacher.embedding is not None
        return self.sharpness * (1 - F.cosine_similarity(student.logits, teacher.logits).mean())
'''
RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 200
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 2
[[steps]]
stage = "distill"
method = "cosine"
student = "resnet8"
width = 4
epochs = 2
twin = false
sharpness = {sharpness}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one more file, and `make catalog` done."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "core", copy / "core", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "assets").symlink_to(ROOT / "assets")
    (copy / "core" / "engine" / "distill" / "cosine.py").write_text(METHOD, encoding="utf-8")
    call(copy, "core.engine.catalog_writer")
    return copy


def call(checkout: Path, module: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "CONDENSER_WORKSPACE": str(checkout / "w"),
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done


def test_it_is_in_the_catalog_with_its_option(checkout: Path) -> None:
    listed = json.loads(call(checkout, "core.cli", "list", "methods", "--json").stdout)
    (entry,) = [row for row in listed if row["method"] == "cosine"]
    options = {option["name"]: option for option in entry["options"]}
    assert (options["sharpness"]["minimum"], options["sharpness"]["maximum"]) == (0.5, 8.0)
    assert options["sharpness"]["title"] == {"en": "Sharpness", "zh": "锐度"}
    assert {"student", "weight", "epochs"} <= set(options)


def test_it_is_in_the_help(checkout: Path) -> None:
    assert "distill.cosine" in call(checkout, "core.cli", "run", "--help").stdout


def test_its_bounds_are_checked(checkout: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(sharpness=99))
    found = json.loads(call(checkout, "core.cli", "check", str(recipe), "--json", code=2).stdout)
    assert [error["field"] for error in found["errors"]] == ["steps.1.sharpness"]
    assert "0.5 to 8" in found["errors"][0]["allowed"]


@pytest.mark.slow
def test_it_runs(checkout: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(sharpness=4))
    found = json.loads(call(checkout, "core.cli", "run", str(recipe), "--json").stdout)
    assert [point["method"] for point in found["points"]] == ["fine_tune", "cosine"]
