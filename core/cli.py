"""The command line: everything the dashboard does. The engine is started as a process, never imported."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from core import cache, cli_dataset, cli_exchange, cli_search, cli_slots, foreground, formatting, streams, terminal
from core.added_backbones import forget
from core.assets import RECIPES, shipped
from core.bundle import write_bundle
from core.catalog import TIMM, Catalog
from core.classroom.network import shared_address
from core.cli_dataset import AsJson, Folder
from core.damage import of_run
from core.datasets import damaged, damaged_datasets, reporting_damage
from core.disk import disk_error
from core.errors import UserError, UserErrors
from core.files import check_failpoint
from core.import_report import network_report, progress_line, report
from core.jobs import Job
from core.models import PREFIX, damaged_network, damaged_networks, read_labels
from core.processes import dashboard as dashboard_process
from core.processes.ask import ask
from core.processes.identity import described, holder
from core.processes.searches import stop_drivers
from core.processes.workers import SupervisorError, ensure_supervisor, lock_of, run_in_foreground, stop_supervisor
from core.questions.add_backbone import AddBackboneRequest
from core.questions.import_data import ImportRequest
from core.questions.import_network import ImportNetworkRequest
from core.questions.profile import ProfileRequest
from core.questions.rank_backbones import RankRequest
from core.questions.search_backbones import SearchBackbonesRequest
from core.questions.sensitivity import LIMIT, Row, question, rows
from core.recipe import Recipe, load_recipe, with_settings
from core.rules.networks import size_faults
from core.runs import Run, RunSummary
from core.search.store import find
from core.state import Status
from core.summary import Line
from core.toml import MAX_BYTES
from core.verify import verify
from core.workspace import Workspace

DONE, FAULT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
MOST_CLASSES = 100_000  # ImageNet-21k has 21,841
MOST_PIXELS = 1024  # a side, as in a recipe
MOST_IMAGES = 10_000_000
OUR_FAULTS = ("internal", "out_of_memory")

Settings = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="Change a knob: --set steps.1.temperature=3. Steps count from 0."),
]
Count = Annotated[int | None, Parameter(help="A whole number of at least 1.")]

app = App(
    name="condenser",
    help="Transfer learning and model compression of image classifiers, measured honestly.",
    result_action="return_value",
)
screen = Console(stderr=True, markup=False, highlight=False)


@app.command
@app.default
def dashboard(
    *, port: Annotated[int | None, Parameter(help="Where to start it; default 8501, or the next free one.")] = None,
    browser: Annotated[bool, Parameter(help="Open it in the browser.")] = True,
    share: Annotated[bool, Parameter(negative="", help="Share it with a class on the network: learners open an address "
                                                       "with a random token and choose a nickname.")] = False,
    address: Annotated[str | None, Parameter(help="Where to share it: an IPv4 address of this machine.")] = None,
    cluster: Annotated[str | None, Parameter(help="Where queued runs go from now on: a Ray cluster at HOST:PORT, auto "
                                                  "for the one this machine is in, off for this machine.")] = None,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Open the dashboard, which runs until Ctrl-C; runs in progress continue without it."""
    if address is not None and not share:
        raise UserError("address_alone", "address", address, "--address together with --share", "Add --share.")
    host = shared_address(address) if share else None
    foreground.use_cluster(workspace, cluster, screen)
    well = foreground.show_dashboard(workspace, port, screen, browser=browser, as_json=json, host=host)
    return DONE if well else FAULT


@app.command
def demo(
    recipe: Literal["demo", "bundled-teacher", "adapt-digits", "few-labels", "omitted-digit"] = "demo",
    *,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Run a bundled recipe in the foreground; needs no network.

    Parameters
    ----------
    recipe
        demo: few labels and a large teacher; bundled-teacher: all labels and a small teacher; adapt-digits: from
        labelled printed digits to unlabelled handwritten ones; few-labels: the gain from a teacher and a pool;
        omitted-digit: a student that never sees one class.
    """
    return run(shipped(RECIPES / f"{recipe}.toml"), workspace=workspace, json=json)


@app.command(help_epilogue=terminal.methods_help())
def run(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Run a recipe in the foreground, with a progress bar; Ctrl-C cancels it.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = _checked(recipe, set, workspace)
    begun = open_store().create_run(checked.to_toml())
    try:
        summary = terminal.follow(begun, checked, run_in_foreground(begun), screen)
    except KeyboardInterrupt:
        summary = begun.summary()
        screen.print(terminal.farewell(summary, _where(workspace)), soft_wrap=True)
        if json:
            _print(_document(summary))
        raise
    if json:
        _print(_document(summary))
    else:
        _print_points(begun, summary)
    return _ended(begun, summary)


@app.command(help_epilogue=terminal.methods_help())
def submit(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Queue a recipe; the supervisor runs it in the background, as soon as there are cores for it (`condenser slots`).

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, open_store = _checked(recipe, set, workspace)
    store = open_store()
    ensure_supervisor(store)  # first: a refused command must leave the workspace as it was
    queued = store.submit(checked.to_toml())
    place = terminal.place(store, queued.id)
    running = dashboard_process.running_dashboard(store)
    document = {"run": queued.id, "place": place, "workspace": str(store.path), "url": running.url if running else None}
    if not json:
        where = terminal.whereabouts(queued.id, place, store, running.url if running else "")
        screen.print(where, soft_wrap=True)  # on stderr, so that stdout holds the id alone, for scripts
    return _say(json, document, queued.id)


@app.command(help_epilogue=terminal.methods_help())
def check(recipe: Path, *, set: Settings = None, workspace: Folder = None, json: AsJson = False) -> int:
    """Check a recipe without running it.

    Parameters
    ----------
    recipe
        A TOML file, or - for stdin.
    """
    checked, _ = _checked(recipe, set, workspace)
    warnings = list(checked.warnings())
    return _say(json, {"ok": True, "errors": [], "warnings": warnings}, "\n".join(["The recipe is good.", *warnings]))


@app.command(name="list")
def show_catalog(
    what: Literal["backbones", "datasets", "methods"], *, workspace: Folder = None, json: AsJson = False
) -> int:
    """List the backbones, datasets or methods to choose from.

    Parameters
    ----------
    what
        Which list to print.
    """
    store = Workspace.named(workspace)
    rows = _rows(what, store.catalog())
    unread = {"datasets": map(damaged, damaged_datasets(store.datasets)),
              "backbones": map(damaged_network, damaged_networks(store.models))}  # fmt: skip
    for error in unread.get(what, ()):
        screen.print(f"left out: {error}", style="yellow", soft_wrap=True)
    return _say(json, rows, "\n".join(_line(row) for row in rows))


@app.command
def profile(
    backbone: str, *, classes: Count = None, image_size: Count = None, workspace: Folder = None, json: AsJson = False
) -> int:
    """Count a backbone's parameters, multiply-accumulates and bytes exactly, without loading its weights.

    Parameters
    ----------
    backbone
        A name from `condenser list backbones`.
    """
    facts = Workspace.open_to_read(workspace).catalog().backbone(backbone)
    _bounded("classes", classes, 1, MOST_CLASSES)
    _bounded("image_size", image_size, 1, MOST_PIXELS)
    refused = list(size_faults(image_size, facts, backbone))
    if refused:
        raise UserErrors(refused)
    with _interruptible("Nothing was counted."):
        answer = ask(Workspace.open_or_create(workspace), ProfileRequest(backbone, classes, image_size))
    found = asdict(answer)
    return _say(json, found, "\n".join(f"{key}: {value}" for key, value in found.items()))


@app.command
def rank(
    *, dataset: str, backbones: str, limit: Annotated[int, Parameter(help="Most labelled images used; 0: all.")] = 1000,
    random: Annotated[bool, Parameter(negative="", help="Rank each with random weights too, as a control.")] = False,
    image_size: Annotated[int, Parameter(help="Pixels a side, except for small networks; 0: their own.")] = 0,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Score how well backbones suit a dataset, and compare with a linear probe on the same features.

    With three or more backbones it also reports how well each score agrees with the probe (Kendall, Spearman).

    Parameters
    ----------
    backbones
        Names, separated by commas.
    """
    _bounded("limit", limit, 0, MOST_IMAGES)
    _bounded("image_size", image_size, 0, MOST_PIXELS)
    catalog = Workspace.open_to_read(workspace).catalog()
    catalog.dataset(dataset)
    names = list(dict.fromkeys(name.strip() for name in backbones.split(",") if name.strip()))
    if not names:
        raise UserError("no_backbones", "backbones", backbones, "one name or more", "Name them: --backbones A,B.")
    for name in names:
        catalog.backbone(name, "backbones")
    asked = RankRequest(dataset, tuple(names), limit, image_size, random)
    with _interruptible("The ranking was stopped; nothing of it is kept."):
        found = asdict(ask(Workspace.open_or_create(workspace), asked))
    if json:  # a list of rows by contract, so each row repeats what holds for all
        _print([{**row, "agreement": found["agreement"]} for row in found["rows"]])
    else:
        Console(markup=False, highlight=False).print(*terminal.ranking(found["rows"], found["agreement"]))
    return DONE


@app.command
def sensitivity(
    run: str, *, step: Annotated[int | None, Parameter(help="Step, from 0; default the last in floats.")] = None,
    what: Annotated[Literal["ratio", "bits"], Parameter(help="Remove channels, or use fewer bits.")] = "ratio",
    limit: Annotated[int, Parameter(help="At most so many validation images; 0: all.")] = LIMIT,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Measure the accuracy lost when a single layer is pruned or quantized, layer by layer.

    Nothing is trained afterwards. Results are kept: run again, also after Ctrl-C, the command continues with the
    layers that are left.

    Parameters
    ----------
    run
        The run's id.
    """
    _bounded("limit", limit, 0, MOST_IMAGES)
    store = _store_with(run, workspace)
    asked = question(store.run(run), step, what, limit)
    printed: list[Row] = []

    def show_rows(job: Job) -> None:
        for row in rows(job.partial())[len(printed) :]:
            printed.append(row)
            screen.print(_row(row), soft_wrap=True)

    with _interruptible("The layers measured so far are kept: the same command continues from there."):
        found = ask(store, asked, show_rows).rows
    return _say(json, [row.model_dump() for row in found], "" if printed else "\n".join(map(_row, found)))


def _row(row: Row) -> str:
    return f"{row.layer:<32} {row.value:>5g}  {100 * row.validation_accuracy:6.2f} %"


@app.command(name="import")
def import_data(
    path: Path, *, name: str,
    classes_from: Annotated[str, Parameter(help="Folder level of the classes: top, inner or a number from 1.")] = "",
    splits: Annotated[bool, Parameter(help="Treat folders named train, validation or test as splits.")] = True,
    merge: Annotated[bool, Parameter(negative="", help="Merge classes with similar names (Cats, cats).")] = False,
    shape: Annotated[str, Parameter(help="How pictures become square: crop, pad or stretch.")] = "crop",
    encoding: Annotated[str, Parameter(help="Of a table or a zip's names, such as gb18030; default: guessed.")] = "",
    group_by: Annotated[str, Parameter(help="Files of a class alike up to the last of this share a split: _")] = "",
    side: Annotated[int, Parameter(help="Pixels a side of the square a text is drawn in; 0: 96.")] = 0,
    unlabelled: Annotated[bool, Parameter(negative="", help="No image has a class; folders do not matter.")] = False,
    every: Annotated[float, Parameter(help="Of a video, take one frame in so many seconds.")] = 1.0,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
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
    _refuse_missing(path)
    store = Workspace.open_or_create(workspace)
    asked = ImportRequest(
        str(path.absolute()), name, side, classes_from, splits, merge, shape, encoding, group_by,
        unlabelled, every,
    )  # fmt: skip
    with _interruptible("Nothing was imported."), progress_line(screen) as look:
        found = ask(store, asked, look)
    return _say(json, found.to_json(), "\n".join(report(found)))


@app.command
def import_model(
    path: Path, *, backbone: str, name: str,
    labels: Annotated[Path | None, Parameter(help="Class names: a text file, one per line, or a JSON list.")] = None,
    mean: Annotated[str, Parameter(help="Subtracted from pixels scaled to 0–1: one number, or one per channel.")] = "",
    std: Annotated[str, Parameter(help="Divisor after that: one number, or one per channel.")] = "",
    size: Annotated[int, Parameter(help="Pixels a side it was trained with; 0: the backbone's own.")] = 0,
    crop: Annotated[float, Parameter(help="Share of a side kept by the centre crop; 0: the backbone's own.")] = 0.0,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Import a network you trained as the backbone own/NAME: safetensors, or a .pt or .pth file of tensors only.

    A PyTorch file is opened in a separate process that cannot run any code from it; its weights are stored as
    safetensors. Preprocessing that is not given is the backbone's own. The transfer method keep leaves the network
    unchanged.

    Parameters
    ----------
    path
        The file of weights.
    backbone
        Its architecture: a name from `condenser list backbones`.
    name
        What to call it.
    """
    _refuse_missing(path)
    catalog = Workspace.open_to_read(workspace).catalog()
    catalog.backbone(backbone)
    asked = ImportNetworkRequest(
        str(path.absolute()), backbone, name, tuple(read_labels(labels)) if labels else (), _numbers("mean", mean),
        _numbers("std", std), size, crop,
    )  # fmt: skip
    store = Workspace.open_or_create(workspace)
    with _interruptible("Nothing was imported."), progress_line(screen) as look:
        found = ask(store, asked, look)
    return _say(json, found.to_json(), "\n".join(network_report(found)))


@app.command
def search_backbones(
    *text: str, limit: Annotated[int, Parameter(help="Names at most.")] = 50, workspace: Folder = None,
    json: AsJson = False,
) -> int:  # fmt: skip
    """Search the names of all of timm's classifiers, most of which no menu lists.

    Parameters
    ----------
    text
        Words that a name must hold, such as mobilenetv4.
    """
    with _interruptible("Nothing was searched."):
        found = ask(Workspace.open_or_create(workspace), SearchBackbonesRequest(" ".join(text), limit))
    lines = [f"{row.name}: {row.image_size} pixels, {row.classes:,} classes, {row.licence}" for row in found.rows]
    if found.total > len(lines):
        lines.append(f"and {found.total - len(lines):,} more: give more words, or --limit")
    return _say(json, asdict(found), "\n".join(lines) or "timm has no network whose name holds these words.")


@app.command
def add_backbone(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Add a network of timm that the catalog does not list, so that recipes of this workspace can name it.

    It is counted here; its weights are fetched by the first run that needs them.

    Parameters
    ----------
    name
        timm/<architecture>.<weights>, as `condenser search-backbones` prints it.
    """
    with _interruptible("Nothing was added."):
        facts = ask(Workspace.open_or_create(workspace), AddBackboneRequest(name)).facts
    return _say(json, facts, f"added {_line(facts)}, licence {facts['licence']}")


@app.command
def remove_model(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Remove a network that was imported or added; imported ones stay in the trash for a week. Runs of it stay whole.

    Parameters
    ----------
    name
        The network's name, with or without own/; or timm/… as it was added.
    """
    store = Workspace.open_to_read(workspace)
    if name.startswith(TIMM):
        forget(name, store.models)
        return _say(json, {"model": name, "removed": True}, f"{name} is removed")
    removed = PREFIX + store.remove_network(name)
    return _say(json, {"model": removed, "removed": True}, f"{removed} was removed")


@app.command
def runs(*, workspace: Folder = None, json: AsJson = False) -> int:
    """List the runs, newest first."""
    store = Workspace.open_to_read(workspace)
    if json:
        return _say(json, [_document(summary) for summary in store.runs()], "")
    sys.stdout.write("".join(f"{_run_line(line)}\n" for line in store.lines()) or "No runs yet.\n")
    return DONE


@app.command
def show(run: str, *, runtime: str = "", workspace: Folder = None, json: AsJson = False) -> int:
    """Show a run: its points, controls, state and environment.

    Parameters
    ----------
    run
        The run's id.
    runtime
        Whose accuracies and latencies the table shows, such as openvino, where the run was measured in it too.
    """
    shown = Workspace.open_to_read(workspace).run(run)
    summary, wrong = shown.summary(), of_run(shown, shown.state())
    if runtime and runtime not in summary.runtimes:
        allowed = ", ".join(summary.runtimes) or "none yet"
        fix = (
            "Choose one of these; OpenVINO measures the runs that begin after its extra is installed, unless "
            "runtimes is none in their recipe."
        )
        raise UserError("unknown_runtime", "--runtime", runtime, f"a runtime that measured this run: {allowed}", fix)
    for found in wrong:
        screen.print(f"{found.file} is {found.state.value}. {found.fix}", style="yellow", soft_wrap=True)
    if json:
        _print(_document(summary) | ({"damaged": [found.to_json() for found in wrong]} if wrong else {}))
    else:
        notices = terminal.notices(shown.state())
        Console(markup=False, highlight=False).print(_run_line(summary.seen_in(runtime).line()), *notices, sep="\n")
        _print_points(shown, summary, runtime)
    return DONE


@app.command
def cancel(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Cancel a waiting or running run, or a search; what it has measured is kept.

    Parameters
    ----------
    run
        The id of the run or of the search.
    """
    opened = Workspace.open_to_read(workspace)
    if cli_search.is_search(opened, run):
        find(opened, run).cancel()
        return _say(json, {"search": run}, f"{run} is asked to stop")
    store = _store_with(run, workspace)
    store.cancel(run)
    return _say(json, {"run": run, "status": store.run(run).state().status.value}, f"{run} was asked to stop")


@app.command
def resume(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Queue a cancelled, interrupted or failed run again, which continues from its last checkpoint; or continue a
    search.

    Parameters
    ----------
    run
        The id of the run or of the search.
    """
    if cli_search.is_search(Workspace.open_to_read(workspace), run):
        status = cli_search.resume(Workspace.open_or_create(workspace), run)
        return _say(json, {"search": run, "status": status}, f"{run} goes on")
    store = _store_with(run, workspace)
    ensure_supervisor(store)
    store.resume(run)
    return _say(json, {"run": run, "status": Status.QUEUED.value}, f"{run} is queued")


@app.command
def delete(run: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Delete a run; it stays in the workspace's trash for a week.

    Parameters
    ----------
    run
        The run's id.
    """
    _store_with(run, workspace).delete(run)
    return _say(json, {"run": run, "deleted": True}, f"{run} is deleted")


@app.command
def export(
    run: str, *, out: Path, step: Annotated[int | None, Parameter(help="Which step, from 0; default the last.")] = None,
    images: Annotated[bool, Parameter(help="Include test images, with which benchmark.py checks itself.")] = True,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Write a model as a bundle: model.onnx, labels, preprocessing, model card, recipe, predict.py and benchmark.py.

    Parameters
    ----------
    run
        The run's id.
    out
        A new or empty folder.
    """
    with _interruptible("Nothing was written."):
        files = write_bundle(Workspace.open_to_read(workspace).run(run), step, out, images=images)
    return _say(json, {"files": files}, "\n".join(str(out / name) for name in files))


@app.command(name="verify")
def verify_files(name: str = "", *, workspace: Folder = None, json: AsJson = False) -> int:
    """Check every stored file against the hash it was written with; writes nothing.

    Exit code 0: nothing is damaged or missing; 2: something is, and each file is listed with what to do.

    Parameters
    ----------
    name
        The id of a run, or the name of a dataset or imported network; default everything in the workspace.
    """
    found = verify(Workspace.named(workspace), name)
    _say(json, [one.to_json() for one in found], terminal.findings(found))
    return WRONG_INPUT if any(one.state.is_bad for one in found) else DONE


@app.command(name="cache")
def show_cache(
    *, clear: Annotated[bool, Parameter(negative="", help="Remove what can be made again.")] = False,
    workspace: Folder = None, json: AsJson = False,
) -> int:  # fmt: skip
    """Show the caches with their sizes; no result depends on them.

    Above 20 GB or a tenth of the disk, the least recently used entries are removed; CONDENSER_CACHE_LIMIT (in GB)
    changes the limit.
    """
    store = Workspace.named(workspace)
    most = cache.limit(store)
    found, state = (cache.clear(store), "cleared") if clear else (cache.cached(store), "kept")
    lines = [f"{formatting.size(one.bytes):>10}  {one.files:>6} files  {one.file}  {state}" for one in found]
    if lines and not clear:
        again = sum(one.bytes for one in found if not one.downloaded)
        lines.append(f"{formatting.size(again):>10}  of {formatting.size(most)} that may be kept beside downloads")
    return _say(json, [one.to_json(state) for one in found], "\n".join(lines) or "The cache is empty.")


@app.command
def stop(*, workspace: Folder = None, json: AsJson = False) -> int:
    """Stop the workspace's supervisor and dashboard; a run in progress continues, a search rests until the next
    command that needs a supervisor."""
    store = Workspace.open_to_read(workspace)
    resting = stop_drivers(store)  # before the supervisor, which would begin them again
    closed, stopped = dashboard_process.stop_dashboard(store), stop_supervisor(store)
    lines = ["The dashboard was stopped."] if closed else []
    lines.append("The supervisor was stopped." if stopped else "No supervisor was running.")
    lines += [f"{formatting.Amount(resting):search rests|searches rest} until it is started again."] if resting else []
    other = None if stopped else holder(lock_of(store))
    if other is not None:
        lines.append(f"But {described(other)} holds {lock_of(store)}; until it ends, no supervisor can start.")
    return _say(json, {"stopped": stopped, "dashboard": closed}, "\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command (default: the dashboard) and exits: 0 done, 1 a fault of the program, 130 interrupted, 2 something
    the person can correct: their input, or a disk that is full, read-only or faulty."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    code = _answer(words)
    wrong = streams.finish()
    if wrong:
        screen.print(f"The output could not be written: {wrong}", style="bold red", soft_wrap=True)
        streams.finish()
        code = code or FAULT
    sys.exit(code)


def _answer(words: Sequence[str]) -> int:
    """Runs a command and returns its exit code; input errors and disk errors give no traceback."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell sets it to be ignored for background processes
    try:
        check_failpoint()
        _refuse_blanks(words)
        return app(_with_stdin(words), exit_on_error=False, print_error=False) or DONE
    except (UserError, UserErrors) as error:
        return _refuse(error.errors if isinstance(error, UserErrors) else (error,), "--json" in words)
    except CycloptsError as error:
        refusal = UserError(
            "bad_usage", "command", " ".join(words), "a command as `condenser --help` shows it", str(error)
        )
        return _refuse((refusal,), "--json" in words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it
        return DONE
    except SupervisorError as error:
        screen.print(str(error), style="bold red", soft_wrap=True)
        return FAULT
    except OSError as error:  # a disk or a stream that cannot be written to
        found = disk_error(error) if error.filename else None  # none: our own output
        if found is not None:
            return _refuse((found,), "--json" in words)
        where = f": {error.filename}" if error.filename else ""
        screen.print(f"{error.strerror or error}{where}", style="bold red", soft_wrap=True)
        return FAULT


@contextmanager
def _interruptible(outcome: str) -> Iterator[None]:
    """After Ctrl-C, prints what became of the command's work."""
    try:
        yield
    except KeyboardInterrupt:
        screen.print(f"\nInterrupted. {outcome}", soft_wrap=True)
        raise


def _where(workspace: Path | None) -> str:
    """The option to add to a command so that it uses this workspace again."""
    return f" --workspace {shlex.quote(str(Workspace.named(workspace).path))}" if workspace else ""


def _bounded(name: str, value: int | None, least: int, most: int) -> None:
    """Raises UserError `out_of_range`; None, the default, is always allowed."""
    if value is not None and not least <= value <= most:
        fix = f"The nearest allowed value is {max(least, min(value, most))}."
        raise UserError("out_of_range", name, value, f"a whole number from {least} to {most}", fix)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas; raises UserError `bad_number`."""
    try:
        return tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        fix = f"Write them with commas, such as --{name} 0.485,0.456,0.406."
        raise UserError("bad_number", name, text, "numbers separated by commas", fix) from None


def _store_with(run: str, workspace: Path | None) -> Workspace:
    """The workspace opened for writing; if it has no such run, it raises before anything is created."""
    Workspace.open_to_read(workspace).run(run)
    return Workspace.open_or_create(workspace)


def _refuse_missing(path: Path) -> None:
    """Refuses a missing path before a workspace is created for it."""
    allowed = "a folder or file that you may read"
    try:
        str(path.absolute()).encode()
        path.stat()
    except OSError as error:
        given = f"{path} ({error.strerror})"
        raise UserError("missing_path", "path", given, allowed, "Check the path.") from None
    except UnicodeEncodeError:
        fix = "Rename the folder, or make a link to it under a plain name."
        raise UserError("path_not_utf8", "path", str(path), "a path whose name is UTF-8", fix) from None
    if not path.is_dir() and not path.is_file():
        given = f"{path} (not a file or folder)"
        raise UserError("missing_path", "path", given, allowed, "Check the path.")


def _with_stdin(words: Sequence[str]) -> list[str]:
    """Replaces a lone `-` for the recipe by the path `./-`, which the parser does not take for an option."""
    takes = bool(words) and words[0] in ("run", "submit", "check", "search", "sweep")
    before = ["", *words]
    return [
        "./-" if takes and word == "-" and last not in ("--set", "--vary", "--workspace") else word
        for last, word in zip(before, words, strict=False)
    ]


def _refuse_blanks(words: Sequence[str]) -> None:
    """Refuses an empty text for a folder, as from an unset variable: it would mean the current folder."""
    for word, after in zip(words, [*words[1:], None], strict=True):
        option, equals, value = word.partition("=")
        if option in ("--workspace", "--out") and not (value if equals else "-" if after is None else after).strip():
            fix = f"Name a folder, or leave {option} out." if option == "--workspace" else "Name a folder."
            raise UserError("blank_path", option, "", "the path of a folder", fix)


def _refuse(errors: Sequence[UserError], as_json: bool) -> int:
    for error in errors:
        if not error.allowed:  # it tells what happened
            screen.print(f"{error.given}", style="bold red", soft_wrap=True)
            screen.print(f"  {error.fix}", soft_wrap=True)
            continue
        screen.print(f"{error.field}: got {error.given}", style="bold red", soft_wrap=True)
        screen.print(f"  allowed: {error.allowed}\n  {error.fix}", soft_wrap=True)
    if as_json:
        _print({"ok": False, "errors": [_error(error) for error in errors]})
    return WRONG_INPUT


def _error(error: UserError) -> dict[str, object]:
    """An error as JSON, with its choices if it has any."""
    choices = [choice.to_json() for choice in error.choices]
    return {**error.to_json(), **({"choices": choices} if choices else {})}


def _checked(
    recipe: Path, settings: list[str] | None, workspace: Path | None
) -> tuple[Recipe, Callable[[], Workspace]]:
    """The recipe, and a function that opens the workspace; a bad recipe must not create one."""
    store = Workspace.named(workspace)
    with reporting_damage(store.datasets):
        if str(recipe) == "-":
            checked = with_settings(sys.stdin.buffer.read(MAX_BYTES + 1), settings or (), store.catalog())
        else:
            checked = load_recipe(recipe, store.catalog(), settings or ())
    return checked, lambda: Workspace.open_or_create(workspace)


def _ended(run: Run, summary: RunSummary) -> int:
    if summary.status is Status.FINISHED:
        return DONE
    if summary.error:
        screen.print(f"The run failed. {summary.error.get('message', '')}", style="bold red", soft_wrap=True)
        return FAULT if summary.error.get("code") in OUR_FAULTS else WRONG_INPUT
    screen.print(f"The run is {summary.status.value}. {summary.cause}", style="bold", soft_wrap=True)
    return INTERRUPTED if summary.status in (Status.CANCELLED, Status.PAUSED) else FAULT


def _document(summary: RunSummary) -> dict[str, Any]:
    """A run as JSON: what `run`, `demo`, `show` and `runs` print."""
    rest = summary.model_dump(mode="json", exclude={"id", "points", "controls", "files", "events"}, exclude_none=True)
    if not summary.lost:
        rest.pop("lost")
    points = {"points": [p.to_json() for p in summary.points], "controls": [p.to_json() for p in summary.controls]}
    return {"run": summary.id, **rest, **points}


def _rows(what: str, catalog: Catalog) -> list[dict[str, Any]]:
    if what == "methods":
        return [
            {"stage": stage, "method": name, **entry.to_json()}
            for stage, menu in catalog.methods.items()
            for name, entry in menu.items()
        ]
    facts = catalog.backbones if what == "backbones" else catalog.datasets
    return [{"name": name, **entry} for name, entry in facts.items()]


def _line(row: dict[str, Any]) -> str:
    if "method" in row:
        return f"{row['stage']}.{row['method']}: {row['title']['en']}. {row['summary']['en']}"
    facts = [f"{row[key]:,} {key}" for key in ("params", "images", "classes") if row.get(key)]
    return f"{row['name']}: {', '.join([*facts, str(row.get('weights') or row.get('where') or '')])}"


def _run_line(line: Line) -> str:
    luck = f", {formatting.AT_CHANCE}" if line.at_chance else ""
    accuracy = formatting.with_interval(line.accuracy, line.low, line.high)
    last = f"{accuracy}{luck}, {formatting.size(line.bytes)}" if line.points else "no points"
    return f"{line.id}  {line.status:<11}  {last}  {line.name}"


def _print_points(run: Run, summary: RunSummary, runtime: str = "") -> None:
    """Prints the table of a run's points and, below it, the conclusion, which is drawn from the run's own runtime."""
    console = Console(markup=False, highlight=False)
    console.print(terminal.points_table(summary, runtime))
    if runtime in summary.runtimes[1:]:
        return
    if conclusion := terminal.conclusion(run, summary):
        console.print(conclusion)


def _say(as_json: bool, document: object, text: str) -> int:
    if as_json:
        _print(document)
    else:
        Console(markup=False, highlight=False).print(text, soft_wrap=True)
    return DONE


def _print(document: object) -> None:
    sys.stdout.write(streams.document(document) + "\n")
    sys.stdout.flush()


cli_dataset.attach(app, cli_dataset.Terminal(_say, screen, _interruptible))
cli_exchange.attach(app, cli_exchange.Terminal(_say, screen, _interruptible))
cli_slots.attach(app, cli_slots.Terminal(_say))
cli_search.attach(app, cli_search.Terminal(_say, screen, _interruptible, _checked))

if __name__ == "__main__":
    main()
