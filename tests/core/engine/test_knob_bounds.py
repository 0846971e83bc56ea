"""The bounds and choices of a knob hold however its method is made; every method says where it comes from."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from core.catalog import load_catalog
from core.engine.distill.kd import Kd
from core.engine.method import STAGES, Method, methods

CLASSES = [kind for stage in STAGES for kind in methods(stage).values()]


def outside(kind: type[Method]) -> list[tuple[str, object]]:
    """For every option of the method a value beyond each bound, and one that is no choice."""
    found: list[tuple[str, object]] = []
    for option in kind.options():
        as_typed = int if option.type == "int" else float
        if option.minimum is not None:
            found.append((option.name, as_typed(option.minimum - 1)))
        if option.maximum is not None:
            found.append((option.name, as_typed(option.maximum + 1)))
        if option.type == "float":
            found.append((option.name, math.nan))
        if option.choices:
            wrong: object = "nonsense" if option.type == "str" else as_typed(9999)
            found.append((option.name, wrong))
    return found


def test_a_temperature_below_zero_is_refused_by_the_class() -> None:
    with pytest.raises(ValidationError, match="temperature"):
        Kd(temperature=-5.0)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_nothing_beyond_a_bound_can_be_made(kind: type[Method]) -> None:
    kind()
    for name, value in outside(kind):
        with pytest.raises(ValidationError, match=name):
            kind.model_validate({name: value})


def test_there_are_bounds_to_test() -> None:
    assert sum(len(outside(kind)) for kind in CLASSES) > 200


def test_every_method_links_its_source() -> None:
    entries = [entry for menu in load_catalog().methods.values() for name, entry in menu.items() if name != "keep"]
    assert len(entries) > 40
    assert [entry.source for entry in entries if not entry.source.startswith("https://")] == []
