"""`condenser dashboard` and `stop`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from core.classroom.network import shared_address
from core.commands import foreground
from core.commands.program import DONE, FAULT, AsJson, Folder, app, say, screen
from core.errors import UserError
from core.processes import dashboard as dashboard_process
from core.processes.identity import described, holder
from core.processes.searches import stop_drivers
from core.processes.workers import lock_of, stop_supervisor
from core.text import formatting
from core.workspace import Workspace


@app.command
@app.default
def dashboard(
    *,
    port: Annotated[int | None, Parameter(help="Where to start it; default 8501, or the next free one.")] = None,
    browser: Annotated[bool, Parameter(help="Open it in the browser.")] = True,
    share: Annotated[
        bool,
        Parameter(
            negative="",
            help="Share it with a class on the network: learners open an address "
            "with a random token and choose a nickname.",
        ),
    ] = False,
    address: Annotated[str | None, Parameter(help="Where to share it: an IPv4 address of this machine.")] = None,
    cluster: Annotated[
        str | None,
        Parameter(
            help="Where queued runs go from now on: a Ray cluster at HOST:PORT, auto "
            "for the one this machine is in, off for this machine."
        ),
    ] = None,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Open the dashboard, which runs until Ctrl-C; runs in progress continue without it."""
    if address is not None and not share:
        raise UserError("address_alone", "address", address, "--address together with --share", "Add --share.")
    host = shared_address(address) if share else None
    foreground.use_cluster(workspace, cluster, screen)
    well = foreground.show_dashboard(workspace, port, screen, browser=browser, as_json=json, host=host)
    return DONE if well else FAULT


@app.command
def stop(*, workspace: Folder = None, json: AsJson = False) -> int:
    """Stop the workspace's supervisor and dashboard; a run in progress continues, a search rests until the next
    command that needs a supervisor."""
    store = Workspace.open_to_read(workspace)
    resting = stop_drivers(store)  # before the supervisor, which would begin them again
    closed, stopped = dashboard_process.stop_dashboard(store), stop_supervisor(store)
    lines = ["The dashboard was stopped."] if closed else []
    lines.append("The supervisor was stopped." if stopped else "No supervisor was running.")
    lines += [f"{formatting.Amount(resting):search rests|searches rest} until it is started again."] if resting else []
    other = None if stopped else holder(lock_of(store))
    if other is not None:
        lines.append(f"But {described(other)} holds {lock_of(store)}; until it ends, no supervisor can start.")
    return say(json, {"stopped": stopped, "dashboard": closed}, "\n".join(lines))
