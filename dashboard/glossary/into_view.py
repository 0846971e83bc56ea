"""Brings a part of the page into view: what an address leads to may be far below."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

SCRIPT = Path(__file__).resolve().parents[1] / "into_view.js"


def scroll(key: str) -> None:
    """Scrolls to the container of that key once it is drawn, and gives it the focus."""
    js = SCRIPT.read_text(encoding="utf-8")
    component = st.components.v2.component("into_view", html="<span></span>", js=js, isolate_styles=False)
    component(key="into_view", data={"key": key}, width="content")
