"""A change of the code throws away the models it may have made, and no others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.engine.method import build
from core.engine.pipeline import code_version
from core.engine.pipeline.code_version import ENGINE, code_of, whole_engine

KD, PRUNE, PROBE = "core.engine.distill.kd", "core.engine.prune.l2", "core.engine.transfer.linear_probe"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The engine's source in a place where it can be changed."""
    import shutil

    engine = tmp_path / "core" / "engine"
    shutil.copytree(ENGINE, engine, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_version, "ENGINE", engine)
    monkeypatch.setattr(code_version, "ROOT", tmp_path)
    forget()
    yield engine
    forget()


def forget() -> None:
    for kept in (code_version.code_of, code_version.whole_engine, code_version._file, code_version._imported):
        kept.cache_clear()


CHANGES = [
    ("distill/kd.py", {KD}),
    ("distill/__init__.py", {KD, PRUNE}),  # pruning may be taught by its own network
    ("prune/channels.py", {PRUNE}),
    ("transfer/logistic.py", {PROBE}),
    ("training/loop.py", {KD, PRUNE}),
    ("backbones/small.py", {KD, PRUNE, PROBE}),  # found in its folder, imported by nobody
    ("data/augment.py", {KD, PRUNE, PROBE}),
    ("quantize/qdq.py", set()),
    ("measure/receipt.py", set()),
    ("questions/preview.py", set()),
]


@pytest.mark.parametrize(("path", "concerned"), CHANGES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_change_concerns_the_methods_that_it_may_have_changed(copied: Path, path: str, concerned: set[str]) -> None:
    before = {module: code_of(module) for module in (KD, PRUNE, PROBE)}
    everything = whole_engine()
    file = copied / path
    file.write_text(file.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    forget()
    assert {module for module, version in before.items() if code_of(module) != version} == concerned
    assert whole_engine() != everything


def test_a_module_from_elsewhere_depends_on_everything() -> None:
    assert code_of("somebody.elses") == whole_engine()
    assert code_of(KD, "somebody.elses") == whole_engine()


@pytest.mark.parametrize("stage", ["transfer", "distill", "prune", "quantize"])
def test_all_that_a_method_really_imports_is_counted(stage: str) -> None:
    """What Python has loaded of the engine after importing a method, against what was read from the text."""
    for name in load_catalog().methods[stage]:
        module = type(build(stage, name)).__module__
        found = {path.relative_to(ENGINE).as_posix() for path in code_version._closure((module,))}
        for direct in imported_by(module):
            assert direct in found, f"{module} imports {direct}"


def imported_by(module: str) -> set[str]:
    """The files of the engine's modules whose objects the module holds."""
    held = vars(importlib.import_module(module)).values()
    names = {getattr(thing, "__module__", None) or getattr(thing, "__name__", "") for thing in held}
    files = (getattr(sys.modules.get(str(name)), "__file__", None) for name in names)
    return {Path(file).relative_to(ENGINE).as_posix() for file in files if file and Path(file).is_relative_to(ENGINE)}
