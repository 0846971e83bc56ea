"""Where the files lie that come with the project: recipes, sample results, the logo, what goes into a bundle."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
RECIPES = ASSETS / "recipes"
SAMPLES = ASSETS / "samples"
EFFECTS = ASSETS / "effects" / "effects.npz"
LOGO = ASSETS / "logo.png"
PREDICT = ASSETS / "predict.py"  # runs beside a model, without us
BENCHMARK = ASSETS / "benchmark.py"
