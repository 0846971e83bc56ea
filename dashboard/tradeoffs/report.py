"""The report: one web page with the chart, the picked points compared, what they were made from and on, and all points;
to be given away."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterable, Iterator

import pandas as pd
import plotly.graph_objects as go

from core.catalog import load_catalog
from core.own.datasets import imported_datasets
from core.text.escaping import UserText
from dashboard import closing, engine_words, environment_words, receipt
from dashboard.charts.style import MARKS, look, standalone
from dashboard.i18n import in_turn, listed, named_point, say
from dashboard.session import workspace
from dashboard.tradeoffs import answers, pairs, runtime, selection

STYLE = """
body {{ font: 15px/1.5 system-ui, sans-serif; color: {ink}; background: {paper}; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
td, th {{ border-bottom: 1px solid {grid}; padding: .3rem .7rem; text-align: left; white-space: nowrap }}
pre {{ overflow-x: auto }} section {{ margin: 1rem 0 }} small {{ color: {quiet} }}
"""  # noqa: E501
SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def write(
    figure: go.Figure, points: pd.DataFrame, picked: pd.DataFrame, table: pd.DataFrame, *, dark: bool, unlike: str = ""
) -> str:
    """The page; `points` are those of the chart, `table` what a person reads of them, `unlike` what is said of their
    latencies where these hold for unlike conditions. It asks for nothing from outside, and whatever a person typed is
    text in it."""
    picked = picked.head(selection.MOST_CARDS)
    title, theme = text(say("frame.tradeoffs")), look(dark)
    style = STYLE.format(ink=theme.ink, paper=theme.paper, grid=theme.grid, quiet=theme.quiet)
    chart = standalone(figure, dark=dark)
    by_class = class_chart(picked, dark=dark)
    parts = [
        f"<!doctype html><html><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy(chart + by_class)}">'
        "<meta name='referrer' content='no-referrer'>"
        f"<title>Condenser: {title}</title><style>{style}</style></head><body>",
        f"<h1>{title}</h1><p><small>{text(measured_on(points))}</small></p>",
        *(f"<p>{text(line)}</p>" for line in (*runtime.told(points), unlike) if line),
        chart,
        *chosen(picked),
        by_class,
        *datasets(points),
        *machines(picked if len(picked) else points),
        *recipes(picked),
        f"<h2>{text(say('tradeoffs.table'))}</h2>{rows(table)}",
        "</body></html>",
    ]
    return "\n".join(parts)


def policy(chart: str) -> str:
    """What a browser lets the page do: run the scripts that `chart` has, by their hashes, and ask nobody."""
    digests = (hashlib.sha256(body.replace("\r\n", "\n").encode()).digest() for body in SCRIPT.findall(chart))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def measured_on(points: pd.DataFrame) -> str:
    """How many points of how many runs, on which processors, and when this was written."""
    where = listed(sorted({str(name) for name in points["processor"] if name})) or "–"
    date = time.strftime("%Y-%m-%d")
    return say("tradeoffs.report_of", count=len(points), runs=points["run"].nunique(), processor=where, date=date)


def chosen(picked: pd.DataFrame) -> Iterator[str]:
    """The picked points, each with what it gains and loses and what was not gained; then the settings that differ."""
    if picked.empty:
        return
    yield f"<h2>{text(say('tradeoffs.selection', count=len(picked)))}</h2>"
    beside = picked.iloc[0]
    for number, (_, row) in enumerate(picked.iterrows(), start=1):
        stage = str(row["stage"])
        name = named_point(selection.name(row), control=bool(row["control"]))
        lines = [f"{row['run_name']} · {selection.figures(row)}"]
        lines += filter(None, [selection.spread_line(row)])
        lines += [say("chance.badge")] if row["at_chance"] else []
        lines += selection.gains(pairs.delta(row, beside)) if row["id"] != beside["id"] else []
        point = pairs.point_of(row)
        lines += receipt.no_gain(point) if point else ()
        heading = f"{number} {MARKS.get(stage, '○')} {name}"
        yield f"<section><h3>{text(heading)}</h3>{''.join(f'<div>{text(line)}</div>' for line in lines)}</section>"
    yield from (f"<p>{text(line)}</p>" for line in closing.report_lines(picked))
    changed = selection.changed(picked)
    if len(changed):
        yield f"<h2>{text(say('tradeoffs.settings'))}</h2>{rows(changed)}"


def class_chart(picked: pd.DataFrame, *, dark: bool) -> str:
    """How the picked points answer each class of the same test images; empty where that was not kept."""
    same = answers.alike(picked)
    if not same:
        return ""
    figure = answers.figure_of(answers.by_class(picked, same), dark=dark)
    return f"<h2>{text(say('tradeoffs.classes'))}</h2>{standalone(figure, dark=dark, library=False)}"


def datasets(points: pd.DataFrame) -> Iterator[str]:
    """What is known of each dataset that the points were measured on."""
    known = {**load_catalog().datasets, **imported_datasets(workspace().datasets)}
    yield f"<h2>{text(say('tradeoffs.report_dataset'))}</h2>"
    for name in pd.unique(points["dataset"]):
        facts = known.get(str(name))
        told = say("tradeoffs.report_data_unknown")
        if facts is not None:
            kind = "report_data_own" if facts.get("where") == "own" else "report_data"
            numbers = {key: f"{facts[key]:,}" for key in ("classes", "images")}
            told = say(f"tradeoffs.{kind}", **numbers, licence=engine_words.told(str(facts.get("licence", "–"))))
        yield f"<p><b>{text(str(name))}</b>: {text(told)}</p>"


def machines(points: pd.DataFrame) -> Iterator[str]:
    """What these points of the first runs were computed on, with the versions behind the numbers; each environment
    once, where there are several below the points that were measured in it."""
    yield f"<h2>{text(say('tradeoffs.report_machine'))}</h2>"
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    first = pd.unique(points["run"])[: selection.MOST_CARDS]
    for _, row in points[points["run"].isin(first)].iterrows():
        run, point = pairs.run_of(row), pairs.point_of(row)
        if run is not None and point is not None:
            environment = run.summary().environment_of(point)
            told = f"{row['run_name']} · {selection.name(row)}"
            found.setdefault(tuple(sorted(environment.items())), []).append(told)
    for facts, names in found.items():
        if len(found) > 1:
            yield f"<p>{text(in_turn(dict.fromkeys(names)))}</p>"
        cells = "".join(line("td", pair) for pair in environment_words.rows(dict(facts)))
        yield f"<table><tbody>{cells}</tbody></table>"


def recipes(picked: pd.DataFrame) -> Iterator[str]:
    """The recipe of each picked point's run, as it can be run again."""
    for _, row in picked.drop_duplicates("run").iterrows():
        run = pairs.run_of(row)
        try:
            told = say("tradeoffs.report_recipe_unreadable") if run is None else run.recipe_text
        except OSError:
            told = say("tradeoffs.report_recipe_unreadable")
        heading = say("tradeoffs.report_recipe", name=row["run_name"])
        yield f"<h2>{text(heading)}</h2><pre>{text(told)}</pre>"


def rows(table: pd.DataFrame) -> str:
    """A table of text."""
    head = line("th", map(str, table.columns))
    body = "".join(line("td", ("–" if cell != cell else f"{cell}" for cell in row)) for row in table.to_numpy())
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def line(kind: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{text(cell)}</{kind}>" for cell in cells) + "</tr>"


def text(given: str) -> str:
    return UserText(given).html()
