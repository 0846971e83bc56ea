"""`condenser dataset …`: inspect, change, download and delete datasets; what the page Data does, as commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from core.commands.import_report import progress_line, report
from core.commands.program import AsJson, Folder, interruptible, say, screen
from core.commands.program import app as program
from core.errors import UserError
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
from core.own.dataset_report import Report
from core.processes.ask import ask
from core.questions.dataset_edit import Edited, EditRequest
from core.questions.dataset_fetch import FetchRequest
from core.questions.dataset_report import ReportRequest
from core.questions.request import A, Request
from core.questions.sample_images import SampleImagesRequest
from core.statistics.intervals import wilson
from core.text import formatting
from core.workspace import Workspace
from core.workspace_files.dataset_trash import delete_dataset, deleted_home, restore_dataset

TYPICAL = 0.9  # the accuracy for which the interval is reported in advance
app = App(name="dataset", help="Inspect, change, download and delete datasets; every change can be undone.")
program.command(app)


@app.command
def show(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Report on a dataset: classes and splits, sizes, duplicates, skipped files, and how precise an accuracy will be.

    Parameters
    ----------
    name
        A dataset of your own.
    """
    found = _asked(workspace, ReportRequest(name), "Nothing was changed.")
    return say(json, found.model_dump(mode="json"), "\n".join(_lines(found)))


@app.command
def leave_out(name: str, *images: str, workspace: Folder = None, json: AsJson = False) -> int:
    """Leave images out.

    Parameters
    ----------
    images
        Their names as they were imported, such as cats/7.jpg.
    """
    return _edit(name, LeaveOut(images=list(images)), workspace, json)


@app.command
def move(name: str, *images: str, to: str, workspace: Folder = None, json: AsJson = False) -> int:
    """Move images to another class, which may be new."""
    return _edit(name, MoveImages(images=list(images), to=to), workspace, json)


@app.command
def rename_class(name: str, old: str, new: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Give a class another name."""
    return _edit(name, RenameClass(name=old, to=new), workspace, json)


@app.command
def merge(name: str, *classes: str, to: str, workspace: Folder = None, json: AsJson = False) -> int:
    """Merge several classes into one."""
    return _edit(name, MergeClasses(classes=list(classes), to=to), workspace, json)


@app.command
def rename(name: str, new: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Rename the dataset; runs and recipes that use a former name still find it."""
    return _edit(name, Rename(to=new), workspace, json)


@app.command
def split(
    name: str,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Split all images again into training, validation and test; duplicates stay together.

    Parameters
    ----------
    validation
        Share of each class, from 0 to 1.
    test
        Share of each class, from 0 to 1.
    seed
        Another seed draws other images.
    """
    return _edit(name, Resplit(validation=validation, test=test, seed=seed), workspace, json)


@app.command
def shape(name: str, shape: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Change how pictures become square: crop, pad or stretch."""
    return _edit(name, Reshape(shape=shape), workspace, json)


@app.command
def add(
    name: str,
    path: Path,
    *,
    label: Annotated[str, Parameter(name="--class", help="Put all of them into this class.")] = "",
    classes_from: Annotated[str, Parameter(help="Folder level of the classes: top, inner or a number from 1.")] = "",
    splits: Annotated[bool, Parameter(help="Treat folders named train, validation or test as splits.")] = True,
    merge: Annotated[bool, Parameter(negative="", help="Merge classes with similar names (Cats, cats).")] = False,
    encoding: Annotated[str, Parameter(help="Encoding of the names in a zip; default: guessed.")] = "",
    unlabelled: Annotated[bool, Parameter(negative="", help="No image has a class; for a set without labels.")] = False,
    every: Annotated[float, Parameter(help="Of a video, take one frame in so many seconds.")] = 1.0,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Add images from a folder or zip; existing images keep their split. To a set without labels, images in class
    folders are added as its labelled part, on which accuracies are measured, and --unlabelled ones, or the frames of a
    video, to the rest.

    Parameters
    ----------
    path
        The folder or zip file, or, with --unlabelled, a video.
    """
    if not path.exists():
        raise UserError("missing_path", "path", path, "a folder or zip of images, or a video", "Check the path.")
    edit = AddImages(
        path=str(path.absolute()),
        label=label,
        classes_from=classes_from,
        splits=splits,
        merge=merge,
        encoding=encoding,
        unlabelled=unlabelled,
        every=every,
    )
    return _edit(name, edit, workspace, json)


@app.command
def undo(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Undo the last change."""
    return _edit(name, Revert(), workspace, json)


@app.command
def sample(name: str = "sample images", *, workspace: Folder = None, json: AsJson = False) -> int:
    """Make a dataset of 120 images in 4 classes, drawn by a script (CC0 1.0), to try things out.

    Parameters
    ----------
    name
        What to call it.
    """
    found = _asked(workspace, SampleImagesRequest(name), "Nothing was imported.")
    return say(json, found.to_json(), "\n".join(report(found)))


@app.command
def fetch(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Download a published dataset now instead of during the first run.

    Parameters
    ----------
    name
        A name from `condenser list datasets`.
    """
    found = _asked(workspace, FetchRequest(name), "What was downloaded is kept for the next try.")
    return say(json, {"dataset": found.dataset}, f"{name} is on this machine.")


@app.command
def delete(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Delete an imported dataset; it stays in the workspace's trash for a week."""
    delete_dataset(Workspace.open_to_read(workspace), name)
    return say(json, {"dataset": name, "deleted": True}, f"{name} was deleted")


@app.command
def restore(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Restore a deleted dataset."""
    store = Workspace.open_to_read(workspace)
    home = deleted_home(store, name)
    if home is None:
        raise UserError("unknown_dataset", "dataset", name, "a dataset in the trash", "Import the images again.")
    restore_dataset(store, home)
    return say(json, {"dataset": name, "deleted": False}, f"{name} was restored")


def _edit(name: str, edit: Edit, workspace: Path | None, json: bool) -> int:
    found = _asked(workspace, EditRequest(name, edit), "Nothing was changed.")
    lines = [f"{found.dataset}: {_counted(found)}", *found.warnings]
    lines += [f"skipped {each['file']}: {each['reason']}" for each in found.skipped]
    return say(json, found.to_json(), "\n".join(lines))


def _counted(found: Edited) -> str:
    labelled = f", some of them of {found.classes} classes" if found.classes else ""
    of = f"without labels{labelled}" if found.unlabelled else f"of {found.classes} classes"
    return f"{found.images} images {of}"


def _asked(workspace: Path | None, request: Request[A], outcome: str) -> A:
    with interruptible(outcome), progress_line(screen) as look:
        return ask(Workspace.open_or_create(workspace), request, look)


def _lines(report: Report) -> list[str]:
    """The report as lines for a terminal."""
    splits = ("train", "validation", "test")
    tests = report.total("test")
    low, high = wilson(TYPICAL, max(1, tests))
    worth = f"an accuracy of 90 % on the test images will mean {formatting.percent(low)} to {formatting.percent(high)}"
    if report.unlabelled is not None:
        lines = [
            f"{report.dataset}: {report.images} images, {report.unlabelled} of them without a label, version "
            f"{report.version[:12]}",
            "no labels: it cannot be trained on alone; in a recipe it may be the target or the pool",
            worth if tests else "no image has a label: an accuracy on it cannot be measured",
        ]
        return [*lines, *_details(report)]
    lines = [
        f"{report.dataset}: {report.images} images of {len(report.classes)} classes, version {report.version[:12]}"
    ]
    lines += [
        f"  {each.name}: {each.train} train, {each.validation} validation, {each.test} test" for each in report.classes
    ]
    lines.append(f"in all {', '.join(f'{report.total(split)} {split}' for split in splits)}")
    lines.append(worth)
    return [*lines, *_details(report)]


def _details(report: Report) -> list[str]:
    """Sizes, duplicates, warnings and skipped files."""
    lines = [f"sides of {report.smallest} to {report.largest} pixels, as stored"]
    for group in report.alike:
        kind = "the same image" if group.exact else "nearly the same image"
        told = [f"{m.name} ({m.label or 'no label'}, {m.split})" for m in group.members]
        lines.append(f"{kind}: {', '.join(told)}")
    lines += report.warnings
    return [*lines, *(f"skipped {each.file}: {each.reason}" for each in report.skipped)]
