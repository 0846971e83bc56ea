"""`condenser verify` and `cache`: what the workspace holds."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from core.commands import terminal
from core.commands.program import DONE, WRONG_INPUT, AsJson, Folder, app, say
from core.integrity.verify import verify
from core.text import formatting
from core.workspace import Workspace
from core.workspace_files import cache


@app.command(name="verify")
def verify_files(name: str = "", *, workspace: Folder = None, json: AsJson = False) -> int:
    """Check every stored file against the hash it was written with; writes nothing.

    Exit code 0: nothing is damaged or missing; 2: something is, and each file is listed with what to do.

    Parameters
    ----------
    name
        The id of a run, or the name of a dataset or imported network; default everything in the workspace.
    """
    found = verify(Workspace.named(workspace), name)
    say(json, [one.to_json() for one in found], terminal.findings(found))
    return WRONG_INPUT if any(one.state.is_bad for one in found) else DONE


@app.command(name="cache")
def show_cache(
    *,
    clear: Annotated[bool, Parameter(negative="", help="Remove what can be made again.")] = False,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Show the caches with their sizes; no result depends on them.

    Above 20 GB or a tenth of the disk, the least recently used entries are removed; CONDENSER_CACHE_LIMIT (in GB)
    changes the limit.
    """
    store = Workspace.named(workspace)
    most = cache.limit(store)
    found, state = (cache.clear(store), "cleared") if clear else (cache.cached(store), "kept")
    lines = [f"{formatting.size(one.bytes):>10}  {one.files:>6} files  {one.file}  {state}" for one in found]
    if lines and not clear:
        again = sum(one.bytes for one in found if not one.downloaded)
        lines.append(f"{formatting.size(again):>10}  of {formatting.size(most)} that may be kept beside downloads")
    return say(json, [one.to_json(state) for one in found], "\n".join(lines) or "The cache is empty.")
