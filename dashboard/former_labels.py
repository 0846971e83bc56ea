"""A browser answers a menu with the words that it shows, and these may be the words of a moment ago.

When the language changes, or the state in a run's name, the server knows a menu by its new words at once and the
browser some moments later. Streamlit takes an answer in the old words for the option itself: a method called "Linear
probe" came into a recipe, and the page was gone. Its button groups are safe from that; selectbox, radio and
multiselect are not.

Here each menu whose words are not the options themselves remembers its former words. An answer in them is the option
that they stood for; an answer in words that it never had changes nothing. Without a `format_func` a menu is left as it
is, so that `accept_new_options` works.

`install` replaces one method of the version in constraints.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from streamlit.elements.widgets.multiselect import MultiSelectSerde
from streamlit.elements.widgets.radio import RadioSerde
from streamlit.elements.widgets.selectbox import SelectboxSerde
from streamlit.runtime.state.session_state import SessionState

Menu = SelectboxSerde[Any] | RadioSerde[Any] | MultiSelectSerde[Any]
MOST = 1000  # former words that a menu remembers
UNKNOWN = object()


class Answers:
    """Turns what a browser answered into options.

    `former` maps words that the menu showed before to the options that they stood for, and `held` gives what was chosen
    until now.
    """

    def __init__(self, menu: Menu, former: Mapping[str, Any], held: Callable[[], Any]) -> None:
        self.menu = menu
        self.former = former
        self.held = held

    def __call__(self, told: str | list[str] | None) -> Any:
        if told is None:
            return self.menu.deserialize(None)
        if not isinstance(told, str):
            return [option for option in map(self.meant, told) if option is not UNKNOWN]
        option = self.meant(told)
        if option is not UNKNOWN:
            return option
        held = self.held()
        return held if held in self.menu.options else self.menu.deserialize(None)

    def meant(self, words: str) -> Any:
        """The option that is called so or was, else UNKNOWN."""
        options, now = list(self.menu.options), self.menu.formatted_options
        if words in now:
            return options[now.index(words)]
        before = self.former.get(words, UNKNOWN)
        return before if before in options else UNKNOWN

    @property
    def words(self) -> dict[str, Any]:
        """All words, former and present, that are remembered, with the options they stand for."""
        known = {**self.former, **dict(zip(self.menu.formatted_options, self.menu.options, strict=True))}
        return dict(list(known.items())[-MOST:])


def install() -> None:
    """From now on, in this process; asked again it does nothing."""
    register = SessionState._set_widget_metadata
    if register.__module__ == __name__:
        return

    def register_with_former_words(state: SessionState, metadata: Any) -> None:
        menu = getattr(metadata.deserializer, "__self__", None)
        if isinstance(menu, SelectboxSerde | RadioSerde | MultiSelectSerde) and menu.format_func is not str:
            before = state._get_widget_metadata(metadata.id)
            known = before.deserializer.words if before and isinstance(before.deserializer, Answers) else {}
            metadata = replace(metadata, deserializer=Answers(menu, known, lambda: state._old_state.get(metadata.id)))
        register(state, metadata)

    SessionState._set_widget_metadata = register_with_former_words  # type: ignore[method-assign, assignment]
