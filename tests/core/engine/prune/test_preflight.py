"""Verdicts are what really ran: resumed, redone after an upgrade, and honest about what failed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from core.engine.backbones import backbones
from core.engine.prune import preflight


@pytest.mark.slow
def test_a_small_backbone_passes_every_check(tmp_path: Path) -> None:
    out = tmp_path / "preflight.json"
    preflight.survey(["resnet8"], out)
    kept = json.loads(out.read_text())
    verdict = kept["backbones"]["resnet8"]
    assert verdict["why"] == {}
    assert all(verdict[check] is True for check in preflight.CHECKS)
    assert verdict["params_after"] < 0.3 * verdict["params_before"]
    assert set(kept["versions"]) == set(preflight.LIBRARIES)


def test_it_resumes_and_starts_over_after_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def verdict(name: str) -> dict[str, object]:
        asked.append(name)
        return {**dict.fromkeys(preflight.CHECKS, True), "why": {}, "seconds": 0.0, "image_size": 32}

    monkeypatch.setattr(preflight, "_verdict", verdict)
    out = tmp_path / "preflight.json"
    preflight.survey(["resnet8"], out)
    preflight.survey(["resnet8", "resnet20"], out)
    assert asked == ["resnet8", "resnet20"]
    monkeypatch.setattr(preflight, "version", lambda library: "99")
    preflight.survey(["resnet8"], out)
    assert asked == ["resnet8", "resnet20", "resnet8"]
    assert list(json.loads(out.read_text())["backbones"]) == ["resnet8"]


@pytest.mark.slow
def test_a_child_that_is_too_slow_gets_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "SECONDS", 1)
    slow = preflight._verdict("resnet8")
    assert [slow[check] for check in preflight.CHECKS] == [False, False, False]
    assert set(slow["why"].values()) == {"not finished within 1 s of processor time"}


def test_a_child_that_dies_leaves_what_it_told_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    facts = [
        '{"image_size": 32, "params_before": 9}',
        '{"prunable": true, "why": "", "params_after": 4}',
        '{"exportable": false, "why": "no such operator"}',
    ]
    told = "\n".join(f"echo '{fact}'" for fact in facts)
    child.write_text(f"#!/bin/sh\n{told}\necho 'out of memory' >&2\nexit 3\n")
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    verdict = preflight._verdict("resnet8")
    assert [verdict[check] for check in preflight.CHECKS] == [True, False, False]
    assert verdict["why"] == {
        "exportable": "no such operator",
        "quantizable": "the process ended with 3: out of memory",
    }


def test_a_child_that_could_not_begin_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    preflight.survey(["resnet8"], tmp_path / "preflight.json")
    assert list(tmp_path.iterdir()) == []


def test_the_committed_verdicts_name_backbones_and_give_a_reason_for_every_no() -> None:
    kept = json.loads(preflight.VERDICTS.read_bytes())
    assert set(kept["backbones"]) <= set(backbones())
    assert len(kept["backbones"]) > 0
    for name, verdict in kept["backbones"].items():
        failed = {check for check in preflight.CHECKS if not verdict[check]}
        assert failed == set(verdict["why"]), name
        assert all(verdict["why"].values()), name
