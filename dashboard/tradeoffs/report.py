"""The report: one web page with the chart, the picked points beside each other and all points, to be given away."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterable, Iterator

import pandas as pd
import plotly.graph_objects as go

from core.escaping import UserText
from dashboard import closing
from dashboard.charts.comparison import delta
from dashboard.charts.style import MARKS, look, standalone
from dashboard.i18n import say
from dashboard.tradeoffs import selection

STYLE = """
body {{ font: 15px/1.5 system-ui, sans-serif; color: {ink}; background: {paper}; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
td, th {{ border-bottom: 1px solid {grid}; padding: .3rem .7rem; text-align: left; white-space: nowrap }}
section {{ margin: 1rem 0 }} small {{ color: {quiet} }}
"""  # noqa: E501
SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def write(figure: go.Figure, points: pd.DataFrame, picked: pd.DataFrame, table: pd.DataFrame, *, dark: bool) -> str:
    """The page; `points` are those of the chart, `table` what a person reads of them. It asks for nothing from outside,
    and whatever a person typed is text in it."""
    picked = picked.head(selection.MOST_CARDS)
    title, theme = text(say("frame.tradeoffs")), look(dark)
    style = STYLE.format(ink=theme.ink, paper=theme.paper, grid=theme.grid, quiet=theme.quiet)
    chart = standalone(figure, dark=dark)
    parts = [
        f"<!doctype html><html><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy(chart)}">'
        "<meta name='referrer' content='no-referrer'>"
        f"<title>Condenser: {title}</title><style>{style}</style></head><body>",
        f"<h1>{title}</h1><p><small>{text(measured_on(points))}</small></p>",
        chart,
        *chosen(picked),
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
    where = ", ".join(sorted({str(name) for name in points["processor"] if name})) or "–"
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
        word = say("components.control") + " " if row["control"] else ""
        lines = [f"{row['run_name']} · {selection.figures(row)}"]
        lines += [say("chance.badge")] if row["at_chance"] else []
        lines += selection.gains(delta(row, beside)) if row["id"] != beside["id"] else []
        point = selection.point_of(row)
        lines += map(str, point.receipt.get("no_gain", ()) if point else ())  # type: ignore[arg-type]
        heading = f"{number} {MARKS.get(stage, '○')} {word}{selection.name(row)}"
        yield f"<section><h3>{text(heading)}</h3>{''.join(f'<div>{text(line)}</div>' for line in lines)}</section>"
    yield from (f"<p>{text(line)}</p>" for line in closing.report_lines(picked))
    changed = selection.changed(picked)
    if len(changed):
        yield f"<h2>{text(say('tradeoffs.settings'))}</h2>{rows(changed)}"


def rows(table: pd.DataFrame) -> str:
    """A table of text."""
    head = line("th", map(str, table.columns))
    body = "".join(line("td", ("–" if cell != cell else f"{cell}" for cell in row)) for row in table.to_numpy())
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def line(kind: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{text(cell)}</{kind}>" for cell in cells) + "</tr>"


def text(given: str) -> str:
    return UserText(given).html()
