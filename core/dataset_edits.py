"""What a person can change in a set of their own images, as plain data: the same for a job and for a command.

Each change makes a new version of the set; the version before stays, and a run that began with it keeps it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class LeaveOut(_Edit):
    """Without these images, named as they came in."""

    op: Literal["leave_out"] = "leave_out"
    images: list[str]


class MoveImages(_Edit):
    """These images in another class, which may be new."""

    op: Literal["move"] = "move"
    images: list[str]
    to: str


class RenameClass(_Edit):
    op: Literal["rename_class"] = "rename_class"
    name: str
    to: str


class MergeClasses(_Edit):
    """Several classes as one."""

    op: Literal["merge"] = "merge"
    classes: list[str]
    to: str


class Rename(_Edit):
    """Another name for the set; recipes that use a former name still find it."""

    op: Literal["rename"] = "rename"
    to: str


class Resplit(_Edit):
    """All images shared out anew: so large a share, of 1, becomes validation and test; `seed` decides which."""

    op: Literal["split"] = "split"
    validation: float = 0.15
    test: float = 0.15
    seed: int = 0


class Reshape(_Edit):
    """How pictures become square: crop, pad or stretch."""

    op: Literal["shape"] = "shape"
    shape: str


class AddImages(_Edit):
    """More images, from a folder or zip; `label` puts all of them into one class, else their folders are the classes.
    The other fields are those of an import."""

    op: Literal["add"] = "add"
    path: str
    label: str = ""
    classes_from: str = ""
    splits: bool = True
    merge: bool = False
    encoding: str = ""


class Revert(_Edit):
    """Back to an earlier version, named by its content hash; empty for the one before."""

    op: Literal["revert"] = "revert"
    to: str = ""


Edit = Annotated[
    LeaveOut | MoveImages | RenameClass | MergeClasses | Rename | Resplit | Reshape | AddImages | Revert,
    Field(discriminator="op"),
]
EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)
