"""Pictures collected class by class, from files or the camera, before they become a dataset: kept for this session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from core.workspace_files.uploads import LARGEST, MOST_FILES
from dashboard.session import forget, recall, remember

BASKET = "data.basket"


def files() -> dict[str, bytes]:
    """The pictures by `class/name`."""
    found: dict[str, bytes] = recall(BASKET, {})
    return found


def counts() -> dict[str, int]:
    """Pictures a class."""
    return dict(Counter(path.partition("/")[0] for path in files()))


def put(label: str, pictures: Iterable[tuple[str, bytes]]) -> bool:
    """Adds pictures to a class; False, and nothing added, where they are more than an upload may hold."""
    now = dict(files())
    folder = label.strip().replace("/", "∕").replace("\\", "∖")  # a class is one folder
    for name, data in pictures:
        now[_free(f"{folder}/{name.rpartition('/')[2]}", now)] = data
    if len(now) > MOST_FILES or sum(map(len, now.values())) > LARGEST:
        return False
    remember(BASKET, now)
    return True


def empty() -> None:
    forget(BASKET)


def _free(path: str, taken: dict[str, bytes]) -> str:
    """The path, with a number where another picture has it."""
    stem, dot, suffix = path.rpartition(".")
    number, free = 1, path
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}" if dot else f"{path}-{number}"
    return free
