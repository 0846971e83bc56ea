"""`condenser send`, `receive` and `collect`: a run for a spreadsheet, MLflow, TensorBoard or another workspace."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.classroom.places import class_of
from core.commands.import_report import progress_line
from core.commands.program import AsJson, Folder, app, interruptible, say, screen
from core.errors import UserError
from core.exchange.sending import Sending
from core.exchange.sent import EXPERIMENT, Request
from core.files import write_atomic
from core.lessons.titles import titled
from core.processes.ask import ask
from core.questions.collect import CollectRequest, Taken
from core.questions.import_run import ImportRunRequest
from core.run_files import parcel, run_table
from core.text import formatting
from core.workspace import Workspace

PROOFS = {
    "here": "unchanged since this workspace sealed it",
    "elsewhere": "whole, sealed by another workspace, which this one cannot check",
    "nobody": "whole, sealed by nobody",
}


@app.command
def send(
    run: str,
    where: str,
    *,
    to: Literal["csv", "zip", "tensorboard", "mlflow"],
    experiment: Annotated[str, Parameter(help="Of MLflow; made where there is none.")] = EXPERIMENT,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Send a run: to MLflow, to TensorBoard, as a table, or as a zip for another workspace.

    What MLflow or TensorBoard has of the run already is found again and brought up to date. The zip holds recipe, log,
    notes and artifacts with their hashes; `condenser receive` takes it.

    Parameters
    ----------
    run
        The run's id.
    where
        The new file; TensorBoard's folder of logs; or the address of an MLflow server. Give a user and a password in
        MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: command lines can be read by others.
    to
        csv: a row a figure, for a spreadsheet; zip: the whole run, once it is over; tensorboard: curves, figures,
        parameters; mlflow: these and the files.
    """
    opened = Workspace.open_to_read(workspace)
    sent = opened.run(run)
    if to == "tensorboard" or to == "mlflow":
        return _send_to_tool(Request(str(opened.path), sent.id, to, _absolute(where, to), experiment), as_json=json)
    file = Path(where)
    _refuse_unusable(file)
    with interruptible("Nothing was written."):
        if to == "zip":
            names = parcel.pack(sent, file)
        else:
            names = [file.name]
            write_atomic(file, run_table.to_csv(sent), private=False)
    told = f"{file}: {formatting.size(file.stat().st_size)}"
    return say(json, {"file": str(file), "bytes": file.stat().st_size, "files": names}, told)


def _send_to_tool(request: Request, *, as_json: bool) -> int:
    with interruptible("What was sent so far stays there; sending it again completes it."):
        sent = Sending(request).wait()
    done = "brought up to date" if sent.again else "sent"
    counts = (
        f"{formatting.Amount(sent.parameters):parameter|parameters}",
        f"{formatting.Amount(sent.metrics):value|values}",
        f"{formatting.Amount(sent.files):file|files}",
        formatting.size(sent.bytes),
    )
    return say(as_json, asdict(sent), f"{done}: {sent.where} ({', '.join(counts)})")


def _absolute(where: str, to: str) -> str:
    """A folder as seen from here: the process that sends works elsewhere."""
    return str(Path(where).absolute()) if to == "tensorboard" else where


@app.command
def receive(file: Path, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Take a run that another workspace sent as a zip; every file in it is held against its hash.

    Parameters
    ----------
    file
        A zip that `condenser send RUN --to zip FILE` wrote.
    """
    if not file.is_file():
        raise UserError("missing_path", "file", str(file), "a zip that may be read", "Check the path.")
    store = Workspace.open_or_create(workspace)
    with interruptible("Nothing was received."), progress_line(screen) as look:
        found = ask(store, ImportRunRequest(str(file.absolute())), look)
    told = f"{found.run}  {found.name}: {formatting.Amount(found.points):point|points}, {formatting.size(found.bytes)}"
    return say(json, found.to_json(), told)


@app.command
def collect(folder: Path, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Take the hand-ins of a class; each is held against its hashes, and what was altered is refused and named.

    The page Class lists them side by side. Exit code 2 if any was refused; the others are kept.

    Parameters
    ----------
    folder
        The folder that the zips lie in, or one zip.
    """
    if not folder.exists():
        raise UserError("missing_path", "folder", str(folder), "a folder of hand-ins", "Check the path.")
    store = Workspace.open_or_create(workspace)
    with interruptible("What was taken so far is kept."), progress_line(screen) as look:
        found = ask(store, CollectRequest(str(folder.absolute())), look)
    lines = [f"{one.file}: {one.nickname}, {_counts(one, store)}, {PROOFS[one.proof]}" for one in found.taken]
    lines += [f"{one.file}: refused. {one.given}; allowed: {one.allowed}. {one.fix}" for one in found.refused]
    say(json, found.to_json(), "\n".join(lines))
    return 2 if found.refused else 0


def _counts(one: Taken, store: Workspace) -> str:
    """How many runs and points a hand-in has, and the titles of its lessons."""
    there = Workspace(class_of(store.path) / one.corner)
    titles = ", ".join(f"“{titled(lesson, 'en', there, store)}”" for lesson in one.lessons)
    lessons = f", {formatting.Amount(len(one.lessons)):lesson|lessons} ({titles})" if titles else ""
    return f"{formatting.Amount(one.runs):run|runs}, {formatting.Amount(one.points):point|points}{lessons}"


def _refuse_unusable(file: Path) -> None:
    if file.exists():
        raise UserError("file_exists", "file", str(file), "a new file", "Name another one.")
    if not file.absolute().parent.is_dir():
        raise UserError("missing_path", "file", str(file), "a file in a folder that is there", "Make the folder first.")
