"""The command that does what Start does, and the recipe's file."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.assets import RECIPES
from core.catalog import Catalog, load_catalog
from core.errors import UserErrors
from core.options import Value
from core.recipe import Recipe, Step, with_settings
from core.text import toml
from core.text.escaping import UserText
from dashboard.design.draft import bundled

BUNDLED = ("demo", "bundled-teacher")
MOST_SETTINGS = 12  # of a command; with more a file is easier to read
BARE = re.compile(r"(?!true\b|false\b|inf\b|nan\b)[A-Za-z_][A-Za-z0-9_-]*")


def command(recipe: Recipe, catalog: Catalog | None = None, workspace: Path | None = None) -> str:
    """The command that does what Start does, for a shell in any folder.

    A bundled recipe with settings where a few are enough, else the whole recipe, handed over on stdin.
    """
    catalog = catalog or load_catalog()
    found = [words for name in BUNDLED if (words := _settings(name, recipe, catalog)) is not None]
    words = min(found, key=len, default=["-"])
    where = ["--workspace", str(workspace)] if workspace else []
    told = shlex.join([*program(), "run", *words, *where])
    return told if found else f"printf %s {shlex.quote(recipe.to_toml())} | {told}"


def program() -> list[str]:
    """The words that start this installation's command line, wherever a shell is."""
    script = Path(sys.executable).with_name("condenser")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "core.cli"]


def file_name(recipe: Recipe) -> str:
    """What the downloaded recipe is called."""
    return UserText(re.sub(r"[^\w.-]+", "-", recipe.name).strip("-.").lower()).path() + ".toml"


def _settings(name: str, recipe: Recipe, catalog: Catalog) -> list[str] | None:
    """The bundled recipe and settings that make it equal; None where they cannot, or would be many."""
    start = bundled(name)
    if [step.stage for step in start.steps] != [step.stage for step in recipe.steps]:
        return None
    settings = list(_differences(start, recipe, catalog))
    if len(settings) > MOST_SETTINGS:
        return None
    try:
        made = with_settings(start, settings, catalog.with_datasets([recipe.dataset]))
    except UserErrors:  # the bundled recipe sets an option which the other method does not have
        return None
    if made.name != recipe.name or made.hash(catalog) != recipe.hash(catalog):
        return None
    return [str(RECIPES / f"{name}.toml"), *(word for setting in settings for word in ("--set", setting))]


def _differences(start: Recipe, recipe: Recipe, catalog: Catalog) -> Iterable[str]:
    before = start.knobs()
    for name, value in recipe.knobs().items():
        if value != before[name]:
            yield f"{name}={_written(value)}"
    resolved = zip(start.resolved(catalog).steps, recipe.resolved(catalog).steps, strict=True)
    for place, (old, new) in enumerate(resolved):
        if old.method != new.method:
            yield f"steps.{place}.method={_written(new.method)}"
            old = replace(old, options={**_defaults(new, catalog), **start.steps[place].options})
        for name, value in new.options.items():
            if value != old.options.get(name):
                yield f"steps.{place}.{name}={_written(value)}"


def _defaults(step: Step, catalog: Catalog) -> dict[str, Value]:
    options = catalog.method(step.stage, step.method).options
    return {option.name: option.default for option in options if option.default is not None}


def _written(value: Value) -> str:
    return value if isinstance(value, str) and BARE.fullmatch(value) else toml.write_value(value)
