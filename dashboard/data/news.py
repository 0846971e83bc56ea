"""What came of the last question: a dataset that is here now, a change with its way back, a refusal with choices."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import Choice, UserError, UserErrors
from core.own.dataset_edits import AddImages, Revert
from core.own.datasets import imported_datasets
from core.questions.dataset_edit import Edited, EditRequest
from core.questions.dataset_fetch import Fetched
from core.questions.import_data import Imported, ImportRequest
from core.questions.request import Request
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.dataset_trash import delete_dataset, restore_dataset
from core.workspace_files.uploads import drop
from dashboard import engine_words, faults
from dashboard.data import adding, asking, basket
from dashboard.data.adding import counted
from dashboard.data.asking import WORK, Outcome
from dashboard.i18n import say
from dashboard.session import forget, put_query, recall, remember, workspace

NEWS, DELETED, WRONG = "data.news", "data.deleted", "data.wrong"
FULL = ("disk_full", "disk_quota")
MOST_SKIPPED = 20  # files told; the card has all
CHOSEN = "dataset"  # the parameter that names the set on the page


def take() -> None:
    """Takes what has come; a set that was made or changed is the one on the page."""
    found = asking.outcome(WORK)
    if found is None:
        return
    remember(NEWS, found)
    if found.answer is not None:
        if not isinstance(found.answer, Fetched):
            put_query(CHOSEN, found.answer.dataset)
        if _brought_images(found.asked.request):
            adding.renew()
        if isinstance(found.answer, Imported) and recall("data.collected", False):
            basket.empty()
    if not choices(found):
        _drop_upload(found.asked.request)


def _brought_images(request: Request[Any]) -> bool:
    return isinstance(request, ImportRequest) or (
        isinstance(request, EditRequest) and isinstance(request.edit, AddImages)
    )


def show() -> None:
    """Tells it, until something else is asked."""
    _deletion()
    wrong: Exception | None = recall(WRONG, None)
    if wrong is not None:
        forget(WRONG)
        refusal = wrong if isinstance(wrong, UserError | UserErrors) else faults.not_done(wrong)
        faults.refused(refusal, "" if refusal is wrong else str(wrong))
    found: Outcome | None = recall(NEWS, None)
    if found is None or asking.asked(WORK) is not None:
        return
    if found.error is not None:
        _refusal(found)
    elif found.answer is not None:
        _success(found)


def dismiss() -> None:
    """The next thing has begun: the former news are old."""
    forget(NEWS)


# what went well


def _success(found: Outcome) -> None:
    answer: Fetched | Imported | Edited = found.answer
    name = UserText(answer.dataset).md()
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="data_news"):
        if isinstance(answer, Fetched):
            st.markdown(say("data.fetched", name=name))
            return
        counts = {"name": name, "images": answer.images, "classes": answer.classes}
        if answer.unlabelled:
            counts.pop("classes")
        kind = "_unlabelled" if answer.unlabelled else ""
        if isinstance(answer, Imported):
            st.markdown(say(f"data.imported{kind}", seconds=formatting.duration(found.seconds), **counts))
            return
        st.markdown(say(f"data.edited{kind}", **counts))
        if answer.before != answer.version:
            st.button(
                say("data.undo"),
                key="data_undo",
                icon=":material/undo:",
                on_click=revert,
                args=(answer.dataset, answer.before),
            )
    for each in answer.skipped[:MOST_SKIPPED]:
        reason = engine_words.md(each["reason"])
        st.caption(say("data.skipped_one", file=UserText(each["file"]).md(), reason=reason))


def revert(name: str, version: str) -> None:
    """Takes a change back."""
    asking.begin(WORK, EditRequest(name, Revert(to=version)))


# what was refused


def _refusal(found: Outcome) -> None:
    error = found.error
    assert error is not None
    ways = choices(found)
    if not ways and isinstance(error, UserError) and error.code in FULL:
        told = faults.situation(error)
        faults.show(faults.Utf8Text(told.what, say("data.disk_kept"), told.fix), str(error))
        return
    if not ways:
        faults.refused(error, found.details)
        if isinstance(error, UserError) and error.code in ("image_without_class", "one_class"):
            st.caption(say("data.class_folders"))
        return
    assert isinstance(error, UserError)
    with st.container(border=True, key="data_choices"):
        st.markdown(f"**{say(f'data.ask_{error.code}')}**")
        if error.code == "classes_alike":
            st.markdown(UserText(engine_words.given(error.given)).md())
        if error.code == "image_without_class":
            st.caption(say("data.class_folders"))
        for number, choice in enumerate(ways):
            st.button(
                _label(choice), key=f"data_choice_{number}", on_click=again, args=(found.asked.request, choice.request)
            )
        st.button(say("data.choose_none"), key="data_choose_none", type="tertiary", on_click=give_up, args=(found,))


def choices(found: Outcome) -> tuple[Choice, ...]:
    """The ways on that only a person can decide between; images without labels are no way on for a labelled set."""
    ways = found.error.choices if isinstance(found.error, UserError) else ()
    request = found.asked.request
    if isinstance(request, EditRequest):
        facts = imported_datasets(workspace().datasets).get(request.dataset, {})
        ways = tuple(way for way in ways if facts.get("unlabelled") or "unlabelled" not in way.request)
    return ways


def _label(choice: Choice) -> str:
    if "unlabelled" in choice.request:
        return say("data.choice_unlabelled")
    if "merge" in choice.request:
        return say("data.choice_merge")
    if "splits" in choice.request:
        return say("data.choice_splits", classes=counted(choice.counts, 5))
    return say("data.choice_level", classes=counted(choice.counts, 5))


def again(before: Request[Any], more: Mapping[str, str | bool]) -> None:
    """Asks the same with a decision more."""
    forget(NEWS)
    if isinstance(before, EditRequest) and isinstance(before.edit, AddImages):
        asking.begin(WORK, replace(before, edit=before.edit.model_copy(update=dict(more))))
    elif isinstance(before, ImportRequest):
        asking.begin(WORK, ImportRequest.from_document({**before.to_document(), **more}))


def give_up(found: Outcome) -> None:
    """Drops what was to be imported."""
    _drop_upload(found.asked.request)
    forget(NEWS)


def _drop_upload(request: Request[Any]) -> None:
    """Removes what was uploaded for a question that is over."""
    if isinstance(request, EditRequest) and isinstance(request.edit, AddImages):
        path = request.edit.path
    elif isinstance(request, ImportRequest):
        path = request.path
    else:
        return
    with suppress(OSError):  # else it is tidied up later
        drop(workspace(), Path(path))


# deleting, with a way back


def delete(name: str) -> None:
    """Moves a set to the trash."""
    try:
        remember(DELETED, (name, delete_dataset(workspace(), name)))
        forget(NEWS)
        put_query(CHOSEN, None)
    except (UserError, OSError) as error:
        remember(WRONG, error)


def restore(name: str, home: str) -> None:
    """Brings it back."""
    forget(DELETED)
    try:
        restore_dataset(workspace(), home)
        put_query(CHOSEN, name)
    except (UserError, OSError) as error:
        remember(WRONG, error)


def _deletion() -> None:
    found: tuple[str, str] | None = recall(DELETED, None)
    if found is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="data_deleted"):
        st.markdown(say("data.deleted", name=UserText(found[0]).md()))
        st.button(say("data.undo"), key="data_restore", icon=":material/undo:", on_click=restore, args=found)
