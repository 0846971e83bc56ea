"""The knob, and "do it yourself": the lesson's runs queued in the learner's own workspace and watched in place."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.errors import UserError
from core.lessons.blocks import Knob, LessonRun
from core.lessons.prepared import prepared
from core.options import Value
from core.processes.workers import ensure_supervisor
from core.runs import Run
from core.state import RunState, Status
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults, run_status
from dashboard.design import draft_state
from dashboard.i18n import say, spoken
from dashboard.learn.book import Book, keep, knob_key
from dashboard.live.pace import EVERY, is_moving
from dashboard.session import forget, read_only, recall, remember, workspace

REFUSED = "learn.refused_run"
TAG = "lesson"  # on the runs that a lesson started
AGAIN = (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)


def draw_knob(book: Book, knob: Knob) -> None:
    """The values of the knob beside each other."""
    st.segmented_control(
        knob_title(knob),
        knob.values,
        default=book.value if book.value in knob.values else knob.start,
        required=True,
        format_func=lambda value: value_name(knob, value),
        key=knob_key(book.lesson),
        wrap=True,
        help=UserText(spoken(knob.option.help)).md(),
    )


def knob_title(knob: Knob) -> str:
    return UserText(knob.title).md() if knob.title else spoken(knob.option.title)


def value_name(knob: Knob, value: Value) -> str:
    """A value as it is written on Design, with its unit where it is short."""
    name = knob.option.name_of(value)
    if name is not None:
        return spoken(name)
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def draw(book: Book) -> None:
    """The button that starts what the knob says, the runs that go on, and the way to Design."""
    wanted = wanting(book)
    with st.container(border=True, key="learn_act"):
        st.markdown(say("learn.act" if book.has_prepared else "learn.act_alone"))
        if book.lesson.knob is not None and book.value is not None:
            knob = book.lesson.knob
            st.caption(say("learn.knob_at", title=knob_title(knob), value=value_name(knob, book.value)))
        with st.container(horizontal=True, vertical_alignment="center", key="learn_act_buttons"):
            if wanted:
                st.button(
                    say("learn.do_it", count=len(wanted)),
                    icon=":material/play_arrow:",
                    key="learn_do",
                    disabled=read_only(),
                    on_click=start,
                    args=(book, wanted),
                )
            elif not _going(book):
                st.markdown(f":green-badge[:material/check: {say('learn.done')}]", width="content")
            if st.button(say("learn.design"), icon=":material/tune:", key="learn_design", type="tertiary"):
                draft_state.load(book.turned[0].recipe.to_toml())
                st.switch_page("app_pages/design.py")
        _tell_refused(book)
        if wanted and (told := cost(wanted)):
            st.caption(told)
        for run in (r for r in (*book.turned, *book.lesson.others) if r.key in book.runs):
            _ended(run, book.runs[run.key])
        going = _going(book)
        st.fragment(lambda: _watch(book, going), run_every=EVERY if going else None)()


def wanting(book: Book) -> list[LessonRun]:
    """What a press of the button starts: the runs of the knob's value and those to compare with that are not the
    learner's own yet."""
    return [run for run in (*book.turned, *book.lesson.others) if _again(book.runs.get(run.key))]


def _again(run: Run | None) -> bool:
    return run is None or run.state().status in AGAIN


def cost(wanted: list[LessonRun]) -> str:
    """How long these runs took where the lesson was prepared."""
    known = [[found for name in run.hashes if (found := prepared(name)) is not None] for run in wanted]
    times = [min((s.lasted for s in seeds if s.lasted is not None), default=None) for seeds in known]
    total = sum(time for time in times if time is not None)
    if None in times or not times:
        return ""
    processor = UserText(known[0][0].environment.get("processor", "?")).md()
    return say("learn.took", time=formatting.duration(total), processor=processor)


def start(book: Book, wanted: list[LessonRun]) -> None:
    """Queues the runs and has what was queued started; what was refused is shown below the button."""
    forget(REFUSED)
    made: dict[str, str] = {}
    fault: Exception | None = None
    try:
        for run in wanted:
            name = say("learn.run_name", lesson=book.lesson.title, run=run.title)
            queued = workspace().submit(run.recipe.to_toml(), name, tags=(TAG,))
            made[run.key] = queued.id
    except (UserError, OSError) as error:
        fault = error
    keep(book.diary, lambda diary: diary.model_copy(update={"runs": {**diary.runs, **made}}))
    try:
        if made:
            ensure_supervisor(workspace())
    except (UserError, OSError, RuntimeError) as error:
        fault = error
    if fault is not None:
        remember(REFUSED, _Refused(book.lesson.id, fault, len(made), len(wanted)))


@dataclass(frozen=True)
class _Refused:
    """Why of `count` runs of a lesson only the first `made` were queued, or why none goes on."""

    lesson: str
    fault: Exception
    made: int
    count: int


def _tell_refused(book: Book) -> None:
    found: _Refused | None = recall(REFUSED, None)
    if found is None or found.lesson != book.lesson.id:
        return
    if isinstance(found.fault, UserError):
        faults.refused(found.fault)
    else:
        faults.refused(UserError("not_started", "workspace", str(found.fault), "", ""), str(found.fault))
    if 0 < found.made < found.count:
        st.caption(say("learn.partly", made=found.made, count=found.count))


def _going(book: Book) -> dict[str, Run]:
    return {key: run for key, run in book.runs.items() if is_moving(run.state())}


def _watch(book: Book, going: dict[str, Run]) -> None:
    """A line for each run that goes on; the page is drawn again when one has ended."""
    for key, run in going.items():
        state = run.state()
        if not is_moving(state):
            st.rerun()
        _line(book.lesson.runs[key], run, state)


def _ended(wanted: LessonRun, run: Run) -> None:
    state = run.state()
    if not is_moving(state):
        _line(wanted, run, state)


def _line(wanted: LessonRun, run: Run, state: RunState) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"learn_run_{run.id}"):
        st.markdown(run_status.badge(state.status), width="content")
        label = say("learn.watch", run=UserText(wanted.title).md())
        st.page_link("app_pages/live.py", label=label, query_params={"run": run.id})
        st.caption(run_status.line(state, len(wanted.recipe.steps)), width="content")
