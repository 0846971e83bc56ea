"""The walls between the rooms, checked in every file: who may import what, and what nobody may call."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = [p for p in sorted((ROOT / "core").rglob("*.py")) if "engine" not in p.relative_to(ROOT / "core").parts]
ENGINE = sorted((ROOT / "core" / "engine").rglob("*.py"))
DASHBOARD = sorted((ROOT / "dashboard").rglob("*.py"))
SHIPPED = [*CORE, *ENGINE, *DASHBOARD, *sorted((ROOT / "assets").rglob("*.py"))]

HEAVY = {"torch", "torchvision", "timm", "onnxruntime", "onnx", "torch_pruning", "sklearn", "scipy", "safetensors"}
HEAVY |= {"optuna", "mlflow", "tensorboard"}  # and NumPy, which the charts use
PAGE = {"streamlit", "plotly", "dashboard"}
LIGHT = {
    "pydantic",
    "psutil",
    "platformdirs",
    "cyclopts",
    "rich",
    "segno",
    "core",
}  # what core may import beside the library
EXCHANGING = {  # in the process that sends a run alone
    "event_file.py": {"tensorboard", "google"},
    "tracking.py": {"mlflow"},
}
SEARCHING = {"study.py": {"optuna"}, "surrogate.py": {"numpy"}}  # in the process of a search alone
CLUSTER = {"carrier.py": {"ray"}, "contact.py": {"ray"}}  # in the process that carries a run alone
ALONE = {"search": SEARCHING, "exchange": EXCHANGING, "cluster": CLUSTER}
RUNS_IN_A_CHILD = {"core.engine.data.imports.decoder_child"}


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in the file, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full names"
            yield node.module or ""


def calls(path: Path) -> Iterator[ast.Call]:
    return (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", CORE, ids=lambda p: p.name)
def test_core_is_light(path: Path) -> None:
    names = set(imported(path))
    roots = {name.partition(".")[0] for name in names}
    alone = {ROOT / "core" / name: some for name, some in ALONE.items()}
    allowed = LIGHT | alone.get(path.parent, {}).get(path.name, set())
    assert roots <= allowed | set(sys.stdlib_module_names) | {"__future__"}, roots
    assert not any(name.startswith("core.engine") for name in names), "core starts the engine, it never imports it"


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT / "core" / "engine")))
def test_engine_knows_no_page(path: Path) -> None:
    names = set(imported(path))
    assert not {name.partition(".")[0] for name in names} & PAGE
    assert not names & {"core.cli", "core.processes.supervisor", "core.commands.terminal"}


def test_dashboard_holds_no_torch() -> None:
    for path in DASHBOARD:
        names = set(imported(path))
        assert not {name.partition(".")[0] for name in names} & HEAVY, path
        assert not any(name.startswith("core.engine") for name in names), path
        if "charts" in path.parts:
            assert not any(name.startswith("streamlit") for name in names), path


def test_nobody_imports_what_runs_alone() -> None:
    for path in SHIPPED:
        for name in imported(path):
            assert name not in {"core.predict", "assets.predict"}, path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_unsafe_is_called(path: Path) -> None:
    for call in calls(path):
        name = dotted(call.func)
        last = name.rpartition(".")[2]
        assert name not in {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system"}, name
        assert last != "extractall", name
        keywords = {k.arg: k.value for k in call.keywords}
        shell = keywords.get("shell")
        assert not (isinstance(shell, ast.Constant) and shell.value), "no shell"
        assert "unsafe_allow_html" not in keywords
        if name == "torch.load":
            only = keywords.get("weights_only")
            assert isinstance(only, ast.Constant), "torch.load needs weights_only=True"
            assert only.value is True


def test_there_is_no_circle() -> None:
    """Imports at the top of files between the project's own modules form no circle."""
    graph = {module(p): set(top_imports(p)) for p in [*CORE, *ENGINE, *DASHBOARD]}
    graph = {name: {known(n, graph) for n in uses} - {name, ""} for name, uses in graph.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for use in sorted(graph[name]):
                visit(use, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_imports(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def known(name: str, graph: dict[str, set[str]]) -> str:
    """The longest prefix of `name` that is a module of ours."""
    while name and name not in graph:
        name = name.rpartition(".")[0]
    return name


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, core.cli; print([m for m in sys.modules if m.partition('.')[0] in %r])" % HEAVY  # noqa: UP031
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
