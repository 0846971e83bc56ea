"""`condenser list`."""

from __future__ import annotations

from typing import Any, Literal

from core.catalog import Catalog
from core.commands.program import AsJson, Folder, app, say, screen
from core.own.datasets import damaged, damaged_datasets
from core.own.models import damaged_network, damaged_networks
from core.workspace import Workspace


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
    unread = {
        "datasets": map(damaged, damaged_datasets(store.datasets)),
        "backbones": map(damaged_network, damaged_networks(store.models)),
    }
    for error in unread.get(what, ()):
        screen.print(f"left out: {error}", style="yellow", soft_wrap=True)
    return say(json, rows, "\n".join(line(row) for row in rows))


def _rows(what: str, catalog: Catalog) -> list[dict[str, Any]]:
    if what == "methods":
        return [
            {"stage": stage, "method": name, **entry.to_json()}
            for stage, menu in catalog.methods.items()
            for name, entry in menu.items()
        ]
    facts = catalog.backbones if what == "backbones" else catalog.datasets
    return [{"name": name, **entry} for name, entry in facts.items()]


def line(row: dict[str, Any]) -> str:
    if "method" in row:
        return f"{row['stage']}.{row['method']}: {row['title']['en']}. {row['summary']['en']}"
    facts = [f"{row[key]:,} {key}" for key in ("params", "images", "classes") if row.get(key)]
    return f"{row['name']}: {', '.join([*facts, str(row.get('weights') or row.get('where') or '')])}"
