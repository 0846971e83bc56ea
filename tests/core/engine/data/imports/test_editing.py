"""Changes to a person's own set: what becomes of classes, splits and versions, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from core.engine.data import datasets, import_images, load_dataset, own_names
from core.engine.data.imports.editing import edit_dataset
from core.engine.data.imports.imported import OwnDataset, find_home, read_own
from core.errors import UserError
from core.files import Failpoint, breaking
from core.own.dataset_edits import (
    AddImages,
    Edit,
    LeaveOut,
    MergeClasses,
    MoveImages,
    Rename,
    RenameClass,
    Reshape,
    Resplit,
    Revert,
)
from tests.core.engine.data.imports.test_images import TWO, encoded, picture, pngs, unpacked, zipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the set `pets`: 10 cats, 10 dogs, and 4 birds of which one is a cat as well."""
    files = {**pngs("cats", 10), **pngs("dogs", 10, 50), **pngs("birds", 3, 90), "birds/cat.png": TWO["cats/0.png"]}
    import_images(unpacked(tmp_path / "given", files), "pets", tmp_path / "datasets")
    return tmp_path / "datasets"


def card(folder: Path, name: str = "pets") -> OwnDataset:
    home = find_home(name, folder)
    assert home is not None
    return read_own(home).card


def labels(folder: Path) -> dict[str, str]:
    found = card(folder)
    return {image.name: found.classes[image.label] for image in found.images}


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "edit.lock"
    }


def test_leaving_an_image_out_says_so_and_keeps_the_splits_of_the_others(folder: Path) -> None:
    before = {image.name: image.split for image in card(folder).images}
    assert any("two classes" in each for each in card(folder).warnings)
    got = edit_dataset("pets", LeaveOut(images=["birds/cat.png"]), folder)
    after = card(folder)
    assert got.images == 23
    assert {image.name: image.split for image in after.images}.items() <= before.items()
    assert {"file": "birds/cat.png", "reason": "left out by you"} in after.skipped
    assert not any("two classes" in each for each in after.warnings), "what no longer holds is no longer said"


def test_moved_images_and_renamed_and_merged_classes_are_what_is_loaded(folder: Path) -> None:
    edit_dataset("pets", MoveImages(images=["birds/cat.png"], to="cats"), folder)
    assert labels(folder)["birds/cat.png"] == "cats"
    edit_dataset("pets", RenameClass(name="dogs", to="Aardvarks"), folder)
    data = load_dataset("pets", 12, folder=folder)
    assert data.classes == ("Aardvarks", "birds", "cats"), "in the order of their names"
    known = {np.asarray(picture(50 + i)).transpose(2, 0, 1).tobytes() for i in range(10)}
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert (image.numpy().tobytes() in known) == (int(label) == 0)
    edit_dataset("pets", MergeClasses(classes=["birds", "cats"], to="cats"), folder)
    assert Counter(labels(folder).values()) == {"Aardvarks": 10, "cats": 14}


def test_images_of_several_looks_can_become_a_new_class(folder: Path) -> None:
    chosen = [f"dogs/{number}.png" for number in range(5)]
    edit_dataset("pets", MoveImages(images=chosen, to="puppies"), folder)
    assert sorted(name for name, label in labels(folder).items() if label == "puppies") == chosen


def test_shared_out_anew_by_share_and_seed_and_equal_images_stay_together(folder: Path) -> None:
    edit_dataset("pets", Resplit(validation=0.3, test=0.3, seed=1), folder)
    first = {image.name: image.split for image in card(folder).images}
    cats = Counter(split for name, split in first.items() if name.startswith("dogs/"))
    assert cats == {"train": 4, "validation": 3, "test": 3}
    assert first["birds/cat.png"] == first["cats/0.png"]
    edit_dataset("pets", Resplit(validation=0.3, test=0.3, seed=2), folder)
    assert {image.name: image.split for image in card(folder).images} != first
    edit_dataset("pets", Resplit(validation=0.3, test=0.3, seed=1), folder)
    assert {image.name: image.split for image in card(folder).images} == first


@pytest.mark.parametrize("label", ["", "dogs"])
def test_added_images_fill_the_splits_and_the_former_keep_theirs(folder: Path, tmp_path: Path, label: str) -> None:
    before = {image.name: image.split for image in card(folder).images}
    more = unpacked(tmp_path / "more", {**pngs("dogs", 20, 200), "dogs/bad.png": b"\x89PNG\r\n\x1a\nno"})
    got = edit_dataset("pets", AddImages(path=str(more), label=label), folder)
    assert [each["file"] for each in got.skipped] == ["dogs/bad.png"]
    after = {image.name: image.split for image in card(folder).images}
    assert before.items() <= after.items()
    assert "dogs/0.png (2)" in after, "a name that is there already gets a number"
    dogs = Counter(after[name] for name, known in labels(folder).items() if known == "dogs")
    assert dogs == {"train": 22, "validation": 4, "test": 4}
    assert len(load_dataset("pets", 12, folder=folder).train) == sum(split == "train" for split in after.values())


def test_a_class_that_comes_later_is_in_every_split(folder: Path, tmp_path: Path) -> None:
    more = zipped(tmp_path / "more.zip", pngs("fish", 4, 300))
    edit_dataset("pets", AddImages(path=str(more)), folder)
    found = card(folder)
    number = found.classes.index("fish")
    assert {image.split for image in found.images if image.label == number} == {"train", "validation", "test"}


def test_a_run_that_began_with_a_version_gets_that_one(folder: Path) -> None:
    first = load_dataset("pets", 12, folder=folder)
    edit_dataset("pets", LeaveOut(images=["cats/1.png", "dogs/1.png"]), folder)
    edit_dataset("pets", RenameClass(name="cats", to="felines"), folder)
    again = load_dataset("pets", 12, folder=folder, version=first.content_hash)
    assert again.classes == first.classes
    assert again.content_hash == first.content_hash
    assert again.train.images.equal(first.train.images)
    assert load_dataset("pets", 12, folder=folder).content_hash != first.content_hash
    with pytest.raises(UserError, match="an existing version"):
        load_dataset("pets", 12, folder=folder, version="0" * 64)


def test_undo_brings_the_version_before_back(folder: Path) -> None:
    before = card(folder)
    got = edit_dataset("pets", MergeClasses(classes=["cats", "dogs"], to="mammals"), folder)
    assert got.before == before.content_hash()
    edit_dataset("pets", Revert(), folder)
    after = card(folder)
    assert (after.images, after.classes, after.warnings) == (before.images, before.classes, before.warnings)
    edit_dataset("pets", Revert(to=got.version), folder)
    assert card(folder).classes == ["birds", "mammals"]


def test_a_renamed_set_is_found_under_every_name_it_had(folder: Path, tmp_path: Path) -> None:
    first = load_dataset("pets", 12, folder=folder).content_hash
    for name, to in (("pets", "animals"), ("animals", "zoo")):
        assert edit_dataset(name, Rename(to=to), folder).dataset == to
    assert [name for name, info in datasets(folder).items() if info.where == "own"] == ["zoo"]
    assert set(own_names(folder)) == {"pets", "animals", "zoo"}
    for name in ("pets", "animals", "zoo"):
        assert load_dataset(name, 12, folder=folder).content_hash == first
    with pytest.raises(UserError, match="no other dataset has"):
        import_images(unpacked(tmp_path / "other", TWO), "animals", folder)
    edit_dataset("zoo", Rename(to="pets"), folder)
    assert card(folder).name == "pets"


def test_another_shape_is_cut_anew(folder: Path, tmp_path: Path) -> None:
    files = {f"{c}/{i}.png": encoded(picture(10 * i + ord(c), (20, 10))) for c in "ab" for i in range(4)}
    import_images(unpacked(tmp_path / "wide", files), "wide", folder)
    assert any("lose more than a quarter" in each for each in card(folder, "wide").warnings)
    cropped = load_dataset("wide", 10, folder=folder)
    edit_dataset("wide", Reshape(shape="pad"), folder)
    padded = load_dataset("wide", 10, folder=folder)
    assert padded.cut is not None
    assert padded.cut.shape == "pad"
    assert not padded.train.images.equal(cropped.train.images)
    assert (padded.train.images[:, :, 0] == 128).all(), "grey bars above and below"
    told = card(folder, "wide").warnings
    assert not any("lose more than a quarter" in each for each in told)
    assert any("padded to squares" in each for each in told)


REFUSED: dict[str, tuple[Edit, str]] = {
    "unknown image": (LeaveOut(images=["cats/77.png"]), "unknown_image"),
    "no image": (LeaveOut(images=[]), "unknown_image"),
    "unknown class": (RenameClass(name="cat", to="x"), "unknown_class"),
    "blank class": (RenameClass(name="cats", to=" \u200b "), "blank_class"),
    "name of another class": (RenameClass(name="cats", to="dogs"), "class_taken"),
    "one class is left": (MergeClasses(classes=["cats", "dogs", "birds"], to="all"), "one_class"),
    "no share": (Resplit(validation=0.0), "out_of_range"),
    "too large shares": (Resplit(validation=0.5, test=0.5), "out_of_range"),
    "unknown shape": (Reshape(shape="round"), "unknown_choice"),
    "bundled name": (Rename(to="Digits"), "name_taken"),
    "blank name": (Rename(to=" "), "bad_name"),
    "no earlier version": (Revert(), "unknown_version"),
    "a version outside": (Revert(to="../dataset"), "unsafe_path"),
    "no path": (AddImages(path="/nowhere/at/all"), "missing_path"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(folder: Path, case: str) -> None:
    before, (edit, code) = everything(folder), REFUSED[case]
    with pytest.raises(UserError) as refused:
        edit_dataset("pets", edit, folder)
    assert refused.value.code == code
    assert everything(folder) == before


def test_a_damaged_zip_adds_nothing(folder: Path, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "more.zip", pngs("dogs", 20, 200)).read_bytes()
    (tmp_path / "more.zip").write_bytes(whole[:-30])
    before = everything(folder)
    with pytest.raises(UserError, match="intact zip"):
        edit_dataset("pets", AddImages(path=str(tmp_path / "more.zip")), folder)
    assert everything(folder) == before


@pytest.mark.thorough
def test_a_full_disk_at_any_moment_leaves_the_former_version_or_the_new_one(folder: Path, tmp_path: Path) -> None:
    """SQLite's method: the n-th operation fails, for every n until none does."""
    more = unpacked(tmp_path / "more", pngs("dogs", 3, 200))
    before = card(folder)
    for at in range(1, 200):
        with breaking(Failpoint("enospc", at)) as fault:
            try:
                edit_dataset("pets", AddImages(path=str(more)), folder)
            except OSError:
                assert fault.fired
        found = card(folder)
        assert found.content_hash() == before.content_hash() or len(found.images) == len(before.images) + 3
        for image in found.images:
            home = find_home("pets", folder)
            assert home is not None
            assert (home / "images" / image.file).is_file()
        if not fault.fired:
            return
        if found.content_hash() != before.content_hash():
            edit_dataset("pets", Revert(to=before.content_hash()), folder)
    raise AssertionError("it never passes")
