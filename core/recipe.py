"""A recipe: a backbone, a dataset and a chain of steps; read from TOML, checked, and written as TOML.

The order of steps: a recipe begins with a transfer step, which gives the backbone a head for the dataset's classes
(`weights = "none"` trains from scratch). Transfer, distill and prune steps may follow in any order; a distill step uses
the model so far as its teacher. One quantize step may end the training; export steps come last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors
from core.options import PYTHON_TYPES, Option, Value
from core.recipe_options import RECIPE_OPTIONS
from core.rules.conflicts import idle_cuts
from core.rules.counts import count_faults
from core.rules.fields import SCHEMA, check_knobs, check_steps
from core.rules.keep import keep_faults
from core.rules.networks import (
    fellow_faults,
    larger_students,
    map_faults,
    part_faults,
    part_size_faults,
    uncut_networks,
)
from core.rules.pool import label_faults, pool_faults
from core.rules.shared import Given, kind
from core.rules.target import target_faults
from core.runtimes import INSTALLED
from core.text import toml

__all__ = [
    "RECIPE_OPTIONS",
    "Checked",
    "Recipe",
    "Step",
    "check",
    "load_recipe",
    "named_backbones",
    "parse_recipe",
    "recipe_from",
    "stored_recipe",
    "with_settings",
]

UNTRAINED = ("name", "seeds", "device", "latency_threads", "runtimes")  # options that change no network
MAX_ERRORS = 100  # reported at once
NO_RECIPE = "Start a new run from an intact recipe file."


@dataclass(frozen=True)
class Step:
    """One step of the chain; `options` holds what the person set, the method's defaults fill in the rest."""

    stage: str
    method: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def to_data(self) -> dict[str, Value]:
        """The step as a table of the TOML file."""
        return {"stage": self.stage, "method": self.method, **self.options}


@dataclass(frozen=True)
class Recipe:
    """What to make and under which conditions. An `image_size` of 0 is the backbone's own, `labels` of 0 are all.
    `target` names the dataset to adapt to, `pool` one to learn from without labels; empty for none."""

    name: str
    dataset: str
    backbone: str
    steps: tuple[Step, ...]
    seed: int = 0
    seeds: int = 1
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    latency_threads: int = 1
    runtimes: str = INSTALLED
    image_size: int = 0
    labels: int = 0
    shots: int = 0
    weights: str = "default"
    target: str = ""
    pool: str = ""
    schema: int = SCHEMA

    def knobs(self) -> dict[str, Value]:
        """The values of RECIPE_OPTIONS, in that order."""
        return {option.name: getattr(self, option.name) for option in RECIPE_OPTIONS}

    def to_data(self) -> dict[str, object]:
        """The recipe as the content of its TOML file."""
        return {"schema": self.schema, **self.knobs(), "steps": [step.to_data() for step in self.steps]}

    def to_toml(self) -> str:
        """Canonical TOML: every option of the recipe, and the options set in each step. Reading it gives an equal
        recipe."""
        tables = [toml.write_table({"schema": self.schema, **self.knobs()})]
        return "\n".join(tables + ["[[steps]]\n" + toml.write_table(step.to_data()) for step in self.steps])

    def resolved(self, catalog: Catalog | None = None) -> Recipe:
        """This recipe with every option of every step written out."""
        catalog = catalog or load_catalog()
        return replace(self, steps=tuple(_resolved(step, catalog) for step in self.steps))

    def hash(self, catalog: Catalog | None = None) -> str:
        """SHA-256 of everything that can change a result: all but the name and what is measured besides it in further
        runtimes, defaults written out."""
        return _sha256(self.resolved(catalog).to_data(), without=("name", "runtimes"))

    def prefix_hash(self, step: int, catalog: Catalog | None = None) -> str:
        """SHA-256 of everything in the recipe that determines the network after `step` (from 0) for this `seed`;
        options of measurement do not count. The caller adds the actual device, the data's content hash and the code
        version."""
        prefix = replace(self, steps=self.steps[: step + 1])
        return _sha256(prefix.resolved(catalog).to_data(), without=UNTRAINED)

    def warnings(self, catalog: Catalog | None = None) -> tuple[str, ...]:
        """What is allowed but probably not intended, one sentence each."""
        steps = _given(self.resolved(catalog).steps)
        known = catalog or load_catalog()
        networks = (*larger_students(self.backbone, steps, known), *uncut_networks(self.backbone, steps, known))
        return (*networks, *idle_cuts(steps))


@dataclass(frozen=True)
class Checked:
    """The result of a check: the recipe, or None and the mistakes (at most 100)."""

    recipe: Recipe | None
    errors: tuple[UserError, ...] = ()

    def accepted(self) -> Recipe:
        """The recipe; raises UserErrors with every mistake if there are any."""
        if self.recipe is None:
            raise UserErrors(self.errors)
        return self.recipe


def load_recipe(path: Path | str, catalog: Catalog | None = None, settings: Iterable[str] = ()) -> Recipe:
    """The recipe in a file, changed by `settings` such as `steps.1.temperature=3`. Raises UserErrors."""
    with _together():
        text = _file_text(Path(path))
    return with_settings(text, settings, catalog)


def parse_recipe(text: str | bytes, catalog: Catalog | None = None) -> Recipe:
    """The recipe in `text`, checked against `catalog`: by default that of the program; use `Workspace.catalog()` to
    include imported datasets and networks. Raises UserErrors with every mistake."""
    return with_settings(text, (), catalog)


def stored_recipe(text: str | bytes) -> Recipe:
    """The recipe of a launched run, read without checking it: it was checked then, and what is known or allowed may
    have changed since. Fields unknown to this version are left out. Raises UserErrors if the text is no recipe."""
    with _together():
        return _read_stored(toml.read(text))


def with_settings(recipe: Recipe | str | bytes, settings: Iterable[str], catalog: Catalog | None = None) -> Recipe:
    """The recipe changed by settings `path=value`: a value is TOML, a bare word is text. Raises UserErrors."""
    with _together():
        data = recipe.to_data() if isinstance(recipe, Recipe) else toml.read(recipe)
        for setting in settings:
            _set(data, setting)
    return recipe_from(data, catalog)


def recipe_from(data: Mapping[str, object], catalog: Catalog | None = None) -> Recipe:
    """The recipe in `data`, the content of a TOML file or form. Raises UserErrors with every mistake."""
    return check(data, catalog or load_catalog()).accepted()


def check(data: Mapping[str, object], catalog: Catalog) -> Checked:
    """The only way to a recipe: `data`, the content of a TOML file or form, becomes one if `catalog` knows every name
    in it and no rule is broken."""
    found: list[UserError] = []
    knobs: dict[str, Any] = check_knobs(data, catalog, found)
    steps = check_steps(data.get("steps", []), catalog, found)
    if not found:
        found.extend(label_faults(knobs["dataset"], catalog))
        found.extend(pool_faults(knobs["dataset"], knobs["pool"], steps, catalog))
        found.extend(count_faults(knobs["dataset"], knobs["labels"], knobs["shots"], knobs["pool"], steps, catalog))
        found.extend(target_faults(knobs["dataset"], knobs["target"], steps, catalog))
        found.extend(fellow_faults(knobs["backbone"], steps, catalog))
        found.extend(map_faults(knobs["backbone"], steps, catalog))
        found.extend(part_size_faults(knobs["image_size"], steps, catalog))
        found.extend(part_faults(knobs["backbone"], steps, catalog))
        found.extend(keep_faults(knobs["dataset"], knobs["backbone"], knobs["weights"], steps, catalog))
    if found:
        return Checked(None, tuple(found[:MAX_ERRORS]))
    return Checked(Recipe(**knobs, steps=tuple(Step(*given) for given in steps)))


def _read_stored(data: Mapping[str, object]) -> Recipe:
    knobs: dict[str, Any] = {option.name: _stored_value(option, data) for option in RECIPE_OPTIONS}
    steps = data.get("steps")
    if not isinstance(steps, list) or not steps:
        raise UserError("missing_field", "steps", kind(steps), "a list of tables, one a step", NO_RECIPE)
    return Recipe(**knobs, steps=tuple(_stored_step(step, f"steps.{n}") for n, step in enumerate(steps)))


def _stored_value(option: Option, data: Mapping[str, object]) -> Value:
    value = data.get(option.name, None if option.name in ("dataset", "backbone") else option.default)
    if type(value) is not PYTHON_TYPES[option.type]:
        raise UserError("wrong_type", option.name, kind(value), option.allowed(), NO_RECIPE)
    assert isinstance(value, Value)
    return value


def _stored_step(step: object, place: str) -> Step:
    table = step if isinstance(step, Mapping) else {}
    stage, method = table.get("stage"), table.get("method")
    if not isinstance(stage, str) or not isinstance(method, str):
        raise UserError("wrong_type", place, kind(step), "a table with a stage and a method", NO_RECIPE)
    entry = load_catalog().methods.get(stage, {}).get(method)
    reals = {option.name for option in (entry.options if entry else ()) if option.type == "float"}
    given = {name: value for name, value in table.items() if name not in ("stage", "method")}
    options = {n: float(v) if n in reals and type(v) is int else v for n, v in given.items() if isinstance(v, Value)}
    return Step(stage, method, options)


def named_backbones(recipe: Recipe) -> list[str]:
    """The recipe's backbone and every text option of its steps, which may name others; lists are split at commas."""
    texts = [value for step in recipe.steps for value in step.options.values() if isinstance(value, str)]
    return [name.strip() for text in (recipe.backbone, *texts) for name in text.split(",") if name.strip()]


def _given(steps: Iterable[Step]) -> list[Given]:
    return [(step.stage, step.method, dict(step.options)) for step in steps]


def _resolved(step: Step, catalog: Catalog) -> Step:
    entry = catalog.methods.get(step.stage, {}).get(step.method)  # None for an old run's method that was removed since
    options = entry.options if entry else ()
    defaults = {option.name: option.default for option in options if option.default is not None}
    return replace(step, options=defaults | dict(step.options))


def _sha256(data: Mapping[str, object], without: tuple[str, ...]) -> str:
    kept = {key: value for key, value in data.items() if key not in without}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _set(data: dict[str, Any], setting: str) -> None:
    """Puts one `path=value` into `data`; `check` reports an unknown last name, with the nearest known one."""
    path, equals, text = setting.partition("=")
    parts = [part.strip() for part in path.split(".")]
    form = "seed=1 or steps.0.ratio=0.5"
    if not equals or not parts[0] or parts == ["steps"]:
        raise UserError("bad_setting", "--set", setting, f"path=value, such as {form}", "Write the path, =, the value.")
    if len(parts) == 1:
        data[parts[0]] = _setting_value(text)
        return
    if parts[0] != "steps" or len(parts) != 3:
        raise UserError(
            "unknown_field", path, text, f"an option of the recipe or of a step, such as {form}", "Correct the path."
        )
    _step_table(data, parts[1], path)[parts[2]] = _setting_value(text)


def _step_table(data: dict[str, Any], number: str, path: str) -> dict[str, Any]:
    steps = data.get("steps")
    count = len(steps) if isinstance(steps, list) else 0
    index = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else count
    if not isinstance(steps, list) or index >= count or not isinstance(steps[index], dict):
        allowed = f"steps.0 to steps.{count - 1}" if count else "a recipe with steps"
        raise UserError("unknown_step", path, number, allowed, f"Steps count from 0; this recipe has {count}.")
    table: dict[str, Any] = steps[index]
    return table


def _setting_value(text: str) -> object:
    """`text` as a TOML value; a bare word, a date or invalid TOML is taken as text."""
    text = text.strip()
    try:
        parsed = toml.read(f"value = {text}", "--set")
    except UserError as error:
        if error.code != "not_toml" or text.startswith(('"', "'", "[", "{")):
            raise
        return text
    value = parsed["value"]
    return value if len(parsed) == 1 and isinstance(value, bool | int | float | str) else text


def _file_text(path: Path) -> bytes:
    fix = "Give the path of a recipe, a TOML file."
    try:
        if not path.exists():
            raise UserError("missing_file", "recipe", str(path), "a file that exists", fix)
        if not path.is_file():
            given = f"{path}, a folder" if path.is_dir() else f"{path}, not a regular file"
            raise UserError("not_a_file", "recipe", given, "a file", fix)
        with path.open("rb") as file:
            return file.read(toml.MAX_BYTES + 1)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError("unreadable_file", "recipe", f"{path}: {reason}", "a file you may read", fix) from None


@contextmanager
def _together() -> Iterator[None]:
    """Raises a single UserError as UserErrors, so that callers need to catch only one type."""
    try:
        yield
    except UserError as error:
        raise UserErrors([error]) from None
