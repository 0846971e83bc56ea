"""The list of lessons, and a teacher's own: import of one file, sharing it as the same file, deletion."""

from __future__ import annotations

import streamlit as st

from core.assets import LESSONS
from core.errors import UserError, UserErrors
from core.lessons import lesson_files
from core.lessons.blocks import Lesson
from core.lessons.diary import fits, read_diary
from core.lessons.parse import LANGUAGES
from core.lessons.split import LARGEST
from core.text.escaping import UserText
from dashboard import faults
from dashboard.i18n import known, language, say
from dashboard.learn import lessons
from dashboard.session import forget, read_only, recall, remember, widget, workspace

UPLOAD = "learn_upload"
NOTE = "learn.imported"
FORMAT = "FORMAT.md"


def draw(*, unknown: bool = False) -> None:
    """Every lesson with its question and how far one has come; below, a teacher's own."""
    st.markdown(say("learn.promise"))
    if unknown:
        st.warning(say("learn.unknown"), icon=":material/warning:")
    every = lessons.every(language())
    following = next((lesson.id for lesson in every if not _done(lesson)), None)
    for lesson in every:
        if not lesson.own:
            card(lesson, first=lesson.id == following)
    st.subheader(say("learn.own_title"), anchor=False)
    mine = [lesson for lesson in every if lesson.own]
    for lesson in mine:
        card(lesson)
    if not mine:
        st.caption(say("learn.own_none"))
    _broken()
    _import()


def card(lesson: Lesson, *, first: bool = False) -> None:
    """A lesson: its title, question, minutes, and what was done of it; the `first` that was not begun stands out."""
    with st.container(border=True, key=f"learn_card_{lesson.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                UserText(lesson.title).md(),
                key=f"learn_open_{lesson.id}",
                icon=":material/school:",
                on_click=lessons.open_lesson,
                args=(lesson.id,),
                type="primary" if first else "secondary",
            )
            st.caption(" · ".join([say("learn.minutes", count=lesson.minutes), *_done(lesson)]), width="content")
            if lesson.own:
                _own_tools(lesson)
        st.markdown(UserText(lesson.question).md())


def _done(lesson: Lesson) -> list[str]:
    try:
        diary = read_diary(workspace(), lesson.id)
    except UserError:
        return []
    made = sum(
        str(place) in diary.predictions and fits(block, diary.predictions[str(place)])
        for place, block in enumerate(lesson.predictions)
    )
    asked = len(lesson.predictions)
    if not made:
        return []
    return [say("learn.done_all") if made >= asked else say("learn.done_some", made=made, count=asked)]


def _own_tools(lesson: Lesson) -> None:
    name = f"{lesson.id}.{lesson.language}.md"
    st.download_button(
        say("learn.share"),
        lesson.text.encode(),
        name,
        "text/markdown",
        key=f"learn_share_{lesson.id}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )
    st.button(
        say("learn.delete"),
        key=f"learn_delete_{lesson.id}",
        icon=":material/delete:",
        type="tertiary",
        disabled=read_only(),
        on_click=_delete,
        args=(name,),
    )


def _delete(name: str) -> None:
    try:
        lesson_files.remove(workspace(), name)
    except (UserErrors, OSError) as error:
        remember(NOTE, error if isinstance(error, UserErrors) else UserErrors([faults.not_done(error)]))
    else:
        forget(NOTE)


def _broken() -> None:
    """Own lessons that became unreadable, or whose id a bundled one has now, each with a way out."""
    unread = [("broken", name) for name in lesson_files.broken(workspace())]
    for number, (why, name) in enumerate([*unread, *(("overtaken", name) for name in lessons.overtaken())]):
        with st.container(horizontal=True, vertical_alignment="center", key=f"learn_broken_{number}"):
            st.warning(say(f"learn.{why}", name=UserText(name).md()), icon=":material/warning:")
            st.button(
                say("learn.delete"),
                key=f"learn_delete_broken_{number}",
                icon=":material/delete:",
                disabled=read_only(),
                on_click=_delete,
                args=(name,),
            )


def _import() -> None:
    with st.container(key="learn_import"):
        st.file_uploader(
            say("learn.import"),
            type="md",
            max_upload_size=1,
            key=UPLOAD,
            on_change=_take,
            disabled=read_only(),
            help=say("learn.import_help"),
        )
        told: str | UserErrors | None = recall(NOTE, None)
        if isinstance(told, UserErrors):
            st.error("\n\n".join([say("learn.refused"), *map(mistake, told.errors)]), icon=":material/error:")
        elif told is not None:
            st.success(told, icon=":material/check_circle:")
        with st.expander(say("learn.format"), icon=":material/description:"):
            st.markdown(say("learn.format_is"))
            first = lessons.every(language())[0]
            st.download_button(
                say("learn.format_example"),
                first.text.encode(),
                f"{first.id}.{first.language}.md",
                "text/markdown",
                key="learn_example",
                icon=":material/download:",
                on_click="ignore",
            )
            st.download_button(
                say("learn.format_whole"),
                (LESSONS / FORMAT).read_bytes(),
                FORMAT,
                "text/markdown",
                key="learn_format",
                icon=":material/download:",
                on_click="ignore",
            )


def _take() -> None:
    file = widget(UPLOAD, None)
    if file is None:
        return
    earlier = {(one.id, one.language): one for spoken in LANGUAGES for one in lesson_files.own(workspace(), spoken)}
    try:
        lesson = lesson_files.add(workspace(), file.read(LARGEST + 1))
    except UserErrors as error:
        remember(NOTE, error)
    except OSError as error:
        remember(NOTE, UserErrors([faults.not_done(error)]))
    else:
        remember(NOTE, _imported(lesson, earlier.get((lesson.id, lesson.language))))


def _imported(lesson: Lesson, before: Lesson | None) -> str:
    """What became of a file: it is new, was here already, or took another's place."""
    title = UserText(lesson.title).md()
    if before is None:
        return say("learn.imported", title=title)
    if before.text == lesson.text:
        return say("learn.imported_again", title=title)
    return say("learn.replaced", title=title, before=UserText(before.title).md(), id=UserText(lesson.id).md())


def mistake(error: UserError) -> str:
    """A mistake of a lesson file: its line, what stands there, what is allowed, what to do."""
    given, allowed, fix = faults.worded(error)
    place = error.field.removeprefix("line ")
    line = say("learn.line", line=place) if place != error.field else ""
    what = known(f"learn.wrong_{error.code}", "")
    return line + say("learn.mistake", what=what, given=given, allowed=allowed, fix=fix).strip()
