"""What the teacher lends is there once, in every corner, and a table of attempts to change it changes no byte of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.classroom.learners import Class
from core.classroom.lent import lend, lend_to_all, shadowed
from core.classroom.limits import Limits, set_limits, usage
from core.engine.data import load_dataset
from core.engine.data.imports.editing import edit_dataset
from core.engine.data.imports.images import checked_name, import_images
from core.errors import UserError
from core.integrity.verify import verify
from core.own import added_backbones
from core.own.dataset_edits import AddImages, LeaveOut, MergeClasses, Rename, RenameClass, Resplit
from core.own.datasets import imported_datasets
from core.own.models import new_name
from core.workspace import Workspace
from core.workspace_files.cache import cached
from core.workspace_files.dataset_trash import delete_dataset
from tests.core.own.test_models import kept

RECIPE = """
name = "theirs"
dataset = "pets"
backbone = "resnet8"
image_size = 8

[[steps]]
stage = "transfer"
method = "linear_probe"
"""


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pets")
    for shade, label in enumerate(("cat", "dog")):
        (folder / label).mkdir()
        for number in range(12):
            Image.new("RGB", (8, 8), (shade * 120 + number, number, 0)).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, pets: Path) -> Path:
    """A teacher's workspace with a dataset, an imported network and an added one."""
    store = Workspace.open_or_create(tmp_path_factory.mktemp("made") / "w")
    import_images(pets, "pets", store.datasets)
    kept(store.models, "mine")
    facts = {"name": "timm/x", "params": 1, "macs": 1, "weights": "none", "classes": 2, "image_size": 8}
    added_backbones.keep(facts, store.models)
    return store.path


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(made, tmp_path / "w")))


def corner(root: Workspace, name: str) -> Workspace:
    return Workspace.open_or_create(root.path / "class" / Class(root.path).join(name).learner.id)


def lending(root: Workspace, *, teachers: bool = True) -> None:
    set_limits(root.path, Limits(teachers="read-only" if teachers else "hidden"))
    lend_to_all(root.path)


def chosen(store: Workspace) -> set[str]:
    """What of the teacher's a workspace can choose."""
    catalog = store.catalog()
    return {"pets", "own/mine", "timm/x"} & {*catalog.datasets, *catalog.backbones}


def content(folder: Path) -> dict[str, bytes]:
    """Every file but caches and locks, by its path."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.suffix != ".lock"}


def test_the_teachers_choice_decides(root: Workspace) -> None:
    ana = corner(root, "Ana")
    lend(ana.path)
    assert chosen(ana) == set(), "nothing, unless the teacher wants it"
    lending(root)
    bob = corner(root, "Bob")
    lend(bob.path)
    for store in (ana, bob):
        assert chosen(store) == {"pets", "own/mine", "timm/x"} == chosen(root)
    import_later = kept(root.models, "later")
    lend(ana.path)
    assert "own/later" in ana.catalog().backbones
    lending(root, teachers=False)
    assert chosen(ana) == chosen(bob) == set()
    assert list(ana.datasets.iterdir()) == list(ana.models.iterdir()) == []
    assert import_later.is_dir()
    assert chosen(root) == {"pets", "own/mine", "timm/x"}


def test_thirty_corners_hold_no_copy(root: Workspace) -> None:
    stores = [corner(root, f"learner {number}") for number in range(30)]
    before = sum(usage(store.path).disk for store in stores)
    lending(root)
    grown = sum(usage(store.path).disk for store in stores) - before
    assert grown < 30 * 300, "links alone"
    images = load_dataset("pets", 8, folder=stores[3].datasets).train.images
    assert (images == load_dataset("pets", 8, folder=root.datasets).train.images).all()


def test_a_learners_own_of_the_same_name_stays_and_is_told(root: Workspace, pets: Path) -> None:
    ana = corner(root, "Ana")
    import_images(pets, "pets", ana.datasets)
    lending(root)
    (home,) = ana.datasets.glob("own-*")
    assert not home.is_symlink()
    assert [path.name for path in shadowed(ana.path)] == [home.name]
    delete_dataset(ana, "pets")
    lend(ana.path)
    assert shadowed(ana.path) == []
    assert home.is_symlink()


def test_what_the_teacher_renamed_to_a_learners_name_is_not_mixed_up_with_it(root: Workspace, pets: Path) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    import_images(pets, "animals", ana.datasets)
    lending(root)
    assert set(imported_datasets(ana.datasets)) == {"animals", "pets"}
    edit_dataset("pets", Rename(to="animals"), root.datasets)
    for store in (ana, bob):
        lend(store.path)
        assert set(imported_datasets(store.datasets)) == {"animals"}
    assert [path.parent for path in shadowed(ana.path)] == [root.datasets]
    assert not any(path.is_symlink() for path in ana.datasets.iterdir())
    assert shadowed(bob.path) == []


def test_nothing_else_is_linked(root: Workspace) -> None:
    ana = corner(root, "Ana")
    (root.datasets / "digits").mkdir()
    (root.datasets / ("own-" + "0" * 16)).symlink_to(root.path / "runs")
    (root.datasets / ".import-1-2").mkdir()
    (root.models / "network.json").write_text("x")
    lending(root)
    lent = [path for folder in (ana.datasets, ana.models) for path in folder.iterdir()]
    assert len(lent) == 3
    for path in lent:
        assert path.resolve().parent.parent == root.path.resolve()
        assert not path.readlink().is_absolute(), "a copied workspace keeps its links"
    lend(root.path)
    assert not [path for path in root.models.iterdir() if path.is_symlink()], "a workspace that is no corner"


ATTEMPTS: dict[str, Callable[[Workspace], object]] = {
    "delete the dataset": lambda ana: delete_dataset(ana, "pets"),
    "rename it": lambda ana: edit_dataset("pets", Rename(to="mine now"), ana.datasets),
    "rename a class": lambda ana: edit_dataset("pets", RenameClass(name="cat", to="lion"), ana.datasets),
    "merge classes": lambda ana: edit_dataset("pets", MergeClasses(classes=["cat", "dog"], to="pet"), ana.datasets),
    "split it anew": lambda ana: edit_dataset("pets", Resplit(), ana.datasets),
    "leave out an image": lambda ana: edit_dataset("pets", LeaveOut(images=["cat/0.png"]), ana.datasets),
    "add images": lambda ana: edit_dataset("pets", AddImages(path="x.zip"), ana.datasets),
    "import another of its name": lambda ana: checked_name("pets", ana.datasets),
    "remove the network": lambda ana: ana.remove_network("mine"),
    "take out the added one": lambda ana: added_backbones.forget("timm/x", ana.models),
    "import a network of its name": lambda ana: new_name("mine", ana.models),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_attempts_to_change_what_is_lent(root: Workspace, what: str) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    lending(root)
    before = content(root.datasets), content(root.models)
    with pytest.raises(UserError) as told:
        ATTEMPTS[what](ana)
    assert told.value.code in ("lent", "name_taken"), told.value
    assert (content(root.datasets), content(root.models)) == before
    assert chosen(ana) == chosen(bob) == {"pets", "own/mine", "timm/x"}


def test_what_other_learners_have_is_not_lent(root: Workspace, pets: Path) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    import_images(pets, "of Ana", ana.datasets)
    lending(root)
    assert "of Ana" not in imported_datasets(bob.datasets)
    assert "of Ana" not in imported_datasets(root.datasets)


def test_the_teacher_keeps_what_a_learner_waits_for(root: Workspace) -> None:
    ana = corner(root, "Ana")
    lending(root)
    waiting = ana.submit(RECIPE)
    with pytest.raises(UserError) as told:
        delete_dataset(root, "pets")
    assert told.value.code == "dataset_in_use"
    network = ana.submit(RECIPE.replace("resnet8", "own/mine"))
    with pytest.raises(UserError) as told:
        root.remove_network("mine")
    assert told.value.code == "network_in_use"
    ana.cancel(waiting.id)
    ana.cancel(network.id)
    delete_dataset(root, "pets")
    root.remove_network("mine")
    lend(ana.path)
    assert chosen(ana) == {"timm/x"}, "links that lead nowhere go away"


def test_caches_and_checks_of_a_corner_leave_the_teachers_alone(root: Workspace) -> None:
    ana = corner(root, "Ana")
    lending(root)
    load_dataset("pets", 8, folder=root.datasets)
    assert any("own-" in one.file for one in cached(root))
    assert not any("own-" in one.file for one in cached(ana))
    files = [one.file for one in verify(root)]
    assert len(files) == len(set(files))
    assert any(file.startswith("datasets/own-") for file in files)
    assert not any(file.startswith("class/") and "/datasets/" in file for file in files), "checked where they lie"
