"""What is printed reaches any terminal, pipe and locale: escaped where it must be, and never in place of the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.events import Measured, RunFinished
from core.points import Latency, Point
from core.workspace import Workspace

NAME = "名称 🦊 café \u202e‮ ✓"
ODD = "half \udcff of a character"
LOCALES = {
    "gbk": {"PYTHONIOENCODING": "gbk"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "strict utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "POSIX": {"LC_ALL": "C"},
    "POSIX without Python's help": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "narrow and plain": {"COLUMNS": "20", "NO_COLOR": "1", "TERM": "dumb"},
    "no columns": {"COLUMNS": "0", "LINES": "-3"},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With one finished run whose name holds what few encodings do."""
    store = Workspace.open_or_create(tmp_path_factory.mktemp("streams") / "w")
    step = '[[steps]]\nstage = "transfer"\nmethod = "fine_tune"\n'
    run = store.create_run(f'name = "{NAME}"\ndataset = "digits"\nbackbone = "resnet8"\n{step}')
    latency = Latency(runtime="onnxruntime", device=NAME, threads=1, batch=1, n=9, p50=1.0, p95=2.0, noisy=False)
    point = Point(step=0, stage="transfer", method="fine_tune", name=NAME, bytes=9, accuracy=0.5, latency_ms=latency)
    run.emit(Measured("point", 0, point))
    run.emit(RunFinished())
    return store


def say(*words: str, how: dict[str, str], code: int = 0, redirect: str = "") -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, with a shell's redirection where one is asked for."""
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}, **how}
    command = [sys.executable, "-m", "core.cli", *words]
    if redirect:
        command = ["/bin/sh", "-c", f'exec "$@" {redirect}', "sh", *command]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    assert b"Exception ignored" not in done.stderr
    assert done.returncode == code, done.stderr.decode(errors="replace")
    return done


@pytest.mark.parametrize("name", LOCALES)
def test_a_table_reaches_any_terminal(workspace: Workspace, name: str) -> None:
    (run_id,) = workspace.run_ids()
    shown = say("show", run_id, "--workspace", str(workspace.path), how=LOCALES[name]).stdout
    assert run_id.encode() in shown.replace(b"\n", b"")
    if name == "ascii":
        assert shown.isascii()
        assert b"\\u540d\\u79f0" in shown.replace(b"\n", b"")


@pytest.mark.parametrize("name", ["gbk", "ascii", "POSIX without Python's help"])
def test_json_stays_json_and_loses_nothing(workspace: Workspace, name: str) -> None:
    shown = say("runs", "--json", "--workspace", str(workspace.path), how=LOCALES[name]).stdout
    (row,) = json.loads(shown.decode("gbk" if name == "gbk" else "ascii"))
    assert row["name"] == workspace.run(row["run"]).summary().name
    assert "名称 🦊 café" in row["name"]


@pytest.mark.thorough
def test_a_name_that_is_no_character_is_shown_escaped(workspace: Workspace) -> None:
    """A file name in another encoding reaches Python as lone surrogates."""
    shown = say("check", ODD, how=LOCALES["strict utf-8"], code=2)
    assert b"\\xdcff" in shown.stderr or b"\\udcff" in shown.stderr
    shown = say("check", ODD, "--json", how=LOCALES["strict utf-8"], code=2)
    assert json.loads(shown.stdout)["errors"][0]["code"] == "missing_file"


@pytest.mark.parametrize(
    ("redirect", "code"),
    [(">&-", 0), (">&- 2>&-", 0), ("<&- >&- 2>&-", 0), ("| true; exit 0", 0), (">/dev/full", 1), ("2>/dev/full", 0)],
)
def test_a_stream_that_takes_nothing(workspace: Workspace, redirect: str, code: int) -> None:
    if "full" in redirect and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    before = sorted(path.name for path in workspace.path.iterdir())
    done = say("list", "backbones", "--json", "--workspace", str(workspace.path), how={}, code=code, redirect=redirect)
    if code:
        assert b"No space left" in done.stderr
    assert sorted(path.name for path in workspace.path.iterdir()) == before


@pytest.mark.thorough
def test_help_fits_any_width() -> None:
    for columns in ("20", "0"):
        assert b"condenser" in say("--help", how={"COLUMNS": columns}).stdout.replace(b"\n", b"")
