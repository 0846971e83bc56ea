"""Writes `core/catalog.json`: everything the engine offers, as data for the packages without torch.

`python -m core.engine.catalog_writer` writes it; with `--check` it only reports whether the committed file is up to
date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

from core.catalog import CATALOG_FILE, STAGES, Catalog, Facts, MethodEntry
from core.engine.members import crowded
from core.engine.method import Method, base_of, methods
from core.files import write_atomic
from core.options import Option, Value, Words

RESERVED = ("stage", "method")  # the keys of a step that are not options
OF_THIS_MACHINE = ("at_hand", "bytes")  # facts of a dataset that differ between machines


class BrokenMethod(Exception):
    """A method file that the catalog cannot include: which file, and what to correct."""


def collect(stages: Iterable[str] = STAGES) -> Catalog:
    """The catalog of this code. Raises BrokenMethod, or whatever a broken file raises on import."""
    from core.engine.backbones import backbones
    from core.engine.backbones.backbone import Family
    from core.engine.data import datasets
    from core.engine.data.known import KnownDataset
    from core.engine.data.sets import known_datasets

    known, found = datasets(), backbones()
    _refuse_crowded("core.engine.data.sets", KnownDataset, "dataset")
    _refuse_crowded("core.engine.backbones", Family, "family")
    sizes = {name: each.download_bytes for name, each in known_datasets().items()}
    return Catalog(
        methods={stage: stage_entries(stage) for stage in stages},
        backbones={name: entry.to_json() for name, entry in found.items()},
        datasets={name: _everywhere(entry.to_json(), sizes[name]) for name, entry in known.items()},
    )


def stage_entries(stage: str) -> dict[str, MethodEntry]:
    """Every method of a stage, by name. Raises BrokenMethod for an incomplete or ambiguous file."""
    menu = methods(stage)
    _refuse_crowded(f"core.engine.{stage}", base_of(stage), "method")
    if not menu:
        raise BrokenMethod(f"core/engine/{stage}: no method; a method is a file with one subclass of the stage's base")
    return {name: method_entry(stage, name, method) for name, method in menu.items()}


def method_entry(stage: str, name: str, method: type[Method]) -> MethodEntry:
    """The catalog entry of one method, with defaults in their options' types. Raises BrokenMethod."""
    place = f"core/engine/{stage}/{name}.py"
    for attribute in ("title", "summary"):
        _require_words(getattr(method, attribute, None), f"{place}: {attribute}")
    try:
        options = method.options()
    except (AssertionError, AttributeError, KeyError, TypeError) as error:
        raise BrokenMethod(f"{place}: {error}") from error
    checked = tuple(_checked_option(option, place) for option in options)
    kinds = (
        method.needs_target,
        method.takes_quantized,
        method.target_choices,
        method.needs_maps,
        method.needs_norms,
        method.needs_linear_head,
        method.needs_package,
    )
    return MethodEntry(method.title, method.summary, method.source, checked, *kinds)


def main(arguments: list[str] | None = None, path: Path = CATALOG_FILE) -> int:
    """Writes the file and returns 0; with `--check` returns 1, and shows the first differences, if it is stale."""
    parser = argparse.ArgumentParser(prog="python -m core.engine.catalog_writer", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is stale")
    check = parser.parse_args(arguments).check
    text = collect().dumps()
    if not check:
        write_atomic(path, text.encode("utf-8"), private=False)
        return 0
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    if committed == text:
        return 0
    lines = unified_diff(committed.splitlines(), text.splitlines(), str(path), "this code", n=1, lineterm="")
    print(f"{path.name} is stale: run `make catalog` and commit it.", *islice(lines, 30), sep="\n", file=sys.stderr)
    return 1


def _everywhere(facts: dict[str, Any], download_bytes: int = 0) -> Facts:
    """A dataset's facts for any machine: one that is installed here counts as a download of `download_bytes`."""
    kept = {key: value for key, value in facts.items() if key not in OF_THIS_MACHINE}
    where = {"where": "download"} if kept.get("where") == "installed" else {}
    return kept | {"download_bytes": download_bytes} | where


def _refuse_crowded(package: str, base: type[object], noun: str) -> None:
    """Raises BrokenMethod for a file with two members, which would both be missing from the menu silently."""
    for name, classes in crowded(package, base).items():
        raise BrokenMethod(f"{name}: one file, one {noun}; got {', '.join(classes)}")


def _checked_option(option: Option, place: str) -> Option:
    where = f"{place}: option {option.name}"
    if not option.name.isidentifier() or not option.name.isascii() or option.name in RESERVED:
        raise BrokenMethod(f"{where}: choose another name; a recipe could not set it")
    _require_words(option.title, f"{where}: title")
    _require_words(option.help, f"{where}: help")
    if option.minimum is not None and option.maximum is not None and option.minimum > option.maximum:
        raise BrokenMethod(f"{where}: no value lies from {option.minimum} to {option.maximum}")
    for value, words in option.names:
        _require_words(words, f"{where}: name of {value}")
        _refuse_value(option, value, f"{where}: its named value {value}")
    if option.usual is not None:
        _refuse_value(option, option.usual, f"{where}: its usual value {option.usual}")
    try:
        return replace(option, default=option.check(option.default))
    except ValueError as error:
        raise BrokenMethod(f"{where}: its own default is refused. {error}") from error


def _refuse_value(option: Option, value: Value, where: str) -> None:
    try:
        option.check(value)
    except ValueError as error:
        raise BrokenMethod(f"{where} is refused. {error}") from error


def _require_words(words: object, where: str) -> None:
    if not isinstance(words, Words) or not words.en.strip() or not words.zh.strip():
        raise BrokenMethod(f"{where}: write it in English and in Chinese")


if __name__ == "__main__":
    sys.exit(main())
