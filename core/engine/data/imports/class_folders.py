"""Finds the class and split of each image from its path; the folder level of the classes is detected or given."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from core.engine.data.imports.file_names import alike, blank, folded, plainest, shown
from core.engine.data.imports.folders import Parts, Tree, is_container, named_exactly, says_when, split_of
from core.engine.data.imports.readings import INNER, TOP, Reading, readings
from core.errors import Choice, UserError, shorten

LISTED = 5  # names per sentence
UNLABELLED = "--unlabelled"  # the option for images without classes


@dataclass(frozen=True)
class Wishes:
    """A person's choices about folders: `classes_from` is '' (detect the level), `top`, `inner` or the number of a
    level from 1; `splits`: whether folders may be splits; `merge`: whether classes with similar names become one;
    `group_by`: the text up to whose last place the names of files of one object agree (splitting.group_of)."""

    classes_from: str = ""
    splits: bool = True
    merge: bool = False
    group_by: str = ""


@dataclass
class Arrangement:
    """The class and split of each path (None: to be drawn), or why it is left out; `folders` are those of the class
    level, including empty ones, each with its class and split."""

    classes: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    folders: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def arrange(paths: Sequence[str], wishes: Wishes = Wishes(), folders: Iterable[str] = ()) -> Arrangement:
    """Derives the layout from the images' paths (`cats/1.jpg`, `data/train/cats/1.jpg`); `folders` are all folders,
    including empty ones.

    Raises UserError if several folder levels could be the classes (`which_level`, with choices), if split folders hold
    no class folders, if an image has no class folder, if a class name is blank, or if two names are similar (with
    `merge` they become one).
    """
    found = Arrangement()
    places = _Places(Tree.of(paths), wishes.splits)
    deepest = max(map(len, places.rests.values()), default=1)
    reading = _asked_for(wishes.classes_from, deepest) if wishes.classes_from else _found(places, found)
    sorted_out = {folder: places.reason(folder, reading) for folder in places.rests}
    for path in paths:
        folder = tuple(path.split("/")[:-1])
        if sorted_out[folder]:
            found.left_out[path] = sorted_out[folder]
            continue
        found.classes[path] = _class_of(path, reading.of(places.rests[folder]))
        found.splits[path] = places.split(folder)
    found.folders = dict(places.class_folders(folders, reading))
    found.warnings += [*places.remarks(found), *_storing_names(found)]
    _merge_alike(found, wishes.merge)
    return found


@dataclass(frozen=True)
class _Places:
    """The folders with images, and their paths without split folders and without the folders around everything."""

    tree: Tree
    use_splits: bool

    @cached_property
    def marks(self) -> dict[Parts, str]:
        return self.tree.marks if self.use_splits else {}

    @cached_property
    def around(self) -> Parts:
        """The single folders that contain everything (`photos` in `photos/cats/1.jpg`)."""
        inside = {folder: self._unmarked(folder) for folder in self.tree.images}
        around: Parts = ()
        while True:
            depth = len(around)
            tops = {rest[depth] for rest in inside.values() if len(rest) > depth}
            bare = any(len(rest) <= depth and not self.split(folder) for folder, rest in inside.items())
            if len(tops) != 1 or bare or not any(len(rest) > depth + 1 for rest in inside.values()):
                return around
            around = (*around, *tops)

    @cached_property
    def rests(self) -> dict[Parts, Parts]:
        return {folder: self._unmarked(folder)[len(self.around) :] for folder in self.tree.images}

    def _unmarked(self, folder: Parts) -> Parts:
        return tuple(name for depth, name in enumerate(folder, 1) if folder[:depth] not in self.marks)

    def split(self, folder: Parts) -> str | None:
        """The split given by the innermost split folder."""
        above = (folder[:depth] for depth in range(len(folder), 0, -1))
        return next((self.marks[each] for each in above if each in self.marks), None)

    def by_class(self, reading: Reading) -> Counter[str]:
        """The number of images of each class."""
        named: Counter[str] = Counter()
        for folder, rest in self.rests.items():
            name = reading.of(rest)
            if name is not None and not self.unsorted(folder, reading):
                named[name] += self.tree.images[folder]
        return named

    def reason(self, folder: Parts, reading: Reading) -> str:
        """Why images of this folder are left out, or empty; raises UserError for those at the root."""
        rest, split = self.rests[folder], self.split(folder)
        name = reading.of(rest)
        if name is None and not rest and split is None:
            raise self._without_class(folder)
        if name is None or self.unsorted(folder, reading):
            return f"it is in {'/'.join(folder)}, without a class folder"
        return ""

    def _without_class(self, folder: Parts) -> UserError:
        """The error for an image in no class folder; if there are no class folders at all, with the way on."""
        given = "/".join((*folder, min(self.tree.files[folder])))
        fix = "Put the images of each class into a folder of its own, named after the class."
        flat = all(not rest for rest in self.rests.values())
        way = no_labels(sum(self.tree.images.values()))
        more = f" If these images have no labels, use {way.flags}." if flat else ""
        allowed, ways = "every image in a class folder", [way] if flat else []
        return UserError("image_without_class", "path", given, allowed, fix + more, choices=ways)

    def unsorted(self, folder: Parts, reading: Reading) -> bool:
        """Whether the images of a given test or validation split are in a folder that is no class (`test/images`)."""
        rest = self.rests[folder]
        if self.split(folder) not in ("test", "validation") or len(rest) != 1 or not is_container(rest[0]):
            return False
        return all(reading.of(r) != rest[0] for f, r in self.rests.items() if self.split(f) == "train")

    def class_folders(self, folders: Iterable[str], reading: Reading) -> Iterable[tuple[str, tuple[str, str | None]]]:
        """The folders of the class level, and those next to the folders around everything, by path."""
        everything = {tuple(folder.split("/")) for folder in folders} - set(self.marks)
        parents = {folder[:-1] for folder in everything}
        depth = len(self.around)
        for folder in sorted(everything):
            rest, leaf = self._unmarked(folder), folder not in parents
            inside = rest[:depth] == self.around
            if reading.is_folder(rest[depth:], leaf=leaf) if inside else leaf and rest[:-1] == self.around[:-1]:
                yield "/".join(folder), (reading.of(rest[depth:]) or rest[-1], self.split(folder))

    def remarks(self, found: Arrangement) -> Iterable[str]:
        """Which folders were taken as splits, and which folders are next to them."""
        if not any(found.splits.values()):
            return
        if self.tree.beside:
            yield (
                f"next to the split folders lie, with the same classes but no split word in their names: "
                f"{_listed(self.tree.beside)}; their images were split automatically; if they are splits, name them "
                "train, validation or test"
            )
        names = sorted({folder[-1] for folder in self.marks})
        guessed = "" if all(map(named_exactly, names)) else "; if they are classes, use --no-splits"
        yield f"the folders {_listed(names)} were taken as splits{guessed}"
        free = {found.classes[path] for path, split in found.splits.items() if split is None}
        known = {found.classes[path] for path, split in found.splits.items() if split is not None}
        if free:
            yield f"class folders next to them ({_listed(free)}) were split automatically"
        if further := {name for name in free if folded(name) not in set(map(folded, known))}:
            yield f"folders next to the split folders, and in none of them, were taken as classes: {_listed(further)}"


def _asked_for(classes_from: str, deepest: int) -> Reading:
    number = int(classes_from[:3]) if classes_from.isascii() and classes_from.isdecimal() else 0
    if classes_from in (TOP, INNER) or 0 < number <= deepest:
        return Reading({TOP: 1, INNER: 0}.get(classes_from, number))
    allowed = f"top, inner, or the number of a folder level, here 1{f' to {deepest}' if deepest > 1 else ''}"
    raise UserError("unknown_choice", "classes_from", classes_from, allowed, "Leave it out to have the level detected.")


def _found(places: _Places, found: Arrangement) -> Reading:
    """The only plausible level; raises UserError if there are several, or if only split folders could be the
    classes."""
    splits = {folder: places.split(folder) for folder in places.rests}
    possible = readings(places.tree, places.rests, splits)
    if len(possible) > 1:
        raise _which_level(places, possible)
    (reading,) = possible
    if places.use_splits:
        _refuse_splits_as_classes(places, reading)
    if any(len(rest) > 1 for rest in places.rests.values()):
        found.warnings.append(_taken(places, reading))
    return reading


def _which_level(places: _Places, possible: Sequence[Reading]) -> UserError:
    choices = []
    for reading in possible:
        named, flag = places.by_class(reading), f"--classes-from {reading.word}"
        meaning = f"as classes: {_counted(named)}{_inside(places, reading)}"
        choices.append(Choice({"classes_from": reading.word}, flag, meaning, dict(named)))
    allowed = "one level: " + "; ".join(f"{choice.meaning} [{choice.flags}]" for choice in choices)
    given = f"{len(possible)} folder levels that could be the classes"
    fix = f"Choose one: {' or '.join(choice.flags for choice in choices)}."
    return UserError("which_level", "path", given, allowed, fix, choices=choices)


def _refuse_splits_as_classes(places: _Places, reading: Reading) -> None:
    """Raises UserError for `train/1.jpg` and `test/2.jpg`: these are no classes, unless a person says so."""
    named = places.by_class(reading)
    kinds = {split_of(name) for name in named}
    if "" not in kinds and len(kinds) > 1:
        meaning = f"as classes: {_counted(named)}"
        choice = Choice({"splits": False}, "--no-splits", meaning, dict(named))
        fix = f"Put one folder per class into them; if they are the classes, use {choice.flags}: {meaning}."
        given = f"images directly in {_listed(named)}"
        raise UserError("no_class_folders", "path", given, "class folders inside split folders", fix, choices=[choice])


def _taken(places: _Places, reading: Reading) -> str:
    """Reports the folders that were taken as classes, if folders are nested."""
    named = places.by_class(reading)
    others = {name for rest in places.rests.values() for name in rest} - set(named)
    other = f"; not taken as classes: {_listed(others)}" if others else ""
    taken = f"classes were taken from the folders {_counted(named)}{_inside(places, reading)}{other}"
    return f"{taken}; if that is wrong, choose the level with --classes-from"


def _inside(places: _Places, reading: Reading) -> str:
    """Where the classes of an inner level are: ` (inside each of day, night)`."""
    parents: dict[str, set[str]] = defaultdict(set)
    for rest in places.rests.values():
        name = reading.of(rest)
        if name is not None and len(rest) > 1 and reading.level != 1:
            parents[rest[0]].add(name)
    if not parents:
        return ""
    same = len(parents) > 1 and len({frozenset(names) for names in parents.values()}) == 1
    return f" (inside {'each of ' if same else ''}{_listed(parents)})"


def _counted(named: Counter[str]) -> str:
    listed = ", ".join(f"{shown(name)} ({images})" for name, images in sorted(named.items())[:LISTED])
    return listed + (f" … {len(named)} in all" if len(named) > LISTED else "")


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(shown, sorted(names)[:LISTED])) + (" …" if len(names) > LISTED else "")


def _storing_names(found: Arrangement) -> Iterable[str]:
    """A warning about classes whose names say when or how files were stored, not what they show."""
    names = set(found.classes.values())
    odd = names if all(map(is_container, names)) else set(filter(says_when, names))
    if odd:
        yield (
            f"taken as classes, although the names say when or how the images were stored: {_listed(odd)}; if they are "
            f"none, put the images of each class into a folder of its own, or use {UNLABELLED}"
        )


def _class_of(path: str, name: str | None) -> str:
    if name is None or blank(name):
        raise UserError("blank_class", "path", path, "class folders with a visible name", "Name the class folder.")
    return name


def _merge_alike(found: Arrangement, merge: bool) -> None:
    final, remarks = merged(Counter(found.classes.values()), merge)
    found.warnings += remarks
    found.classes = {path: final[name] for path, name in found.classes.items()}
    found.folders = {path: (final.get(name, name), split) for path, (name, split) in found.folders.items()}


def merged(named: Counter[str], merge: bool) -> tuple[dict[str, str], list[str]]:
    """The final name of each class, and remarks on merged ones; raises UserError `classes_alike` without `merge`.

    Names are similar if they differ only in case, spaces, invisible characters, trailing dots or Unicode form.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(named):
        groups[alike(name)].append(name)
    several = [names for names in groups.values() if len(names) > 1]
    pairs = [" and ".join(f"{shown(name)} ({named[name]})" for name in names) for names in several]
    if several and not merge:
        raise _classes_alike("; ".join(pairs))
    final = {name: unicodedata.normalize("NFC", name) for name in named}
    remarks = []
    for names in several:
        first = plainest(names)
        remarks.append(
            f"merged into the class {shown(first)}: {', '.join(shown(name) for name in names if name != first)}"
        )
        final |= dict.fromkeys(names, unicodedata.normalize("NFC", first))
    return final, remarks


def _classes_alike(pairs: str) -> UserError:
    choice = Choice({"merge": True}, "--merge", f"as one class: {shorten(pairs, 1000)}", {})
    allowed = "names that differ in more than case, spaces, invisible characters, trailing dots and Unicode form"
    fix = f"Merge them with {choice.flags}, or give them different names."
    return UserError("classes_alike", "path", pairs, allowed, fix, choices=[choice])


def no_labels(images: int) -> Choice:
    """The way on if there are no class folders because the images have no labels."""
    return Choice({"unlabelled": True}, UNLABELLED, f"as a set without labels: {images} images", {})
