"""Which class and which split an image's path means: one folder a class, below train/validation/test or not."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.engine.data.names import DEEPEST, blank, folded
from core.errors import UserError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
Parts = tuple[str, ...]


@dataclass
class Arrangement:
    """For each path its class and split (None: to be drawn), or why it is left out."""

    classes: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def arrange(paths: Sequence[str], merge: bool = False) -> Arrangement:
    """Reads the layout from the images' paths (`cats/1.jpg`, `data/train/cats/1.jpg`).

    Raises UserError where an image has no class folder, a class name is blank, or two class names differ only in case
    or Unicode form (with `merge` they become one, under the first name in order).
    """
    found = Arrangement()
    parts = _unwrapped({path: tuple(path.split("/")) for path in paths})
    split_folders = _split_folders(list(parts.values()))
    if split_folders:
        _tell_layout(parts, split_folders, found)
    for path, steps in parts.items():
        split = SPLIT_NAMES[folded(steps[0])] if steps[0] in split_folders else None
        inner = steps[1:] if split else steps
        if split and len(inner) == 1:
            found.left_out[path] = f"it lies in {steps[0]} without a class folder"
        else:
            found.classes[path] = _class_of(path, inner)
            found.splits[path] = split
    _merge_alike(found, merge)
    return found


def _unwrapped(parts: dict[str, Parts]) -> dict[str, Parts]:
    """Without the single folders around everything (`photos/cats/1.jpg` in a zip made of `photos`)."""
    for _ in range(DEEPEST):
        tops = {steps[0] for steps in parts.values() if len(steps) > 1}
        bare = any(len(steps) == 1 for steps in parts.values())
        if len(tops) != 1 or bare or not any(len(steps) > 2 for steps in parts.values()):
            break
        parts = {path: steps[1:] for path, steps in parts.items()}
    return parts


def _split_folders(parts: Sequence[Parts]) -> set[str]:
    """Top folders that mean a split: at least two are named so, and one of them, for training, holds class folders."""
    named = {steps[0] for steps in parts if len(steps) > 1 and folded(steps[0]) in SPLIT_NAMES}
    holding = {steps[0] for steps in parts if len(steps) > 2 and steps[0] in named}
    trains = any(SPLIT_NAMES[folded(name)] == "train" for name in holding)
    return named if trains and len({SPLIT_NAMES[folded(name)] for name in named}) > 1 else set()


def _tell_layout(parts: dict[str, Parts], split_folders: set[str], found: Arrangement) -> None:
    names = ", ".join(sorted(split_folders))
    found.warnings.append(f"the folders {names} were taken as given splits")
    others = sorted({steps[0] for steps in parts.values()} - split_folders)
    if others:
        found.warnings.append(f"class folders beside them ({', '.join(others[:5])}) were split by us")


def _class_of(path: str, inner: Parts) -> str:
    if len(inner) == 1:
        fix = "Put the images of each class into a folder of its own, named after the class."
        raise UserError("image_without_class", "path", path, "every image inside a class folder", fix)
    if blank(inner[0]):
        raise UserError("blank_class", "path", path, "class folders with a visible name", "Name the class folder.")
    return inner[0]


def _merge_alike(found: Arrangement, merge: bool) -> None:
    alike: dict[str, set[str]] = defaultdict(set)
    for original in set(found.classes.values()):
        alike[folded(original)].add(original)
    for names in alike.values():
        if len(names) > 1 and not merge:
            given = " and ".join(sorted(names))
            fix = "Merge them into one folder, import with merge switched on, or give them different names."
            raise UserError("classes_alike", "path", given, "names that differ in more than case or form", fix)
        if len(names) > 1:
            first = min(names)
            found.warnings.append(f"merged into the class {first}: {', '.join(sorted(names - {first}))}")
            found.classes |= {path: first for path, name in found.classes.items() if name in names}
    found.classes = {path: unicodedata.normalize("NFC", name) for path, name in found.classes.items()}
