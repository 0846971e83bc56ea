"""`condenser sensitivity` and `export`: a model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.commands.backbones import MOST_IMAGES
from core.commands.program import AsJson, Folder, app, bounded, interruptible, say, screen, store_with
from core.jobs import Job
from core.processes.ask import ask
from core.questions.sensitivity import LIMIT, Row, question, rows
from core.run_files.bundle import write_bundle
from core.workspace import Workspace


@app.command
def sensitivity(
    run: str,
    *,
    step: Annotated[int | None, Parameter(help="Step, from 0; default the last in floats.")] = None,
    what: Annotated[Literal["ratio", "bits"], Parameter(help="Remove channels, or use fewer bits.")] = "ratio",
    limit: Annotated[int, Parameter(help="At most so many validation images; 0: all.")] = LIMIT,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Measure the accuracy lost when a single layer is pruned or quantized, layer by layer.

    Nothing is trained afterwards. Results are kept: run again, also after Ctrl-C, the command continues with the
    layers that are left.

    Parameters
    ----------
    run
        The run's id.
    """
    bounded("limit", limit, 0, MOST_IMAGES)
    store = store_with(run, workspace)
    asked = question(store.run(run), step, what, limit)
    printed: list[Row] = []

    def show_rows(job: Job) -> None:
        for row in rows(job.partial())[len(printed) :]:
            printed.append(row)
            screen.print(_row(row), soft_wrap=True)

    with interruptible("The layers measured so far are kept: the same command continues from there."):
        found = ask(store, asked, show_rows).rows
    return say(json, [row.model_dump() for row in found], "" if printed else "\n".join(map(_row, found)))


def _row(row: Row) -> str:
    return f"{row.layer:<32} {row.value:>5g}  {100 * row.validation_accuracy:6.2f} %"


@app.command
def export(
    run: str,
    *,
    out: Path,
    step: Annotated[int | None, Parameter(help="Which step, from 0; default the last.")] = None,
    images: Annotated[bool, Parameter(help="Include test images, with which benchmark.py checks itself.")] = True,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Write a model as a bundle: model.onnx, labels, preprocessing, model card, recipe, predict.py and benchmark.py.

    Parameters
    ----------
    run
        The run's id.
    out
        A new or empty folder.
    """
    with interruptible("Nothing was written."):
        files = write_bundle(Workspace.open_to_read(workspace).run(run), step, out, images=images)
    return say(json, {"files": files}, "\n".join(str(out / name) for name in files))
