"""What went wrong, said for people: what happened, what is kept, what to do, in both languages, details folded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from core.catalog import load_catalog
from core.errors import UserError
from core.processes.run_monitor import death
from core.recipe import Step, check
from core.state import RunState, Status
from dashboard import faults, step_names
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


ENGLISH = re.compile(r"[A-Za-z]+(?: [a-z]+){2,}")
STEP = {"stage": "transfer", "method": "fine_tune"}
BROKEN: tuple[dict[str, object], ...] = (
    {"steps": [{"stage": "prune", "method": "l2"}]},
    {"steps": [STEP, {"stage": "export", "method": "onnx"}, {"stage": "prune", "method": "l2"}]},
    {"steps": [STEP, {"stage": "quantize", "method": "static"}, {"stage": "prune", "method": "l2"}]},
    {"steps": [{"stage": "transfer", "method": "coral"}]},
    {"steps": [{**STEP, "mixup": 0.2}, {"stage": "transfer", "method": "keep"}]},
    {"steps": [STEP, {"stage": "prune", "method": "n_m", "n": 4, "m": 4}]},
    {"steps": [STEP, {"stage": "distill", "method": "kd", "student": "vgg16_bn", "width": 8}]},
    {"steps": [{"stage": "transfer", "method": "fine"}]},
    {"steps": [{**STEP, "epoch": 3}]},
    {"steps": [{**STEP, "epochs": "many"}]},
    {"steps": [STEP], "labels": 100, "shots": 3},
    {"steps": [STEP], "target": "glyphs", "dataset": "fashion-mini"},
    {"steps": [STEP], "backbone": "resnet", "image_size": 33},
    {"steps": []},
)


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_mistake_in_a_recipe_is_told_in_chinese(number: int) -> None:
    data = {"dataset": "digits", "backbone": "resnet20"} | BROKEN[number]
    found = check(data, load_catalog()).errors
    assert found
    steps = [Step(str(each["stage"]), str(each["method"])) for each in data["steps"]]  # type: ignore[attr-defined]
    with speaking("zh"):
        for error in step_names.mistakes(found, steps):
            assert not ENGLISH.search(faults.mistake(error)), error


RAW = re.compile(r"steps\.\d|(?<![\w“])(?:labels|pool|ratio|epochs) (?:\\\\)?=|[a-z]_[a-z]")


@pytest.mark.parametrize("spoken", ["en", "zh"])
def test_a_mistake_in_a_recipe_names_fields_and_methods_as_the_page_does(spoken: Literal["en", "zh"]) -> None:
    more: tuple[dict[str, object], ...] = (
        {"steps": [STEP, {"stage": "prune", "method": "l2", "target": "macs", "round_to": 0}]},
        {"steps": [STEP, {"stage": "distill", "method": "kd", "omit": "1"}], "labels": 100},
        {"steps": [{"stage": "transfer", "method": "pseudo_labels"}]},
        {"steps": [{"stage": "transfer", "method": "gradual", "epochs": 2, "phases": 5}]},
        {"steps": [STEP, {"stage": "distill", "method": "fitnet", "student": "mlp"}]},
        {"steps": [{"stage": "transfer", "method": "keep"}]},
    )
    with speaking(spoken):
        for each in (*BROKEN, *more):
            data = {"dataset": "digits", "backbone": "resnet20"} | each
            steps = [Step(str(one["stage"]), str(one["method"])) for one in data["steps"]]  # type: ignore[attr-defined]
            found = [e for e in check(data, load_catalog()).errors if not e.code.startswith("unknown")]
            for error in step_names.mistakes(found, steps):
                told = faults.mistake(error, at_field=True)
                assert not RAW.search(told), told


def test_why_a_run_failed_is_told_in_chinese() -> None:
    error = UserError("too_few_rows", "batch", "3 rows", "at least 8", "Use a larger batch.")
    state = replace(RunState(), status=Status.FAILED, error={**error.to_json(), "message": str(error)})
    with speaking("zh"):
        told = faults.of_run(state)
    assert told is not None
    assert told.what == "batch 的输入：3 行；允许：至少 8。请使用更大的批。"
