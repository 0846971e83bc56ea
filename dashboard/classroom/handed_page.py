"""The page in a hand-in: predictions, results, figure and recipes to read, without a network and without Condenser."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from core.classroom.learners import card
from core.classroom.overview import Corner, corner_of, last_point
from core.classroom.places import root_of
from core.lessons.titles import titled
from core.runs import RunSummary
from core.text import formatting
from core.workspace import Workspace
from dashboard.charts import class_points
from dashboard.charts.style import look, standalone
from dashboard.classroom.worded import lessons_of, result, worded
from dashboard.i18n import language, say, template
from dashboard.tradeoffs.report import STYLE, policy, rows, text

BAR = 0.75


def write(corner: Path, chosen: Sequence[RunSummary], *, dark: bool) -> str:
    """The whole page; what a person typed is text in it."""
    learner = card(corner)
    assert learner is not None
    whole = corner_of(learner, Workspace(corner))
    title, theme = text(say("classroom.hand_in_of", name=learner.nickname)), look(dark)
    style = STYLE.format(ink=theme.ink, paper=theme.paper, grid=theme.grid, quiet=theme.quiet)
    chart = _chart(learner.nickname, chosen, dark=dark)
    parts = [
        f"<!doctype html><html lang='{language()}'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy(chart)}">'
        f"<meta name='referrer' content='no-referrer'><title>{title}</title><style>{style}</style></head><body>",
        f"<h1>{title}</h1><p><small>{time.strftime('%Y-%m-%d %H:%M')}</small></p>",
        *_predictions(whole),
        chart,
        *_runs(whole, chosen),
        "</body></html>",
    ]
    return "\n".join(parts)


def _chart(nickname: str, chosen: Sequence[RunSummary], *, dark: bool) -> str:
    table = class_points.info((nickname, run.name, point) for run in chosen for point in run.points)
    if table.empty:
        return ""
    labels = class_points.Labels(
        say("classroom.size"), say("classroom.validation"), template("classroom.hover"), template("classroom.bar_line")
    )
    return standalone(class_points.figure(table, labels, BAR, dark=dark), dark=dark)


def _predictions(corner: Corner) -> Iterator[str]:
    if not corner.predictions:
        return
    told, here = [], (corner.workspace, Workspace(root_of(corner.workspace.path)))
    lessons = lessons_of(*here)
    for one in corner.predictions:
        points = [point for run in one.runs if (point := last_point(corner, run)) is not None]
        title = titled(one.lesson, language(), *here)
        told.append((title, worded(one, lessons.get(one.lesson)), " · ".join(map(result, points)) or "–"))
    names = ("lesson", "prediction", "own_results")
    yield f"<h2>{text(say('classroom.predictions'))}</h2>"
    yield rows(pd.DataFrame(told, columns=[say(f"classroom.{name}") for name in names]))


def _runs(corner: Corner, chosen: Sequence[RunSummary]) -> Iterator[str]:
    """Each run with its points as they were measured, and its recipe."""
    for run in chosen:
        state = say(f"status.{run.status.value}")
        yield f"<h2>{text(run.name)}</h2><p><small>{text(run.id)} · {text(state)}</small></p>"
        table = [
            (
                p.name,
                formatting.accuracy(p),
                formatting.size(p.bytes),
                formatting.milliseconds(p.latency_ms),
                run.environment_of(p).get("processor", "–"),
            )
            for p in run.points
        ]
        names = ("point", "accuracy", "size", "latency", "measured_on")
        if table:
            yield rows(pd.DataFrame(table, columns=[say(f"classroom.{name}") for name in names]))
        else:
            yield f"<p>{text(say('classroom.no_points'))}</p>"
        try:
            recipe = corner.workspace.run(run.id).recipe_text
        except (OSError, ValueError):
            recipe = say("classroom.no_recipe")
        yield f"<pre>{text_of_recipe(recipe)}</pre>"


def text_of_recipe(recipe: str) -> str:
    """The recipe with its lines kept."""
    return "\n".join(text(line) for line in recipe.splitlines())
