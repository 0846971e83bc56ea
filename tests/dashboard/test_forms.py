"""Every option of the catalog becomes a field by its type and bounds alone, and says what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import load_catalog
from core.options import Kind, Option, Value, Words
from core.recipe_options import RECIPE_OPTIONS
from dashboard import forms
from dashboard.i18n import vocabulary

OPTIONS = [
    *RECIPE_OPTIONS,
    *(o for menu in load_catalog().methods.values() for entry in menu.values() for o in entry.options),
]


def option(kind: Kind, default: Value, low: float | None = None, high: float | None = None, **more: object) -> Option:
    choices = more.get("choices", ())
    assert isinstance(choices, tuple)
    words = Words("Knob", "旋钮")
    return Option(
        "knob", kind, default, words, Words("Turns.", "转动。"), low, high, choices, str(more.get("unit", ""))
    )


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (option("bool", True), "toggle"),
        (option("str", "a", choices=("a", "b")), "segments"),
        (option("int", 8, choices=(2, 3, 4, 5, 6, 7, 8)), "segments"),
        (option("str", "a", choices=tuple("abcdefghi")), "menu"),
        (option("str", "resnet8"), "menu"),  # the default is a backbone: so it names one
        (option("str", "words"), "text"),
        (option("float", 0.5, 0.0, 0.95), "slider"),
        (option("int", 1, 1, 10), "slider"),
        (option("int", 15, 1, 1000), "number"),
        (option("float", 0.01, 1e-05, 10.0), "number"),
        (option("float", 0.01, 0.0, 1.0), "number"),  # the useful values are crowded at one end
        (option("float", 0.5, 0.0), "number"),
    ],
)
def test_which_widget(given: Option, shape: str) -> None:
    assert forms.form(given, given.default, forms.menu_of(given)) == shape


def test_a_value_between_the_stops_of_a_slider_is_not_rounded() -> None:
    ratio = option("float", 0.5, 0.0, 0.95)
    assert forms.form(ratio, 0.35) == "slider"
    assert forms.form(ratio, 0.333) == "number"


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.name)
def test_every_option_of_the_catalog_has_words_and_a_fair_step(one: Option) -> None:
    assert one.help.en
    assert one.help.zh
    step = forms.step_of(one) if one.type in ("int", "float") else 1.0
    assert step > 0
    if one.minimum is not None and one.maximum is not None:
        assert step <= max((one.maximum - one.minimum) / 2, 1)


@pytest.mark.parametrize("name", sorted({one.unit for one in OPTIONS if one.unit}))
def test_every_unit_is_known_in_both_languages(name: str) -> None:
    for language in ("en", "zh"):
        assert f"unit_{name}" in vocabulary("zh" if language == "zh" else "en")["forms"]


# drawn

SCRIPT = """
from core.catalog import load_catalog
from core.errors import UserError
from core.options import Option, Words
from dashboard.forms import field
from dashboard.session import recall, remember

WORDS = Words("Knob", "旋钮")
OPTIONS = [
    Option("on", "bool", True, WORDS, WORDS),
    Option("few", "str", "a", WORDS, WORDS, choices=("a", "b")),
    Option("many", "str", "a", WORDS, WORDS, choices=tuple("abcdefghijk")),
    Option("share", "float", 0.5, WORDS, WORDS, 0.0, 1.0),
    Option("rate", "float", 0.1, WORDS, WORDS, 1e-05, 10.0, unit="pixels"),
    Option("rounds", "int", 15, WORDS, WORDS, 1, 1000),
    Option("text", "str", "x", WORDS, WORDS),
    Option("network", "str", "resnet8", WORDS, WORDS),
    Option("most", "int", 0, WORDS, WORDS, 0, 1000, names=((0, Words("all", "全部")),), usual=300),
    Option("kind", "str", "lsq", WORDS, WORDS, choices=("lsq", "ste"), names=(("lsq", Words("grid", "网格")),)),
]
for option in OPTIONS:
    values = recall("values", {})
    wrong = [UserError("bad", "rounds", 3, "<b>four</b>", "![](http://x)")] if option.name == "rounds" else []
    field(
        option, values.get(option.name, option.default), key=f"t_{option.name}", faults=wrong,
        on_change=lambda given, name=option.name: remember("values", {**recall("values", {}), name: given}),
    )
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    return AppTest.from_string(SCRIPT, default_timeout=30).run()


def kept(page: AppTest) -> dict[str, Value]:
    values: dict[str, Value] = page.session_state["kept:values"]
    return values


def test_all_fields_are_drawn_with_help_and_default(page: AppTest) -> None:
    assert not page.exception
    drawn = [*page.toggle, *page.slider, *page.number_input, *page.text_input, *page.selectbox, *page.button_group]
    assert len(drawn) == 10
    assert all(widget.help and "In a recipe: `" in widget.help for widget in drawn)
    assert page.slider(key="t_share_slider").value == 0.5
    rate = page.number_input(key="t_rate_number")
    assert rate.value == 0.1
    assert rate.min is None or rate.min < 1e-05, "a number out of bounds reaches the page, which says what is wrong"
    assert "From 0.00001 to 10" in rate.help.replace("1e-05", "0.00001")


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (lambda p: p.toggle(key="t_on_toggle").set_value(False), "on", False),
        (lambda p: p.button_group(key="t_few_segments").set_value("b"), "few", "b"),
        (lambda p: p.selectbox(key="t_many_menu").set_value("k"), "many", "k"),
        (lambda p: p.slider(key="t_share_slider").set_value(0.7), "share", 0.7),
        (lambda p: p.number_input(key="t_rate_number").set_value(3e-05), "rate", 3e-05),
        (lambda p: p.number_input(key="t_rounds_number").set_value(40), "rounds", 40),
        (lambda p: p.text_input(key="t_text_text").set_value("y"), "text", "y"),
        (lambda p: p.selectbox(key="t_network_menu").set_value("resnet20"), "network", "resnet20"),
    ],
)
def test_what_a_person_sets_is_told(
    page: AppTest, change: Callable[[AppTest], object], name: str, value: Value
) -> None:
    change(page)
    page.run()
    assert not page.exception
    assert kept(page) == {name: value}
    assert type(kept(page)[name]) is type(value)


def test_a_word_stands_for_a_number_that_is_no_amount(page: AppTest) -> None:
    """Zero is never shown: the field says the word, and the recipe keeps its value."""
    word = page.button_group(key="t_most_word")
    assert (word.value, list(word.options)) == ("0", ["all", "number"])
    assert "`0` is all" in word.help
    assert "From 1 to 1,000" in word.help
    assert not [widget for widget in page.number_input if widget.key == "t_most_number"]
    word.set_value("number").run()
    assert kept(page) == {"most": 300}
    for _ in range(2):
        page.number_input(key="t_most_number").set_value(0).run()
        assert kept(page) == {"most": 0}
        (word,) = [widget for widget in page.button_group if "_most_" in str(widget.key)]
        assert word.value == "0", "who types 0 sees what it means"
        word.set_value("number").run()
        assert kept(page) == {"most": 300}
        (word,) = [widget for widget in page.button_group if "_most_" in str(widget.key)]
        assert word.value == "number"


def test_choices_are_called_by_words_and_kept_as_they_are(page: AppTest) -> None:
    kind = page.button_group(key="t_kind_segments")
    assert (kind.value, list(kind.options)) == ("lsq", ["grid", "ste"])
    kind.set_value("ste").run()
    assert kept(page) == {"kind": "ste"}


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.name)
def test_no_help_gives_a_number_the_meaning_of_a_word(one: Option) -> None:
    """`0 = all` is declared as a name of the value, from which field and help take it."""
    assert not re.search(r"\b0( is|:| =|[a-z ]* means| uses| picks| decides| finds| sets)\b", one.help.en), one.help.en
    assert not re.search(r"\b0 ?(表示|即|为)", one.help.zh), one.help.zh
    if one.minimum == 0 and one.default == 0 and one.type in ("int", "float"):
        assert one.name_of(0) or one.name == "seed", f"{one.name}: does 0 mean nothing, or a word?"


@pytest.mark.parametrize("one", OPTIONS, ids=lambda one: one.name)
def test_chinese_has_full_width_marks_and_words_for_choices(one: Option) -> None:
    for text in (one.title.zh, one.help.zh, *(words.zh for _, words in one.names)):
        assert not re.search(r"[\u4e00-\u9fff][,;:()?!]|[,;:()?!][\u4e00-\u9fff]", text), text
    words = [choice for choice in one.choices if isinstance(choice, str) and not one.name_of(choice)]
    assert set(words) <= {"float32", "bfloat16"}, "names of number formats are the same in every language"


def test_a_slider_has_no_stop_for_a_word() -> None:
    share = replace(option("float", 0.0, 0.0, 0.9), names=((0.0, Words("off", "关")),), usual=0.2)
    assert forms.amount(share) == 0.2
    assert forms.amount(replace(share, usual=None, default=0.5)) == 0.5
    assert float(forms.amount(replace(share, usual=None))) > 0


def test_a_changed_value_is_marked_with_its_default(page: AppTest) -> None:
    assert page.number_input(key="t_rate_number").label == "Knob (pixels)"
    page.number_input(key="t_rate_number").set_value(0.3).run()
    assert page.number_input(key="t_rate_number").label == "Knob (pixels) • default 0.1"


def test_a_fault_stands_at_its_field_and_as_text(page: AppTest) -> None:
    (told,) = page.error
    assert told.value.startswith("got 3."), "the field's name stands above it"
    assert "<b>" not in told.value
    assert "![](" not in told.value
