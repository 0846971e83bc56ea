"""What a browser answers in words that a menu showed a moment ago is understood; in words of nobody it is no answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from streamlit.elements.widgets.multiselect import MultiSelectSerde
from streamlit.elements.widgets.radio import RadioSerde
from streamlit.elements.widgets.selectbox import SelectboxSerde
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.state.common import WidgetMetadata
from streamlit.runtime.state.session_state import SessionState, WStates

from dashboard.former_labels import MOST, install

ENGLISH = {"a": "first", "b": "second"}
CHINESE = {"a": "第一", "b": "第二"}


@dataclass
class Page:
    """A visit with one menu; `pressed` has what its callback saw."""

    kind: type
    state: SessionState = field(default_factory=SessionState)
    pressed: list[Any] = field(default_factory=list)

    @property
    def many(self) -> bool:
        return self.kind is MultiSelectSerde

    def draw(self, words: dict[str, str], *, plain: bool = False) -> Any:
        """The menu with these words, and what it holds."""
        options = list(words)
        shown = options if plain else list(words.values())
        told = {name: place for place, name in enumerate(shown)}
        menu = self.kind(
            options,
            formatted_options=shown,
            formatted_option_to_option_index=told,
            format_func=str if plain else lambda option: words.get(option, option),
            **({"default_options_indices": [0]} if self.many else {"default_option_index": 0}),
        )
        metadata: WidgetMetadata[Any] = WidgetMetadata(
            id="menu",
            deserializer=menu.deserialize,
            serializer=menu.serialize,
            value_type="string_array_value" if self.many else "string_value",
            callback=lambda: self.pressed.append(self.state["menu"]),
        )
        return self.state.register_widget(metadata, None).value

    def answer(self, words: str) -> None:
        """The browser sends what its menu shows; the next script begins."""
        sent = WidgetStates()
        widget = sent.widgets.add()
        widget.id = "menu"
        if self.many:
            widget.string_array_value.data.append(words)
        else:
            widget.string_value = words
        self.state.on_script_will_rerun(sent)

    def holds(self, option: str) -> bool:
        held = self.state["menu"]
        return bool(held == ([option] if self.many else option))


@pytest.fixture(params=[SelectboxSerde, RadioSerde, MultiSelectSerde])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Page:
    install()
    install()
    monkeypatch.setattr(WStates, "call_callback", lambda held, key: held.widget_metadata[key].callback())
    return Page(request.param)


def test_words_of_the_former_language_change_nothing(page: Page) -> None:
    page.draw(ENGLISH)
    page.answer("first")
    page.draw(CHINESE)
    page.answer("first")
    assert page.holds("a")
    assert page.pressed == []


def test_a_press_in_the_former_language_is_heard(page: Page) -> None:
    page.draw(ENGLISH)
    page.answer("first")
    page.draw(CHINESE)
    page.answer("second")
    assert page.holds("b")
    assert len(page.pressed) == 1
    page.draw(CHINESE)
    page.answer("第二")
    assert page.holds("b")
    assert len(page.pressed) == 1


def test_words_of_two_languages_ago_are_understood(page: Page) -> None:
    page.draw(ENGLISH)
    page.draw(CHINESE)
    page.draw({"a": "erste", "b": "zweite"})
    page.answer("second")
    assert page.holds("b")


def test_words_that_the_menu_never_had_are_no_answer(page: Page) -> None:
    page.draw(ENGLISH)
    page.answer("second")
    page.draw(ENGLISH)
    page.answer("<b>third</b>")
    held = page.state["menu"]
    assert held == [] if page.many else held == "b"


def test_an_option_that_is_gone_is_no_answer(page: Page) -> None:
    page.draw(ENGLISH)
    page.answer("second")
    page.draw({"a": "first"})
    page.answer("second")
    held = page.state["menu"]
    assert held == [] if page.many else held == "a"


def test_new_options_of_a_menu_without_other_words_are_kept(page: Page) -> None:
    page.draw(ENGLISH, plain=True)
    page.answer("c")
    assert page.holds("c")


def test_what_is_remembered_has_an_end(page: Page) -> None:
    for turn in range(MOST):
        page.draw({name: f"{name} {turn}" for name in "ab"})
    metadata = page.state.get_widget_metadata("menu")
    assert metadata is not None
    assert len(metadata.deserializer.words) == MOST  # type: ignore[attr-defined]
