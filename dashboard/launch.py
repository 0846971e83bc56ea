"""Starting a run from the page: one click, one run, however often the button is pressed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import streamlit as st

from core.assets import RECIPES, shipped
from core.errors import UserError, UserErrors
from core.processes import here
from core.processes.workers import ensure_supervisor
from core.recipe import stored_recipe
from dashboard import faults
from dashboard.session import recall, remember, workspace

AGAIN_AFTER = 3.0  # seconds within which the same recipe is taken for the same click


def start(recipe_text: str, parent: str = "") -> str:
    """Queues a checked recipe and returns the run's id; that of a moment ago when the same one is asked for again.
    `parent` is the run whose variant it is.

    Raises UserError where the workspace cannot be written to, and UserErrors where this machine lacks what it needs.
    """
    mark = hashlib.sha256(recipe_text.encode()).hexdigest()
    before: tuple[str, float, str] | None = recall("launch", None)
    if before is not None and before[0] == mark and time.time() - before[1] < AGAIN_AFTER:
        return before[2]
    here.refuse(workspace(), stored_recipe(recipe_text))
    run = workspace().submit(recipe_text, parent=parent)
    remember("launch", (mark, time.time(), run.id))
    return run.id


def begin(recipe_text: str, parent: str = "", begun: Callable[[str], None] | None = None) -> None:
    """Starts a run, tells `begun` its id, and goes where it can be watched; says on this page why it could not be
    started."""
    try:
        run_id = start(recipe_text, parent)
    except (UserError, UserErrors) as error:
        faults.refused(error)
        return
    except OSError as error:
        faults.refused(UserError("not_started", "workspace", str(error), "", ""), str(error))
        return
    if begun is not None:
        begun(run_id)
    try:
        ensure_supervisor(workspace())
    except (OSError, RuntimeError) as error:
        faults.refused(UserError("no_supervisor", "workspace", str(error), "", ""), str(error))
    else:
        st.switch_page("app_pages/live.py", query_params={"run": run_id})


def demo_text() -> str:
    """The bundled demo recipe."""
    return shipped(RECIPES / "demo.toml").read_text(encoding="utf-8")
