"""Design: the recipe as a chain of cards, what it will give, and Start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from core.catalog import Facts, load_catalog
from core.errors import UserError, UserErrors
from core.processes import here
from core.recipe import Recipe, Step, check
from core.text.escaping import UserText
from dashboard import components, launch, run_status, step_names
from dashboard.design import cards, chain, command, draft, draft_state, presets, preview, varying
from dashboard.design.changes import Change, changes
from dashboard.design.draft import Draft
from dashboard.i18n import in_turn, listed, say, spoken
from dashboard.option_words import told_of
from dashboard.session import read_only, recall, remember, widget, workspace

MOST_NAMED = 2  # fields to correct; the others are counted
STYLE = Path(draft.__file__).with_name("design.css")


def main() -> None:
    st.html(STYLE)
    draft_state.take_from_address()
    now, own = draft_state.current(), draft_state.own_data()
    catalog, steps = workspace().catalog().with_datasets(own), now.recipe.steps
    found = check(now.recipe.to_data(), catalog)
    lacking = here.lacking(workspace(), found.recipe) if found.recipe else ()
    checked, faults = found.recipe, step_names.mistakes((*found.errors, *lacking), steps)
    head(now, checked, faults, own)
    with st.container(gap="small"):  # always in its place: fields that move on the page lose the focus
        tell_refused()
        tell_preset(now)
        tell_fitted(now)
        tell_kept()
    left, right = st.columns((3, 2), gap="medium")
    with left:
        cards.data_card(now, own, faults)
        cards.backbone_card(now, faults)
        cards.more_knobs(now, faults)
        if loose := [fault for fault in faults if fault.field in ("steps", "schema")]:
            components.refused(UserErrors(loose))
        chain.cards(now, faults, catalog)
        varying.panel(checked, workspace().catalog())
    with right, st.container(gap="small", key="design_side"):
        with st.container(gap="small", key="design_outlook"):
            preview.panel(None if lacking else checked)
            for warning in now.recipe.warnings():
                st.warning(UserText(step_names.in_words(warning, steps)).md(), icon=":material/warning:")
            for remark in here.remarks(now.recipe):
                told = say(f"design.remark_{remark.code}", count=remark.count, cores=remark.cores)
                st.warning(told, icon=":material/warning:")
        start(checked, faults, steps)


# the head: name, presets, history, files


def head(now: Draft, checked: Recipe | None, faults: Sequence[UserError], own: Mapping[str, Facts]) -> None:
    """What the recipe is called, presets, undo and redo, and the recipe as a file."""
    name, choice, tools = st.columns((4, 6, 3), vertical_alignment="bottom")
    with name:
        cards.name_field(now, faults)
    with choice:
        preset_field(now, own)
    with tools, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        history("undo", not now.past, draft.undo)
        history("redo", not now.future, draft.redo)
        with st.popover(say("design.recipe"), icon=":material/description:"):
            files(now.recipe, checked)


def preset_field(now: Draft, own: Mapping[str, Facts]) -> None:
    """The presets; the one that is in force is lit. Another in force makes another widget, see `forms.field`."""
    lit = presets.in_force(now.recipe, own)
    key = f"design_{now.edition}_preset_{lit}"
    st.segmented_control(
        say("design.presets"),
        [preset.name for preset in presets.PRESETS],
        default=lit,
        required=True,
        format_func=lambda name: say(f"presets.{name}"),
        key=key,
        on_change=choose_preset,
        args=(key, lit, now.edition),
        help="\n\n".join(say(f"presets.{preset.name}_does") for preset in presets.PRESETS),
    )


def choose_preset(key: str, lit: str | None, edition: int) -> None:
    """Applies the preset that was clicked; not the one that was lit, which a widget on its way out may report."""
    chosen: str | None = widget(key, None)
    if chosen not in (None, lit):
        before = draft_state.current().recipe
        draft_state.edit(partial(presets.apply, name=chosen, own=draft_state.own_data()), edition)
        remember("design.before_preset", before)


def tell_refused() -> None:
    """What was wrong with the recipe that was to be loaded last."""
    if (refusal := draft_state.refused()) is not None:
        components.refused(refusal)


def tell_preset(now: Draft) -> None:
    """What applying the preset changed, until the next change."""
    if not now.preset:
        return
    before: Recipe = recall("design.before_preset", now.recipe)
    told = [tell(change) for change in changes(before, now.recipe)]
    what = listed(told) if told else say("presets.nothing")
    title, does = say(f"presets.{now.preset}"), say(f"presets.{now.preset}_does")
    st.info(say("presets.applied", preset=title, does=does, what=what), icon=":material/auto_awesome:")


def tell_fitted(now: Draft) -> None:
    """What was adjusted to the data, and a way back, until the next change."""
    if now.unfitted is None:
        return
    what = listed(tell(change) for change in changes(now.unfitted, now.recipe))
    with st.container(horizontal=True, vertical_alignment="center", key="design_fitted"):
        st.info(say("design.fitted", what=what), icon=":material/straighten:")
        st.button(
            say("design.fitted_undo"),
            key="design_fitted_undo",
            icon=":material/undo:",
            on_click=draft_state.edit,
            args=(draft.undo,),
        )


def tell_kept() -> None:
    """That an earlier draft can be taken up again, or that this one could not be kept."""
    if draft_state.unkept():
        st.warning(say("design.not_kept"), icon=":material/warning:")
    earlier = draft_state.earlier()
    if earlier is not None:
        name, changed = earlier
        st.button(
            say("design.continue", age=run_status.age(changed)),
            key="design_continue",
            icon=":material/history:",
            on_click=draft_state.take_up,
            args=(name,),
            type="tertiary",
        )


def tell(change: Change) -> str:
    """One change: `Pruning ratio 0.5 → 0.75`."""
    option = change.option
    if option is not None:
        before, after = (told_of(option, value) for value in (change.before, change.after))
        return say("presets.changed", title=spoken(option.title), before=before, after=after)
    stage = say(f"design.stage_{change.stage}")
    menu = load_catalog().methods[change.stage]
    before, after = (spoken(menu[str(name)].title) if name else "" for name in (change.before, change.after))
    if not before:
        return say("presets.added", stage=stage, method=after)
    if not after:
        return say("presets.removed", stage=stage, method=before)
    return say("presets.changed", title=stage, before=before, after=after)


def history(name: str, off: bool, change: Callable[[Draft], Draft]) -> None:
    """The button for one step back or forth."""
    st.button(
        f":material/{name}:",
        key=f"design_{name}",
        help=say(f"design.{name}"),
        disabled=off,
        on_click=draft_state.edit,
        args=(change,),
    )


def files(recipe: Recipe, checked: Recipe | None) -> None:
    """The recipe as a file, down and up, and the command that runs it."""
    st.download_button(
        say("design.download"),
        checked.to_toml() if checked else "",
        command.file_name(recipe),
        "application/toml",
        key="design_download",
        icon=":material/download:",
        disabled=checked is None,
        help=None if checked else say("design.download_wrong"),
        on_click="ignore",
    )
    st.file_uploader(say("design.upload"), type="toml", max_upload_size=1, key="design_upload", on_change=take_file)
    if checked is not None:
        st.markdown(say("design.command"))
        st.code(command.command(checked, workspace=workspace().path), language=None, wrap_lines=True)


def take_file() -> None:
    """Loads the uploaded recipe."""
    file = widget("design_upload", None)
    if file is not None:
        draft_state.load(file.getvalue())


# start


def start(checked: Recipe | None, faults: Sequence[UserError], steps: Sequence[Step]) -> None:
    """What it will come to in short, the page's one primary action, and what is in its way.

    One button at any width: `design.css` makes the whole a bar at the window's end where the window is narrow.
    """
    why = say("design.start_read_only") if read_only() else ""
    if faults:
        names = list(dict.fromkeys(step_names.field(fault.field, steps) for fault in faults))
        more = [f"+{len(names) - MOST_NAMED}"] if len(names) > MOST_NAMED else []
        why = say("design.start_wrong", count=len(faults), fields=in_turn(names[:MOST_NAMED] + more))
    with st.container(gap="small", key="design_bar"):
        if why:
            st.caption(why)
        elif told := preview.in_short():
            st.markdown(told)
        pressed = st.button(
            say("design.start"),
            type="primary",
            icon=":material/play_arrow:",
            key="design_start",
            width="stretch",
            shortcut="Ctrl+Enter",
            disabled=bool(why),
            help=say("design.start_help"),
        )
    if pressed and checked is not None and not why:
        begun = partial(draft_state.started, checked)
        launch.begin(checked.to_toml(), draft_state.current().parent, begun)


main()
