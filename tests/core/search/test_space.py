"""What a person writes after --vary is understood, or refused with what to do; and values land in the recipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalog import load_catalog
from core.errors import UserError, UserErrors
from core.search import space, specification
from core.search.bounds import Bounds, check_drop, read_bytes, read_milliseconds
from core.search.reading import parse
from core.search.space import Vary
from tests.core.search.planted import VARY, recipe

CATALOG = load_catalog()


def refused(*texts: str) -> list[UserError]:
    with pytest.raises(UserErrors) as caught:
        parse(texts, recipe(), CATALOG)
    return list(caught.value.errors)


def test_ranges_choices_and_methods_are_read() -> None:
    ratio, bits, soft, method = parse(
        ("steps.2.ratio=.2:.8", "steps.3.bits=2, 4,8", "steps.1.temperature=1:20:log", "steps.1.method=kd,dkd"),
        recipe(),
        CATALOG,
    )
    assert ratio == Vary("steps.2.ratio", 0.2, 0.8)
    assert bits == Vary("steps.3.bits", choices=(2, 4, 8))
    assert soft == Vary("steps.1.temperature", 1.0, 20.0, log=True)
    assert method == Vary("steps.1.method", choices=("kd", "dkd"))
    assert parse(("steps.0.epochs=2:9",), recipe(), CATALOG)[0] == Vary("steps.0.epochs", 2.0, 9.0, whole=True)
    assert parse(("steps.1.pool=true,false",), recipe(), CATALOG)[0].choices == (True, False)


@pytest.mark.parametrize("text", [*VARY, "steps.1.method=kd,dkd", "steps.1.pool=true,false", "labels=100,200"])
def test_what_is_told_of_a_knob_means_the_same_again(text: str) -> None:
    (vary,) = parse((text,), recipe(), CATALOG)
    assert parse((vary.to_text(),), recipe(), CATALOG) == (vary,)


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("steps.2.ratio=0.2:1.5", "out_of_range", "0.95"),
        ("steps.3.bits=2,9", "unknown_choice", "2, 3, 4"),
        ("steps.3.bits=4", "one_value", "two values"),
        ("steps.3.bits=4,4", "one_value", "two values"),
        ("steps.2.ratio=0.4:0.4", "one_value", "two values"),
        ("steps.2.ratio=0.8:0.2", "bad_vary", "0.2:0.8"),
        ("steps.2.ratio=0:0.5:log", "bad_vary", "above zero"),
        ("steps.2.ratio=0:0.5:lin", "bad_vary", "low:high"),
        ("steps.2.ratio", "bad_vary", "path=low:high"),
        ("steps.2.ratoi=0.2:0.5", "unknown_field", "ratio"),
        ("steps.7.ratio=0.2:0.5", "unknown_field", "knob"),
        ("ratio=0.2:0.5", "unknown_field", "knob"),
        ("steps.01.method=kd,dkd", "unknown_field", "steps.1.method"),
        ("steps.01.temperature=1:20", "unknown_field", "steps.1.temperature"),
        ("steps.１.temperature=1:20", "unknown_field", "steps.1.temperature"),
        ("dataset=digits,mnist", "not_varied", "--set dataset"),
        ("seed=1:5", "not_varied", "--set seed"),
        ("steps.1.method=kd,kdd", "unknown_method", "kd"),
        ("steps.1.temperature=warm:hot", "wrong_type", "number"),
        ("steps.1.weight=nan:1", "not_finite", "finite"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(text: str, code: str, word: str) -> None:
    (error,) = refused(text)
    assert error.code == code
    assert word in str(error)


def test_all_mistakes_are_told_at_once() -> None:
    assert [e.code for e in refused("steps.3.bits=4", "steps.2.ratio=0:2", "nothing=1,2")] == [
        "one_value",
        "out_of_range",
        "unknown_field",
    ]
    assert [e.code for e in refused("steps.3.bits=4,8", "steps.3.bits=2,4")] == ["varied_twice"]
    assert [e.code for e in refused()] == ["nothing_varies"]


def test_an_option_of_another_method_alone_needs_that_method_to_vary() -> None:
    (error,) = refused("steps.3.calibration=minmax,mse")  # of static; the recipe has weight_only
    assert error.code == "unknown_field"
    assert parse(("steps.3.calibration=minmax,mse", "steps.3.method=weight_only,static"), recipe(), CATALOG)


def test_values_land_in_the_recipe_and_pass_the_gate() -> None:
    made = space.applied(recipe(), {"steps.2.ratio": 0.3, "labels": 200, "steps.3.method": "bf16"}, CATALOG)
    assert made.labels == 200
    assert made.steps[2].options["ratio"] == 0.3
    assert made.steps[3].method == "bf16"
    assert "bits" not in made.steps[3].options
    assert space.checked(made, CATALOG).hash() == made.hash()


@given(st.floats(1e-6, 1e6), st.floats(1.001, 1e4), st.floats(0, 1), st.booleans())
def test_a_share_of_a_range_lies_in_it_and_leads_back(low: float, times: float, share: float, log: bool) -> None:
    vary = Vary("x", low, low * times, log)
    value = vary.at(share)
    assert vary.holds(value)
    assert -1e-9 <= vary.share(value) <= 1 + 1e-9
    assert float(value) == vary.told(float(value))


def test_a_grid_goes_from_end_to_end() -> None:
    assert Vary("x", 1.0, 16.0, log=True).grid(5) == (1.0, 2.0, 4.0, 8.0, 16.0)
    assert Vary("x", 0.0, 1.0).grid(3) == (0.0, 0.5, 1.0)
    assert Vary("x", 1.0, 3.0, whole=True).grid(5) == (1, 2, 3)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.001), (1.0001, 1.0004), (0.2001, 0.2004), (-0.5, -0.4999)])
def test_a_narrow_range_has_many_values_and_both_ends(low: float, high: float) -> None:
    vary = Vary("x", low, high)
    assert vary.ends() == (low, high)
    assert len(vary.grid(20)) == 20


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GiB", 2**32), ("100kB", 100_000), ("4 MB", 4_000_000), ("12345", 12_345), ("1.5KB", 1500), ("1KiB", 1024)],
)
def test_sizes_are_decimal(text: str, size: int) -> None:
    assert read_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-5kB", "12XB", "1e400", "kB", "0.2", "1 0", "∞"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="60kB"):
        read_bytes(text)


def test_times_and_drops() -> None:
    assert (read_milliseconds("2ms"), read_milliseconds("0.5"), read_milliseconds("1s")) == (2.0, 0.5, 1000.0)
    assert [read_milliseconds(f"500{unit}s") for unit in ("u", "\u00b5", "\u03bc")] == [0.5, 0.5, 0.5]
    for text in ("0", "2 minutes", "x"):
        with pytest.raises(UserError, match="2ms"):
            read_milliseconds(text)
    assert check_drop(0.5) == 0.5
    for drop in (-1.0, 101.0, float("nan")):
        with pytest.raises(UserError, match="points of percent"):
            check_drop(drop)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"trials": 0}, "--trials"),
        ({"trials": 10**6}, "--trials"),
        ({"minutes": 0.0}, "--minutes"),
        ({"minutes": float("nan")}, "--minutes"),
        ({"sampler": "guess"}, "--sampler"),
    ],
)
def test_a_search_of_nothing_is_refused(more: dict[str, object], field: str) -> None:
    with pytest.raises(UserError) as caught:
        specification.search(recipe(), VARY, CATALOG, Bounds(), **more)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_sweep_is_over_two_knobs_at_most() -> None:
    with pytest.raises(UserError, match="condenser search"):
        specification.sweep(recipe(), VARY, CATALOG)
    with pytest.raises(UserError, match="--points"):
        specification.sweep(recipe(), VARY[:1], CATALOG, points=1)
    with pytest.raises(UserError, match="Give fewer values"):
        specification.sweep(recipe(), ("steps.2.ratio=0.1:0.9", "steps.1.weight=0.1:0.9"), CATALOG, points=50)
    assert specification.sweep(recipe(), VARY[:2], CATALOG, points=3).trials == 9


def test_a_specification_is_read_as_it_was_written() -> None:
    asked = specification.search(recipe(), VARY, CATALOG, Bounds(1000, 2.0, 1.0), minutes=3)
    assert specification.Specification.model_validate_json(asked.model_dump_json()) == asked
    assert asked.combinations() is None
    assert (
        specification.search(recipe(), ("steps.3.bits=2,4", "steps.0.epochs=1:9"), CATALOG, Bounds()).combinations()
        == 18
    )
