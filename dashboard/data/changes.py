"""Menus with which a set is changed as a whole: classes renamed and merged, images shared out anew, another name."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.own.dataset_edits import (
    Edit,
    LeaveOut,
    MergeClasses,
    MoveImages,
    Rename,
    RenameClass,
    Reshape,
    Resplit,
)
from core.own.dataset_report import Report
from core.own.datasets import find_home, images_of
from core.questions.dataset_edit import EditRequest
from core.text.escaping import UserText
from dashboard.data import asking, news
from dashboard.i18n import say
from dashboard.session import read_only, widget, workspace

__all__ = ["LeaveOut", "Reshape", "ask", "menus", "off"]
MOST_LISTED = 3_000  # images in a menu
TENTHS = tuple(number / 100 for number in range(5, 41, 5))


def off() -> bool:
    """Whether nothing can be changed now."""
    return read_only() or asking.asked(asking.WORK) is not None


def ask(name: str, edit: Edit) -> None:
    """Asks for a change; a button's callback."""
    news.dismiss()
    asking.begin(asking.WORK, EditRequest(name, edit))


def menus(report: Report) -> None:
    """The menus of the card's head."""
    version = report.version[:12]  # fields of another version are other fields
    if report.classes:
        with st.popover(say("data.classes_menu"), icon=":material/label:", disabled=off(), key="data_classes_menu"):
            _classes(report, version)
    with st.popover(say("data.images_menu"), icon=":material/image:", disabled=off(), key="data_images_menu"):
        _images(report, version)
    if report.unlabelled is None:
        with st.popover(say("data.resplit"), icon=":material/call_split:", disabled=off(), key="data_resplit_menu"):
            _resplit(report, version)
    with st.popover(say("data.more"), icon=":material/more_horiz:", disabled=off(), key="data_more_menu"):
        _more(report, version)


def _classes(report: Report, version: str) -> None:
    names = [each.name for each in report.classes]
    told: Mapping[str, str] = {name: UserText(name).plain() for name in names}
    with st.form(f"data_rename_class_{version}", border=False):
        st.selectbox(say("data.rename_class"), names, format_func=lambda n: told[n], key=f"data_old_{version}")
        st.text_input(say("data.new_name"), key=f"data_new_{version}", max_chars=120)
        st.form_submit_button(say("data.do_rename"), on_click=_rename_class, args=(report.dataset, version))
    with st.form(f"data_merge_{version}", border=False):
        st.multiselect(
            say("data.merge_classes"),
            names,
            format_func=lambda n: told[n],
            key=f"data_merge_{version}_names",
            placeholder="",
        )
        st.text_input(say("data.merged_name"), key=f"data_merge_{version}_to", max_chars=120)
        st.form_submit_button(say("data.do_merge"), on_click=_merge, args=(report.dataset, version))


def _rename_class(name: str, version: str) -> None:
    ask(name, RenameClass(name=widget(f"data_old_{version}", ""), to=widget(f"data_new_{version}", "")))


def _merge(name: str, version: str) -> None:
    classes: list[str] = widget(f"data_merge_{version}_names", [])
    typed: str = widget(f"data_merge_{version}_to", "")
    if classes:
        ask(name, MergeClasses(classes=list(classes), to=typed.strip() or classes[0]))


def _images(report: Report, version: str) -> None:
    home = find_home(report.dataset, workspace().datasets)
    known = images_of(home) if home is not None and report.images <= MOST_LISTED else {}
    if not known:
        st.caption(say("data.images_many", most=f"{MOST_LISTED:,}"))
        return
    labels = [each.name for each in report.classes]
    with st.form(f"data_images_{version}", border=False):
        st.multiselect(
            say("data.choose_images"),
            list(known),
            key=f"data_images_{version}_names",
            placeholder="",
            format_func=lambda name: f"{UserText(name).plain()} · {_label_of(known[name])}",
        )
        st.selectbox(
            say("data.move_to"),
            labels,
            key=f"data_images_{version}_to",
            accept_new_options=True,
            format_func=lambda name: UserText(name).plain(),
        )
        with st.container(horizontal=True):
            st.form_submit_button(say("data.do_move"), on_click=_move, args=(report.dataset, version))
            st.form_submit_button(say("data.do_leave_out"), on_click=_leave_out, args=(report.dataset, version))


def _label_of(label: str) -> str:
    return UserText(label).plain() if label else say("data.no_label")


def _move(name: str, version: str) -> None:
    images: list[str] = widget(f"data_images_{version}_names", [])
    if images:
        ask(name, MoveImages(images=list(images), to=str(widget(f"data_images_{version}_to", ""))))


def _leave_out(name: str, version: str) -> None:
    images: list[str] = widget(f"data_images_{version}_names", [])
    if images:
        ask(name, LeaveOut(images=list(images)))


def _resplit(report: Report, version: str) -> None:
    st.caption(say("data.resplit_help"))
    with st.form(f"data_resplit_{version}", border=False):
        for split in ("validation", "test"):
            st.select_slider(
                say(f"data.share_{split}"),
                TENTHS,
                value=0.15,
                key=f"data_{split}_{version}",
                format_func=lambda share: f"{share:.0%}",
            )
        st.number_input(say("data.seed"), 0, 10**6, 0, key=f"data_seed_{version}", help=say("data.seed_help"))
        st.form_submit_button(say("data.do_resplit"), on_click=_share_out, args=(report.dataset, version))


def _share_out(name: str, version: str) -> None:
    validation, test = (float(widget(f"data_{split}_{version}", 0.15)) for split in ("validation", "test"))
    ask(name, Resplit(validation=validation, test=test, seed=int(widget(f"data_seed_{version}", 0))))


def _more(report: Report, version: str) -> None:
    with st.form(f"data_rename_{version}", border=False):
        st.text_input(
            say("data.rename"),
            value=report.dataset,
            key=f"data_name_{version}",
            max_chars=80,
            help=say("data.rename_help"),
        )
        st.form_submit_button(say("data.do_rename"), on_click=_rename, args=(report.dataset, version))
    with st.form(f"data_reshape_{version}", border=False):
        st.segmented_control(
            say("data.shape"),
            ("crop", "pad", "stretch"),
            default=report.shape,
            required=True,
            key=f"data_shape_{version}",
            format_func=lambda shape: say(f"data.shape_{shape}"),
            help=say("data.shape_help"),
        )
        st.form_submit_button(say("data.do_reshape"), on_click=_reshape, args=(report.dataset, version))


def _rename(name: str, version: str) -> None:
    ask(name, Rename(to=str(widget(f"data_name_{version}", name))))


def _reshape(name: str, version: str) -> None:
    ask(name, Reshape(shape=str(widget(f"data_shape_{version}", "crop"))))
