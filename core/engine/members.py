"""Finds the members of a kind, such as methods: files of a folder that define one class each, named by the file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def members(package: str, base: type[T]) -> dict[str, type[T]]:
    """By the file's name, sorted: each file of `package` that defines exactly one concrete subclass of `base`.

    Raises whatever a broken file raises on import.
    """
    folder = Path(str(sys.modules[package].__file__)).parent
    found: dict[str, type[T]] = {}
    for info in pkgutil.iter_modules([str(folder)]):
        own = concrete(importlib.import_module(f"{package}.{info.name}"), base)
        if len(own) == 1:
            found[info.name] = own[0]
    return dict(sorted(found.items()))


def crowded(package: str, base: type[object]) -> dict[str, list[str]]:
    """Files of `package` with several such classes, which `members` ignores: their class names by module."""
    loaded = [module for name, module in list(sys.modules.items()) if name.rpartition(".")[0] == package]
    named = {module.__name__: [kind.__name__ for kind in concrete(module, base)] for module in loaded}
    return {name: kinds for name, kinds in named.items() if len(kinds) > 1}


def concrete(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The concrete subclasses of `base` that `module` itself defines."""
    own = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
    return [kind for kind in own if issubclass(kind, base) and not inspect.isabstract(kind)]
