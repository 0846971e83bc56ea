"""The dashboard's process is started once, found again, replaced when it is gone, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from core.errors import UserError
from core.processes import dashboard as dashboard_process
from core.processes.dashboard import Address, answers, ensure_dashboard, open_browser, running_dashboard, stop_dashboard
from core.processes.workers import alive, identity
from core.workspace import Workspace
from tests.core.processes.test_workers import until

FAKE = (sys.executable, str(Path(__file__).with_name("fake_dashboard.py")))


def started(workspace: Workspace, port: int | None = None, *, keep: bool = True) -> Address:
    return ensure_dashboard(workspace, port or free_port(), keep=keep, command=FAKE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(workspace: Path) -> list[int]:
    """The pids of all fake dashboards of a workspace."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if FAKE[1] in words and str(workspace) in words:
            found.append(process.pid)
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    store = Workspace.open_or_create(tmp_path / "w")
    yield store
    stop_dashboard(store)
    assert serving(store.path) == [], "a test left a server behind"


def test_it_is_started_found_again_and_stopped(workspace: Workspace) -> None:
    assert running_dashboard(workspace) is None
    assert not stop_dashboard(workspace)
    wanted = free_port()
    first = started(workspace, wanted)
    assert first.started_here
    assert first.process is not None
    assert first.who == identity(first.process.pid)
    assert first.port >= wanted
    assert first.url == f"http://127.0.0.1:{first.port}"
    assert os.getsid(first.who.pid) == first.who.pid, "Ctrl-C at the terminal does not reach it"
    assert answers(first.port, first.who.pid)
    assert "serving" in first.log.read_text()
    again = started(workspace, free_port())
    assert (again.url, again.port, again.who) == (first.url, first.port, first.who), "also if another port was wanted"
    assert not again.started_here
    assert again.process is None
    assert running_dashboard(workspace) == again
    assert stop_dashboard(workspace)
    assert not alive(first.who)
    assert running_dashboard(workspace) is None
    assert not stop_dashboard(workspace)


@pytest.mark.thorough
def test_several_starts_at_once_end_with_one_server(workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path; from core.processes.dashboard import ensure_dashboard\n"
        "from core.workspace import Workspace\n"
        "found = ensure_dashboard(Workspace(Path(sys.argv[1])), int(sys.argv[2]), command=tuple(sys.argv[3:]))\n"
        "print(found.who.pid, found.port, found.started_here)"
    )
    words = [sys.executable, "-c", code, str(workspace.path), str(free_port()), *FAKE]
    asks = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [ask.communicate()[0].split() for ask in asks]
    assert len({(pid, port) for pid, port, _ in told}) == 1
    assert sorted(here for _, _, here in told) == ["False", "False", "True"]
    assert serving(workspace.path) == [int(told[0][0])]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"port": 1e999}'])
def test_a_damaged_note_beside_a_living_dashboard_starts_no_second_one(workspace: Workspace, damage: bytes) -> None:
    first = started(workspace)
    (workspace.path / "dashboard.json").write_bytes(damage)
    assert started(workspace).who == first.who
    assert stop_dashboard(workspace)
    assert not alive(first.who)


def test_a_busy_port_moves_on_and_a_wrong_one_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        assert not dashboard_process.is_free(busy)
        assert busy < started(workspace, busy).port <= busy + 50
    for wrong in (0, -1, 65536):
        with pytest.raises(UserError) as told:
            ensure_dashboard(workspace, wrong, command=FAKE)
        assert told.value.code == "out_of_range"
    stop_dashboard(workspace)
    monkeypatch.setattr(dashboard_process, "is_free", lambda port: False)
    with pytest.raises(UserError) as told:
        started(workspace, 65530)
    assert (told.value.code, told.value.field) == ("port_busy", "port")
    assert "65535" in told.value.allowed


def test_a_port_that_somebody_takes_meanwhile_is_left_to_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one answers the same address in good health: only the pid tells that it is not ours."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        truth, lies = dashboard_process.is_free, [True]
        monkeypatch.setattr(dashboard_process, "is_free", lambda port: lies.pop() if lies else truth(port))
        found = started(workspace, other.server_port)
        assert found.port != other.server_port
        assert answers(found.port, found.who.pid)
        assert not answers(other.server_port, found.who.pid)
        other.shutdown()


def test_one_that_was_killed_is_replaced(workspace: Workspace) -> None:
    first = started(workspace)
    os.kill(first.who.pid, signal.SIGKILL)
    until(lambda: not alive(first.who))
    assert running_dashboard(workspace) is None
    second = started(workspace)
    assert second.started_here
    assert second.who != first.who


@pytest.mark.thorough
def test_one_that_hangs_is_ended_and_replaced(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_process, "ANSWER_LIMIT", 0.2)
    monkeypatch.setattr(dashboard_process, "STOP_LIMIT", 0.2)
    first = started(workspace)
    os.kill(first.who.pid, signal.SIGSTOP)
    second = started(workspace)
    assert not alive(first.who)
    assert second.who != first.who
    assert answers(second.port, second.who.pid)


def test_one_that_ignores_being_told_is_killed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_process, "STOP_LIMIT", 0.2)
    monkeypatch.setenv("FAKE_DASHBOARD", "deaf")
    first = started(workspace)
    assert stop_dashboard(workspace)
    assert not alive(first.who)


@pytest.mark.parametrize(("mode", "word"), [("broken", "it broke"), ("never", "did not start")])
def test_one_that_does_not_come_up_is_told_with_its_log(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, mode: str, word: str
) -> None:
    if mode == "never":
        monkeypatch.setattr(dashboard_process, "START_LIMIT", 0.5)
    monkeypatch.setenv("FAKE_DASHBOARD", mode)
    with pytest.raises(RuntimeError, match=word):
        started(workspace)
    assert serving(workspace.path) == []
    assert not (workspace.path / "dashboard.json").exists()


@pytest.mark.thorough
def test_whoever_dies_while_starting_it_leaves_it_to_be_found(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DASHBOARD", "slow")
    code = (
        "import sys; from pathlib import Path; from core.processes.dashboard import ensure_dashboard\n"
        "from core.workspace import Workspace\n"
        "ensure_dashboard(Workspace(Path(sys.argv[1])), int(sys.argv[2]), command=tuple(sys.argv[3:]))"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(workspace.path), str(free_port()), *FAKE])
    until((workspace.path / "dashboard.json").exists)
    starter.kill()
    starter.wait()
    found = started(workspace)
    assert not found.started_here
    assert serving(workspace.path) == [found.who.pid]


def test_a_copy_of_a_workspace_gets_a_dashboard_of_its_own(workspace: Workspace) -> None:
    mine = started(workspace)
    copy = Workspace(workspace.path.with_name("copy"))
    shutil.copytree(workspace.path, copy.path)
    assert running_dashboard(copy) is None
    theirs = started(copy)
    assert theirs.who != mine.who
    assert stop_dashboard(copy)
    assert alive(mine.who)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1, "start": 1, "boot": "x"}'])
def test_a_spoilt_record_is_no_dashboard(workspace: Workspace, text: str) -> None:
    (workspace.path / "dashboard.json").write_text(text)
    assert running_dashboard(workspace) is None
    assert not stop_dashboard(workspace)


def test_nothing_is_kept_where_nothing_may_be_written(workspace: Workspace) -> None:
    before = sorted(workspace.path.rglob("*"))
    found = started(workspace, keep=False)
    try:
        assert sorted(workspace.path.rglob("*")) == before
        assert running_dashboard(workspace) is None
        assert "serving" in found.log.read_text()
    finally:
        dashboard_process.stop(found)
        found.log.unlink()


def test_the_browser_is_opened_only_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    open_browser("http://127.0.0.1:1")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    open_browser("http://127.0.0.1:2")
    assert opened == ["http://127.0.0.1:2"]
