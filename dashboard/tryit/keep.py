"""A person's picture as a further image of their own dataset: only where they say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from core.catalog import Facts
from core.errors import UserError
from core.own.dataset_edits import AddImages
from core.own.datasets import imported_datasets
from core.questions.dataset_edit import Edited, EditRequest
from core.text.escaping import UserText
from core.workspace_files.uploads import drop, keep_files
from dashboard import engine_words, faults
from dashboard.classroom import teachers_own
from dashboard.data import asking, news
from dashboard.data.asking import Outcome
from dashboard.i18n import in_turn, say
from dashboard.session import forget, read_only, recall, remember, workspace
from dashboard.tryit.given import Given

SLOT, UPLOAD, NEWS = "tryit.keep", "tryit.keep_upload", "tryit.keep_news"


def show(picture: Given, dataset: str) -> None:
    """Which set and class it goes to; nothing where a person has no set of their own, or only the teacher's."""
    _take()
    found = imported_datasets(workspace().datasets)
    own = {name: facts for name, facts in found.items() if not teachers_own.is_teachers(name)}
    if picture.own and own:
        with st.popover(say("tryit.keep"), icon=":material/add_photo_alternate:", disabled=read_only()):
            _form(picture, own, dataset)
    asking.watch(SLOT)
    _told()


def _form(picture: Given, own: Mapping[str, Facts], dataset: str) -> None:
    names = list(own)
    into = st.selectbox(
        say("tryit.keep_set"),
        names,
        index=names.index(dataset) if dataset in own else 0,
        key="tryit_keep_set",
        format_func=lambda name: UserText(name).plain(),
    )
    classes: Sequence[str] = own[into]["class_names"]
    label = st.selectbox(
        say("tryit.keep_class"),
        classes,
        index=None,
        key=f"tryit_keep_class_{into}",
        accept_new_options=True,
        format_func=lambda name: UserText(name).plain(),
        placeholder=say("tryit.keep_placeholder"),
    )
    st.caption(say("tryit.keep_help"))
    if st.button(
        say("tryit.keep_do"), key="tryit_keep_do", type="primary", disabled=not label or asking.asked(SLOT) is not None
    ):
        _ask(picture, into, str(label))
        st.rerun()


def _ask(picture: Given, dataset: str, label: str) -> None:
    forget(NEWS)
    try:
        upload = keep_files(workspace(), "picture", {f"{picture.digest[:16]}.image": picture.data})
    except UserError as error:
        faults.refused(error)
        return
    except OSError as error:
        faults.refused(faults.not_done(error), str(error))
        return
    if asking.begin(SLOT, EditRequest(dataset, AddImages(path=str(upload), label=label))):
        remember(UPLOAD, upload)


def _take() -> None:
    outcome = asking.outcome(SLOT)
    if outcome is None:
        return
    upload: Path | None = recall(UPLOAD, None)
    if upload is not None:
        forget(UPLOAD)
        with suppress(OSError):  # else it is tidied up later
            drop(workspace(), upload)
    remember(NEWS, outcome)


def _told() -> None:
    """What came of it, and the way to the set."""
    known: Outcome | None = recall(NEWS, None)
    if known is None:
        return
    if known.error is not None:
        faults.refused(known.error, known.details)
    elif isinstance(known.answer, Edited):
        found = known.answer
        skipped = in_turn(engine_words.md(one["reason"]) for one in found.skipped)
        if skipped:
            st.warning(say("tryit.keep_skipped", reason=skipped))
            return
        st.success(say("tryit.kept", name=UserText(found.dataset).md(), images=found.images))
        st.page_link(
            "app_pages/data.py",
            label=say("tryit.keep_open"),
            icon=":material/folder_open:",
            query_params={news.CHOSEN: found.dataset},
        )
