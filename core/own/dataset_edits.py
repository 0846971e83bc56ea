"""Changes to an imported dataset, as plain data, the same for jobs and commands.

Each change makes a new version of the dataset; the earlier version stays, and a run that began with it keeps using it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class LeaveOut(_Edit):
    """Leaves out these images, given by the names they were imported under."""

    op: Literal["leave_out"] = "leave_out"
    images: list[str]


class MoveImages(_Edit):
    """Moves these images to another class, which may be new."""

    op: Literal["move"] = "move"
    images: list[str]
    to: str


class RenameClass(_Edit):
    """Renames a class."""

    op: Literal["rename_class"] = "rename_class"
    name: str
    to: str


class MergeClasses(_Edit):
    """Merges several classes into one."""

    op: Literal["merge"] = "merge"
    classes: list[str]
    to: str


class Rename(_Edit):
    """Renames the dataset; recipes that use a former name still find it."""

    op: Literal["rename"] = "rename"
    to: str


class Resplit(_Edit):
    """Splits all images again: `validation` and `test` are shares from 0 to 1; `seed` decides which images they get."""

    op: Literal["split"] = "split"
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0


class Reshape(_Edit):
    """Changes how pictures become square: crop, pad or stretch."""

    op: Literal["shape"] = "shape"
    shape: str


class AddImages(_Edit):
    """Adds images from a folder or zip; `label` puts all of them into one class, otherwise their folders are the
    classes. The other fields are those of an import. To a set without labels, images with classes are added as its
    labelled part, which is tested on, and `unlabelled` ones, or one frame in `every` seconds of a video, to the
    rest."""

    op: Literal["add"] = "add"
    path: str
    label: str = ""
    classes_from: str = ""
    splits: bool = True
    merge: bool = False
    encoding: str = ""
    unlabelled: bool = False
    every: float = 1.0


class Revert(_Edit):
    """Returns to an earlier version, given by its content hash; empty for the previous one."""

    op: Literal["revert"] = "revert"
    to: str = ""


Edit = Annotated[
    LeaveOut | MoveImages | RenameClass | MergeClasses | Rename | Resplit | Reshape | AddImages | Revert,
    Field(discriminator="op"),
]
EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)
