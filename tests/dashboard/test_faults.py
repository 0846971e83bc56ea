"""What went wrong, said for people: what happened, what is kept, what to do, in both languages, details folded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from core.errors import UserError
from core.processes.run_monitor import death
from dashboard import faults
from dashboard.i18n import speaking, vocabulary

CODES = sorted(name.removesuffix("_what") for name in vocabulary("en")["faults"] if name.endswith("_what"))


@pytest.fixture(params=("en", "zh"))
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    with speaking(request.param):
        yield request.param


@pytest.mark.parametrize("code", CODES)
def test_every_situation_has_all_three_sentences(code: str, spoken: str) -> None:
    told = faults.of_code(code, faults.Utf8Text("-"))
    assert all((told.what, told.kept, told.fix))
    assert told.what[-1] in ".。"
    assert (re.search(r"[一-鿿]", told.what) is not None) == (spoken == "zh")


@pytest.mark.parametrize("code", [-9, -11, -6, -40, 3, 1, None])
@pytest.mark.parametrize(
    "log", ["", "OSError: No space left on device", "MemoryError", "Fatal Python error\nExtension modules: a, b"]
)
def test_every_death_of_a_worker_has_words(code: int | None, log: str, spoken: str) -> None:
    found = death(code, log)
    assert faults.happened(f"run_{found.code}")
    assert f"cause_{found.code}" in vocabulary("zh")["faults"]
    assert "\n" not in found.cause
    assert "Extension" not in found.details


def test_a_situation_of_the_engine_is_a_sentence() -> None:
    error = UserError("new", "preview", "The engine is gone.", "", "Nothing is lost. Ask again.")
    assert str(error) == "The engine is gone. Nothing is lost. Ask again."
    assert faults.situation(error) == faults.Utf8Text("The engine is gone\\.", "", "Nothing is lost\\. Ask again\\.")


def test_a_mistake_names_the_field_as_the_page_does(spoken: str) -> None:
    title = {"en": "Labels used", "zh": "使用的标签数"}[spoken]
    error = UserError("out_of_range", "labels", -5, "a whole number from 0 to 10000000", "The nearest is 0.")
    assert faults.mistake(error).startswith(f"**{title}**")
    assert title not in faults.mistake(error, at_field=True)
    assert "10,000,000" in faults.mistake(error)
    assert ("whole number" in faults.mistake(error)) is False
    step = UserError("out_of_range", "steps.2.ratio", 7, "a number from 0 to 0.95", "")
    assert faults.name_of(step.field).endswith({"en": "Pruning ratio", "zh": "剪枝率"}[spoken])


def test_a_bound_that_is_not_the_options_own_is_told_as_it_is() -> None:
    """A backbone may refuse what the knob itself allows: then the knob's range would be a false reason."""
    with speaking("en"):
        error = UserError("out_of_range", "image_size", 16, "0 for its own, or 32 to 1024 for x", "The nearest is 32.")
        assert "0 for its own" in faults.mistake(error)


def test_a_hostile_field_is_text() -> None:
    with speaking("en"):
        error = UserError("x", "![](http://x)", "[a](b)", ":red[c]", "<b>")
        assert not re.search(r"(?<!\\)[\[\]<>]", faults.mistake(error))
