"""Text a person wrote is shown as typed: checked against a CommonMark parser, a CSV reader and a file system."""

from __future__ import annotations

import csv
import html
import io
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.files import safe_join
from core.text.escaping import UserText

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![](http://evil.example/x.png)",
    r"$\href{http://evil.example}{x}$",
    '<iframe srcdoc="<script>1</script>">',
    ":red[x]",
    ":material/home: :smile:",
    "a & b &lt; c &amp;",
    "# heading",
    "1. list",
    "- list",
    "> quote",
    "    code",
    "`code` **bold** _it_ ~~gone~~ | table |",
    "http://evil.example www.evil.example a@evil.example",
    "a -> b <- c -- d",
    "\\$x\\$ \\",
    "%{x} %{customdata[0]}",
    "line\nbreak\n\n***\n",
    "😀👩‍👩‍👧 模型",
    "x" * 4096,
]
INVISIBLE = dict.fromkeys(map(ord, "\u2060\u2068\u2069"))


def shown(markdown: str) -> str:
    """What a page shows of Markdown; fails if it becomes anything but plain text in one paragraph."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(markdown)
    assert [t.type for t in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"]), tokens
    inline = tokens[1].children or [] if tokens else []
    assert {t.type for t in inline} <= {"text", "text_special"}, inline
    return "".join(t.content for t in inline)


def as_typed(text: str) -> str:
    kept = " ".join(text.split())
    return "".join(c for c in kept if unicodedata.category(c) not in {"Cc", "Cs"}).translate(INVISIBLE)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_it_as_typed(text: str) -> None:
    assert shown(UserText(text).md()).translate(INVISIBLE) == as_typed(text)


@given(st.text(max_size=80) | st.text("[]()!<>$:&\\`*_{}#+-.|~ \n\txw1", max_size=40))
def test_markdown_shows_anything_as_typed(text: str) -> None:
    assert shown(UserText(text).md()).translate(INVISIBLE).strip() == as_typed(text).strip()


@pytest.mark.parametrize("found", [":smile:", ":material/", "http://", "www.", "@evil", "->", "<-", "--"])
def test_what_streamlit_looks_for_after_parsing_is_not_there(found: str) -> None:
    for text in HOSTILE:
        assert found not in shown(UserText(text).md())


@pytest.mark.parametrize("text", HOSTILE)
def test_plotly_shows_it_as_typed(text: str) -> None:
    escaped = UserText(text).plot()
    assert not set(escaped) & {"<", ">", "$", "\n"}
    assert "%{" not in escaped
    assert html.unescape(escaped).translate(INVISIBLE) == as_typed(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_web_page_shows_it_as_typed(text: str) -> None:
    escaped = UserText(text).html()
    assert not set(escaped) & {"<", ">", '"', "'", "\n"}
    assert html.unescape(escaped).translate(INVISIBLE) == as_typed(text)


def test_text_from_right_to_left_keeps_to_itself() -> None:
    for text in ("שלום", "abc\u202edef"):
        assert UserText(text).md().startswith("\u2068")
        assert UserText(text).plot().endswith("\u2069")
    assert UserText("plain").md() == "plain"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1"])
def test_a_formula_is_text_in_a_table(text: str) -> None:
    assert UserText(text).csv() == "'" + text


@given(st.text(max_size=40))
def test_a_cell_survives_a_table(text: str) -> None:
    cell = UserText(text).csv()
    buffer = io.StringIO()
    csv.writer(buffer).writerow([cell, "next"])
    rows = list(csv.reader(io.StringIO(buffer.getvalue(), newline="")))
    assert rows == [[cell, "next"]]
    assert cell.removeprefix("'") == text.replace("\0", "").removeprefix("'")


@given(st.text(max_size=300))
def test_a_file_name_stays_in_its_folder(text: str) -> None:
    name = UserText(text).path()
    assert safe_join(Path("/nowhere"), name).name == name
    assert len(name.encode()) <= 121
    assert not name.startswith(".")


def test_file_names(tmp_path: Path) -> None:
    assert UserText("模型 v1.2").path() == "模型 v1.2"
    assert UserText("../../etc/passwd").path() == "_.._etc_passwd"
    assert UserText("con").path() == "_con"
    assert UserText("CON.txt").path() == "_CON.txt"
    assert UserText("").path() == UserText("...").path() == "unnamed"
    for text in HOSTILE:
        (tmp_path / UserText(text).path()).write_bytes(b"")
    assert len(os.listdir(tmp_path)) == len({UserText(text).path() for text in HOSTILE})
