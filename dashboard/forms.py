"""Option → widget: the only place that knows sliders. What is drawn follows from type, bounds and default alone, so the
options of a method added to the engine appear with no other edit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import streamlit as st

from core.catalog import Facts, load_catalog
from core.errors import UserError, UserErrors
from core.options import Option, Value, Words
from core.text.formatting import count, size
from dashboard import engine_words
from dashboard import faults as mistakes
from dashboard.i18n import say, spoken
from dashboard.option_words import amounts, grid, has_words, help_of, label
from dashboard.session import widget

Group = Literal["own", "hand", "download"]
GROUPS: tuple[Group, ...] = ("own", "hand", "download")  # the order of a menu
Form = Literal["toggle", "segments", "menu", "slider", "number", "text"]
MOST_SEGMENTS = 8
LONGEST_SEGMENTS = 40  # letters of all of them; more are a menu
EDGES = 3  # letters that the edges of one are as wide as
NUMBER = "number"  # the segment beside the words of an option whose values are amounts
MOST_STOPS = 100  # of a slider; with more a finger cannot hit the one it wants
CROWDED = 20  # a default below a twentieth of the range has the useful values at a slider's very end
LONGEST = 200  # characters of a text


@dataclass(frozen=True)
class Menu:
    """The names that a text may be, in order, and how each is told to a person."""

    names: tuple[str, ...]
    told: Callable[[str], str]


def field(
    option: Option,
    value: Value | None,
    *,
    key: str,
    on_change: Callable[[Value], None],
    menu: Menu | None = None,
    faults: Sequence[UserError] = (),
    plain: bool = False,
    place: str = "",
) -> None:
    """The widget of an option, with what is wrong with its value below it.

    `on_change` is told the new value before the script runs again. A value that changed elsewhere needs another `key`:
    a new widget shows it for sure, while one told of it can miss the message when the page is drawn twice in a row,
    and then answers with its old value. `plain` leaves out the mark of a changed value. `place` is
    `stage.method.option` or `recipe.option`: by it the help finds its terms in the glossary.
    """
    menu = menu or menu_of(option)
    words = _Words(label(option, value, plain=plain), help_of(option, place))
    if has_words(option):
        _word_or_number(option, value, key, words, on_change)
        words = replace(words, visibility="collapsed")
    if not has_words(option) or option.name_of(value) is None:
        shape = form(option, value, menu)
        key = f"{key}_{shape}"
        _draw(shape, option, value, menu, words, key, lambda: _hand_over(option, key, on_change))
    if faults:
        mistakes.refused(UserErrors(faults), at_field=True, option=option)


@dataclass(frozen=True)
class _Words:
    label: str
    help: str
    visibility: Literal["visible", "collapsed"] = "visible"


def _hand_over(option: Option, key: str, on_change: Callable[[Value], None]) -> None:
    given = widget(key, None)
    if given is not None:
        on_change(float(given) if option.type == "float" else given)


# a word or a number


def _word_or_number(
    option: Option, value: Value | None, key: str, words: _Words, on_change: Callable[[Value], None]
) -> None:
    """A segment for each word, and one for a number; with the latter the option's usual amount is set."""
    meant = {f"{named:g}": (named, called) for named, called in option.names if isinstance(named, int | float)}
    lit = next((name for name, (named, _) in meant.items() if named == value), NUMBER)
    key = _agreeing((f"{key}_word", f"{key}_other_word"), lit)

    def chosen() -> None:
        name = _held(key)
        if name is not None and name != lit:
            on_change(meant[name][0] if name in meant else amount(option))

    st.segmented_control(
        words.label,
        [*meant, NUMBER],
        default=lit,
        required=True,
        wrap=True,
        key=key,
        help=words.help,
        format_func=lambda name: spoken(meant[name][1]) if name in meant else say("forms.number"),
        on_change=chosen,
    )


def _agreeing(keys: tuple[str, str], value: str) -> str:
    """The key of a widget that holds the value, so that it keeps the focus, else of one that is not on the page: a
    widget that holds another value would go on with it."""
    holding = next((key for key in keys if _held(key) == value), None)
    return holding or next((key for key in keys if _held(key) is None), keys[0])


def _held(key: str) -> str | None:
    """What a widget of segments holds; None where there is no such widget."""
    value: str | None = widget(key, None)
    return value


def amount(option: Option) -> Value:
    """The number to begin with where a word was before."""
    for candidate in (option.usual, option.default, option.minimum):
        if candidate is not None and option.name_of(candidate) is None:
            return candidate
    least = (option.minimum or 0) + step_of(option)
    return least if option.type == "float" else int(least)


# which widget


def form(option: Option, value: Value | None, menu: Menu | None = None) -> Form:
    """What a person can set both quickly and precisely."""
    if option.type == "bool":
        return "toggle"
    if option.choices:
        return "segments" if _short(option) else "menu"
    if menu is not None:
        return "menu"
    if option.type == "str":
        return "text"
    return "slider" if _slides(option, value) else "number"


def _short(option: Option) -> bool:
    """Whether its choices fit beside each other, in the language with the longer words."""
    names = [option.name_of(choice) or Words(str(choice), str(choice)) for choice in option.choices]
    letters = max(sum(_letters(text) for text in texts) for texts in zip(*((n.en, n.zh) for n in names), strict=True))
    return len(names) <= MOST_SEGMENTS and letters + EDGES * len(names) <= LONGEST_SEGMENTS


def _letters(text: str) -> int:
    """How wide a text is: a Chinese character is as wide as two letters."""
    return sum(2 if character >= "\u2e80" else 1 for character in text)


def menu_of(option: Option) -> Menu | None:
    """Every network, where the default is one of them: such an option names one that learns from scratch."""
    if option.type != "str" or option.choices or option.default not in load_catalog().backbones:
        return None
    facts = load_catalog().backbones
    names = sorted(facts, key=lambda name: (group(facts[name]) != "own", facts[name]["params"]))
    return Menu(tuple(names), lambda name: network_title(facts[name]))


def backbone_menu(facts: Mapping[str, Facts]) -> Menu:
    """All backbones by group, the smallest of each first."""
    names = sorted(facts, key=lambda name: (GROUPS.index(group(facts[name])), facts[name]["params"]))
    return Menu(tuple(names), lambda name: backbone_title(facts[name]))


def group(facts: Facts) -> Group:
    """Where a dataset, or a backbone's weights, come from: one's own, at hand, or to be fetched."""
    where = str(facts.get("where") or facts.get("weights"))
    return "own" if where == "own" else "download" if where == "download" else "hand"


def grouped(title: str, where: Group, download_bytes: int = 0) -> str:
    """A title of a menu behind the name of its group, and what a download costs."""
    return say(f"forms.group_{where}", title=title, size=size(download_bytes))


def backbone_title(facts: Facts) -> str:
    """A backbone on one line: its group, title and parameters, and whether it has weights at all."""
    bare = say("forms.no_weights") if facts["weights"] == "none" else ""
    title = " · ".join(filter(None, (engine_words.told(facts["title"]), count(facts["params"]), bare)))
    return grouped(title, group(facts), facts.get("download_bytes", 0))


def network_title(facts: Facts) -> str:
    """A network that begins without weights, so that there is nothing to fetch: title and parameters."""
    title = f"{engine_words.told(facts['title'])} · {count(facts['params'])}"
    return grouped(title, "own") if group(facts) == "own" else title


def step_of(option: Option) -> float:
    """What one press of an arrow adds: about a tenth of the default, a quarter where it is a power of two."""
    start = abs(float(option.default or 0))
    if option.type == "float":
        return 0.01 if start == 0 else 10.0 ** math.floor(math.log10(start)) / 2
    if start >= 16 and math.log2(start).is_integer():
        return start / 4
    if start >= 10:
        return 10.0 ** math.floor(math.log10(start)) / 2
    most = option.maximum or 0
    if start == 0 and option.unit and math.log2(most or 3).is_integer():
        return max(1, most // 32)
    return 100 if start == 0 and option.unit and most >= 1e6 else 1


def _slides(option: Option, value: Value | None) -> bool:
    low, high = option.minimum, option.maximum
    if low is None or high is None or not isinstance(value, int | float):
        return False
    if not low <= value <= high:
        return False  # a slider cannot stand there; a field says what is wrong
    stops = (high - low) / grid(option)
    start = float(option.default or 0) - low
    crowded = 0 < start < (high - low) / CROWDED and stops > MOST_STOPS / 2
    on_grid = math.isclose((value - low) / grid(option), round((value - low) / grid(option)), abs_tol=1e-6)
    return stops <= MOST_STOPS and not crowded and on_grid


# the widgets


def _draw(
    shape: Form,
    option: Option,
    value: Value | None,
    menu: Menu | None,
    words: _Words,
    key: str,
    changed: Callable[[], None],
) -> None:
    told: dict[str, Any] = {"key": key, "help": words.help, "on_change": changed, "label_visibility": words.visibility}

    def called(choice: Value) -> str:
        name = option.name_of(choice)
        return str(choice) if name is None else spoken(name)

    match shape:
        case "toggle":
            st.toggle(words.label, bool(value), **told)
        case "segments":
            st.segmented_control(
                words.label, option.choices, default=value, required=True, wrap=True, format_func=called, **told
            )
        case "menu":
            names = menu.names if menu else tuple(str(choice) for choice in option.choices)
            titles = {name: menu.told(name) if menu else called(name) for name in names}
            shown = names if value in titles else (str(value), *names)
            st.selectbox(words.label, shown, shown.index(str(value)), lambda name: titles.get(name, name), **told)
        case "text":
            st.text_input(words.label, str(value or ""), LONGEST, placeholder=called(""), **told)
        case "slider":
            low, high, step, now = _numbers(amounts(option), value, grid(option))
            st.slider(words.label, low, high, now, step, **told)
        case "number":
            _, _, step, now = _numbers(option, value, step_of(option))
            # Without bounds: the browser keeps a number outside of them to itself, and the page would go on with the
            # former one. So it comes here, is told to be wrong below the field, and Start waits.
            form = "%d" if option.type == "int" else "%.10g"
            st.number_input(words.label, None, None, now, step, format=form, **told)


def _numbers(option: Option, value: Value | None, step: float) -> tuple[Any, Any, Any, Any]:
    """Bounds, step and value as Streamlit wants them: all of the option's type."""
    kind = int if option.type == "int" else float
    now = value if isinstance(value, int | float) else None
    low, high, step_, now_ = (None if n is None else kind(n) for n in (option.minimum, option.maximum, step, now))
    return low, high, step_, now_
