"""A callback runs to its end, whatever the browser sends meanwhile, and no second one runs beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from core.processes.dashboard import DASHBOARD, Address, ensure_dashboard, stop_dashboard
from core.workspace import Workspace
from tests.browser import SLOW

SCRIPT = """
import time
import streamlit as st

st.session_state.setdefault("log", [])

def press(name):
    for part in ("begins", "goes on", "ends"):
        st.session_state["log"] = [*st.session_state["log"], f"{name} {part}"]
        time.sleep(0.5)

for name in ("first", "second", "third"):
    st.button(name, on_click=press, args=(name,))
st.code("\\n".join(st.session_state["log"]), language=None)
"""


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("callbacks")
    (folder / "script.py").write_text(SCRIPT)
    workspace = Workspace.open_or_create(folder / "w")
    yield ensure_dashboard(workspace, command=(*DASHBOARD, "--script", str(folder / "script.py")))
    stop_dashboard(workspace)


def test_a_press_amid_a_callback_waits_for_its_end(address: Address, chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_default_timeout(SLOW)
    page.goto(address.url)
    buttons = [page.get_by_role("button", name=name, exact=True) for name in ("first", "second", "third")]
    for button in buttons:
        button.click()
        page.wait_for_timeout(300)  # milliseconds: the callback before takes 1,500
    told = page.locator("[data-testid=stCode]")
    page.wait_for_function(
        "() => document.querySelector('[data-testid=stCode]').innerText.trim().split('\\n').length === 9"
    )
    lines = told.inner_text().splitlines()
    calls = [lines[place : place + 3] for place in range(0, 9, 3)]
    names = [call[0].split()[0] for call in calls]
    assert calls == [[f"{name} begins", f"{name} goes on", f"{name} ends"] for name in names]
    assert sorted(names) == ["first", "second", "third"], "two that came together may change places"
    page.close()
