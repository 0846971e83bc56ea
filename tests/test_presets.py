"""Every preset on a folder of colour photos, from import to a bundle that answers, by command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.recipe import Recipe, Step
from core.workspace import Workspace
from dashboard.design.presets import PRESETS, prepared
from tests.photos import make_photos

ROOT = Path(__file__).parents[1]
LIMIT = 3600  # seconds for all presets, on a machine that does other things as well


def condenser(*words: object) -> Any:
    """What a command prints as JSON; fails with its errors where it does not end well."""
    command = [sys.executable, "-m", "core.cli", *map(str, words), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Photos:
    """120 photos made on the spot, and the workspace into which a command imported them."""

    folder: Path
    store: Path
    dataset: str


def imported(folder: Path, seed: int = 0) -> Photos:
    photos, store = make_photos(folder / "photos", seed=seed), folder / "workspace"
    told = condenser("import", photos, "--name", "photos", "--workspace", store)
    assert told["images"] == 120
    return Photos(photos, store, told["dataset"])


def walked(preset: str, photos: Photos, folder: Path) -> None:
    """A preset run and written as a bundle, whose own program then answers to a photo."""
    transfer = (Step("transfer", "fine_tune", {"epochs": 3}),)
    plain = Recipe(name=preset, dataset=photos.dataset, backbone="resnet8", steps=transfer, image_size=64)
    chosen = prepared(plain, next(one for one in PRESETS if one.name == preset))
    recipe = folder / f"{preset}.toml"
    recipe.write_text(chosen.to_toml(), encoding="utf-8")
    run: dict[str, Any] = condenser("run", recipe, "--workspace", photos.store)
    ended = Workspace.open_or_create(photos.store).run(run["run"]).state()
    assert ended.strikes == 0
    assert len(ended.points) == len(chosen.steps)
    bundle = folder / f"bundle-{preset}"
    condenser("export", run["run"], "--out", bundle, "--workspace", photos.store)
    photo = sorted(photos.folder.rglob("*.png"))[0]
    answer = subprocess.run(
        [sys.executable, "predict.py", photo], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert any(name in answer.stdout for name in ("bark", "grass", "sand", "water"))


@pytest.mark.slow
def test_the_quick_preset_on_photos_by_command(tmp_path: Path) -> None:
    walked("quick", imported(tmp_path), tmp_path)


@pytest.mark.faults
@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("seed", range(5))
def test_every_preset_on_photos_by_command(seed: int, tmp_path: Path) -> None:
    """Of other photos each time; presets that begin alike share what the first one trained."""
    photos, began = imported(tmp_path, seed), time.monotonic()
    for preset in PRESETS:
        walked(preset.name, photos, tmp_path)
        print(f"{preset.name}: bundle answers after {time.monotonic() - began:.0f} s")
