"""The dashboard's server as a process: found, started and stopped, never imported."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import webbrowser
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread

import psutil

from core.classroom.tokens import Tokens, cookie_of, kept
from core.classroom.tokens import keep as keep_tokens
from core.errors import UserError
from core.files import lock, remove_file, write_atomic
from core.processes import process
from core.processes.identity import Identity, alive, command_of, described, holder, identity, read_identity
from core.runs import tail
from core.storage.sealed import read_sealed, seal
from core.workspace import Workspace

DASHBOARD = (sys.executable, "-m", "dashboard.server")
HOST = "127.0.0.1"
PORT = 8501
MORE_PORTS = 50  # tried after the requested one
START_LIMIT = 15.0  # seconds until a new server must answer
ANSWER_LIMIT = 5.0  # seconds a running server may take to answer, on a busy machine
STOP_LIMIT = 5.0  # seconds it may take to end
LOCK_LIMIT = 30.0  # seconds to wait while another command starts or replaces the dashboard
# Without these each session's threads keep memory of their own: 199 MB with five sessions, with them 191.
LEAN = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
MARK = "Condenser-Process"  # header with its pid: another server may have taken the port meanwhile


@dataclass(frozen=True)
class Address:
    """A running dashboard. `process` is set if it was started here; `log` is the file of its output; `tokens` is set if
    it is shared with a class."""

    url: str
    port: int
    who: Identity
    started_here: bool
    log: Path
    process: subprocess.Popen[bytes] | None = None
    host: str = HOST
    tokens: Tokens | None = None


@dataclass(frozen=True)
class Share:
    """With whom a dashboard is to be shared: it listens on `host`, and whoever asks needs one of the tokens."""

    host: str
    tokens: Tokens


def ensure_dashboard(
    workspace: Workspace,
    port: int | None = None,
    *,
    keep: bool = True,
    command: tuple[str, ...] = DASHBOARD,
    share: Share | None = None,
) -> Address:
    """The workspace's dashboard, started if none answers; concurrent callers get the same one.

    A new one uses `port` (default 8501) or the next free one. If `keep` is False nothing is written to the workspace,
    so the server cannot be found again. With `share` a new one listens on the network. Raises UserError `out_of_range`,
    `port_busy`, `workspace_locked`, or `dashboard_not_shared` where one for this machine alone is running, and
    RuntimeError with the end of the log if the server does not answer within 15 seconds.
    """
    check_port(port)
    if not keep:
        file, name = tempfile.mkstemp(prefix="condenser-dashboard-", suffix=".log")
        os.close(file)
        return _start(workspace, port or PORT, Path(name), command, keep=False)
    path = workspace.path / "dashboard.lock"
    with lock(path, limit=LOCK_LIMIT) as mine:
        if not mine:
            allowed = f"a workspace whose dashboard.lock is free; {described(holder(path))} holds it"
            fix = "End that process, or choose another workspace with --workspace."
            raise UserError("workspace_locked", "workspace", str(workspace.path), allowed, fix)
        found = _found(workspace)
        if found is not None and share is not None and found.tokens is None:
            fix = "Stop it with `condenser stop`, then share it. Runs in progress continue."
            given = f"a dashboard at {found.url}, for this machine alone"
            raise UserError("dashboard_not_shared", "share", given, "a workspace without a running dashboard", fix)
        return found or _start(workspace, port or PORT, _log(workspace), command, keep=True, share=share)


def running_dashboard(workspace: Workspace) -> Address | None:
    """The recorded dashboard of the workspace, if its process still runs; it may not answer yet."""
    who = read_identity(_record(workspace))
    with suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
        written = json.loads(read_sealed(_record(workspace)))
        port, place = int(written["port"]), str(written["workspace"])
        if who is None or not 1 <= port <= 65535:
            return _serving(workspace)
        if alive(who) and place == str(workspace.path.resolve()):  # otherwise the folder is a copy of another workspace
            return _address(workspace, port, who, str(written.get("host", HOST)), shared="host" in written)
        return None
    return _serving(workspace) if _record(workspace).exists() else None


def _serving(workspace: Workspace) -> Address | None:
    """The workspace's dashboard found by its command line, because the record of it is damaged."""
    for other in psutil.process_iter():
        words = command_of(other.pid)
        if words[-4:-3] == ["--port"] and words[-2:] == ["--workspace", str(workspace.path)] and words[-3].isdecimal():
            who = identity(other.pid)
            if who is not None:
                host = words[words.index("--share") + 1] if "--share" in words else HOST
                return _address(workspace, int(words[-3]), who, host, shared="--share" in words)
    return None


def _address(workspace: Workspace, port: int, who: Identity, host: str, *, shared: bool) -> Address:
    tokens = kept(workspace.path) if shared else None
    return Address(_url(port, host), port, who, False, _log(workspace), host=host, tokens=tokens)


def stop_dashboard(workspace: Workspace) -> bool:
    """Stops the workspace's dashboard; open pages show that the connection is lost. False if none was running."""
    running = running_dashboard(workspace)
    if running is None:
        return False
    stop(running)
    return True


def stop(address: Address) -> None:
    """Stops that dashboard: SIGTERM, and SIGKILL after 5 seconds."""
    process.stop(address.who, STOP_LIMIT)


def answers(port: int, pid: int, limit: float = 2.0, *, host: str = HOST, tokens: Tokens | None = None) -> bool:
    """Whether the process `pid` is ready for browsers on `port`; proxies are not used."""
    connection = HTTPConnection(host, port, timeout=limit)
    cookies = {"Cookie": f"{cookie_of(port)}={tokens.teacher}"} if tokens else {}
    try:
        connection.request("GET", "/_stcore/health", headers=cookies)
        response = connection.getresponse()
        return response.status == 200 and response.getheader(MARK) == str(pid)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def check_port(port: int | None) -> None:
    """Raises UserError `out_of_range` for an invalid port; None is the default port."""
    if port is not None and not 1 <= port <= 65535:
        raise UserError("out_of_range", "port", port, "1 to 65535", "Leave it out for 8501 or the next free one.")


def open_browser(url: str) -> None:
    """Opens the page in the person's browser, if there is one and a display."""
    if sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")):
        opening = Thread(target=webbrowser.open, args=(url,), daemon=True)  # some browsers block their caller
        opening.start()
        opening.join(3.0)


def is_free(port: int, host: str = HOST) -> bool:
    """Whether the port is free on that address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port released a moment ago counts as free
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _found(workspace: Workspace) -> Address | None:
    """The running dashboard, once it answers; one that does not answer is stopped."""
    running = running_dashboard(workspace)
    if running is None:
        return None
    if process.wait(lambda: _ready(running), ANSWER_LIMIT, lambda: alive(running.who)):
        return running
    stop(running)
    return None


def _ready(address: Address) -> bool:
    return answers(address.port, address.who.pid, host=address.host, tokens=address.tokens)


def _start(
    workspace: Workspace, wanted: int, log: Path, command: tuple[str, ...], *, keep: bool, share: Share | None = None
) -> Address:
    last = min(wanted + MORE_PORTS, 65535)
    for port in range(wanted, last + 1):
        free = is_free(port) if share is None else is_free(port, share.host)
        address = _try_port(workspace, port, log, command, keep=keep, share=share) if free else None
        if address is not None:
            return address
    raise UserError("port_busy", "port", wanted, f"a free port from {wanted} to {last}", "Choose another port.")


def _try_port(
    workspace: Workspace, port: int, log: Path, command: tuple[str, ...], *, keep: bool, share: Share | None
) -> Address | None:
    """The server on `port`; None if another process took the port meanwhile."""
    host, tokens = (share.host, share.tokens) if share else (HOST, None)
    if tokens is not None:
        keep_tokens(workspace.path, tokens)  # in a file: whoever lists the processes must not see them
    asked = ("--share", host) if share else ()
    words = (*command, *asked, "--port", str(port), "--workspace", str(workspace.path))
    server = process.spawn(words, log, {**LEAN, **os.environ})
    process.reap(server)
    address = Address(_url(port, host), port, process.started(server), True, log, server, host, tokens)
    try:
        if keep:
            _write_down(workspace, address)  # before it answers: if we die now, the next command finds it
        if _comes_up(address):
            return address
        if server.poll() is not None and not (is_free(port, host) if share else is_free(port)):
            return None
        raise RuntimeError(f"the dashboard of {workspace.path} did not start:\n{tail(log)}")
    except BaseException:
        stop(address)
        if keep:
            remove_file(_record(workspace))
        raise


def _comes_up(address: Address) -> bool:
    server = address.process
    assert server is not None
    return bool(process.wait(lambda: _ready(address), START_LIMIT, lambda: server.poll() is None))


def _write_down(workspace: Workspace, address: Address) -> None:
    shared = {"host": address.host} if address.tokens else {}
    written = {**asdict(address.who), "port": address.port, "workspace": str(workspace.path.resolve()), **shared}
    write_atomic(_record(workspace), seal(json.dumps(written).encode()))


def _record(workspace: Workspace) -> Path:
    return workspace.path / "dashboard.json"


def _log(workspace: Workspace) -> Path:
    return workspace.path / "dashboard.log"  # not in logs/, from where old files go away


def _url(port: int, host: str = HOST) -> str:
    return f"http://{host}:{port}"
