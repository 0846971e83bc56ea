"""The fields of a recipe and of its steps: known, present, of the right type, within bounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from core.catalog import Catalog
from core.errors import UserError, nearest, shorten
from core.options import Option, Value
from core.recipe_options import RECIPE_OPTIONS
from core.rules.conflicts import mixing_faults, prune_faults, share_faults
from core.rules.networks import size_faults, student_faults
from core.rules.order import export_faults, order_faults
from core.rules.shared import Given, attempt, kind

SCHEMA = 1
MAX_STEPS = 32
MAX_NAME = 200
MAX_UNKNOWN = 20  # unknown fields reported per table


def check_knobs(data: Mapping[str, object], catalog: Catalog, found: list[UserError]) -> dict[str, Value]:
    """The recipe's own values, with defaults filled in; mistakes are added to `found`."""
    options = {option.name: option for option in RECIPE_OPTIONS}
    _check_unknown(data, ("schema", *options, "steps"), "", found)
    _check_schema(data.get("schema", SCHEMA), found)
    values = _checked(data, options, "", found)
    found.extend(_missing(data, ("dataset", "backbone")))
    if isinstance(name := values.get("name"), str):
        found.extend(_name_faults(name))
    if isinstance(dataset := values.get("dataset"), str):
        attempt(found, catalog.dataset, dataset)
    for name in ("target", "pool"):
        if isinstance(other := values.get(name), str) and other:
            attempt(found, catalog.dataset, other, name)
    if isinstance(backbone := values.get("backbone"), str):
        facts = attempt(found, catalog.backbone, backbone)
        found.extend(size_faults(values.get("image_size"), facts or {}, backbone))
    return {name: option.default for name, option in options.items() if option.default is not None} | values


def check_steps(steps: object, catalog: Catalog, found: list[UserError]) -> list[Given]:
    """The steps as given, each value in its option's type; mistakes are added to `found`."""
    if not isinstance(steps, list | tuple) or not all(isinstance(step, Mapping) for step in steps):
        fix = "Begin each step with a line [[steps]]."
        found.append(UserError("wrong_type", "steps", kind(steps), "a list of tables, one a step", fix))
        return []
    if not 1 <= len(steps) <= MAX_STEPS:
        fix = "Add a [[steps]] table." if not steps else "Remove some steps."
        found.append(UserError("step_count", "steps", f"{len(steps)} steps", f"1 to {MAX_STEPS} steps", fix))
    given = [_check_step(step, f"steps.{n}", catalog, found) for n, step in enumerate(steps[:MAX_STEPS])]
    if steps and all(stage for stage, _, _ in given):
        found.extend(order_faults([(stage, method) for stage, method, _ in given]))
        found.extend(export_faults([(stage, method) for stage, method, _ in given], catalog))
    return given


def _check_step(step: Mapping[str, object], place: str, catalog: Catalog, found: list[UserError]) -> Given:
    stage, method = step.get("stage"), step.get("method")
    faults = list(_missing(step, ("stage", "method"), f"{place}."))
    for noun in ("stage", "method"):
        if noun in step and not isinstance(step[noun], str):
            fix = f"Put the {noun}'s name in quotes."
            faults.append(UserError("wrong_type", f"{place}.{noun}", kind(step[noun]), "text", fix))
    found.extend(faults)
    known_stage = stage if isinstance(stage, str) and stage in catalog.methods else ""
    if faults:
        return known_stage, "", {}
    entry = attempt(found, catalog.method, stage, method, f"{place}.stage", f"{place}.method")
    if entry is None:
        return known_stage, str(method), {}
    options = {option.name: option for option in entry.options}
    _check_unknown(step, ("stage", "method", *options), f"{place}.", found)
    values = _checked(step, options, f"{place}.", found)
    defaults = {option.name: option.default for option in entry.options if option.default is not None}
    found.extend(attempt(found, lambda: list(student_faults(defaults | values, catalog, place))) or ())
    if stage == "transfer":
        found.extend(share_faults(defaults | values, place))
        found.extend(mixing_faults(defaults | values, place))
    if stage == "prune":
        found.extend(prune_faults(defaults | values, place))
    return known_stage, str(method), values


def _checked(
    data: Mapping[str, object], options: Mapping[str, Option], prefix: str, found: list[UserError]
) -> dict[str, Value]:
    values = {n: attempt(found, options[n].check, data[n], f"{prefix}{n}") for n in options if n in data}
    return {name: value for name, value in values.items() if value is not None}


def _check_unknown(data: Mapping[str, object], known: Sequence[str], prefix: str, found: list[UserError]) -> None:
    for name in islice((name for name in data if name not in known), MAX_UNKNOWN):
        shown = shorten(name, 60)
        allowed = ", ".join(known)
        found.append(UserError("unknown_field", f"{prefix}{shown}", kind(data[name]), allowed, nearest(shown, known)))


def _check_schema(schema: object, found: list[UserError]) -> None:
    if type(schema) is not int or schema < 1:
        found.append(UserError("wrong_type", "schema", kind(schema), str(SCHEMA), f"Write schema = {SCHEMA}."))
    elif schema > SCHEMA:
        fix = "This recipe was made by a newer version of Condenser: update to read it."
        found.append(UserError("newer_schema", "schema", schema, f"at most {SCHEMA}", fix))


def _missing(data: Mapping[str, object], names: Iterable[str], prefix: str = "") -> Iterator[UserError]:
    for name in names:
        if name not in data:
            fix = f'Add a line {name} = "…".'
            yield UserError("missing_field", f"{prefix}{name}", "nothing", f"a {name}", fix)


def _name_faults(name: str) -> Iterator[UserError]:
    if len(name) > MAX_NAME:
        given = f"{len(name)} characters"
        yield UserError("too_long", "name", given, f"at most {MAX_NAME} characters", "Shorten the name.")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        yield UserError(
            "control_character", "name", name, "text on one line", "Remove line breaks and other control characters."
        )
