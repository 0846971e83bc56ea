"""The closing sentence of a run in the person's language, as the pages and the report say it."""

from __future__ import annotations

from core import closing_words
from core.closing import Closing, closing
from core.closing_words import Voice
from core.escaping import UserText
from core.paired import paired
from core.points import Point
from core.runs import Run, RunSummary
from core.state import RunState
from dashboard.i18n import known, language, named, say


def of(run: Run, state: RunState | RunSummary) -> Closing:
    """The facts of a run as far as it has come."""
    return closing(state.points, state.controls, state.status, lambda one, other: paired(run, one, other))


def full(found: Closing) -> str:
    """Everything, as Markdown; empty where nothing was measured yet."""
    return _markdown(closing_words.lines(found, voice()))


def brief(found: Closing) -> str:
    """What it came to and what the teacher was worth, as Markdown."""
    return UserText(closing_words.brief(found, voice())).md()


def plain(found: Closing) -> str:
    """Everything as text that is not escaped, for a report."""
    return closing_words.sentence(found, voice())


def voice() -> Voice:
    """The person's language."""
    between = "" if language() == "zh" else " "
    return Voice(lambda key, **values: say(f"closing.{key}", **values), _point, _control, between)


def _markdown(lines: list[str]) -> str:
    """The first sentence in bold on a line of its own: it is what everybody came for."""
    head, *rest = [UserText(line).md() for line in lines] or [""]
    return f"**{head}**  \n{voice().between.join(rest)}" if head else ""


def _point(point: Point) -> str:
    return named(point.stage, point.method, point.name)


def _control(name: str) -> str:
    quoted = known(f"controls.{name}", name)
    return f"“{quoted}”"
