"""Streamlit's own words in the person's language: it has English ones only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from dashboard.i18n import language, phrase, vocabulary

SCRIPT = Path(__file__).with_suffix(".js")
TAGS = {"en": "en", "zh": "zh-CN"}  # as a page says its language


def put() -> None:
    """Puts them where they come up from now on; in English, back into what they were."""
    component = st.components.v2.component("streamlit_words", html="<span></span>", js=_script(), isolate_styles=False)
    spoken = language()
    words = table() if spoken != "en" else {}
    component(key="frame_words", data={"language": TAGS[spoken], "words": words}, width="content")


def table() -> dict[str, str]:
    """What Streamlit says, with places for names and numbers, and how that is told."""
    return {said: phrase(f"streamlit.{name}", language()) for name, said in vocabulary("en")["streamlit"].items()}


@cache
def _script() -> str:
    return SCRIPT.read_text(encoding="utf-8")
