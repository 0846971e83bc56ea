"""The chain of steps as cards: method, options, what is wrong, and moving, removing and adding steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.catalog import STAGES, Catalog, MethodEntry, load_catalog
from core.errors import UserError, UserErrors
from core.options import Option
from core.recipe import Recipe, Step
from core.text.escaping import UserText
from dashboard import components, step_names, terms
from dashboard.charts.style import MARKS
from dashboard.design import augmented, draft, draft_state, effects
from dashboard.design.cards import more_title, source
from dashboard.design.draft import Draft
from dashboard.faults import refused
from dashboard.forms import field
from dashboard.i18n import say, spoken
from dashboard.session import widget

SHOWN = 4  # options on a card; the others are under "more options"
A_ROW = 3  # options beside each other


def cards(now: Draft, faults: Sequence[UserError], catalog: Catalog) -> None:
    """A card for each step, and below them the steps that may be added."""
    orderable = draft.misplaced(now.recipe, catalog)
    for place in range(len(now.recipe.steps)):
        mine = [fault for fault in faults if f"{fault.field}.".startswith(f"steps.{place}.")]
        _card(now, place, mine, orderable)
    _additions(now.recipe, catalog)


def heading(place: int, stage: str) -> str:
    """A step's number and mark in its stage's colour, and the stage's name."""
    return f"{place + 1} :{components.TEXT_COLORS[stage]}[{MARKS[stage]}] **{say(f'design.stage_{stage}')}**"


def _card(now: Draft, place: int, faults: Sequence[UserError], orderable: bool) -> None:
    step = now.recipe.steps[place]
    entry = load_catalog().method(step.stage, step.method)
    with st.container(border=True, gap="small", key=f"design_step_{place}"):
        _head(now, place)
        about = source(entry.source) or (UserText(entry.source).md(),)
        explained = terms.of_option(f"{step.stage}.{step.method}")
        written = say("design.written", place=place, method=step.method)
        st.caption(" · ".join(filter(None, (spoken(entry.summary), *about, explained))), help=written)
        known = {f"steps.{place}.{option.name}" for option in entry.options}
        elsewhere = [fault for fault in faults if fault.field not in known]
        if orderable and any(fault.code == "conflicting_steps" for fault in elsewhere):
            _misplaced(now, place)
            elsewhere = [fault for fault in elsewhere if fault.code != "conflicting_steps"]
        if elsewhere:
            refused(UserErrors(elsewhere), at_field=True)
        _options(now, place, entry, faults)
        effects.show(place, step, entry)
        augmented.show(place, now.recipe)


def _misplaced(now: Draft, place: int) -> None:
    """That the step may not be where it is, and a button that puts the whole chain in order."""
    st.error(say("design.misplaced", step=step_names.step(place, now.recipe.steps[place].stage)))
    st.button(
        say("design.put_in_order"),
        key=f"design_order_{place}",
        icon=":material/sort:",
        on_click=draft_state.edit,
        args=(draft.put_in_order, now.edition),
    )


def _head(now: Draft, place: int) -> None:
    step, last = now.recipe.steps[place], len(now.recipe.steps) - 1
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(heading(place, step.stage), width="content")
        _method(now, place)
        stage = step_names.step(place, step.stage)
        with st.container(horizontal=True, horizontal_alignment="right", gap="small", width="stretch"):
            for verb, icon, off in (("up", "arrow_upward", place == 0), ("down", "arrow_downward", place == last)):
                to = place - 1 if verb == "up" else place + 1
                _button(now, f"{verb}_{place}", icon, say(f"design.{verb}", stage=stage), off, _move(place, to))
            remove = partial(draft.remove_step, place=place)
            _button(now, f"remove_{place}", "close", say("design.remove", stage=stage), False, remove)


def _move(place: int, to: int) -> Callable[[Draft], Draft]:
    return partial(draft.move_step, place=place, to=to)


def _button(now: Draft, name: str, icon: str, help: str, off: bool, change: Callable[[Draft], Draft]) -> None:
    st.button(
        f":material/{icon}:",
        key=f"design_{name}",
        help=help,
        type="tertiary",
        disabled=off,
        on_click=draft_state.edit,
        args=(change, now.edition),
    )


def _method(now: Draft, place: int) -> None:
    step, key = now.recipe.steps[place], f"design_{now.edition}_method_{place}"
    menu = load_catalog().methods[step.stage]

    def changed() -> None:
        chosen: str = widget(key, step.method)
        draft_state.edit(lambda newest: draft.set_method(newest, place, chosen), now.edition)

    st.selectbox(
        say("design.method", stage=step_names.step(place, step.stage)),
        list(menu),
        list(menu).index(step.method),
        key=key,
        format_func=lambda name: spoken(menu[name].title),
        on_change=changed,
        label_visibility="collapsed",
        width=260,
    )


# options


def _options(now: Draft, place: int, entry: MethodEntry, faults: Sequence[UserError]) -> None:
    step = now.recipe.steps[place]
    shown = important(step)
    hidden = [option for option in entry.options if option not in shown]
    _fields(now, place, shown, faults)
    if not hidden:
        return
    wrong = any(fault.field == f"steps.{place}.{option.name}" for fault in faults for option in hidden)
    changed = [option for option in hidden if option.name in step.options]
    title = more_title(say("design.more_options", count=len(hidden)), changed, step.options)
    with st.expander(title, expanded=wrong, key=f"design_more_{place}_{step.stage}_{step.method}"):
        _fields(now, place, hidden, faults)


def _fields(now: Draft, place: int, options: Sequence[Option], faults: Sequence[UserError]) -> None:
    """Fields side by side; toggles come last and are wider, since their words stand beside them."""
    toggles = [option for option in options if option.type == "bool"]
    for group, a_row in (([option for option in options if option not in toggles], A_ROW), (toggles, A_ROW - 1)):
        for begin in range(0, len(group), a_row):
            row = group[begin : begin + a_row]
            for column, option in zip(st.columns(a_row, vertical_alignment="bottom"), row, strict=False):
                with column:
                    _field(now, place, option, [f for f in faults if f.field == f"steps.{place}.{option.name}"])


def _field(now: Draft, place: int, option: Option, faults: Sequence[UserError]) -> None:
    step = now.recipe.steps[place]
    field(
        option,
        step.options.get(option.name, option.default),
        key=f"design_{now.edition}_{place}_{step.method}_{option.name}",
        faults=faults,
        place=f"{step.stage}.{step.method}.{option.name}",
        on_change=lambda given: draft_state.edit(
            lambda newest: draft.set_option(newest, place, option.name, given), now.edition
        ),
    )


def important(step: Step) -> list[Option]:
    """The few options to show at once: those that the catalog calls first, then the method's own, then the others; of
    each the method's own before those that it shares with others of its stage.

    Whatever is set, they are the same: a field must not move while one writes in it.
    """
    options = load_catalog().method(step.stage, step.method).options
    return sorted(options, key=lambda option: (not option.first, not option.own))[:SHOWN]


# adding


def _additions(recipe: Recipe, catalog: Catalog) -> None:
    """A button for each stage; where none may stand, it says why."""
    st.markdown(say("design.add"))
    with st.container(horizontal=True, gap="xsmall", key="design_add"):
        for stage in STAGES:
            room = draft.room_for(recipe, stage, catalog)
            refusal = room if isinstance(room, UserError) else None
            help = say(f"design.does_{stage}")
            if refusal:
                fix = step_names.in_words(refusal.fix, recipe.steps)
                help = say("design.not_here", why=UserText(fix).md())
            st.button(
                f":{components.TEXT_COLORS[stage]}[{MARKS[stage]}] {say(f'design.stage_{stage}')}",
                key=f"design_add_{stage}",
                icon=":material/add:",
                disabled=refusal is not None,
                help=help,
                on_click=draft_state.edit,
                args=(partial(draft.add_step, stage=stage, catalog=catalog),),
            )
