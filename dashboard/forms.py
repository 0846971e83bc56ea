"""Option → widget: the only place that knows sliders. What is drawn follows from type, bounds and default alone, so the
options of a method added to the engine appear with no other edit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from core.catalog import Facts, load_catalog
from core.errors import UserError, UserErrors
from core.escaping import UserText
from core.formatting import count, size
from core.options import Option, Value
from dashboard import faults as mistakes
from dashboard.i18n import known, say, spoken
from dashboard.session import widget

Form = Literal["toggle", "segments", "menu", "slider", "number", "text"]
MOST_SEGMENTS = 8
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
) -> None:
    """The widget of an option, with what is wrong with its value below it.

    `on_change` is told the new value before the script runs again. A value that changed elsewhere needs another `key`:
    a new widget shows it for sure, while one told of it can miss the message when the page is drawn twice in a row,
    and then answers with its old value. `plain` leaves out the mark of a changed value.
    """
    menu = menu or menu_of(option)
    shape = form(option, value, menu)
    key = f"{key}_{shape}"

    def changed() -> None:
        given = widget(key, None)
        if given is not None:
            on_change(float(given) if option.type == "float" else given)

    _draw(shape, option, value, menu, _Words(label(option, value, plain=plain), help_of(option)), key, changed)
    if faults:
        mistakes.refused(UserErrors(faults), at_field=True)


@dataclass(frozen=True)
class _Words:
    label: str
    help: str


# which widget


def form(option: Option, value: Value | None, menu: Menu | None = None) -> Form:
    """What a person can set both quickly and precisely."""
    if option.type == "bool":
        return "toggle"
    if option.choices:
        return "segments" if len(option.choices) <= MOST_SEGMENTS else "menu"
    if menu is not None:
        return "menu"
    if option.type == "str":
        return "text"
    return "slider" if _slides(option, value) else "number"


def menu_of(option: Option) -> Menu | None:
    """Every backbone, where the default is one of them: such an option names a network."""
    if option.type != "str" or option.choices or option.default not in load_catalog().backbones:
        return None
    return backbone_menu()


def backbone_menu() -> Menu:
    """All backbones: those whose weights are here first, then by their number of parameters."""
    facts = load_catalog().backbones
    names = sorted(facts, key=lambda name: (facts[name]["weights"] == "download", facts[name]["params"]))
    return Menu(tuple(names), lambda name: backbone_title(facts[name]))


def backbone_title(facts: Facts) -> str:
    """A backbone on one line: title, parameters, and what its weights cost to have."""
    where = str(facts["weights"])
    weights = say(f"forms.weights_{where}", size=size(facts["download_bytes"]))
    return " · ".join((facts["title"], count(facts["params"]), weights))


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
    stops = (high - low) / _grid(option)
    start = float(option.default or 0) - low
    crowded = 0 < start < (high - low) / CROWDED and stops > MOST_STOPS / 2
    on_grid = math.isclose((value - low) / _grid(option), round((value - low) / _grid(option)), abs_tol=1e-6)
    return stops <= MOST_STOPS and not crowded and on_grid


def _grid(option: Option) -> float:
    """The distance of a slider's stops."""
    return 1.0 if option.type == "int" else 0.01


# its words


def label(option: Option, value: Value | None, *, plain: bool = False) -> str:
    """Title and unit, and the default where the value is another."""
    words = spoken(option.title)
    told_unit = unit(option.unit)
    if told_unit and told_unit.lower() not in words.lower():
        words = say("forms.with_unit", title=words, unit=told_unit)
    if plain or value == option.default or option.default is None:
        return words
    return say("forms.changed", title=words, default=told(option.default))


def unit(name: str) -> str:
    """A unit in the person's language; one that the catalog of words does not have, as it is."""
    return known(f"forms.unit_{name}", name) if name else ""


def help_of(option: Option) -> str:
    """What the option does, what it may be, its default, and its name in a recipe."""
    parts = [spoken(option.help), _range(option)]
    if option.default not in (None, ""):
        parts.append(say("forms.default", default=told(option.default)))
    return "\n\n".join((" ".join(parts), say("forms.name", name=option.name)))


def told(value: Value | None) -> str:
    """A value as a recipe writes it, without quotes; for Markdown, which the words of every field are."""
    if isinstance(value, bool):
        return say("forms.on") if value else say("forms.off")
    return f"{value:,.10g}" if isinstance(value, int | float) else UserText(value).md()


def _range(option: Option) -> str:
    if option.choices or option.type in ("bool", "str"):
        return ""
    if option.minimum is not None and option.maximum is not None:
        return say("forms.range", low=told(option.minimum), high=told(option.maximum))
    return "" if option.minimum is None else say("forms.at_least", low=told(option.minimum))


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
    told: dict[str, Any] = {"key": key, "help": words.help, "on_change": changed}
    match shape:
        case "toggle":
            st.toggle(words.label, bool(value), **told)
        case "segments":
            st.segmented_control(words.label, option.choices, default=value, required=True, wrap=True, **told)
        case "menu":
            names = menu.names if menu else tuple(str(choice) for choice in option.choices)
            titles = {name: menu.told(name) if menu else name for name in names}
            shown = names if value in titles else (str(value), *names)
            st.selectbox(words.label, shown, shown.index(str(value)), lambda name: titles.get(name, name), **told)
        case "text":
            st.text_input(words.label, str(value or ""), LONGEST, **told)
        case "slider":
            low, high, step, now = _numbers(option, value, _grid(option))
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
