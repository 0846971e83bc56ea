"""Paths of the files that come with the project: recipes, sample results, the logo, the scripts of a bundle."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from core.errors import UserError

HERE = Path(__file__).resolve().parent.parent


def _folder() -> Path:
    """The package `assets`, wherever it was installed; its expected place if it is missing or another package has its
    name."""
    try:
        found = Path(str(files("assets")))
    except (ModuleNotFoundError, TypeError):
        found = HERE
    return found if (found / "recipes").is_dir() else HERE / "assets"


ASSETS = _folder()
RECIPES = ASSETS / "recipes"
SAMPLES = ASSETS / "samples"
EFFECTS = ASSETS / "effects" / "effects.npz"
GLOSSARY = ASSETS / "glossary"  # a file a topic; read by `core/text/glossary.py`
LESSONS = ASSETS / "lessons"
LESSON_RECIPES = LESSONS / "recipes"
LESSON_RESULTS = LESSONS / "results"
LOGO = ASSETS / "logo.png"
PREDICT = ASSETS / "predict.py"  # runs next to a model, without Condenser
BENCHMARK = ASSETS / "benchmark.py"


def shipped(path: Path) -> Path:
    """`path` itself, a file that comes with the project; raises UserError `incomplete_installation` if it is gone."""
    if not path.is_file():
        fix = "Install Condenser again: pip install --force-reinstall, or git checkout in a copy of the repository."
        raise UserError("incomplete_installation", "installation", f"no file {path}", "every file it came with", fix)
    return path
