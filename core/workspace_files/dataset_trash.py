"""Deleting and restoring imported datasets; the workspace's trash keeps them for a week."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from core.classroom.lent import is_lent, refuse_lent
from core.classroom.places import corners
from core.errors import UserError
from core.files import make_folder, move, remove_tree, safe_join, touch
from core.own.datasets import CARD, find_home
from core.recipe import stored_recipe
from core.state import Status
from core.workspace import Workspace


def delete_dataset(workspace: Workspace, name: str) -> str:
    """Moves an imported dataset to the trash and returns the id for `restore_dataset`. Raises UserError
    `unknown_dataset`, `lent` in a learner's corner for the teacher's, or `dataset_in_use` while a waiting or running
    run needs it, also one of a learner to whom it is lent."""
    home = find_home(name, workspace.datasets)
    if home is None:
        fix = "List them with `condenser list datasets`; only imported ones can be deleted."
        raise UserError("unknown_dataset", "dataset", name, "a dataset of your own", fix)
    refuse_lent(home, "dataset", name)
    user = next(chain.from_iterable(_users(one, name) for one in _sharing(workspace, home.name)), None)
    if user is not None:
        fix = "Cancel it first, or wait until it ends."
        raise UserError("dataset_in_use", "dataset", f"{name}, which run {user} uses", "a dataset not in use", fix)
    target = make_folder(workspace.path / "trash") / home.name
    remove_tree(target)
    move(home, target)
    touch(target)  # the trash is emptied by age
    return home.name


def restore_dataset(workspace: Workspace, deleted: str) -> None:
    """Undoes `delete_dataset`; raises UserError `unknown_dataset` if it is no longer in the trash, `name_taken` if
    another dataset now has its name."""
    source = safe_join(workspace.path / "trash", deleted)
    if not deleted.startswith("own-") or not (source / CARD).is_file():
        raise UserError("unknown_dataset", "dataset", deleted, "a deleted dataset", "Import the images again.")
    target = workspace.datasets / deleted
    if target.exists():
        fix = "Rename or delete the new one first."
        raise UserError("name_taken", "dataset", deleted, "a name no other dataset has", fix)
    move(source, target)


def deleted_home(workspace: Workspace, name: str) -> str | None:
    """The id of the deleted dataset with that name; None if there is none."""
    home = find_home(name, workspace.path / "trash")
    return home.name if home is not None else None


def _sharing(workspace: Workspace, home: str) -> Iterator[Workspace]:
    """The workspace, and the corners that its dataset is lent to."""
    yield workspace
    for corner in corners(workspace.path):
        if is_lent(corner / "datasets" / home):
            yield Workspace(corner)


def _users(workspace: Workspace, name: str) -> Iterator[str]:
    for line in workspace.lines():
        if Status(line.status).is_over:
            continue
        with suppress(OSError, ValueError):  # a recipe that cannot be read names no dataset
            recipe = stored_recipe(workspace.run(line.id).recipe_text)
            if name in (recipe.dataset, recipe.target, recipe.pool):
                yield line.id
