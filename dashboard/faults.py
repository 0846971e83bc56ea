"""What a person is told when something went wrong: what happened, what is kept, what to do; in their language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.catalog import load_catalog
from core.errors import UserError, UserErrors
from core.options import Option
from core.processes.run_monitor import Timeouts
from core.recipe_options import RECIPE_OPTIONS
from core.state import RunState, Status
from core.text.escaping import UserText
from dashboard import engine_words
from dashboard.i18n import known, say, spoken

TRIES = Timeouts().tries


@dataclass(frozen=True)
class Utf8Text:
    """Three sentences for Markdown; what is not known is empty."""

    what: str
    kept: str = ""
    fix: str = ""


def refused(
    error: UserError | UserErrors, details: str = "", *, at_field: bool = False, option: Option | None = None
) -> None:
    """What was wrong: of a mistake in the input a line each, of something that happened three sentences and details.

    `at_field`: drawn below the field it is about, whose name stands there already; `option` is what that field sets.
    """
    for one in error.errors if isinstance(error, UserErrors) else (error,):
        if happened(one.code) or not one.allowed:
            show(situation(one), details or str(one))
        else:
            st.error(mistake(one, at_field=at_field, option=option))


def show(told: Utf8Text, details: str = "", icon: str = ":material/error:", *, mild: bool = False) -> None:
    """The three sentences in one box, and below it the technical details, folded, with a button to copy them."""
    lines = [told.what]
    lines += [say("faults.kept", kept=told.kept)] if told.kept else []
    lines += [say("faults.fix", fix=told.fix)] if told.fix else []
    (st.warning if mild else st.error)("\n\n".join(lines), icon=icon)
    if details:
        with st.expander(say("faults.details"), icon=":material/bug_report:"):
            st.code(details, language=None, wrap_lines=True)


# a mistake in the input


def mistake(error: UserError, *, at_field: bool = False, option: Option | None = None) -> str:
    """What is wrong with a value, on one line: by the error's code, else what the engine says."""
    given, allowed, fix = worded(error)
    option = option or option_of(error.field)
    if option is not None and _outside(error.given, option):
        allowed, fix = range_of(option), ""
    name = "" if at_field else say("faults.field", field=name_of(error.field))
    form = known(f"faults.wrong_{error.code}", "")
    told = form.format(given=given, allowed=allowed, fix=fix) if form else ""
    return f"{name}{told or say('faults.wrong', given=given, allowed=allowed, fix=fix)}".strip()


def worded(error: UserError) -> tuple[str, str, str]:
    """What was given, what is allowed and what to do, in the person's language, for Markdown."""
    said = engine_words.given(error.given), engine_words.told(error.allowed), engine_words.told(error.fix)
    given, allowed, fix = (UserText(text).md() for text in said)
    return given, allowed, fix


def _outside(given: str, option: Option) -> bool:
    """Whether a value breaks the option's own bounds, and not those of, say, a network."""
    try:
        value = float(given)
    except ValueError:
        return False
    low, high = option.minimum, option.maximum
    return low is not None and (value < low or (high is not None and value > high))


def name_of(field: str) -> str:
    """What a field of a recipe is called on the page, for Markdown; any other as it is."""
    option = option_of(field)
    if option is None:
        return UserText(field).md()
    step = field.split(".")[1:-1]
    title = spoken(option.title)
    return say("faults.of_step", step=int(step[0]) + 1, title=title) if step else title


def option_of(field: str) -> Option | None:
    """The option that a field of a recipe such as `labels` or `steps.1.ratio` sets."""
    *place, name = field.split(".")
    if not place:
        return next((option for option in RECIPE_OPTIONS if option.name == name), None)
    if len(place) != 2 or place[0] != "steps" or not place[1].isdecimal():
        return None
    return _step_options().get(name)


def _step_options() -> dict[str, Option]:
    menus = load_catalog().methods.values()
    return {option.name: option for menu in menus for entry in menu.values() for option in entry.options}


def range_of(option: Option) -> str:
    """From where to where a number may go; empty where the option has no such bounds."""
    low, high = option.minimum, option.maximum
    if low is None:
        return ""
    if high is None:
        return say("forms.at_least", low=f"{low:,.10g}")
    return say("forms.range", low=f"{low:,.10g}", high=f"{high:,.10g}")


# something that happened


def happened(code: str) -> bool:
    """Whether the page has its own words for what this code stands for."""
    return bool(known(f"faults.{code}_what", ""))


def situation(error: UserError) -> Utf8Text:
    """What happened, what is kept, what to do; without words of our own the engine's sentences."""
    given, _, fix = worded(error)
    return of_code(error.code, Utf8Text(given, "", fix))


def not_done(error: Exception) -> UserError:
    """What to say when the system refused; `error` belongs into the details."""
    return UserError("not_done", "workspace", str(error), "", "")


def of_code(code: str, otherwise: Utf8Text) -> Utf8Text:
    """The page's own sentences for a code, else others."""
    if not happened(code):
        return otherwise
    return Utf8Text(*(known(f"faults.{code}_{part}", "") for part in ("what", "kept", "do")))


# a run


def of_run(state: RunState, told: Callable[[str], str] = engine_words.told) -> Utf8Text | None:
    """Why a run stands still that did not end well, what the engine says of it as it is `told`; None for any other."""
    kept = say("faults.run_kept")
    if state.status is Status.FAILED and state.error is not None:
        return of_code(
            state.error.get("code", ""),
            Utf8Text(UserText(told(state.error.get("message") or say("run_controls.failed"))).md(), kept),
        )
    if state.status is Status.INTERRUPTED:
        return of_code(f"run_{state.cause_code}", Utf8Text(say("faults.run_stopped", cause=_md(state.cause)), kept))
    if state.status is Status.PAUSED:
        return of_code(f"pause_{state.cause_code}", Utf8Text(say("faults.run_paused", cause=_md(state.cause)), kept))
    if state.status is Status.STALLED:
        return Utf8Text(say("faults.run_stalled"), kept, say("faults.run_stalled_do"))
    return None


def trying_again(state: RunState) -> str:
    """That a run which died is being tried again, or went on after it; empty where neither is so."""
    if not state.stops or state.status in (Status.INTERRUPTED, Status.FAILED):
        return ""
    cause = known(f"faults.cause_{state.stopped_code}", _md(state.stopped_by))
    if state.strikes and not state.status.is_over:
        return say("faults.trying_again", count=state.strikes, tries=TRIES, cause=cause)
    return say("faults.went_on", count=state.stops, cause=cause)


def _md(text: str) -> str:
    return engine_words.md(text)
