"""A callback runs to its end, whatever the browser sends meanwhile, and no second one runs beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st
from playwright.sync_api import Browser
from streamlit.delta_generator_singletons import context_dg_stack, get_default_dg_stack_value
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from core.processes.dashboard import DASHBOARD, Address, ensure_dashboard, stop_dashboard
from core.workspace import Workspace
from dashboard.undisturbed import install
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


def test_a_script_begins_at_the_top_of_the_page() -> None:
    """Whatever container the fragment stood in that this thread drew before."""
    install()
    top = get_default_dg_stack_value()
    context_dg_stack.set((*top, st.container()))
    runner = object.__new__(ScriptRunner)
    runner._script_thread, runner._session_id = None, "a visit"
    with pytest.raises(RuntimeError, match="script thread"):
        runner._run_script(RerunData())
    assert context_dg_stack.get() == top


@pytest.mark.thorough
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
