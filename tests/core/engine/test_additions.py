"""A contributor's five additions, ONE file each: in catalog, help and page, held to its kind's contract, and run.

The files are written into a copy of the project; nothing else of it is edited but what `make catalog` writes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOSS = '''
"""Cosine of the logits."""

from torch import Tensor
from torch.nn import functional as F

from core.engine.distill import Distill
from core.engine.method import knob
from core.engine.output import Output
from core.options import Words


class Cosine(Distill):
    """1 - cosine of the logits."""

    title = Words("Cosine of the logits", "对数几率余弦")
    summary = Words("The student points where the teacher points.", "学生与教师方向一致。")
    source = "https://example.org/cosine"

    sharpness: float = knob(2.0, "Sharpness", "Multiplies the loss.", zh=("锐度", "损失的倍数。"), ge=0.5, le=8.0)

    def soft_loss(self, student: Output, teacher: Output, target: Tensor | None) -> Tensor:
        return self.sharpness * (1 - F.cosine_similarity(student.logits, teacher.logits).mean())
'''
IMPORTANCE = '''
"""The largest weight of a channel."""

from torch import Tensor

from core.engine.prune.attention import Score
from core.engine.prune.channels import ChannelPrune
from core.engine.prune.scores import Share, average, relative
from core.options import Words
from torch_pruning.dependency import Group


def _score(group: Group) -> Tensor | None:
    return relative(average(group, _largest))


def _largest(share: Share) -> Tensor:
    return share.weight.abs().amax(1)


class Linf(ChannelPrune):
    """max |w| of a channel's weights."""

    title = Words("Largest weight", "最大权重")
    summary = Words("Channels whose largest weight is small go.", "移除最大权重较小的通道。")
    source = "https://example.org/linf"

    def importance(self, seed: int) -> str | Score:
        return _score
'''
DATASET = '''
"""Stripes in two directions."""

import torch

from core.engine.data.dataset import Split
from core.engine.data.known import Bundled
from core.options import Words


class Stripes(Bundled):
    """240 noisy stripes of 8x8 pixels, lying or upright."""

    title = Words("Stripes, 8×8", "条纹，8×8")
    classes = 2
    images = 240
    size = 8
    channels = 1
    licence = "CC0 1.0"
    source = "a test"
    class_names = ("lying", "upright")

    def splits(self, image_size: int) -> tuple[Split, Split, Split]:
        draw = torch.Generator().manual_seed(0)
        labels = torch.arange(240) % 2
        lying = (torch.arange(8) % 2 * 200).to(torch.uint8).repeat(8, 1)
        images = torch.stack([lying if label else lying.T for label in labels.tolist()])[:, None]
        noise = torch.randint(0, 50, images.shape, dtype=torch.uint8, generator=draw)
        whole = Split(images + noise, labels)
        return whole.subset(range(160)), whole.subset(range(160, 200)), whole.subset(range(200, 240))
'''
FAMILY = '''
"""Plain convolutional networks without shortcuts."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from core.engine.backbones.backbone import Backbone, Family, Progress
from core.engine.measure.complexity import counted


def _plain(w: int, channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
        nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * w, classes),
    )


class Plain(Family):
    """Two convolutions and a linear layer."""

    def catalog(self) -> list[Backbone]:
        return [
            Backbone(
                name="plain2", title="Two plain convolutions", image_size=32, smallest=8, channels=3, mean=(0.5,) * 3,
                std=(0.5,) * 3, small_images=True, accuracy=None, classes=10, licence="CC0 1.0", source="a test",
                weights="none", width=16, **counted(lambda: _plain(16, 3, 10), 3, 32),
            )
        ]

    def architecture(self, backbone: Backbone, classes: int, image_size: int, width: int, channels: int) -> nn.Module:
        return _plain(width or backbone.width, channels, classes)

    def state(self, backbone: Backbone, folder: Path | None, progress: Progress | None) -> Mapping[str, Tensor]:
        raise AssertionError("it has no weights")

    def at_hand(self, backbone: Backbone, folder: Path | None) -> bool:
        return False

    def labels(self, backbone: Backbone) -> tuple[str, ...]:
        return ()
'''
EXPORTER = '''
"""The weights as a NumPy archive, with the program that reads them."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.engine.export import Export
from core.engine.export.parity import Answer
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.options import Words


class Npz(Export):
    """One array a tensor."""

    title = Words("NumPy archive", "NumPy 存档")
    summary = Words("Every tensor as an array.", "每个张量存为一个数组。")
    source = "https://numpy.org/doc/stable/reference/generated/numpy.savez.html"

    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        save_model(model, folder)
        path = folder / "weights.npz"
        np.savez(path, **{name: tensor.numpy() for name, tensor in model.net.state_dict().items()})
        return (*(p for p in folder.iterdir() if p != path), path)

    def reload(self, folder: Path, threads: int) -> Answer:
        net = load_model(folder).net.eval()
        with np.load(folder / "weights.npz") as arrays:
            net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})

        def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                logits: NDArray[np.float32] = net(torch.from_numpy(images)).numpy()
            return logits

        return answer
'''
ADDED = {
    "core/engine/distill/cosine.py": LOSS,
    "core/engine/prune/linf.py": IMPORTANCE,
    "core/engine/data/sets/stripes.py": DATASET,
    "core/engine/backbones/plain.py": FAMILY,
    "core/engine/export/npz.py": EXPORTER,
}
RECIPE = """
dataset = "stripes"
backbone = "plain2"
precision = "float32"
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 2
[[steps]]
stage = "distill"
method = "cosine"
student = "plain2"
width = 8
epochs = 2
twin = false
[[steps]]
stage = "prune"
method = "linf"
ratio = 0.5
epochs = 1
[[steps]]
stage = "export"
method = "npz"
"""
PAGE = """
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("dashboard/app.py", default_timeout=60).run()
app.switch_page("app_pages/design.py").run()
app.button(key="design_add_export").click().run()
assert not app.exception, app.exception
for title in ("Cosine of the logits", "Largest weight", "NumPy archive", "Stripes, 8×8", "Two plain convolutions"):
    for box in app.selectbox:
        found = [place for place, option in enumerate(box.options) if title in option]
        if found:
            box.select_index(found[0])
            app.run()
            assert not app.exception, app.exception
            print("offered:", title)
            break
    else:
        print("missing:", title, [(box.label, len(box.options)) for box in app.selectbox])
print("controls:", [control.label for kind in (app.slider, app.number_input, app.select_slider) for control in kind])
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with five more files, and `make catalog` done."""
    copy = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("core", "dashboard", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "assets").symlink_to(ROOT / "assets")
    for path, text in ADDED.items():
        (copy / path).write_text(text, encoding="utf-8")
    call(copy, "-m", "core.engine.catalog_writer")
    return copy


def call(checkout: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "CONDENSER_WORKSPACE": str(checkout / "w"),
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def listed(checkout: Path, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(checkout, "-m", "core.cli", "list", kind, "--json"))
    return found


@pytest.mark.slow
def test_all_five_are_in_the_catalog_and_in_the_help(checkout: Path) -> None:
    methods = {(row["stage"], row["method"]) for row in listed(checkout, "methods")}
    assert {("distill", "cosine"), ("prune", "linf"), ("export", "npz")} <= methods
    assert "stripes" in {row["name"] for row in listed(checkout, "datasets")}
    assert "plain2" in {row["name"] for row in listed(checkout, "backbones")}
    told = call(checkout, "-m", "core.cli", "run", "--help")
    assert all(name in told for name in ("distill.cosine", "prune.linf", "export.npz"))


@pytest.mark.slow
def test_all_five_run_in_one_recipe(checkout: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    found = json.loads(call(checkout, "-m", "core.cli", "run", str(recipe), "--json"))
    points = found["points"]
    assert [point["method"] for point in points] == ["fine_tune", "cosine", "linf"]
    assert {point["backbone"] for point in points} == {"plain2"}
    assert points[2]["params"] < points[1]["params"] < points[0]["params"]
    assert points[0]["accuracy"] == 1.0, "stripes are easy"
    written = list((checkout / "w").rglob("weights.npz"))
    assert len(written) == 1


@pytest.mark.slow
def test_each_joins_the_contract_of_its_kind(checkout: Path) -> None:
    """By being there: the suites of the copy find it, and it keeps to them."""
    suites = {
        "distill/test_every_loss.py": "cosine",
        "prune/test_every_importance.py": "linf",
        "data/test_every_dataset.py": "stripes",
        "backbones/test_every_backbone.py": "plain2",
        "export/test_formats.py::test_a_format_answers_as_the_network": "npz",
    }
    for suite, name in suites.items():
        told = call(checkout, "-m", "pytest", "-p", "no:cacheprovider", f"tests/core/engine/{suite}", "-k", name)
        assert " passed" in told, told
        assert "failed" not in told


@pytest.mark.slow
def test_the_design_page_offers_them(checkout: Path) -> None:
    told = call(checkout, "-c", PAGE)
    assert "missing" not in told, told
    assert "Sharpness" in told, told
