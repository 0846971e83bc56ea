"""Every preset on a folder of colour photos, from import to a bundle that answers, by command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.recipe import Recipe, Step
from core.workspace import Workspace
from dashboard.design.presets import PRESETS, prepared
from tests.photos import make_photos

ROOT = Path(__file__).parents[1]
LIMIT = 1800  # seconds for one preset, on a machine that does other things as well


def condenser(*words: object) -> Any:
    """What a command prints as JSON; fails with its errors where it does not end well."""
    command = [sys.executable, "-m", "core.cli", *map(str, words), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


def walked(preset: str, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Photos made, imported, run and written as a bundle, whose own program then answers to a photo; the run."""
    photos, store = make_photos(folder / "photos", seed=seed), folder / "workspace"
    imported = condenser("import", photos, "--name", "photos", "--workspace", store)
    assert imported["images"] == 120
    transfer = (Step("transfer", "fine_tune", {"epochs": 3}),)
    plain = Recipe(name=preset, dataset=imported["dataset"], backbone="resnet8", steps=transfer, image_size=64)
    chosen = prepared(plain, next(one for one in PRESETS if one.name == preset))
    recipe = folder / "recipe.toml"
    recipe.write_text(chosen.to_toml(), encoding="utf-8")
    run: dict[str, Any] = condenser("run", recipe, "--workspace", store)
    ended = Workspace.open_or_create(store).run(run["run"]).state()
    assert ended.strikes == 0
    assert len(ended.points) == len(chosen.steps)
    bundle = folder / "bundle"
    condenser("export", run["run"], "--out", bundle, "--workspace", store)
    photo = sorted(photos.rglob("*.png"))[0]
    answer = subprocess.run(
        [sys.executable, "predict.py", photo], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert any(name in answer.stdout for name in ("bark", "grass", "sand", "water"))
    return run


def test_the_quick_preset_on_photos_by_command(tmp_path: Path) -> None:
    walked("quick", tmp_path)


@pytest.mark.faults
@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("preset", [preset.name for preset in PRESETS])
def test_every_preset_on_photos_by_command(preset: str, seed: int, tmp_path: Path) -> None:
    walked(preset, tmp_path, seed)
