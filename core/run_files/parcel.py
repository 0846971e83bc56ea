"""A run as one zip, to be sent to another workspace: recipe, log, notes and all artifacts, with the hash of each.

parcel.json      the run's id, and size and SHA-256 of every other file; sealed
recipe.toml      events.jsonl      notes.json (where there is one)      artifacts/…
Left out: checkpoints, what a process printed, and who worked on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pydantic import BaseModel

from core.errors import UserError
from core.files import replacing
from core.run_files.artifacts import refuse_damaged
from core.run_files.bundling import EPOCH
from core.runs import Run
from core.storage.sealed import file_hash, seal
from core.summary import IMMUTABLE

MANIFEST = "parcel.json"
FORMAT = 1
SMALL = ("recipe.toml", "events.jsonl", "notes.json")
ARTIFACT = re.compile(r"artifacts/[^\x00-\x1f\\]{1,400}")
CHUNK = 2**20


class Packed(BaseModel):
    """A file of a parcel."""

    model_config = IMMUTABLE

    bytes: int
    sha256: str


class Parcel(BaseModel):
    """What a parcel says of itself."""

    model_config = IMMUTABLE

    format: int
    run: str
    files: dict[str, Packed]


def pack(run: Run, path: Path) -> list[str]:
    """Writes the run as a zip at `path`, whole or not at all; returns the names of its files.

    Raises UserError `run_is_not_over`, `file_exists`, and as `refuse_damaged` where a file is not as it was measured.
    """
    if not run.state().status.is_over:
        raise UserError("run_is_not_over", "run", run.id, "a run that is over", "Wait for it to end, or cancel it.")
    if path.exists():
        raise UserError("file_exists", "file", str(path), "a new file", "Name another one.")
    names = list(_names(run))
    files = {
        name: Packed(bytes=(run.folder / name).stat().st_size, sha256=file_hash(run.folder / name)) for name in names
    }
    manifest = Parcel(format=FORMAT, run=run.id, files=files)
    with replacing(path, private=False) as temporary, ZipFile(temporary, "x") as packed:
        packed.writestr(_entry(MANIFEST), seal(manifest.model_dump_json(indent=1).encode()))
        for name in names:
            with packed.open(_entry(name), "w", force_zip64=True) as target, (run.folder / name).open("rb") as source:
                while block := source.read(CHUNK):
                    target.write(block)
    return [MANIFEST, *names]


def _names(run: Run) -> Iterator[str]:
    """The files of a run that another workspace needs; each artifact as it was measured."""
    yield from (name for name in SMALL if (run.folder / name).is_file())
    for saved in dict.fromkeys(artifact.path for artifact in run.state().artifacts):
        refuse_damaged(run, saved)
        yield saved


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, EPOCH)
    entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
    return entry
