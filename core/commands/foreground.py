"""The dashboard, started from a terminal: its address is printed, and it runs until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from rich.console import Console

from core.classroom.tokens import fresh
from core.cluster.probe import described, probe
from core.cluster.setting import OFF, checked, cluster_of, set_cluster
from core.commands import sharing
from core.commands.sharing import address_of
from core.errors import UserError
from core.processes import dashboard as dashboard_process
from core.processes.dashboard import Address
from core.processes.workers import ensure_supervisor
from core.runs import tail
from core.workspace import Workspace


def show_dashboard(
    folder: Path | None, port: int | None, screen: Console, *, browser: bool, as_json: bool, host: str | None = None
) -> bool:
    """Opens the dashboard of the workspace; if it was not running before, waits for Ctrl-C, SIGTERM or its end. With
    `host`, an address of this machine, it is shared there with a class.

    Returns False on a fault of the program, which is reported on `screen`. Raises UserError on an unusable workspace
    or port, and KeyboardInterrupt if interrupted before the dashboard has started.
    """
    dashboard_process.check_port(port)  # before anything is created
    _end_as_with_ctrl_c()
    store, writable = _workspace_to_show(folder)
    found = None
    try:
        if host is not None:
            _refuse_read_only(store, writable)
            found = dashboard_process.ensure_dashboard(store, port, share=dashboard_process.Share(host, fresh()))
        else:
            found, writable = _serve(store, port, screen, writable=writable)
        _tell_address(found, port or dashboard_process.PORT, screen, as_json=as_json)
        if writable:
            ensure_supervisor(store)
        if browser:
            dashboard_process.open_browser(address_of(found, "teacher"))
        return found.process is None or _wait_for(found, screen)
    except RuntimeError as error:
        screen.print(str(error), style="bold red", soft_wrap=True)
        return False
    except KeyboardInterrupt:
        if found is None:
            raise
        screen.print("\nThe run continues; `condenser stop` stops the supervisor." if writable else "", soft_wrap=True)
        return True
    finally:
        if found is not None and found.started_here:
            dashboard_process.stop(found)


def use_cluster(folder: Path | None, address: str | None, screen: Console) -> None:
    """Sends later runs to the cluster, once it answers and has a node for them, and says so; `off` keeps them on this
    machine. With None says where runs go, if that was set before.

    Raises UserError as `probe`, and `workspace_not_writable`; nothing is changed then.
    """
    if address is None:
        if known := cluster_of(Workspace.named(folder)):
            told = f"Runs go to the cluster at {known}; `condenser dashboard --cluster off` keeps them on this machine."
            screen.print(told, soft_wrap=True)
        return
    checked(address)
    store = Workspace.open_or_create(folder)
    if address != OFF:
        nodes = probe(store, address)
        screen.print("\n".join(described(nodes, address)), soft_wrap=True)
    set_cluster(store, address)


def _end_as_with_ctrl_c() -> None:
    """SIGTERM and closing the terminal stop the dashboard as Ctrl-C does; with `nohup` it goes on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def _workspace_to_show(folder: Path | None) -> tuple[Workspace, bool]:
    """The workspace, and whether it is writable: a read-only one can still be viewed."""
    try:
        return Workspace.open_or_create(folder), True
    except UserError as error:
        store = Workspace.named(folder)
        if error.code == "workspace_not_writable" and store.path.is_dir() and os.access(store.path, os.R_OK | os.X_OK):
            return store, False
        raise


def _serve(store: Workspace, port: int | None, screen: Console, *, writable: bool) -> tuple[Address, bool]:
    """The dashboard's address, and whether the workspace could really be written to."""
    if writable:
        try:
            return dashboard_process.ensure_dashboard(store, port), True
        except OSError as error:  # a full disk, or one that turned read-only
            screen.print(f"{error.strerror}: {error.filename or store.path}", style="bold", soft_wrap=True)
    notice = f"The workspace {store.path} cannot be written to: you can view everything, but start nothing."
    screen.print(notice, style="bold", soft_wrap=True)
    return dashboard_process.ensure_dashboard(store, port, keep=False), False


def _tell_address(found: Address, wanted: int, screen: Console, *, as_json: bool) -> None:
    if found.started_here and found.port != wanted:
        screen.print(f"Port {wanted} is in use; the dashboard uses {found.port}.")
    if as_json:  # on one line, to be read while the dashboard runs
        print(json.dumps(_document(found)), flush=True)
    elif found.tokens is not None:
        sharing.tell(found, screen)
    elif found.started_here:
        print(f"The dashboard is at {found.url}; Ctrl-C stops it.", flush=True)
    else:
        print(f"The dashboard is already running at {found.url}", flush=True)


def _document(found: Address) -> dict[str, object]:
    told: dict[str, object] = {"url": found.url, "port": found.port, "reused": not found.started_here}
    if found.tokens is None:
        return told
    return {**told, "learners": address_of(found, "learner"), "teacher": address_of(found, "teacher")}


def _refuse_read_only(store: Workspace, writable: bool) -> None:
    if not writable:
        fix = "Share a workspace of your own: learners need a place for their runs."
        raise UserError("workspace_not_writable", "workspace", str(store.path), "a folder that you may write to", fix)


def _wait_for(found: Address, screen: Console) -> bool:
    """Waits for the dashboard to end; whether it ended because it was asked to."""
    assert found.process is not None
    code = found.process.wait()
    if code in (0, -signal.SIGTERM):
        screen.print("The dashboard was stopped.")
        return True
    screen.print(f"The dashboard has ended ({code}). The end of {found.log}:", style="bold red", soft_wrap=True)
    screen.print(tail(found.log), soft_wrap=True)
    return False
