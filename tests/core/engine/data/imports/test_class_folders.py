"""Folders as people have them: the level of the classes is found, or named for a person to choose; none is dropped
without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.data import Imported, import_images
from core.engine.data.imports.class_folders import Arrangement, Wishes, arrange
from core.engine.data.imports.file_names import alike, is_ignored, plainest, shown
from core.engine.data.imports.folders import is_container, split_of, words
from core.errors import UserError
from tests.core.engine.data.imports.test_images import Files, encoded, picture, pngs, splits, unpacked, zipped

TWO = {"cats": 9, "dogs": 8}
Folders = dict[str, int]


def under(*tops: str) -> Folders:
    return {f"{top}/{name}": count for top in tops for name, count in TWO.items()}


def arranged(folders: Folders, wishes: Wishes = Wishes()) -> Arrangement:  # noqa: B008
    """The layout of folders with so many images each."""
    return arrange([f"{folder}/{n}.png" for folder, count in folders.items() for n in range(count)], wishes)


def found(folders: Folders, wishes: Wishes = Wishes()) -> tuple[dict[str, int], set[str | None]]:  # noqa: B008
    """Images of each class, and the splits that were given."""
    layout = arranged(folders, wishes)
    counts: dict[str, int] = {}
    for name in layout.classes.values():
        counts[name] = counts.get(name, 0) + 1
    return counts, set(layout.splits.values())


GIVEN_SPLITS: dict[str, tuple[Folders, set[str | None]]] = {
    "underscore": (under("train_images", "test_images"), {"train", "test"}),
    "hyphen": (under("images-train", "images-test"), {"train", "test"}),
    "blank and capitals": (under("Training Set", "Validation Set", "TEST"), {"train", "validation", "test"}),
    "prefix": (under("dataset_train", "dataset_val"), {"train", "validation"}),
    "number in front": (under("01_train", "02_test"), {"train", "test"}),
    "year behind": (under("train2017", "val2017"), {"train", "validation"}),
    "camel case": (under("trainImages", "TestImages"), {"train", "test"}),
    "Chinese": (under("训练集", "测试集"), {"train", "test"}),
    "German": (under("Training", "Validierung", "Test"), {"train", "validation", "test"}),
    "French": (under("entraînement", "validation", "test"), {"train", "validation", "test"}),
    "Spanish": (under("entrenamiento", "validación", "prueba"), {"train", "validation", "test"}),
    "traditional Chinese": (under("訓練", "驗證", "測試"), {"train", "validation", "test"}),
    "Japanese": (under("学習データ", "検証データ", "テストデータ"), {"train", "validation", "test"}),
    "Russian": (under("обучение", "валидация", "тест"), {"train", "validation", "test"}),
    "without a border": (under("traindata", "valset", "testimages"), {"train", "validation", "test"}),
    "Chinese with data behind": (under("训练数据", "验证数据", "测试数据"), {"train", "validation", "test"}),
    "a wrapper below": (under("train/images", "test/images"), {"train", "test"}),
    "wrappers of different names below": (under("train/imgs_a", "test/imgs_b"), {"train", "test"}),
    "a wrapper above": (under("data/train", "data/test"), {"train", "test"}),
    "twice": (under("train/train_images", "test/test_images"), {"train", "test"}),
    "below the class": ({"cats/train": 5, "cats/test": 4, "dogs/train": 5, "dogs/test": 3}, {"train", "test"}),
    "next to a copy inside": (under("train", "test", "data/train", "data/test"), {"train", "test"}),
}


@pytest.mark.parametrize("row", GIVEN_SPLITS)
def test_split_words_are_found_as_parts_of_names(row: str) -> None:
    folders, expected = GIVEN_SPLITS[row]
    counts, given = found(folders)
    assert set(counts) == {"cats", "dogs"}
    assert given == expected
    assert any("were taken as splits" in warning for warning in arranged(folders).warnings)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("x_valid_2", "validation"),
        ("devSet", "validation"),
        ("TESTING", "test"),
        ("trains", ""),
        ("contest", ""),
        ("pretrained", ""),
        ("train_test", ""),
        ("détraining", ""),
        ("holdout", "test"),
        ("", ""),
    ],
)
def test_a_split_word_ends_at_a_word_border(name: str, split: str) -> None:
    assert split_of(name) == split


def test_words_and_containers() -> None:
    assert words("HTTPServer_trainImages2") == ["http", "server", "train", "images"]
    for name in ("2019", "2020-05", "2019_05_31", "Batch 3", "images", "fold_2"):
        assert is_container(name), name
    for name in ("cats", "7", "003", "image of cats", "1832", "20195"):
        assert not is_container(name), name


SEVERAL: dict[str, tuple[Folders, list[tuple[str, set[str]]]]] = {
    "day and night": (under("day", "night"), [("top", {"day", "night"}), ("inner", {"cats", "dogs"})]),
    "authors": (under("alice", "bob"), [("top", {"alice", "bob"}), ("inner", {"cats", "dogs"})]),
    "classes two levels down": (
        {"animals/cat": 5, "animals/dog": 5, "things/car": 5, "things/bus": 5},
        [("top", {"animals", "things"}), ("inner", {"cat", "dog", "car", "bus"})],
    ),
    "mixed depth": (
        {"animals/cat": 5, "animals/dog": 5, "car": 5},
        [("top", {"animals", "car"}), ("inner", {"cat", "dog", "car"})],
    ),
    "other images of the classes in a folder next to them": (
        {**TWO, "drawn/cats": 20, "drawn/dogs": 30},
        [("top", {"cats", "dogs", "drawn"}), ("inner", {"cats", "dogs"})],
    ),
    "three levels": (
        {f"{a}/{b}/{c}": 3 for a in ("day", "night") for b in ("left", "right") for c in TWO},
        [("top", {"day", "night"}), ("2", {"left", "right"}), ("inner", {"cats", "dogs"})],
    ),
    "only one of the splits": (under("train", "unsorted"), [("top", {"train", "unsorted"}), ("inner", set(TWO))]),
    "masks next to images": (
        {f"{a}/{b}": 4 for a in TWO for b in ("images", "masks")},
        [("top", set(TWO)), ("inner", {"images", "masks"})],
    ),
}


@pytest.mark.parametrize("row", SEVERAL)
def test_several_levels_are_named_and_each_can_be_chosen(row: str) -> None:
    folders, levels = SEVERAL[row]
    with pytest.raises(UserError) as caught:
        arranged(folders)
    error = caught.value
    assert (error.code, error.field) == ("which_level", "path")
    assert [(choice.request["classes_from"], set(choice.counts)) for choice in error.choices] == levels
    for choice, (word, names) in zip(error.choices, levels, strict=True):
        assert choice.flags == f"--classes-from {word}"
        assert choice.flags in error.allowed
        assert choice.flags in error.fix
        assert choice.meaning in error.allowed
        counts, _ = found(folders, Wishes(word))
        assert counts == choice.counts
        assert set(counts) == names


def test_the_levels_are_named_with_counts() -> None:
    with pytest.raises(UserError) as caught:
        arranged({"day/cat": 60, "day/dog": 40, "night/cat": 10, "night/dog": 8})
    assert [choice.meaning for choice in caught.value.choices] == [
        "as classes: day (100), night (18)",
        "as classes: cat (70), dog (48) (inside each of day, night)",
    ]


ONE: dict[str, tuple[Folders, set[str], str]] = {
    "years inside": ({"cats/2019": 5, "cats/2020": 5, "dogs/2019": 5}, set(TWO), "not taken as classes: 2019, 2020"),
    "years around": ({"2019/cats": 5, "2020/cats": 5, "2020/dogs": 5}, set(TWO), "inside 2019, 2020"),
    "folds": (under("fold1", "fold2", "fold3"), set(TWO), "inside each of fold1, fold2, fold3"),
    "a copy inside": ({**TWO, **under("pets")}, set(TWO), "not taken as classes: pets"),
    "a backup inside, files named otherwise": (
        {**TWO, "backup/cats": 20, "backup/dogs": 30},
        set(TWO),
        "not taken as classes: backup",
    ),
    "a few further in": ({**TWO, "cats/more": 1}, set(TWO), "not taken as classes: more"),
    "one folder in each class": ({"cats/a": 5, "dogs/b": 5}, set(TWO), "not taken as classes: a, b"),
}


@pytest.mark.parametrize("row", ONE)
def test_where_one_level_is_plausible_it_is_taken_and_said(row: str) -> None:
    folders, names, told = ONE[row]
    layout = arranged(folders)
    assert set(layout.classes.values()) == names
    assert len(layout.classes) == sum(folders.values())
    assert any(told in warning and "--classes-from" in warning for warning in layout.warnings)


def test_a_flat_set_and_wrappers_around_it_need_no_word() -> None:
    for folders in (TWO, {f"photos/mine/{name}": count for name, count in TWO.items()}, {"747MAX": 5, "camera": 5}):
        assert arranged(folders).warnings == []


@pytest.mark.parametrize(
    ("folders", "odd"),
    [
        ({"2019": 5, "2020": 5}, "2019, 2020"),
        ({"100CANON": 5, "101CANON": 5}, "100CANON, 101CANON"),
        ({"batch 1": 5, "batch 2": 5}, "batch 1, batch 2"),
        ({"Photos from 2019": 5, **TWO}, "Photos from 2019"),
        ({"DCIM/100_PANA": 5, "DCIM/101_PANA": 5}, "100_PANA, 101_PANA"),
    ],
)
def test_classes_named_like_rolls_of_a_camera_are_said(folders: Folders, odd: str) -> None:
    (told,) = arranged(folders).warnings
    assert told.startswith("taken as classes, although the names say when or how the images were stored: " + odd + ";")
    assert "--unlabelled" in told


def test_a_folder_beside_the_splits_with_the_same_classes_is_named() -> None:
    """As a split whose name no list of words knows."""
    layout = arranged(under("train", "test", "ellenőrzés"))
    assert {split for path, split in layout.splits.items() if path.startswith("ellenőrzés")} == {None}
    (told,) = [each for each in layout.warnings if "ellenőrzés" in each and "no split word" in each]
    assert "name them train, validation or test" in told
    assert not any("no split word" in each for each in arranged({**under("train", "test"), "birds": 5}).warnings)


def test_splits_without_class_folders_are_no_classes_unless_a_person_says_so() -> None:
    with pytest.raises(UserError) as caught:
        arranged({"train_images": 9, "test_images": 4})
    assert caught.value.code == "no_class_folders"
    (choice,) = caught.value.choices
    assert (choice.request, choice.flags) == ({"splits": False}, "--no-splits")
    counts, given = found({"train_images": 9, "test_images": 4}, Wishes(splits=False))
    assert (counts, given) == ({"train_images": 9, "test_images": 4}, {None})
    assert found({"train station": 5, "test tube": 5, "apple": 5})[0].keys() == {"train station", "test tube", "apple"}


def test_without_splits_the_folders_are_read_like_any_others() -> None:
    with pytest.raises(UserError) as caught:
        arranged(under("train", "test"), Wishes(splits=False))
    assert caught.value.code == "which_level"
    counts, given = found(under("train", "test"), Wishes("inner", splits=False))
    assert (set(counts), given) == (set(TWO), {None})


def test_an_unsorted_test_folder_is_left_out_with_its_reason() -> None:
    """As tiny-imagenet has it."""
    layout = arranged({"train/n01/images": 5, "train/n02/images": 5, "val/images": 4, "test/images": 3})
    assert set(layout.classes.values()) == {"n01", "n02"}
    assert len(layout.left_out) == 7
    assert set(layout.left_out.values()) == {
        f"it is in {name}/images, without a class folder" for name in ("val", "test")
    }


def test_classes_next_to_splits_and_in_none_of_them_are_said() -> None:
    layout = arranged({**under("train", "test"), "birds": 5})
    assert any("taken as classes: birds" in warning for warning in layout.warnings)


@pytest.mark.parametrize("word", ["0", "3", "outer", "-1", "１", "99999999999"])
def test_levels_that_are_not_there(word: str) -> None:
    with pytest.raises(UserError, match="1 to 2") as caught:
        arranged(under("day", "night"), Wishes(word))
    assert caught.value.field == "classes_from"


# names that are alike


@pytest.mark.parametrize(
    "other",
    [
        "Cats",
        "cats ",
        " cats",
        "ca ts",
        "cats.",
        "cats..",
        "ca\u200bts",
        "cats\ufeff",
        "c\u00adats",
        "cats\ufe0f",
        "ｃａｔｓ",
        "cats\u3000",
        "cats\u00a0",
        "ca\u2060ts",
        "cats\u202e",
    ],
)
def test_names_that_are_alike_are_offered_as_a_merge(other: str, tmp_path: Path) -> None:
    files = {**pngs("cats", 4), **pngs(other, 3, 50), **pngs("dogs", 4, 100)}
    path = zipped(tmp_path / "given.zip", files)
    with pytest.raises(UserError) as caught:
        import_images(path, "mine", tmp_path / "datasets")
    (choice,) = caught.value.choices
    assert (caught.value.code, choice.request, choice.flags) == ("classes_alike", {"merge": True}, "--merge")
    assert "(3)" in caught.value.given
    got = import_images(path, "mine", tmp_path / "datasets", wishes=Wishes(merge=True))
    assert (got.classes, got.images) == (2, 11)
    assert any("merged into the class" in warning for warning in got.warnings)


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("red-oak", "red–oak", True),
        ("red-oak", "red‐oak", True),
        ("red_oak", "Red oak", True),
        ("red-oak", "redoak", True),
        ("lady's", "lady’s", True),
        ("A-", "A", False),
        ("1-2", "12", False),
        ("B_1", "B1", False),
        ("a-b", "ab", False),
        ("cats", "cat's", False),
    ],
)
def test_dashes_underscores_and_apostrophes_of_any_kind_are_one(name: str, other: str, same: bool) -> None:
    assert (alike(name) == alike(other)) is same


def test_what_cannot_be_seen_in_a_name_is_spelled_out() -> None:
    assert shown("ca\u200bts") == "ca\\u200bts"
    assert shown("cats ") == '"cats "'
    assert shown("a\u00a0b") == "a\\u00a0b"
    assert shown("cats") == "cats"
    assert plainest(["Cats ", "ca\u200bts", "cats", "ｃａｔｓ"]) == "cats"
    assert alike("e\u0301t\u00e9.") == alike("ÉTÉ")
    assert alike("...") != alike("..x")


# every folder of the class level


def imported(tmp_path: Path, files: Files, folders: tuple[str, ...] = ()) -> Imported:
    given = unpacked(tmp_path / "given", files)
    for folder in folders:
        (given / folder).mkdir(parents=True)
    return import_images(given, "mine", tmp_path / "datasets")


def test_every_class_folder_is_accounted_for(tmp_path: Path) -> None:
    heic = b"\0\0\0\x18ftypheic" + bytes(20)
    files = {**pngs("cats", 4), **pngs("dogs", 4, 100), "birds/1.heic": heic, "birds/2.heic": heic}
    given = unpacked(tmp_path / "given", {**files, "fish/cut.png": files["cats/0.png"][:60]})
    (given / "empty").mkdir()
    (given / "linked").mkdir()
    (given / "linked" / "a.png").symlink_to(given / "cats" / "0.png")
    (given / "elsewhere").symlink_to(given / "cats")
    got = import_images(given, "mine", tmp_path / "datasets")
    told = {str(each["folder"]): (each["images"], str(each["reason"])) for each in got.folders}
    assert set(told) == {"cats", "dogs", "birds", "fish", "empty", "linked", "elsewhere"}
    assert told["cats"] == told["dogs"] == (4, "")
    assert told["birds"][1].startswith("2 × HEIC")
    assert "damaged" in told["fish"][1]
    assert told["empty"][1].startswith("empty")
    assert told["linked"][1].startswith("1 × a link")
    assert told["elsewhere"][1].startswith("1 × a link")
    (warning,) = [warning for warning in got.warnings if "without usable images" in warning]
    assert all(name in warning for name in ("birds", "fish", "empty", "linked", "elsewhere"))


def test_empty_folders_of_a_zip_and_of_a_split_are_accounted_for(tmp_path: Path) -> None:
    files = {**pngs("set/train/a", 5), **pngs("set/train/b", 5, 9), **pngs("set/test/a", 2, 30), "set/test/b/": b""}
    got = import_images(zipped(tmp_path / "given.zip", files), "mine", tmp_path / "datasets")
    told = {str(each["folder"]): (each["class"], each["split"], each["images"]) for each in got.folders}
    assert told["set/test/b"] == ("b", "test", 0)
    assert told["set/train/b"] == ("b", "train", 5)
    assert any("set/test/b (empty" in warning for warning in got.warnings)
    assert any(warning.startswith("no test image") and warning.endswith(": b") for warning in got.warnings)


@pytest.mark.parametrize("lacking", ["test", "validation"])
def test_a_class_that_lacks_a_given_split_is_named(lacking: str, tmp_path: Path) -> None:
    folders = [f"{split}/{name}" for split in ("train", "test", "validation") for name in "ab"]
    files: Files = {}
    for number, folder in enumerate(folders):
        if folder != f"{lacking}/b":
            files |= pngs(folder, 4, 10 * number)
    got = imported(tmp_path, files)
    told = [warning for warning in got.warnings if warning.startswith("no ")]
    assert told == [f"no {lacking} image, so nothing is known of how well it is recognised there: b"]


def test_a_class_of_copies_is_named_and_every_class_is_trained(tmp_path: Path) -> None:
    """`copies` holds images of `cats` alone, under other names: whatever is drawn, it gets a training image."""
    files = {**pngs("cats", 12), **pngs("dogs", 12, 100)}
    files |= {f"copies/{n}.png": files[f"cats/{n}.png"] for n in range(4)}
    got = imported(tmp_path, files)
    assert any("the class copies consists only of copies of images of cats" in warning for warning in got.warnings)
    where = splits(tmp_path)
    for name in ("cats", "dogs", "copies"):
        assert "train" in {split for known, split in where.values() if known == name}


def test_promises_hold_for_files_when_copies_join_given_splits(tmp_path: Path) -> None:
    """The only test images of b are copies of training images of a: they are training images, and b has no test."""
    files = {**pngs("train/a", 8), **pngs("train/b", 8, 20), **pngs("test/a", 3, 40)}
    files |= {f"test/b/{n}.png": files[f"train/a/{n}.png"] for n in range(3)}
    got = imported(tmp_path, files)
    assert not [name for name, (label, split) in splits(tmp_path).items() if (label, split) == ("b", "test")]
    assert any(warning.startswith("no test image") and warning.endswith(": b") for warning in got.warnings)


# hidden and system folders

LITTER = (
    "System Volume Information/IndexerVolumeGuid",
    "$RECYCLE.BIN/S-1-5/a.png",
    ".git/objects/a.png",
    ".svn/a.png",
    "__pycache__/a.pyc",
    ".ipynb_checkpoints/a.png",
    ".Trashes/a.png",
    ".Spotlight-V100/a",
    ".fseventsd/a",
    "cats/@eaDir/0.png/SYNOFILE_THUMB_M.png",
    "#recycle/a.png",
    "cats/.thumbnails/a.png",
    "lost+found/a.png",
    ".idea/a.xml",
    ".vscode/a.json",
    "node_modules/a/b.png",
    "cats/.DS_Store",
    "cats/._0.png",
    "dogs/desktop.ini",
    "dogs/Thumbs.db",
    "dogs/.~lock.a#",
    "dogs/.picasa.ini",
    "dogs/Picasa.ini",
    "__MACOSX/cats/._0.png",
    "DOGS.tmp/.hidden",
    "cats/~$a.png",
    "RECYCLER/a.png",
    "CVS/a.png",
    "found.003/a.png",
    "MSOCache/a.png",
    "cats/0.png:Zone.Identifier",
    "$WINDOWS.~BT/a.png",
    "cats/@__thumb/a.png",
    "thumbs_cache.db",
    "_gsdata_/a.png",
)


@pytest.mark.parametrize("pack", [zipped, unpacked])
def test_litter_is_ignored_and_counted(pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    image = encoded(picture(3))
    files = {**pngs("cats", 4), **pngs("dogs", 4, 100), **dict.fromkeys(LITTER, image)}
    got = import_images(pack(tmp_path / "given", files), "mine", tmp_path / "datasets")
    assert (got.classes, got.images, got.skipped) == (2, 8, [])
    assert sum(got.ignored.values()) == len(LITTER)
    assert got.ignored["@eaDir"] == 1
    assert {str(each["folder"]) for each in got.folders if each["images"]} == {"cats", "dogs"}


def test_a_set_of_hidden_files_alone_is_refused_with_their_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 hidden or system files were ignored"):
        imported(tmp_path, {".cats/1.png": encoded(picture(1)), ".dogs/1.png": encoded(picture(2))})


@pytest.mark.parametrize("name", ["cats", "git", "lost and found", "..", ".", "recycled", "icon", "cvs", "CVS2"])
def test_names_that_only_resemble_litter_are_kept(name: str) -> None:
    assert not is_ignored(name)
