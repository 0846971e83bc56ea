"""Single blocks of a lesson file, each by itself: paragraphs, predictions, claims, questions; parts of the header."""

from __future__ import annotations

import re

from core.errors import nearest
from core.lessons import blocks
from core.lessons.blocks import Paragraph
from core.lessons.metrics import METRICS
from core.lessons.references import PLACEHOLDER, condition, measures, reference
from core.lessons.split import Piece
from core.lessons.tables import Table, plain, wrong
from core.text.glossary import load_glossary

HEADING = re.compile(r"## +(.+)")
CHINESE_BREAK = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\s*\n\s*(?=[\u3000-\u9fff\uff00-\uffef])")
LISTED = re.compile(r"\s*(?:[-*+•>]\s|\||\d{1,3}[.)]\s)")  # lists, quotes and tables
LONGEST_PARAGRAPH = 1200  # characters


def paragraph(piece: Piece) -> Paragraph:
    """A paragraph or heading; raises UserError on markup, on a length that nobody reads, and on a wrong placeholder."""
    plain(piece.text, piece.line)
    _refuse_marks(piece)
    if len(piece.text) > LONGEST_PARAGRAPH:
        given, allowed = f"{len(piece.text)} characters", f"paragraphs of at most {LONGEST_PARAGRAPH}"
        raise wrong("size", piece.line, given, allowed, "Make two paragraphs of it.")
    heading = HEADING.fullmatch(piece.text)
    if piece.text.startswith("#") and heading is None:
        raise wrong("markup", piece.line, piece.text[:60], "headings ## Heading", "Write two # and a space.")
    text = heading[1] if heading else piece.text
    _measures(text, piece.line)
    return Paragraph(piece.line, " ".join(CHINESE_BREAK.sub("", text).split()), heading is not None)


def _refuse_marks(piece: Piece) -> None:
    """Raises UserError on Markdown that would be shown as it was typed, in one line."""
    for number, row in enumerate(piece.text.split("\n")):
        if LISTED.match(row) is not None:
            allowed = "paragraphs, headings ## Heading and **bold**"
            fix = "Write a sentence, or a paragraph for each; an empty line begins the next one."
            raise wrong("markup", piece.line + number, row[:60], allowed, fix)
    if piece.text.count("**") % 2:
        raise wrong("markup", piece.line, piece.text[:60], "**bold** with two stars before and after", "Close it.")


def predict(table: Table) -> blocks.Predict:
    """A prediction, in words or as a number in its unit; raises UserError."""
    question = table.text("question")
    if table.has("choice"):
        rows = list(table.tables("choice", 2, 5))
        choices = tuple(_choice(row, last=row is rows[-1]) for row in rows)
        return blocks.Predict(table.line, question, choices=choices)
    about = table.checked("about", reference, table.text("about", 120), "a reference RUN.POINT.METRIC")
    low, high = table.number("low", 0, 1e9), table.number("high", 0, 1e9)
    if low >= high:
        raise table.wrong("high", _short(high), f"a number above low = {low:g}", "Make high larger than low.")
    if about.kind == "share" and high > 100:
        raise table.wrong("high", _short(high), "at most 100: the figure is a share in percent", "Write at most 100.")
    return blocks.Predict(table.line, question, about, low, high)


def _short(number: float) -> int | float:
    return int(number) if number.is_integer() else number


def _choice(row: Table, *, last: bool) -> blocks.Choice:
    text = row.text("text", 200)
    when = None
    if row.has("when") or not last:
        when = row.checked("when", condition, row.text("when", 300), "a condition A > B")
    row.done()
    return blocks.Choice(text, when)


def claim(table: Table) -> blocks.Claim:
    """A sentence with its conditions; raises UserError."""
    sentence = table.text("sentence")
    _measures(sentence, table.at("sentence"))
    holds = table.texts("holds", 1, 6)
    made = tuple(table.checked("holds", condition, text, "a condition A > B") for text in holds)
    return blocks.Claim(table.line, sentence, made)


def question(table: Table) -> blocks.Question:
    """A question with exactly one right answer; raises UserError."""
    question = table.text("question")
    answers = []
    for row in table.tables("answer", 2, 5):
        answers.append(blocks.Answer(row.text("text", 200), row.flag("right"), row.text("why")))
        _measures(answers[-1].why, row.at("why"))
        row.done()
    if sum(answer.right for answer in answers) != 1:
        given = f"{sum(answer.right for answer in answers)} right answers"
        raise wrong("value", table.line, given, "exactly one answer with right = true", "Mark one answer as right.")
    return blocks.Question(table.line, question, tuple(answers))


def terms_of(header: Table) -> tuple[str, ...]:
    """Ids of the glossary."""
    terms = header.texts("terms", 1, 20, longest=60, default=True)
    known = load_glossary().terms
    for term in terms:
        if term not in known:
            raise header.wrong("terms", term, "ids of the glossary", nearest(term, known))
    return terms


def shown(table: Table, text: str) -> tuple[str, str]:
    """Point and figure of `POINT.METRIC`; raises UserError."""
    point, _, metric = text.rpartition(".")
    if not point or metric not in METRICS:
        allowed = f"POINT.METRIC with one of {', '.join(METRICS)}"
        fix = nearest(metric, METRICS) if point else f"Write the point before it, such as prune.{text}."
        raise table.wrong("show", text, allowed, fix, code="reference")
    return point, metric


def _measures(text: str, line: int) -> None:
    allowed = "placeholders {REFERENCE}, {A - B} and {A / B}"
    try:
        measures(text)
    except ValueError as error:
        raise wrong("reference", line, text, allowed, f"In a placeholder of this text {error}.") from None
    if re.search(r"[{}]", PLACEHOLDER.sub("", text)):
        raise wrong("reference", line, text, allowed, "A brace of this text has no partner: close it, or leave it out.")


def url_of(paper: Table) -> str:
    """The https address of the paper; raises UserError."""
    paper.taken.add("url")
    url = paper.data.get("url")
    if not isinstance(url, str) or not re.fullmatch(r"https://[A-Za-z0-9.-]+/[A-Za-z0-9._~/()%?=&:-]{0,200}", url):
        raise paper.wrong("url", url, "an address that begins with https://", "Give the paper's own address.")
    return url
