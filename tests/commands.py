"""Commands whose questions are answered here."""

from __future__ import annotations

import pytest

from core import cli


def put_in_place(monkeypatch: pytest.MonkeyPatch, name: str, instead: object) -> None:
    """Whatever the commands call `name` is `instead`."""
    modules = [module for module in cli.COMMANDS if hasattr(module, name)]
    assert modules, name
    for module in modules:
        monkeypatch.setattr(module, name, instead)
