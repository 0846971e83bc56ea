"""`condenser verify` of a class: what is damaged in a corner is found from the outside, and said whose it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.classroom.learners import Class
from core.classroom.limits import Limits, charge_upload, set_limits
from core.classroom.tokens import fresh, keep
from core.commands.terminal import findings
from core.integrity.damage import Condition
from core.integrity.verify import verify
from core.lessons.diary import Prediction, read_diary, write_diary
from core.runs import Run
from core.workspace import Workspace

Harm = Callable[[Path], object]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def school(tmp_path: Path, finished: Run) -> tuple[Workspace, Workspace]:
    """A class with settings, and the corner of Ana with a run, a prediction and an upload."""
    root = Workspace.open_or_create(tmp_path / "w")
    set_limits(root.path, Limits(waiting=3))
    keep(root.path, fresh())
    corner = Workspace.open_or_create(root.path / "class" / Class(root.path).join("Ana").learner.id)
    Workspace.open_or_create(root.path / "class" / Class(root.path).join("Bob").learner.id)
    shutil.copytree(finished.folder, corner.path / "runs" / finished.id)
    write_diary(corner, read_diary(corner, "pruning").predicted(0, Prediction(number=1.0)))
    charge_upload(corner.path, 5)
    return root, corner


def test_all_corners_are_checked(school: tuple[Workspace, Workspace], finished: Run) -> None:
    root, corner = school
    found = verify(root)
    assert not [one for one in found if one.state.is_bad]
    files = {one.file: one.corner for one in found}
    inside = f"class/{corner.path.name}"
    for name in ("learner.json", "uploads.json", "lessons/kept/pruning.json", f"runs/{finished.id}/events.jsonl"):
        assert files[f"{inside}/{name}"] == "Ana"
    assert files["class/settings.json"] == files["class/tokens.json"] == ""
    assert "Bob" in files.values()
    alone = [one for one in verify(corner) if one.file.startswith(f"runs/{finished.id}")]
    within = [one for one in found if one.file.startswith(f"{inside}/runs/")]
    assert [f"{inside}/{one.file}" for one in alone] == [one.file for one in within], "the same files as from inside"


@pytest.mark.parametrize(
    "name", ["learner.json", "uploads.json", "lessons/kept/pruning.json", "runs/RUN/events.jsonl", "runs/RUN/ARTIFACT"]
)
def test_a_flipped_bit_is_found_and_said_whose_it_is(
    school: tuple[Workspace, Workspace], finished: Run, name: str
) -> None:
    root, corner = school
    artifact = next(iter(finished.state().artifacts)).path
    file = name.replace("RUN", finished.id).replace("ARTIFACT", artifact)
    flip(corner.path / file)
    bad = [one for one in verify(root) if one.state.is_bad]
    path = f"class/{corner.path.name}/{file}"
    assert path in [one.file for one in bad]
    whose = "Ana" if name != "learner.json" else corner.path.name  # whose card is damaged has no nickname
    assert {one.corner for one in bad} == {whose}
    assert f"{path} (corner of {whose})" in findings(bad)
    assert {one.to_json()["corner"] for one in bad} == {whose}
    assert all(one.fix for one in bad)


@pytest.mark.parametrize("name", ["settings.json", "tokens.json"])
def test_the_files_of_the_class_itself(school: tuple[Workspace, Workspace], name: str) -> None:
    root, _ = school
    flip(root.path / "class" / name)
    (bad,) = [one for one in verify(root) if one.state.is_bad]
    assert (bad.file, bad.corner, bad.state) == (f"class/{name}", "", Condition.DAMAGED)
    assert "corner" not in bad.to_json()


def test_a_learners_run_is_found_by_its_id(school: tuple[Workspace, Workspace], finished: Run) -> None:
    root, corner = school
    found = verify(root, finished.id)
    assert found
    assert {one.corner for one in found} == {"Ana"}
    assert all(one.file.startswith(f"class/{corner.path.name}/runs/{finished.id}/") for one in found)
