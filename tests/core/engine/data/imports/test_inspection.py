"""The report on a set with planted faults: all of them are found, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine.data.imports.near_duplicates import SIDE, near_groups
from core.engine.data.imports.texts import import_data
from core.engine.questions.dataset_report import dataset_report, dataset_samples
from core.errors import UserError
from core.own.dataset_report import Report
from core.workspace import Workspace
from core.workspace_files.report_cache import kept_picture, kept_report
from tests.photos import make_photos


def quiet(what: str, done: int, total: int) -> None:
    return None


def jpeg(path: Path) -> bytes:
    out = io.BytesIO()
    Image.open(path).save(out, "JPEG", quality=85)
    return out.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace.open_or_create(tmp_path / "ws")


def planted(tmp_path: Path, store: Workspace) -> Report:
    """120 photos and: one copied in its class, one copied into another class, one saved again as JPEG into another
    split, one cut off."""
    photos = make_photos(tmp_path / "photos")
    bark, grass = (sorted((photos / name).glob("*.png")) for name in ("bark", "grass"))
    (photos / "bark" / "copy.png").write_bytes(bark[0].read_bytes())
    (photos / "bark" / "cross.png").write_bytes(grass[0].read_bytes())
    (photos / "grass" / "again.jpg").write_bytes(jpeg(grass[5]))
    (photos / "sand" / "broken.png").write_bytes(bark[1].read_bytes()[:300])
    import_data(photos, "plates", store.datasets)
    return dataset_report("plates", store.path, quiet)


def test_all_that_was_planted_is_found_and_nothing_else(tmp_path: Path, store: Workspace) -> None:
    report = planted(tmp_path, store)
    found = {(group.exact, tuple(sorted(member.name for member in group.members))) for group in report.alike}
    assert found == {
        (True, ("bark/copy.png", "bark/photo-0000.png")),
        (True, ("bark/cross.png", "grass/photo-0001.png")),
        (False, ("grass/again.jpg", "grass/photo-0021.png")),
    }
    assert (report.alike_exact, report.alike_near, report.crossing_classes) == (2, 1, 1)
    assert report.alike[0].classes == 2, "the worst first"
    assert [each.file for each in report.skipped] == ["sand/broken.png"]
    assert {each.name: each.images for each in report.classes} == {"bark": 32, "grass": 31, "sand": 30, "water": 30}
    assert sum(report.total(split) for split in ("train", "validation", "test")) == report.images == 123
    assert (report.smallest, report.median, report.largest) == (72, 72, 72)


def test_it_is_made_once_a_version_and_comes_with_pictures(tmp_path: Path, store: Workspace) -> None:
    report = planted(tmp_path, store)
    assert kept_report(store, "plates") == report
    asked: list[str] = []
    assert dataset_report("plates", store.path, lambda what, done, total: asked.append(what)) == report
    assert not asked
    for part in ("samples", "class-0", "class-3", "group-0"):
        picture = kept_picture(store, "plates", part)
        assert picture is not None
        assert Image.open(io.BytesIO(picture)).height == 96
    assert kept_picture(store, "plates", "class-4") is None


def test_a_damaged_image_does_not_end_it(tmp_path: Path, store: Workspace) -> None:
    import_data(make_photos(tmp_path / "photos", 24), "plates", store.datasets)
    victim = next(store.datasets.glob("own-*/images/*"))
    victim.write_bytes(b"no image any more")
    assert dataset_report("plates", store.path, quiet).images == 24


def test_samples_of_what_is_at_hand_alone(store: Workspace) -> None:
    made = dataset_samples(["digits", "no such set", "cifar10"], store.path, quiet)
    assert made == ["digits"]
    picture = kept_picture(store, "digits", "samples")
    assert picture is not None
    assert Image.open(io.BytesIO(picture)).width == 8 * 96 + 7 * 4
    assert kept_picture(store, "cifar10", "samples") is None
    with pytest.raises(UserError, match="your own"):
        dataset_report("digits", store.path, quiet)


def test_brightness_does_not_hide_a_copy_and_one_tone_is_no_copy() -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 200, (6, SIDE * SIDE), dtype=np.uint8)
    pixels[3] = (pixels[0] * 0.8 + 40).astype(np.uint8)
    pixels[4], pixels[5] = 7, 9
    assert near_groups(pixels) == [[0, 3]]
