"""What is suspicious about a set, each with what would put it right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import streamlit as st

from core.own.dataset_edits import Edit
from core.own.dataset_report import Alike, Member, Report
from core.text.escaping import UserText
from core.workspace_files.report_cache import kept_picture
from dashboard.classroom import teachers_own
from dashboard.data.changes import LeaveOut, Reshape, ask, off
from dashboard.i18n import listed, say
from dashboard.session import workspace

THIN = 10  # images of a class below which little can be learned
UNEQUAL = 5  # times the smallest class
CUT = 0.1  # share of the pictures that lose more than a quarter
SHOWN = 6  # groups with their pictures
FEW_TESTS = 30


def show(report: Report) -> None:
    """One row a suspicion, the worst first; a sentence where there is none."""
    if report.unlabelled is not None:
        _leaks(report, [group for group in report.alike if group.splits > 1])
        return
    crossing = [group for group in report.alike if group.classes > 1]
    leaking = [group for group in report.alike if group.classes == 1 and group.splits > 1]
    if not any((report.alike, list(_plain(report)))):
        st.success(say("data.nothing_suspicious"), icon=":material/check_circle:")
    for text in _plain(report):
        st.warning(text, icon=":material/warning:")
    _shape(report)
    for number, group in enumerate(report.alike):
        if group.classes > 1 and number < SHOWN:
            _two_classes(report, number, group)
    if len(crossing) > SHOWN:
        st.caption(say("data.more_groups", count=report.crossing_classes))
    _leaks(report, leaking)
    _copies(report, [group for group in report.alike if group.classes == 1 and group not in leaking])


def _plain(report: Report) -> Iterator[str]:
    """What can be told, and only more images would put right."""
    counts = {each.name: each.images for each in report.classes}
    thin = [name for name, count in counts.items() if count < THIN]
    if thin:
        yield say("data.thin", classes=_named(thin), count=THIN)
    least, most = min(counts, key=lambda n: counts[n]), max(counts, key=lambda n: counts[n])
    if counts[most] >= UNEQUAL * counts[least]:
        yield say(
            "data.unequal", most=UserText(most).md(), many=counts[most], least=UserText(least).md(), few=counts[least]
        )
    if report.total("test") < FEW_TESTS:
        yield say("data.few_tests", count=report.total("test"))


def _shape(report: Report) -> None:
    if report.shape != "crop" or report.cut <= CUT:
        return
    with st.container(border=True, key="data_cut"):
        st.markdown(say("data.cut", share=f"{report.cut:.0%}", lost=f"{report.lost:.0%}"))
        with st.container(horizontal=True):
            for shape in ("pad", "stretch"):
                _button(report, say(f"data.do_{shape}"), f"data_do_{shape}", Reshape(shape=shape))


def _two_classes(report: Report, number: int, group: Alike) -> None:
    """One image in several classes: no network can be right about it."""
    with st.container(border=True, key=f"data_group_{number}"):
        labels = list(dict.fromkeys(member.label for member in group.members))
        st.markdown(
            say("data.two_classes" if group.exact else "data.two_classes_near", classes=_named(labels, " / ".join))
        )
        _picture(report, number, group)
        with st.container(horizontal=True):
            for place, label in enumerate(labels[:4]):
                others = [member.name for member in group.members if member.label != label]
                told, edit = say("data.it_is", name=UserText(label).md()), LeaveOut(images=others)
                _button(report, told, f"data_it_is_{number}_{place}", edit, say("data.it_is_help"))
            every = [member.name for member in group.members]
            _button(report, say("data.leave_out_all"), f"data_none_{number}", LeaveOut(images=every))


def _leaks(report: Report, groups: Sequence[Alike]) -> None:
    """Nearly the same image in training and in test makes the test too kind."""
    if groups:
        _row(report, "leak", say("data.leak", count=len(groups)), groups)


def _copies(report: Report, groups: Sequence[Alike]) -> None:
    if groups:
        _row(report, "copies", say("data.copies", count=len(groups)), groups)


def _row(report: Report, key: str, text: str, groups: Sequence[Alike]) -> None:
    surplus = [member.name for group in groups for member in _surplus(group)]
    with st.container(border=True, key=f"data_{key}"):
        st.markdown(text)
        for number, group in [(n, g) for n, g in enumerate(report.alike) if g in groups][:SHOWN]:
            _picture(report, number, group)
        told = say("data.leave_out_copies", count=len(surplus))
        _button(report, told, f"data_do_{key}", LeaveOut(images=surplus))


def _button(report: Report, label: str, key: str, edit: Edit, help: str | None = None) -> None:
    """What puts it right; nothing for a set that is the teacher's, which only they can change."""
    if not teachers_own.is_teachers(report.dataset):
        st.button(label, key=key, on_click=ask, args=(report.dataset, edit), disabled=off(), help=help)


def _surplus(group: Alike) -> list[Member]:
    """All members but one; one of the test split stays, so that none of its kind is left for training."""
    order = {"test": 0, "validation": 1, "train": 2}
    return sorted(group.members, key=lambda member: order[member.split])[1:]


def _picture(report: Report, number: int, group: Alike) -> None:
    names = listed(map(_member, group.members))
    more = " …" if group.count > len(group.members) else ""
    picture = kept_picture(workspace(), report.dataset, f"group-{number}")
    if picture is not None:
        st.image(picture, alt=say("data.group_alt", count=group.count))
    st.caption(f"{names}{more}")


def _member(member: Member) -> str:
    """Its name, class and split."""
    name = UserText(member.name).md()
    return say("data.group_member", name=name, label=_label(member), split=say(f"data.{member.split}"))


def _label(member: Member) -> str:
    return UserText(member.label).md() if member.label else say("data.no_label")


def _named(names: Sequence[str], join: Callable[[Iterable[str]], str] = listed) -> str:
    told = join(UserText(name).md() for name in names[:8])
    return told + (" …" if len(names) > 8 else "")
