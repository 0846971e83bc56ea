"""The results that come along are real runs, read like any other, and only ids lead to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.assets import SAMPLES
from core.errors import UserError
from core.recipe import parse_recipe
from core.run_files.samples import sample, samples
from core.runs import Status


def test_every_sample_is_a_finished_run_with_its_points_and_where_they_were_measured() -> None:
    found = samples()
    assert len(found) >= 10
    for summary in found:
        assert summary.status is Status.FINISHED
        assert len(summary.points) >= 4
        assert summary.environment["processor"]
        assert summary.finished
        recipe = parse_recipe(sample(summary.id).recipe_text)
        assert recipe.name == summary.name
        assert recipe.dataset == summary.dataset
        assert max(point.step for point in summary.points) < len(recipe.steps)


def test_they_come_newest_first_and_other_folders_are_no_samples(tmp_path: Path) -> None:
    ids = sorted(summary.id for summary in samples())
    for name in (*ids[:2], "notes", "../x"[3:]):
        shutil.copytree(SAMPLES / ids[0], tmp_path / name)
    (tmp_path / f"{ids[2]}").mkdir()  # without a result
    assert [summary.id for summary in samples(tmp_path)] == [ids[1], ids[0]]


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert samples(tmp_path / "missing") == ()
    (tmp_path / "file").write_bytes(b"")
    assert samples(tmp_path / "file") == ()


@pytest.mark.parametrize(
    "given", ["", "..", "../../etc", "660fbd37e5561-88c49", "660fbd37e5561-000000", "\0", "x" * 9999]
)
def test_what_is_no_sample_is_refused(given: str) -> None:
    with pytest.raises(UserError) as told:
        sample(given)
    assert told.value.code == "unknown_sample"
    assert told.value.field == "sample"
