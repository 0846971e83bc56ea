"""`condenser slots`: how many runs may be at work at once."""

from __future__ import annotations

from core.cluster.nodes import place_of
from core.commands.program import AsJson, Folder, app, say
from core.errors import UserError
from core.processes.slots import MOST, Need, Slots, need_of, set_slots, slots
from core.processes.workers import alive, read_identity
from core.runs import Run
from core.text.formatting import Amount
from core.workspace import Workspace


@app.command(name="slots")
def show(cores: str = "", *, workspace: Folder = None, json: AsJson = False) -> int:
    """Show how many cores runs may use at once, or set it; a run takes as many as its recipe has threads.

    Runs begin in the order of the queue, as many at once as the cores allow, and never fewer than one. A run on CUDA
    takes a GPU as well. What goes on is not changed.

    Parameters
    ----------
    cores
        A number, or auto for all cores of this machine.
    """
    if cores:
        store = Workspace.open_or_create(workspace)
        found = set_slots(store, read_cores(cores))
    else:
        store = Workspace.open_to_read(workspace)
        found = slots(store)
    going = [(run.id, need_of(run, found.gpus)) for run in at_work(store)]
    document = {
        "cores": found.cores,
        "machine": found.there,
        "gpus": found.gpus,
        "runs": [{"run": run_id, "cores": need.cores, "gpu": need.gpu} for run_id, need in going],
    }
    return say(json, document, told(found, [need for _, need in going]))


def read_cores(text: str) -> int | None:
    """The number of cores in `text`, None for auto; raises UserError `out_of_range`."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MOST)):
        allowed = f"a whole number from 1 to {MOST}, or auto"
        raise UserError("out_of_range", "cores", text, allowed, "Write the number of cores, or auto.")
    return int(text)


def at_work(store: Workspace) -> list[Run]:
    """The runs whose worker is alive on this machine."""
    runs = (store.run(run_id) for run_id in store.run_ids())
    here = (run for run in runs if not run.result.exists() and not place_of(run).node)
    return [run for run in here if alive(read_identity(run.worker))]


def told(found: Slots, going: list[Need]) -> str:
    """The setting and what is taken, in one line."""
    here = "all of this machine" if found.is_default else f"of the {found.there} of this machine"
    cards = f", {Amount(found.gpus):GPU|GPUs}" if found.gpus else ""
    taken, runs = sum(need.cores for need in going), Amount(len(going))
    return f"{Amount(found.cores):core|cores}, {here}{cards}; {taken} taken by {runs:run|runs} at work"
