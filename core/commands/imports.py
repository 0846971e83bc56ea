"""`condenser import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.commands.import_report import progress_line, report
from core.commands.program import AsJson, Folder, app, interruptible, refuse_missing, say, screen
from core.processes.ask import ask
from core.questions.import_data import ImportRequest
from core.workspace import Workspace


@app.command(name="import")
def import_data(
    path: Path,
    *,
    name: str,
    classes_from: Annotated[str, Parameter(help="Folder level of the classes: top, inner or a number from 1.")] = "",
    splits: Annotated[bool, Parameter(help="Treat folders named train, validation or test as splits.")] = True,
    merge: Annotated[bool, Parameter(negative="", help="Merge classes with similar names (Cats, cats).")] = False,
    shape: Annotated[str, Parameter(help="How pictures become square: crop, pad or stretch.")] = "crop",
    encoding: Annotated[str, Parameter(help="Of a table or a zip's names, such as gb18030; default: guessed.")] = "",
    group_by: Annotated[str, Parameter(help="Files of a class alike up to the last of this share a split: _")] = "",
    side: Annotated[int, Parameter(help="Pixels a side of the square a text is drawn in; 0: 96.")] = 0,
    unlabelled: Annotated[bool, Parameter(negative="", help="No image has a class; folders do not matter.")] = False,
    every: Annotated[float, Parameter(help="Of a video, take one frame in so many seconds.")] = 1.0,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Import a dataset: images from a folder or zip with one folder per class, or texts, drawn as images.

    If several folder levels could be the classes, it lists them with the flag that chooses each. Images without labels
    (a flat folder or zip, or a video, of which frames are taken) are imported with --unlabelled: a set to adapt to
    (target) or to distil on (pool). Ctrl-C leaves the workspace as it was.

    Parameters
    ----------
    path
        The folder or zip file, a CSV file of texts with the columns text and label, or a video.
    name
        What to call the dataset.
    """
    refuse_missing(path)
    store = Workspace.open_or_create(workspace)
    asked = ImportRequest(
        str(path.absolute()), name, side, classes_from, splits, merge, shape, encoding, group_by, unlabelled, every
    )
    with interruptible("Nothing was imported."), progress_line(screen) as look:
        found = ask(store, asked, look)
    return say(json, found.to_json(), "\n".join(report(found)))
