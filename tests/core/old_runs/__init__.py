"""Two runs, as text files, made by commit 98b9a64 of 25 November 2026, before controls had codes.

`FINISHED` ended by itself; a person cancelled `INTERRUPTED` in its second step. Of their checkpoints and artifacts
nothing is kept here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
FINISHED, INTERRUPTED = "6617a5a6d1fa7-182df7", "6617a5fce4d79-2b9daf"


def put_into(workspace: Path) -> None:
    """Copies both runs into a workspace."""
    for run_id in (FINISHED, INTERRUPTED):
        shutil.copytree(FOLDER / run_id, workspace / "runs" / run_id)
