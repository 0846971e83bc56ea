"""The version of the code that a step depends on: a hash of the engine's files that its method imports.

A changed loss must not reuse old models, and need not invalidate the models of other methods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

ENGINE = Path(__file__).parents[1]
ROOT = ENGINE.parents[1]
IMPORT = re.compile(r"^\s*(?:from (core[\w.]*) import (\([^)]*\)|[^\n]*)|import (core[\w.]*))", re.MULTILINE)
RENAMED = re.compile(r" as \w+")
ALWAYS = ("core.engine.pipeline.first_model", "core.engine.model_file", "core.engine.seeds")
OPEN = ("backbones", "data", "data/sets", "data/published")  # members are found by listing the folder, not imported


@cache
def whole_engine() -> str:
    """A hash of all of the engine's source."""
    return _hash(sorted(ENGINE.rglob("*.py")))


@cache
def code_of(*modules: str) -> str:
    """A hash of the engine's files that these modules import, directly or indirectly; of all files if one of the
    modules is not part of the engine."""
    found = _closure((*modules, *ALWAYS))
    if not all(map(_file, modules)):
        return whole_engine()
    return _hash(sorted(found | {path for folder in OPEN for path in (ENGINE / folder).glob("*.py")}))


def _closure(modules: Iterable[str]) -> set[Path]:
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        for name in _with_parents(waiting.pop()):
            path = _file(name)
            if path is not None and path not in found:
                found.add(path)
                waiting += _imported(path)
    return found


def _with_parents(module: str) -> Iterator[str]:
    """The module and its packages (core.engine.distill for core.engine.distill.kd); nothing outside the engine."""
    parts = module.split(".")
    if parts[:2] == ["core", "engine"]:
        yield from (".".join(parts[:count]) for count in range(2, len(parts) + 1))


@cache
def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((found for found in (path / "__init__.py", path.with_suffix(".py")) if found.is_file()), None)


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """The modules that a file may import, also inside functions; for `from a import b` both a and a.b."""
    found: list[str] = []
    for package, names, module in IMPORT.findall(path.read_text(encoding="utf-8")):
        listed = re.findall(r"\w+", RENAMED.sub("", names))
        found += [module] if module else [package, *(f"{package}.{name}" for name in listed)]
    return tuple(found)


def _hash(paths: Iterable[Path]) -> str:
    digest = sha256()
    for path in paths:
        digest.update(path.relative_to(ENGINE).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
