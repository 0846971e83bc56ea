"""A bundle as one zip file with one folder, named after the run and the step; the same model gives the same bytes."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from core.files import replacing
from core.runs import Run

ZIP = "bundle.zip"  # in the folder of the job that packed it
LONGEST = 40  # characters of a run's name in the name of its zip
UNSAFE = re.compile(r"[^\w-]+")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a zip


def file_name(run: Run, step: int) -> str:
    """The name of the zip without its suffix, and of the one folder in it; safe on every file system."""
    plain = UNSAFE.sub("-", run.summary().name).strip("-_")[:LONGEST].strip("-_")
    return f"condenser-{plain or run.id}-step-{step}"


def write_zip(folder: Path, path: Path, name: str) -> None:
    """Writes every file of `folder` into a zip at `path`, inside one folder called `name`."""
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    with replacing(path) as temporary, ZipFile(temporary, "x") as packed:
        for one in files:
            entry = ZipInfo(f"{name}/{one.relative_to(folder).as_posix()}", EPOCH)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            with packed.open(entry, "w", force_zip64=True) as target, one.open("rb") as source:
                while block := source.read(2**20):
                    target.write(block)


def unpack(path: Path, folder: Path) -> Path:
    """Unpacks a zip that `write_zip` wrote, as a person who downloads it would; returns its one folder."""
    with ZipFile(path) as packed:
        for entry in packed.infolist():
            target = folder / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(entry))
        return folder / packed.namelist()[0].partition("/")[0]
