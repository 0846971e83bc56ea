"""Images without labels: what becomes a set without labels, what it then can and cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.engine.data import datasets, import_images, load_dataset
from core.engine.data.counts import count_dataset
from core.engine.data.imports.class_folders import Wishes
from core.engine.data.imports.editing import edit_dataset
from core.engine.data.imports.imported import find_home, read_own
from core.engine.data.imports.inspection import inspect
from core.engine.data.target import matched
from core.errors import UserError
from core.own.dataset_edits import AddImages, LeaveOut, MoveImages, Rename, RenameClass, Resplit, Revert
from core.own.datasets import imported_datasets
from core.workspace import Workspace
from core.workspace_files.dataset_trash import delete_dataset, restore_dataset


def drawn(folder: Path, names: list[str], first: int = 0, size: int = 12) -> Path:
    """Noise pictures, every one another; those of one name and number are the same."""
    for number, name in enumerate(names, first):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return drawn(tmp_path / "flat", [f"{n}.png" for n in range(6)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Workspace.open_or_create(tmp_path / "w").datasets


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_flat_folder_is_refused_with_the_name_of_the_switch(flat: Path, folder: Path, wrapped: bool) -> None:
    given = flat
    if wrapped:
        given = flat.parent / "outer"
        given.mkdir()
        flat.rename(given / "photos")
    with pytest.raises(UserError) as caught:
        import_images(given, "mine", folder)
    assert caught.value.code == ("one_class" if wrapped else "image_without_class")
    assert "--unlabelled" in caught.value.fix
    (choice,) = caught.value.choices
    assert choice.request == {"unlabelled": True}
    assert not list(folder.iterdir())
    assert import_images(given, "mine", folder, unlabelled=bool(choice.request["unlabelled"])).images == 6


def test_images_beside_class_folders_are_no_set_without_labels(tmp_path: Path, folder: Path) -> None:
    given = drawn(tmp_path / "given", ["cats/0.png", "cats/1.png", "dogs/2.png", "dogs/3.png", "stray.png"])
    with pytest.raises(UserError) as caught:
        import_images(given, "mine", folder)
    assert (caught.value.code, caught.value.choices) == ("image_without_class", ())


def test_its_images_are_for_learning_and_none_has_a_label(flat: Path, folder: Path) -> None:
    drawn(flat, ["copy.png"])  # the pixels of 0.png
    found = import_images(flat, "mine", folder, unlabelled=True)
    assert (found.unlabelled, found.classes, found.images) == (True, 0, 6)
    assert found.skipped == [{"file": "copy.png", "reason": "the same image as another: 0.png"}]
    data = load_dataset("mine", 32, folder=folder, unlabelled=True)
    assert (data.unlabelled, data.classes, data.size) == (True, (), 12)
    assert data.train.labels.tolist() == [-1] * 6
    assert (len(data.validation), len(data.test)) == (0, 0)
    stored = {image.tobytes() for image in data.train.images.numpy()}
    assert stored == {np.asarray(Image.open(flat / f"{n}.png")).tobytes() for n in range(6)}
    facts = imported_datasets(folder)["mine"]
    assert (facts["unlabelled"], facts["train"], facts["tests"], facts["classes"]) == (True, 6, 0, 0)
    assert datasets(folder)["mine"].unlabelled


def test_folders_do_not_matter_and_are_told(tmp_path: Path, folder: Path) -> None:
    given = drawn(tmp_path / "given", ["day/0.png", "night/1.png", "night/deep/2.png"])
    found = import_images(given, "mine", folder, unlabelled=True)
    assert found.images == 3
    assert found.warnings[0] == "its 3 folders are not used as classes: day, night, night/deep"


def test_it_cannot_be_loaded_where_labels_are_needed(flat: Path, folder: Path) -> None:
    import_images(flat, "mine", folder, unlabelled=True)
    for load in (load_dataset, count_dataset):
        with pytest.raises(UserError) as caught:
            load("mine", 32, folder=folder)
        assert caught.value.code == "without_labels"
        assert "no labels: it cannot be trained on alone" in caught.value.given
    assert len(count_dataset("mine", 32, folder, unlabelled=True).data.train) == 6


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        (Wishes(classes_from="top"), "classes_from"),
        (Wishes(splits=False), "splits"),
        (Wishes(merge=True), "merge"),
        (Wishes(group_by="_"), "group_by"),
    ],
)
def test_wishes_about_classes_are_refused(flat: Path, folder: Path, wishes: Wishes, field: str) -> None:
    with pytest.raises(UserError) as caught:
        import_images(flat, "mine", folder, wishes=wishes, unlabelled=True)
    assert (caught.value.code, caught.value.field) == ("no_folders", field)


def test_one_image_is_too_few(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        import_images(drawn(tmp_path / "one", ["0.png"]), "mine", folder, unlabelled=True)
    assert caught.value.code == "too_few_images"
    assert not list(folder.iterdir())


def test_images_with_classes_become_its_labelled_part(flat: Path, tmp_path: Path, folder: Path) -> None:
    import_images(flat, "mine", folder, unlabelled=True)
    labelled = drawn(tmp_path / "labelled", ["1/a.png", "0/b.png", "0/c.png"], first=5)  # a.png is 5.png
    edit_dataset("mine", AddImages(path=str(labelled)), folder)
    card = read_own(find_home("mine", folder) or Path()).card
    assert card.classes == ["0", "1"]
    assert {image.name: (image.label, image.split) for image in card.images if image.label >= 0} == {
        "1/a.png": (1, "test"),
        "0/b.png": (0, "test"),
        "0/c.png": (0, "test"),
    }
    assert sorted(image.name for image in card.images if image.label < 0) == [f"{n}.png" for n in range(5)]
    assert {"file": "5.png", "reason": "the same image as another: 1/a.png"} in card.skipped
    assert imported_datasets(folder)["mine"]["tests"] == 3
    edit_dataset("mine", AddImages(path=str(drawn(tmp_path / "more", ["x.png"], first=50)), unlabelled=True), folder)
    data = load_dataset("mine", 32, folder=folder, unlabelled=True)
    assert (len(data.train), data.test.labels.tolist()) == (6, [0, 0, 1])


def test_what_can_be_changed_and_taken_back(flat: Path, folder: Path) -> None:
    import_images(flat, "mine", folder, unlabelled=True)
    edit_dataset("mine", LeaveOut(images=["0.png"]), folder)
    edit_dataset("mine", MoveImages(images=["1.png"], to="one"), folder)
    edit_dataset("mine", RenameClass(name="one", to="eins"), folder)
    edit_dataset("mine", Rename(to="ours"), folder)
    data = load_dataset("mine", 32, folder=folder, unlabelled=True)  # a former name
    assert (data.name, data.classes, len(data.train), len(data.test)) == ("ours", ("eins",), 4, 1)
    edit_dataset("ours", Revert(), folder)
    assert read_own(find_home("ours", folder) or Path()).card.classes == ["one"]
    with pytest.raises(UserError) as caught:
        edit_dataset("ours", Resplit(), folder)
    assert caught.value.code == "without_labels"
    with pytest.raises(UserError) as caught:
        edit_dataset("ours", LeaveOut(images=["2.png", "3.png", "4.png"]), folder)
    assert caught.value.code == "too_few_images"
    workspace = Workspace(folder.parent)
    restore_dataset(workspace, delete_dataset(workspace, "ours"))
    assert "ours" in imported_datasets(folder)


def test_a_set_with_labels_takes_none_without(flat: Path, tmp_path: Path, folder: Path) -> None:
    names = [f"{kind}/{n}.png" for kind in ("cats", "dogs") for n in range(4)]
    import_images(drawn(tmp_path / "pets", names, first=100), "pets", folder)
    with pytest.raises(UserError) as caught:
        edit_dataset("pets", AddImages(path=str(flat), unlabelled=True), folder)
    assert caught.value.code == "labelled_set"
    assert "pool" in caught.value.fix


def test_its_report_counts_the_images_without_a_label(flat: Path, folder: Path) -> None:
    import_images(flat, "mine", folder, unlabelled=True)
    edit_dataset("mine", MoveImages(images=["1.png"], to="one"), folder)
    found = inspect(read_own(find_home("mine", folder) or Path()), lambda what, done, total: None)
    assert (found.report.unlabelled, found.report.images) == (5, 6)
    assert [(each.name, each.test) for each in found.report.classes] == [("one", 1)]
    assert {"samples", "class-0"} <= set(found.pictures)


def test_as_a_target_it_is_reported_on_as_far_as_it_has_labels(flat: Path, folder: Path) -> None:
    import_images(flat, "mine", folder, unlabelled=True)
    source, told = load_dataset("digits", 8), list[tuple[str, str]]()
    target = matched(source, load_dataset("mine", 12, folder=folder, unlabelled=True), lambda *each: told.append(each))
    assert (len(target.unlabelled.images), target.unlabelled.shared, len(target.test)) == (6, tuple(range(10)), 0)
    assert told == [("unlabelled_target", "mine has no labels: the accuracy on it is not known and not reported.")]
    edit_dataset("mine", MoveImages(images=["1.png", "2.png"], to="7"), folder)
    edit_dataset("mine", MoveImages(images=["3.png"], to="cats"), folder)
    target = matched(source, load_dataset("mine", 12, folder=folder, unlabelled=True), lambda *each: told.append(each))
    assert (len(target.unlabelled.images), target.test.labels.tolist()) == (3, [7, 7])
    assert told[1][1] == (
        "The accuracy on mine is that on its 2 labelled images of 1 class. Those of other classes are left out: cats."
    )
