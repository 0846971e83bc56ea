"""The card of one's own dataset: what it holds, what an accuracy on it will mean, what is suspicious and how to fix
it."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.own.dataset_report import Report
from core.own.datasets import imported_datasets
from core.questions.dataset_report import ReportRequest
from core.statistics.intervals import around, wilson
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.report_cache import kept_picture, kept_report
from dashboard import components, engine_words, faults
from dashboard.charts import dataset_counts
from dashboard.classroom import teachers_own
from dashboard.data import asking, changes, fixes, news
from dashboard.design import draft, draft_state, fit
from dashboard.i18n import known, say, together
from dashboard.session import dark, forget, read_only, recall, remember, workspace

REPORT = "data.report"  # the slot of the question
UNTOLD = "data.report_wrong"
TYPICAL = 0.9  # the accuracy for which the interval is reported in advance
MOST_ROWS = 200  # of skipped files


def show(name: str) -> None:
    """The card; while the images are being compared, what is known without that."""
    report = current(name)
    with st.container(border=True, key="data_card"):
        head(name, report)
        if report is None:
            _waiting(name)
            return
        if report.unlabelled is None:
            meaning(report)
        else:
            without_labels(report)
        fixes.show(report)
        if report.unlabelled is None:
            counts(report)
        samples(report)
        skipped(report)
        notes(report)


def current(name: str) -> Report | None:
    """The report on the set as it is now, asked for where nobody has made it yet."""
    found = asking.outcome(REPORT)
    if found is not None and found.error is not None:
        remember(UNTOLD, (name, found.error, found.details))
    report = kept_report(workspace(), name)
    if report is not None:
        forget(UNTOLD)
        return report
    wrong = recall(UNTOLD, None)
    if asking.asked(REPORT) is None and asking.attended() and not read_only() and (wrong is None or wrong[0] != name):
        look(name)
    return None


def look(name: str) -> None:
    """Asks for the report."""
    forget(UNTOLD)
    asking.begin(REPORT, ReportRequest(name))


def _waiting(name: str) -> None:
    wrong: tuple[str, UserError, str] | None = recall(UNTOLD, None)
    if wrong is not None and wrong[0] == name:
        faults.refused(wrong[1], wrong[2])
    if asking.asked(REPORT) is None:
        st.button(say("data.look"), key="data_look", on_click=look, args=(name,), disabled=read_only())
        return
    st.caption(say("data.looking"))
    asking.watch(REPORT)


def head(name: str, report: Report | None) -> None:
    """The name, the counts, and what can be done with the whole set."""
    with st.container(horizontal=True, vertical_alignment="center", key="data_head"):
        st.subheader(UserText(name).md(), anchor=False, width="content")
        if report is not None:
            st.caption(_facts(report), width="content")
    with st.container(horizontal=True, vertical_alignment="center", key="data_actions"):
        if imported_datasets(workspace().datasets).get(name, {}).get("unlabelled"):
            _uses(name)
        elif st.button(
            say("data.design"), type="primary", icon=":material/tune:", key="data_design", help=say("data.design_help")
        ):
            design(name)
        if teachers_own.is_teachers(name):
            st.caption(say("classroom.is_lent"), width="content")
            return
        if report is not None:
            changes.menus(report)
        st.button(
            say("data.delete"),
            key="data_delete",
            icon=":material/delete:",
            type="tertiary",
            on_click=news.delete,
            args=(name,),
            disabled=read_only(),
            help=say("data.delete_help"),
        )


def _uses(name: str) -> None:
    """What a set without labels may be in a recipe."""
    for place in ("target", "pool"):
        if st.button(
            say(f"data.as_{place}"),
            type="primary" if place == "target" else "secondary",
            icon=":material/tune:",
            key=f"data_as_{place}",
            help=say(f"data.as_{place}_help"),
        ):
            draft_state.edit(partial(draft.set_knob, name=place, value=name))
            st.switch_page("app_pages/design.py")


def design(name: str) -> None:
    """Opens Design with the draft set to this dataset, its recipe fitted."""
    draft_state.edit(partial(fit.choose_dataset, name=name, own=draft_state.own_data()))
    st.switch_page("app_pages/design.py")


def _facts(report: Report) -> str:
    pixels = f"{report.smallest}–{report.largest}" if report.smallest != report.largest else str(report.smallest)
    classes = say("data.classes", count=len(report.classes))
    parts = [
        say("data.images", count=report.images),
        classes if report.unlabelled is None else say("data.no_labels"),
        say("data.pixels", pixels=pixels),
        say("data.grey" if report.channels == 1 else "data.colour"),
        say(f"data.square_{report.shape}"),
    ]
    return " · ".join(parts)


def meaning(report: Report) -> None:
    """The splits, and how exact an accuracy on so many test images will be."""
    tests = report.total("test")
    low, high = wilson(TYPICAL, max(1, tests))
    smallest = min(report.classes, key=lambda each: each.test)
    st.markdown(
        say(
            "data.splits_are",
            train=f"{report.total('train'):,}",
            validation=f"{report.total('validation'):,}",
            test=f"{tests:,}",
        )
    )
    told = say("data.interval", count=tests, around=f"{100 * around(TYPICAL, low, high):.0f}")
    of_one = (
        say(
            "data.interval_class",
            count=smallest.test,
            name=UserText(smallest.name).md(),
            around=f"{100 * _around(smallest.test):.0f}",
        )
        if smallest.test
        else say("data.interval_none", name=UserText(smallest.name).md())
    )
    st.markdown(together((told, of_one)))


def without_labels(report: Report) -> None:
    """That it cannot be trained on alone, and on how many of its images an accuracy can be measured."""
    st.info(say("data.not_alone"), icon=":material/label_off:")
    tests = report.total("test")
    if not tests:
        st.markdown(say("data.no_accuracy", count=report.unlabelled or 0))
        return
    told = f"{100 * _around(tests):.0f}"
    st.markdown(say("data.labelled_part", count=report.unlabelled or 0, tests=tests, around=told))


def _around(total: int) -> float:
    return around(TYPICAL, *wilson(TYPICAL, total))


def counts(report: Report) -> None:
    """The images of each class as bars."""
    table = dataset_counts.info(report.classes)
    names = {split: say(f"data.{split}") for split in dataset_counts.SPLITS}
    drawn = dataset_counts.figure(table, say("data.images_axis"), names, dark=dark())
    least, most = table["images"].min(), table["images"].max()
    alt = say("data.counts_alt", classes=len(table), least=int(least), most=int(most))
    if len(table) > dataset_counts.MOST:
        st.caption(say("data.counts_fewest", most=dataset_counts.MOST, classes=len(table)))
    components.chart(drawn, table, key="data_counts", alt=alt, file="classes")


def samples(report: Report) -> None:
    """A strip of images of each class; of a set without labels one of all."""
    strip = kept_picture(workspace(), report.dataset, "samples")
    if report.unlabelled is not None and strip is not None:
        st.image(strip, alt=say("data.strip_alt", name=UserText(report.dataset).plain()))
    if not report.classes:
        return
    with st.expander(say("data.samples"), expanded=len(report.classes) <= 12, key="data_samples"):
        for number, each in enumerate(report.classes):
            picture = kept_picture(workspace(), report.dataset, f"class-{number}")
            if picture is None:
                st.caption(say("data.samples_first", count=number))
                return
            st.markdown(f"{UserText(each.name).md()} · {each.images}")
            alt = say("data.strip_alt", name=UserText(each.name).plain())
            st.image(picture, alt=alt)


def skipped(report: Report) -> None:
    """Every file that is not in the set, with the reason."""
    if not report.skipped:
        return
    with st.expander(say("data.skipped", count=len(report.skipped)), expanded=True, key="data_skipped"):
        rows = [(each.file, reason(each.reason)) for each in report.skipped[:MOST_ROWS]]
        table = pd.DataFrame(rows, columns=[say("data.column_file"), say("data.column_reason")])
        st.dataframe(table, hide_index=True, key="data_skipped_table", alt=say("data.skipped_alt"))


def reason(told: str) -> str:
    """Why a file was skipped: in the page's own words where it has any, else in the engine's."""
    kind, found, _ = told.partition(", not a picture we read")
    if found:
        return say("data.reason_format", kind=kind)
    key = "".join(c if c.isalnum() else "_" for c in told.partition(";")[0].partition(",")[0].partition(":")[0].strip())
    return known(f"data.reason_{key.lower()}", engine_words.told(told))


def notes(report: Report) -> None:
    """What the import reported."""
    if report.warnings:
        with st.expander(say("data.notes", count=len(report.warnings)), key="data_notes"):
            for each in report.warnings:
                st.markdown(f"- {engine_words.md(each)}")
    st.caption(say("data.version", version=report.version[:12], compared=formatting.count(report.compared)))
