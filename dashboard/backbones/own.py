"""A person's own networks: imported, removed and brought back; and networks of timm beyond the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from core.catalog import TIMM, Facts
from core.errors import UserError
from core.own import added_backbones
from core.own.models import PREFIX, read_labels, restore_network
from core.questions.add_backbone import AddBackboneRequest
from core.questions.import_network import ImportNetworkRequest
from core.questions.search_backbones import FoundBackbone, FoundBackbones, SearchBackbonesRequest
from core.text.escaping import UserText
from core.text.whole_path import whole_path
from core.workspace_files.uploads import drop, keep_file
from dashboard import engine_words, faults
from dashboard.backbones.view import WORK, busy
from dashboard.classroom import teachers_own
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.session import forget, is_learner, read_only, recall, remember, workspace

FOUND, REMOVED, WRONG = "backbones.found", "backbones.removed", "backbones.wrong"
KINDS = ["safetensors", "pt", "pth"]
MOST_FOUND = 50


def importing(architectures: Sequence[str]) -> None:
    """A file of weights, its architecture and its name become a backbone."""
    st.caption(say("backbones.import_help"))
    file = st.file_uploader(say("backbones.import_file"), type=KINDS, key="backbones_file")
    path = "" if is_learner() else st.text_input(say("backbones.import_path"), key="backbones_path", max_chars=4096)
    architecture = st.selectbox(
        say("backbones.import_architecture"),
        architectures,
        index=None,
        key="backbones_arch",
        placeholder=say("forms.choose"),
    )
    name = st.text_input(say("backbones.import_name"), key="backbones_name", max_chars=64)
    labels = st.text_area(say("backbones.import_labels"), key="backbones_labels", help=say("backbones.labels_help"))
    whole = bool((file is not None or path.strip()) and architecture and name.strip())
    if st.button(
        say("backbones.import"), key="backbones_import", icon=":material/upload:", disabled=busy() or not whole
    ):
        _go(file, path.strip(), str(architecture), name.strip(), labels)


def _go(file: Any, path: str, architecture: str, name: str, labels: str) -> None:
    try:
        classes = _labels(labels)
        given = keep_file(workspace(), file.name, file.getvalue()) if file is not None else whole_path(path, "path")
    except UserError as error:
        faults.refused(error)
        return
    except OSError as error:
        faults.refused(faults.not_done(error), str(error))
        return
    if asking.begin(WORK, ImportNetworkRequest(str(given.absolute()), architecture, name, classes)):
        st.rerun()
    elif file is not None:
        with suppress(OSError):  # else it is tidied up later
            drop(workspace(), given)


def _labels(text: str) -> tuple[str, ...]:
    if not text.strip():
        return ()
    kept = keep_file(workspace(), "labels.txt", text.encode())
    try:
        return tuple(read_labels(kept))
    finally:
        drop(workspace(), kept)


def listed(backbones: Mapping[str, Facts]) -> None:
    """One's own and added networks, each to be removed, with a way back."""
    _removed()
    mine = [name for name in backbones if name.startswith(PREFIX) or name in added_backbones.added(workspace().models)]
    for number, name in enumerate(mine):
        with st.container(horizontal=True, vertical_alignment="center", key=f"backbones_own_{number}"):
            st.markdown(UserText(name).md(), width="content")
            if teachers_own.is_teachers_network(name):
                st.caption(say("classroom.is_lent"), width="content")
                continue
            st.button(
                say("backbones.remove"),
                key=f"backbones_remove_{number}",
                icon=":material/delete:",
                type="tertiary",
                on_click=remove,
                args=(name,),
                disabled=read_only(),
            )


def remove(name: str) -> None:
    """Takes a network out; it can be brought back."""
    try:
        if name.startswith(TIMM):
            remember(REMOVED, (name, added_backbones.forget(name, workspace().models)))
        else:
            remember(REMOVED, (PREFIX + workspace().remove_network(name), None))
    except (UserError, OSError) as error:
        remember(WRONG, error)


def bring_back(name: str, facts: Facts | None) -> None:
    """What was removed is there again."""
    forget(REMOVED)
    try:
        if facts is not None:
            added_backbones.keep(facts, workspace().models)
        else:
            restore_network(name, workspace().models, workspace().path / "trash")
    except (UserError, OSError) as error:
        remember(WRONG, error)


def _removed() -> None:
    wrong: UserError | OSError | None = recall(WRONG, None)
    if wrong is not None:
        forget(WRONG)
        faults.refused(wrong if isinstance(wrong, UserError) else faults.not_done(wrong))
    gone: tuple[str, Facts | None] | None = recall(REMOVED, None)
    if gone is not None:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="backbones_removed"):
            st.markdown(say("backbones.removed", name=UserText(gone[0]).md()))
            st.button(
                say("backbones.undo"), key="backbones_undo", icon=":material/undo:", on_click=bring_back, args=gone
            )


def searching() -> None:
    """A search over all of timm's names, each of which can be added."""
    st.caption(say("backbones.timm_help"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(say("backbones.timm_words"), key="backbones_timm", max_chars=80, width=320)
        st.button(
            say("backbones.timm_search"),
            key="backbones_timm_search",
            icon=":material/search:",
            on_click=search,
            args=(text,),
            disabled=busy(),
        )
    found: FoundBackbones | None = recall(FOUND, None)
    if found is None:
        return
    st.caption(say("backbones.timm_found", total=f"{found.total:,}", shown=len(found.rows)))
    names = [row.name for row in found.rows]
    if names:
        told = {row.name: _row(row) for row in found.rows}
        name = st.selectbox(
            say("backbones.timm_choose"), names, key="backbones_timm_name", format_func=lambda found: told[found]
        )
        st.button(
            say("backbones.timm_add"),
            key="backbones_timm_add",
            icon=":material/add:",
            on_click=add,
            args=(name,),
            disabled=busy(),
        )


def _row(found: FoundBackbone) -> str:
    return say("backbones.timm_row", **{**vars(found), "licence": engine_words.told(found.licence)})


def search(text: str) -> None:
    asking.begin(WORK, SearchBackbonesRequest(text, MOST_FOUND))


def add(name: str) -> None:
    asking.begin(WORK, AddBackboneRequest(name))
