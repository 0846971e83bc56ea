"""Renaming, tagging, annotating and deleting runs from Trade-offs, with a way back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import UserError, UserErrors
from core.runs import Notes
from dashboard import faults
from dashboard.i18n import say
from dashboard.session import forget, read_only, recall, remember, widget, workspace

DELETED, TOLD, WRONG = "tradeoffs.deleted", "tradeoffs.told", "tradeoffs.wrong"


def show(runs: Sequence[str], known_tags: Sequence[str]) -> None:
    """The popover for the runs of the selection; shut where there is nothing that may be changed."""
    reason = say("tradeoffs.manage_read_only") if read_only() else "" if runs else say("tradeoffs.manage_nothing")
    with st.popover(
        say("tradeoffs.manage"),
        icon=":material/edit:",
        disabled=bool(reason),
        help=reason or say("tradeoffs.manage_help"),
    ):
        if reason:
            return
        st.caption(say("tradeoffs.manage_of", count=len(runs)))
        one(runs[0], known_tags) if len(runs) == 1 else many(runs, known_tags)
        st.button(
            say("tradeoffs.delete", count=len(runs)),
            key="manage_delete",
            icon=":material/delete:",
            on_click=delete,
            args=(tuple(runs),),
        )


def one(run_id: str, known_tags: Sequence[str]) -> None:
    """Name, tags and note of a single run."""
    run = workspace().run(run_id)
    notes, key = run.notes(), f"manage_{run_id}"
    tags = list(dict.fromkeys([*known_tags, *notes.tags]))
    with st.form(key, border=False):
        st.text_input(say("tradeoffs.name"), value=notes.name or run.headline().name, key=f"{key}_name")
        st.multiselect(
            say("tradeoffs.tags"),
            tags,
            default=list(notes.tags),
            accept_new_options=True,
            help=say("tradeoffs.tags_help"),
            placeholder="",
            key=f"{key}_tags",
        )
        st.text_area(say("tradeoffs.note"), value=notes.note, key=f"{key}_note")
        st.form_submit_button(say("tradeoffs.save"), on_click=annotate, args=(run_id, key))


def many(runs: Sequence[str], known_tags: Sequence[str]) -> None:
    """Tags for several runs at once."""
    with st.form("manage_many", border=False, clear_on_submit=True):
        st.multiselect(
            say("tradeoffs.tags_many"),
            list(known_tags),
            accept_new_options=True,
            help=say("tradeoffs.tags_help"),
            placeholder="",
            key="manage_many_tags",
        )
        st.form_submit_button(say("tradeoffs.save"), on_click=tag, args=(tuple(runs),))


# what the buttons do, before the page is drawn anew


def annotate(run_id: str, key: str) -> None:
    """Keeps what was written in the form of one run."""
    try:
        run = workspace().run(run_id)
        name = str(widget(f"{key}_name", "")).strip()
        written = {
            "name": "" if name == run.headline().name else name,
            "tags": clean(widget(f"{key}_tags", [])),
            "note": str(widget(f"{key}_note", "")),
        }
        run.annotate(Notes.model_validate(written))
        remember(TOLD, say("tradeoffs.saved"))
    except (UserError, UserErrors, OSError) as error:
        remember(WRONG, error)


def tag(runs: Sequence[str]) -> None:
    """Adds the chosen tags to each run, beside those it has."""
    added = clean(widget("manage_many_tags", []))
    try:
        for run_id in runs:
            run = workspace().run(run_id)
            notes = run.notes()
            run.annotate(notes.model_copy(update={"tags": clean([*notes.tags, *added])}))
        remember(TOLD, say("tradeoffs.saved"))
    except (UserError, UserErrors, OSError) as error:
        remember(WRONG, error)


def clean(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags without spaces around them, each once."""
    return tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))


def delete(runs: Sequence[str]) -> None:
    """Moves runs to the trash; what cannot be deleted is told, the others are gone."""
    gone = []
    for run_id in runs:
        try:
            workspace().delete(run_id)
            gone.append(run_id)
        except (UserError, OSError) as error:
            remember(WRONG, error)
    if gone:
        remember(DELETED, tuple(gone))
        remember(TOLD, say("tradeoffs.deleted", count=len(gone)))


def restore(runs: Sequence[str]) -> None:
    """Brings deleted runs back."""
    forget(DELETED)
    back = 0
    for run_id in runs:
        try:
            workspace().restore(run_id)
            back += 1
        except (UserError, OSError) as error:
            remember(WRONG, error)
    remember(TOLD, say("tradeoffs.restored", count=back))


def news() -> None:
    """What came of the last action: a toast, a way back after a deletion, or what went wrong."""
    if told := recall(TOLD, ""):
        st.toast(told, icon=":material/check:")
        forget(TOLD)
    wrong: Exception | None = recall(WRONG, None)
    if wrong is not None:
        forget(WRONG)
        if isinstance(wrong, UserError | UserErrors):
            faults.refused(wrong)
        else:
            faults.refused(faults.not_done(wrong), str(wrong))
    deleted: tuple[str, ...] = recall(DELETED, ())
    if deleted:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="tradeoffs_deleted"):
            st.markdown(say("tradeoffs.deleted", count=len(deleted)))
            st.button(
                say("tradeoffs.undo"),
                key="manage_undo",
                icon=":material/undo:",
                on_click=restore,
                args=(deleted,),
            )
