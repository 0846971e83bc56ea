"""SECURITY.md claims nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_claim_names_a_test() -> None:
    section = PAGE.split("## Claims")[1].split("## Not protected")[0]
    claims = re.findall(r"^- .*(?:\n  .*)*", section, re.MULTILINE)
    assert len(claims) >= 15
    for claim in claims:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", claim), claim


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_the_test_it_names_exists_and_asserts(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    held = [node for node in ast.walk(found) if isinstance(node, ast.Assert)]
    calls = [ast.unparse(node.func) for node in ast.walk(found) if isinstance(node, ast.Call)]
    assert held or any(call.endswith(("raises", "is_clean")) for call in calls), "it asserts nothing"
    assert not any(ast.unparse(mark).startswith("pytest.mark.skip") for mark in found.decorator_list)
