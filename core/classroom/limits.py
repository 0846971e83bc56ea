"""How much each learner of a class may use, and the sentences that refuse more.

The limits are the teacher's and count for every corner alike. Datasets, runs, trash and caches of a corner share its
disk limit; a run takes the minutes from its start to its end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from core.classroom.places import class_of, root_of
from core.errors import UserError
from core.files import lock, make_folder, write_atomic
from core.runs import Run
from core.storage.sealed import read_sealed, seal
from core.summary import IMMUTABLE
from core.text.formatting import size

FILE = "settings.json"
UPLOADS = "uploads.json"
CACHE_SHARE = 4  # a corner's caches may take a quarter of its disk limit
MINUTES_CODE = "class_minutes"


class Limits(BaseModel):
    """The limits of each learner, whether learners see each other's results, and whether they may use the teacher's own
    datasets, networks and lessons."""

    model_config = IMMUTABLE

    waiting: int = Field(10, ge=1, le=1000, description="runs that may wait at once")
    minutes: int = Field(60, ge=1, le=10_000, description="minutes of running, all runs together")
    disk: int = Field(2 * 10**9, ge=10**7, le=10**13, description="bytes of the corner")
    uploads: int = Field(500 * 10**6, ge=10**6, le=10**12, description="bytes uploaded, all files together")
    others: Literal["hidden", "read-only"] = "hidden"
    teachers: Literal["hidden", "read-only"] = "hidden"


@dataclass(frozen=True)
class Usage:
    """What a corner uses now, in the units of `Limits`."""

    waiting: int
    minutes: float
    disk: int
    uploads: int


def limits(root: Path) -> Limits:
    """The limits of the class in the workspace at `root`; the defaults where none were set, or where
    their file is damaged."""
    try:
        return Limits.model_validate_json(read_sealed(class_of(root) / FILE))
    except (OSError, ValueError):
        return Limits()


def set_limits(root: Path, chosen: Limits) -> None:
    """Keeps the teacher's choice; it counts from now on."""
    write_atomic(make_folder(class_of(root)) / FILE, seal(chosen.model_dump_json().encode()))


def usage(corner: Path) -> Usage:
    """What a corner uses now, read from its folders."""
    return Usage(_waiting(corner), minutes(corner), sum(_sizes(corner)), _uploaded(corner))


def minutes(corner: Path) -> float:
    """Minutes that the corner's runs took, those in its trash too."""
    return sum(_lasted(Run(folder)) for place in ("runs", "trash") for folder in _folders(corner / place)) / 60


def refuse_run(corner: Path) -> None:
    """Raises UserError `class_waiting`, `class_minutes` or `class_disk` where a corner may queue no further run."""
    allowed = limits(root_of(corner))
    waiting = _waiting(corner)
    if waiting >= allowed.waiting:
        fix = "Nothing was queued. Wait for one to end, or cancel one."
        raise UserError("class_waiting", "run", f"{waiting} of your runs wait", f"at most {allowed.waiting}", fix)
    refuse_minutes(corner)
    refuse_disk(corner)


def refuse_minutes(corner: Path) -> None:
    """Raises UserError `class_minutes` where a corner's running minutes are used up."""
    allowed, used = limits(root_of(corner)), minutes(corner)
    if used >= allowed.minutes:
        fix = "Nothing was started, and all results are kept. Ask your teacher for more time."
        raise UserError(
            "class_minutes", "run", f"{used:.0f} minutes of running", f"{allowed.minutes} in this class", fix
        )


def time_spent(corner: Path) -> str:
    """Why a corner's run may not go on; empty while it has minutes left."""
    try:
        refuse_minutes(corner)
    except UserError as error:
        return str(error)
    return ""


def refuse_disk(corner: Path) -> None:
    """Raises UserError `class_disk` where a corner's folder has reached its limit."""
    allowed, used = limits(root_of(corner)), sum(_sizes(corner))
    if used >= allowed.disk:
        fix = "Nothing was started, and all results are kept. Delete runs or data you do not need, or ask your teacher."
        raise UserError("class_disk", "disk", size(used), f"{size(allowed.disk)} for each in this class", fix)


def charge_upload(corner: Path, length: int) -> None:
    """Counts an upload of that many bytes; raises UserError `class_uploads`, and then has counted nothing."""
    allowed = limits(root_of(corner))
    with lock(corner / "uploads.lock"):
        used = _uploaded(corner)
        if used + length > allowed.uploads:
            fix = "Nothing was uploaded. Use a smaller file, or ask your teacher."
            given = f"{size(length)} after {size(used)}"
            most = f"{size(allowed.uploads)} for each in this class, all files together"
            raise UserError("class_uploads", "upload", given, most, fix)
        write_atomic(corner / UPLOADS, seal(json.dumps({"bytes": used + length}).encode()))


def cache_limit(corner: Path) -> int:
    """Bytes that the caches of a corner may take."""
    return limits(root_of(corner)).disk // CACHE_SHARE


def _waiting(corner: Path) -> int:
    with suppress(OSError):
        return len(os.listdir(corner / "queue"))
    return 0


def _uploaded(corner: Path) -> int:
    try:
        return max(0, int(json.loads(read_sealed(corner / UPLOADS))["bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _lasted(run: Run) -> float:
    """Seconds a run took; 0 for one that cannot be read."""
    with suppress(OSError, ValueError):
        return run.summary().lasted or run.state().lasted or 0.0
    return 0.0


def _folders(place: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _sizes(folder: Path) -> Iterator[int]:
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(where, name)).st_size
