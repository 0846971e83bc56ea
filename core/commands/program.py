"""What all commands share: the program itself, its options, how it speaks, and what it refuses before it begins."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from core.errors import UserError
from core.own.datasets import reporting_damage
from core.recipe import Recipe, load_recipe, with_settings
from core.text import streams
from core.text.toml import MAX_BYTES
from core.workspace import Workspace

DONE, FAULT, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130  # exit codes; see core.cli.main

Folder = Annotated[
    Path | None, Parameter(name="--workspace", help="Folder of runs, data and caches; default CONDENSER_WORKSPACE.")
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document on stdout.")]
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


@contextmanager
def interruptible(outcome: str) -> Iterator[None]:
    """After Ctrl-C, prints what became of the command's work."""
    try:
        yield
    except KeyboardInterrupt:
        screen.print(f"\nInterrupted. {outcome}", soft_wrap=True)
        raise


def same_workspace(workspace: Path | None) -> str:
    """The option to add to a command so that it uses this workspace again."""
    return f" --workspace {shlex.quote(str(Workspace.named(workspace).path))}" if workspace else ""


def bounded(name: str, value: int | None, least: int, most: int) -> None:
    """Raises UserError `out_of_range`; None, the default, is always allowed."""
    if value is not None and not least <= value <= most:
        fix = f"The nearest allowed value is {max(least, min(value, most))}."
        raise UserError("out_of_range", name, value, f"a whole number from {least} to {most}", fix)


def numbers(name: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas; raises UserError `bad_number`."""
    try:
        return tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        fix = f"Write them with commas, such as --{name} 0.485,0.456,0.406."
        raise UserError("bad_number", name, text, "numbers separated by commas", fix) from None


def store_with(run: str, workspace: Path | None) -> Workspace:
    """The workspace opened for writing; if it has no such run, it raises before anything is created."""
    Workspace.open_to_read(workspace).run(run)
    return Workspace.open_or_create(workspace)


def refuse_missing(path: Path) -> None:
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


def read_recipe(
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


def say(as_json: bool, document: object, text: str) -> int:
    if as_json:
        print_document(document)
    else:
        Console(markup=False, highlight=False).print(text, soft_wrap=True)
    return DONE


def print_document(document: object) -> None:
    sys.stdout.write(streams.document(document) + "\n")
    sys.stdout.flush()
