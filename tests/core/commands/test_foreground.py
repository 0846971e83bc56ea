"""`condenser dashboard` as a person at a terminal or a script meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.processes.dashboard import answers, is_free, running_dashboard, stop_dashboard
from core.processes.workers import alive, read_identity, stop_supervisor, supervisor
from core.workspace import Workspace
from tests.core.processes.test_dashboard import FAKE as FAKE_DASHBOARD
from tests.core.processes.test_dashboard import free_port, serving
from tests.core.processes.test_workers import FAKE as FAKE_WORKER
from tests.core.processes.test_workers import until

# The command line with a worker and a dashboard that load neither torch nor Streamlit.
COMMAND = f"""
import sys
from functools import partial
from core import cli
from core.commands import foreground
from core.processes import dashboard as dashboard_process
foreground.ensure_supervisor = partial(foreground.ensure_supervisor, worker={FAKE_WORKER!r})
dashboard_process.ensure_dashboard = partial(dashboard_process.ensure_dashboard, command={FAKE_DASHBOARD!r})
cli.main(sys.argv[1:])
"""
open_terminals: list[subprocess.Popen[str]] = []
NO_SCREEN = {name: value for name, value in os.environ.items() if name not in {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"}}


class Terminal:
    """The command, running; `told` is the document it printed first."""

    def __init__(self, workspace: Path, *words: str, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", COMMAND, *words, "--workspace", str(workspace), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**NO_SCREEN, "TMPDIR": str(workspace.parent), **(env or {})},
        )
        open_terminals.append(self.process)
        assert self.process.stdout is not None
        self.told: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")

    def ends(self, code: int) -> str:
        """What it wrote for the person, once it has ended."""
        _, written = self.process.communicate(timeout=30)
        assert self.process.returncode == code, written
        assert "Traceback" not in written
        return written


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    store = Workspace(tmp_path / "w")
    yield store
    while open_terminals:
        with open_terminals.pop() as process:  # closes its pipes and waits for it
            process.terminate()
    stop_dashboard(store)
    stop_supervisor(store)
    assert serving(store.path) == [], "a test left a server behind"


@pytest.mark.parametrize(
    "how", [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGTERM, signal.SIGHUP))]
)
def test_ctrl_c_ends_the_dashboard_and_nothing_else(workspace: Workspace, how: signal.Signals) -> None:
    port = free_port()
    terminal = Terminal(workspace.path, "dashboard", "--no-browser", "--port", str(port))
    assert terminal.told == {"url": f"http://127.0.0.1:{port}", "port": port, "reused": False}
    running = running_dashboard(workspace)
    assert running is not None
    assert answers(port, running.who.pid)
    until(lambda: supervisor(workspace) is not None)
    terminal.process.send_signal(how)
    assert "The run continues; `condenser stop` stops the supervisor." in terminal.ends(0)
    assert not alive(running.who)
    assert supervisor(workspace) is not None


@pytest.mark.thorough
def test_a_second_one_finds_the_first_and_returns_at_once(workspace: Workspace) -> None:
    first = Terminal(workspace.path, "--port", str(free_port()), "--no-browser")  # without a command: the same
    assert not first.told["reused"]
    second = Terminal(workspace.path, "dashboard", "--no-browser")
    assert second.told == {**first.told, "reused": True}
    second.ends(0)
    running = running_dashboard(workspace)
    assert running is not None
    assert answers(first.told["port"], running.who.pid), "the second one did not end it"
    words = [sys.executable, "-m", "core.cli", "stop", "--workspace", str(workspace.path), "--json"]
    stopped = subprocess.run(words, capture_output=True, check=True).stdout
    assert json.loads(stopped) == {"stopped": True, "dashboard": True}
    assert "The dashboard was stopped." in first.ends(0)
    assert supervisor(workspace) is None


def test_one_that_dies_by_itself_is_told_with_its_log(workspace: Workspace) -> None:
    terminal = Terminal(workspace.path, "dashboard", "--no-browser", "--port", str(free_port()))
    running = running_dashboard(workspace)
    assert running is not None
    os.kill(running.who.pid, signal.SIGKILL)
    written = terminal.ends(1)
    assert "The dashboard has ended (-9)" in written
    assert "serving" in written


def test_one_that_does_not_start_is_told_with_its_log(workspace: Workspace) -> None:
    terminal = Terminal(workspace.path, "dashboard", env={"FAKE_DASHBOARD": "broken"})
    assert "it broke" in terminal.ends(1)


@pytest.mark.thorough
def test_a_busy_port_is_told(workspace: Workspace, tmp_path: Path) -> None:
    port = free_port()
    first = Terminal(workspace.path, "dashboard", "--no-browser", "--port", str(port))
    other = Workspace(tmp_path / "other")
    second = Terminal(other.path, "dashboard", "--no-browser", "--port", str(port))
    assert second.told["port"] > port
    until(lambda: supervisor(other) is not None)
    second.process.send_signal(signal.SIGINT)
    assert f"Port {port} is in use; the dashboard uses {second.told['port']}." in second.ends(0)
    stop_supervisor(other)
    stop_dashboard(workspace)
    first.ends(0)


@pytest.mark.parametrize(("words", "field"), [((), "workspace"), (("--port", "70000"), "port")])
def test_what_is_wrong_is_told_and_nothing_started(
    workspace: Workspace, tmp_path: Path, words: tuple[str, ...], field: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    folder = taken if field == "workspace" else workspace.path
    said = [sys.executable, "-m", "core.cli", "dashboard", "--no-browser", "--workspace", str(folder), *words]
    refused = subprocess.run(said, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert f"{field}: got" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not workspace.path.exists()


def test_a_read_only_workspace_can_be_looked_at(workspace: Workspace) -> None:
    Workspace.open_or_create(workspace.path)
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:  # permissions bind root too, once it has given up these capabilities
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to change that")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    before = sorted(workspace.path.rglob("*"))
    workspace.path.chmod(0o555)
    try:
        terminal = Terminal(workspace.path, "dashboard", "--no-browser", "--port", str(free_port()), prefix=prefix)
        (pid,) = serving(workspace.path)
        assert answers(terminal.told["port"], pid)
        assert not terminal.told["reused"]
        terminal.process.send_signal(signal.SIGINT)
        written = terminal.ends(0)
    finally:
        workspace.path.chmod(0o755)
    assert "cannot be written to: you can view everything, but start nothing." in written
    assert "condenser stop" not in written
    assert sorted(workspace.path.rglob("*")) == before, "neither a supervisor nor a note of the dashboard"
    assert is_free(terminal.told["port"])


def test_a_full_disk_can_be_looked_at(workspace: Workspace) -> None:
    Workspace.open_or_create(workspace.path)
    terminal = Terminal(
        workspace.path,
        "dashboard",
        "--no-browser",
        "--port",
        str(free_port()),
        env={"CONDENSER_FAILPOINT": "enospc:1+"},
    )
    (pid,) = serving(workspace.path)
    assert answers(terminal.told["port"], pid)
    terminal.process.send_signal(signal.SIGINT)
    assert "No space left on device" in terminal.ends(0)
    assert read_identity(workspace.path / "supervisor.json") is None


@pytest.mark.thorough
def test_a_shared_one_tells_both_addresses_and_a_second_one_the_same(workspace: Workspace) -> None:
    share = ("--share", "--address", "127.0.0.1", "--no-browser")
    first = Terminal(workspace.path, "dashboard", "--port", str(free_port()), *share)
    learners, teacher = first.told["learners"], first.told["teacher"]
    assert learners.startswith(f"{first.told['url']}/?token=")
    assert teacher.startswith(f"{first.told['url']}/?token=")
    assert learners != teacher
    for words in (("dashboard", *share), ("dashboard", "--no-browser")):
        again = Terminal(workspace.path, *words)
        assert again.told == {**first.told, "reused": True}
        again.ends(0)
    first.process.send_signal(signal.SIGINT)
    first.ends(0)
    anew = Terminal(workspace.path, "dashboard", "--port", str(free_port()), *share)
    assert anew.told["learners"].partition("token=")[2] != learners.partition("token=")[2], "an old address ends"


@pytest.mark.thorough
def test_one_for_this_machine_alone_is_not_shared_behind_its_back(workspace: Workspace) -> None:
    first = Terminal(workspace.path, "dashboard", "--no-browser", "--port", str(free_port()))
    words = [sys.executable, "-c", COMMAND, "dashboard", "--share", "--address", "127.0.0.1", "--no-browser"]
    second = subprocess.run([*words, "--workspace", str(workspace.path)], capture_output=True, text=True, env=NO_SCREEN)
    assert second.returncode == 2
    assert "Stop it with `condenser stop`" in second.stderr
    running = running_dashboard(workspace)
    assert running is not None
    assert answers(first.told["port"], running.who.pid), "the first one goes on"
