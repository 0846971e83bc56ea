"""Ranking of backbones: the table's rows, their controls, and how the scores agree with the probe."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from core.commands import terminal
from core.engine.questions.answer import answer
from core.engine.questions.rank_backbones import agreement
from core.errors import UserError
from core.jobs import Document
from core.questions.rank_backbones import Row
from core.workspace import Workspace


def row(name: str, probe: float, logme: float, leep: float | None = None, *, pretrained: bool = True) -> Row:
    return Row(name, pretrained, probe, logme, 1.0, 2.0, 0.5, leep, None, 100)


def test_agreement_is_kendalls_and_spearmans() -> None:
    """Four backbones, one neighbouring pair exchanged: τ = (5 − 1)/6, ρ = 1 − 6·2/(4·15), by hand."""
    rows = [row("a", 0.9, 4.0), row("b", 0.8, 2.0), row("c", 0.7, 3.0), row("d", 0.6, 1.0)]
    found = {each.score: each for each in agreement(rows)}
    assert set(found) == {"logme"}  # the other scores are the same for all, or absent
    assert found["logme"].kendall == pytest.approx(4 / 6)
    assert found["logme"].spearman == pytest.approx(0.8)
    assert found["logme"].chance == pytest.approx(8 / 24), "of 24 orders 8 have at most one pair exchanged, or kept"
    assert (found["logme"].backbones, found["logme"].controls) == (4, False)


def test_two_backbones_cannot_agree_and_a_missing_score_is_not_counted() -> None:
    two = [row("a", 0.9, 2.0, -1.0), row("b", 0.8, 1.0, -2.0)]
    assert agreement(two) == []
    three = [*two, row("c", 0.7, 0.5)]
    assert [each.score for each in agreement(three)] == ["logme"]
    assert agreement([row(name, 0.5, value) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0))]) == []


def test_controls_are_counted_apart() -> None:
    pretrained = [row("a", 0.9, 1.0, -1.0), row("b", 0.8, 2.0, -2.0), row("c", 0.7, 3.0, -3.0)]
    control = row("a", 0.1, 0.0, pretrained=False)
    found = {(each.score, each.controls): each for each in agreement([*pretrained, control])}
    assert found["logme", False].kendall == pytest.approx(-1)
    assert found["logme", True].kendall == pytest.approx(0)  # 3 pairs one way, 3 the other
    assert ("leep", True) not in found  # the control has no classes of its own
    assert found["leep", False].spearman == pytest.approx(1)


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Two real backbones with their controls on a few digits, asked as a job."""
    store = Workspace.open_or_create(tmp_path_factory.mktemp("ranking"))
    asked: Document = {
        "dataset": "digits",
        "backbones": ["resnet8_fashion", "resnet20_fashion", "resnet8_fashion"],
        "limit": 100,
        "controls": True,
    }
    job = store.create_job("rank", asked)
    answer(job)
    return job.result()


def test_each_backbone_stands_beside_itself_with_random_weights(ranked: Document) -> None:
    rows = ranked["rows"]
    assert isinstance(rows, list)
    told = [(r["backbone"], r["pretrained"]) for r in rows if isinstance(r, dict)]
    assert sorted(map(str, told)) == sorted(
        map(str, [(name, there) for name in ("resnet8_fashion", "resnet20_fashion") for there in (True, False)])
    )
    for r in rows:
        assert isinstance(r, dict)
        assert r["images"] == 100
        assert (r["leep"] is None) == (not r["pretrained"])  # random weights know no classes
    probes = [r["probe_accuracy"] for r in rows if isinstance(r, dict)]
    assert probes == sorted(probes, key=lambda p: -float(str(p)))
    assert min(float(str(p)) for p in probes) > 0.3  # all far above chance, 0.1
    names = ("probe_low", "probe_accuracy", "probe_high")
    ends = [[float(str(r[name])) for name in names] for r in rows if isinstance(r, dict)]
    assert all(low < share < high for low, share, high in ends)


def test_the_table_fits_a_narrow_terminal(ranked: Document) -> None:
    console = Console(width=80, file=io.StringIO())
    rows, agreed = ranked["rows"], ranked["agreement"]
    assert isinstance(rows, list)
    assert isinstance(rows[0], dict)
    rows = [{**rows[0], "backbone": "efficientnet_lite0", "transrate": 107.123}, *rows]
    console.print(*terminal.ranking(rows, agreed))  # type: ignore[arg-type]
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    for word in (
        "resnet20_fashion, random",
        "probe",
        "logme",
        "Kendall",
        "± 0.",
        "Spearman",
        "4 backbones, random weights included",
    ):
        assert word in text


@pytest.mark.parametrize(("limit", "backbones"), [(-1, ["resnet8"]), (100, [])])
def test_refusals(tmp_path: Path, limit: int, backbones: list[str]) -> None:
    job = Workspace.open_or_create(tmp_path / "ws").create_job(
        "rank", {"dataset": "digits", "backbones": list(backbones), "limit": limit}
    )
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.field in ("limit", "backbones")
