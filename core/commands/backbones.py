"""`condenser profile`, `rank`, `search-backbones`, `add-backbone`, `import-model` and `remove-model`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from core.catalog import TIMM
from core.commands import terminal
from core.commands.catalog import line
from core.commands.import_report import network_report, progress_line
from core.commands.program import (
    DONE,
    AsJson,
    Count,
    Folder,
    app,
    bounded,
    interruptible,
    numbers,
    print_document,
    refuse_missing,
    say,
    screen,
)
from core.errors import UserError, UserErrors
from core.own.added_backbones import forget
from core.own.models import PREFIX, read_labels
from core.processes.ask import ask
from core.questions.add_backbone import AddBackboneRequest
from core.questions.import_network import ImportNetworkRequest
from core.questions.profile import ProfileRequest
from core.questions.rank_backbones import RankRequest
from core.questions.search_backbones import SearchBackbonesRequest
from core.rules.networks import size_faults
from core.workspace import Workspace

MOST_CLASSES = 100_000  # ImageNet-21k has 21,841
MOST_PIXELS = 1024  # a side, as in a recipe
MOST_IMAGES = 10_000_000


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
    bounded("classes", classes, 1, MOST_CLASSES)
    bounded("image_size", image_size, 1, MOST_PIXELS)
    refused = list(size_faults(image_size, facts, backbone))
    if refused:
        raise UserErrors(refused)
    with interruptible("Nothing was counted."):
        answer = ask(Workspace.open_or_create(workspace), ProfileRequest(backbone, classes, image_size))
    found = asdict(answer)
    return say(json, found, "\n".join(f"{key}: {value}" for key, value in found.items()))


@app.command
def rank(
    *,
    dataset: str,
    backbones: str,
    limit: Annotated[int, Parameter(help="Most labelled images used; 0: all.")] = 1000,
    random: Annotated[bool, Parameter(negative="", help="Rank each with random weights too, as a control.")] = False,
    image_size: Annotated[int, Parameter(help="Pixels a side, except for small networks; 0: their own.")] = 0,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Score how well backbones suit a dataset, and compare with a linear probe on the same features.

    With three or more backbones it also reports how well each score agrees with the probe (Kendall, Spearman).

    Parameters
    ----------
    backbones
        Names, separated by commas.
    """
    bounded("limit", limit, 0, MOST_IMAGES)
    bounded("image_size", image_size, 0, MOST_PIXELS)
    catalog = Workspace.open_to_read(workspace).catalog()
    catalog.dataset(dataset)
    names = list(dict.fromkeys(name.strip() for name in backbones.split(",") if name.strip()))
    if not names:
        raise UserError("no_backbones", "backbones", backbones, "one name or more", "Name them: --backbones A,B.")
    for name in names:
        catalog.backbone(name, "backbones")
    asked = RankRequest(dataset, tuple(names), limit, image_size, random)
    with interruptible("The ranking was stopped; nothing of it is kept."):
        found = asdict(ask(Workspace.open_or_create(workspace), asked))
    if json:  # a list of rows by contract, so each row repeats what holds for all
        print_document([{**row, "agreement": found["agreement"]} for row in found["rows"]])
    else:
        Console(markup=False, highlight=False).print(*terminal.ranking(found["rows"], found["agreement"]))
    return DONE


@app.command
def search_backbones(
    *text: str,
    limit: Annotated[int, Parameter(help="Names at most.")] = 50,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
    """Search the names of all of timm's classifiers, most of which no menu lists.

    Parameters
    ----------
    text
        Words that a name must hold, such as mobilenetv4.
    """
    with interruptible("Nothing was searched."):
        found = ask(Workspace.open_or_create(workspace), SearchBackbonesRequest(" ".join(text), limit))
    lines = [f"{row.name}: {row.image_size} pixels, {row.classes:,} classes, {row.licence}" for row in found.rows]
    if found.total > len(lines):
        lines.append(f"and {found.total - len(lines):,} more: give more words, or --limit")
    return say(json, asdict(found), "\n".join(lines) or "timm has no network whose name holds these words.")


@app.command
def add_backbone(name: str, *, workspace: Folder = None, json: AsJson = False) -> int:
    """Add a network of timm that the catalog does not list, so that recipes of this workspace can name it.

    It is counted here; its weights are fetched by the first run that needs them.

    Parameters
    ----------
    name
        timm/<architecture>.<weights>, as `condenser search-backbones` prints it.
    """
    with interruptible("Nothing was added."):
        facts = ask(Workspace.open_or_create(workspace), AddBackboneRequest(name)).facts
    return say(json, facts, f"added {line(facts)}, licence {facts['licence']}")


@app.command
def import_model(
    path: Path,
    *,
    backbone: str,
    name: str,
    labels: Annotated[Path | None, Parameter(help="Class names, one per line, or JSON: a list, class_to_idx.")] = None,
    mean: Annotated[str, Parameter(help="Subtracted from pixels scaled to 0–1: one number, or one per channel.")] = "",
    std: Annotated[str, Parameter(help="Divisor after that: one number, or one per channel.")] = "",
    size: Annotated[int, Parameter(help="Pixels a side it was trained with; 0: the backbone's own.")] = 0,
    crop: Annotated[float, Parameter(help="Share of a side kept by the centre crop; 0: the backbone's own.")] = 0.0,
    workspace: Folder = None,
    json: AsJson = False,
) -> int:
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
    refuse_missing(path)
    catalog = Workspace.open_to_read(workspace).catalog()
    catalog.backbone(backbone)
    asked = ImportNetworkRequest(
        str(path.absolute()),
        backbone,
        name,
        tuple(read_labels(labels)) if labels else (),
        numbers("mean", mean),
        numbers("std", std),
        size,
        crop,
    )
    store = Workspace.open_or_create(workspace)
    with interruptible("Nothing was imported."), progress_line(screen) as look:
        found = ask(store, asked, look)
    return say(json, found.to_json(), "\n".join(network_report(found)))


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
        return say(json, {"model": name, "removed": True}, f"{name} is removed")
    removed = PREFIX + store.remove_network(name)
    return say(json, {"model": removed, "removed": True}, f"{removed} was removed")
