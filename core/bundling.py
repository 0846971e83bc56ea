"""Bundling: a model packed as a zip for somewhere else, unpacked again and held against what was measured.

The question, its answer, and where the zip lies meanwhile: in the folder of the job that packed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pydantic import BaseModel, ConfigDict, JsonValue

from core.bundle import point_of
from core.catalog import Catalog, load_catalog
from core.errors import UserError, nearest
from core.files import replacing
from core.recipe import stored_recipe
from core.runs import Run

KIND = "bundle"
ZIP = "bundle.zip"  # in the job's folder
QUANTIZE, INSIDE = "quantize", "onnx"  # a stage whose integers only some formats hold; what every bundle has
STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
LONGEST = 40  # characters of a run's name in the name of its zip
UNSAFE = re.compile(r"[^\w-]+")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a zip: the same model gives the same bytes


class Compared(BaseModel):
    """On how many of `images` the answer is the one that was measured, and the largest difference: of a logit where
    logits were kept, else of the probability of the answer."""

    model_config = STRICT

    images: int
    same: int
    difference: float


class Format(BaseModel):
    """A further format in the zip: how it answers beside the measured file, or why it is not there."""

    model_config = STRICT

    name: str
    compared: Compared | None = None
    refused: dict[str, JsonValue] | None = None


class Bundled(BaseModel):
    """What was packed. `test` compares the whole test split, `samples` the logits of the images inside; None where the
    images are not here any more, or were not kept."""

    model_config = STRICT

    name: str
    bytes: int
    files: tuple[str, ...]
    test: Compared | None = None
    samples: Compared | None = None
    formats: tuple[Format, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether it was compared, and every answer is the measured one."""
        found = [one for one in (self.test, self.samples) if one is not None]
        return bool(found) and all(one.same == one.images for one in found)


def question(run: Run, step: int | None = None, formats: Iterable[str] = ()) -> dict[str, JsonValue]:
    """The request of a job: the model of `step` (default: the last), further export formats next to it.

    Raises UserError where the run has no such point, or the point cannot be had in such a format.
    """
    point = point_of(run, step)
    asked = list(dict.fromkeys(formats))
    offered = formats_of(run, point.step)
    for name in asked:
        if name not in offered:
            allowed = f"of {', '.join(offered)}" if offered else "none: the ONNX file is all there is"
            raise UserError("unknown_format", "formats", name, allowed, nearest(name, offered))
    return {"run": run.id, "step": point.step, "formats": [*asked]}


def formats_of(run: Run, step: int, catalog: Catalog | None = None) -> tuple[str, ...]:
    """The export formats that can be packed next to the ONNX file of `step`; a quantized file can only be had in those
    that hold its integers. None for a run whose recipe cannot be read."""
    try:
        steps = stored_recipe(run.recipe_text).steps[: step + 1]
    except (OSError, ValueError):
        return ()
    quantized = any(one.stage == QUANTIZE for one in steps)
    menu = (catalog or load_catalog()).methods["export"]
    return tuple(name for name, entry in menu.items() if name != INSIDE and (entry.takes_quantized or not quantized))


def file_name(run: Run, step: int) -> str:
    """The name of the zip without its ending, and of the one folder in it: safe on every file system."""
    plain = UNSAFE.sub("-", run.summary().name).strip("-_")[:LONGEST].strip("-_")
    return f"condenser-{plain or run.id}-step-{step}"


def write_zip(folder: Path, path: Path, name: str) -> None:
    """Writes every file of `folder` into a zip at `path`, below one folder called `name`."""
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    with replacing(path) as temporary, ZipFile(temporary, "x") as packed:
        for one in files:
            entry = ZipInfo(f"{name}/{one.relative_to(folder).as_posix()}", EPOCH)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            with packed.open(entry, "w", force_zip64=True) as target, one.open("rb") as source:
                while block := source.read(2**20):
                    target.write(block)


def unpack(path: Path, folder: Path) -> Path:
    """Unpacks a zip that `write_zip` wrote, as whoever downloads it does; returns its one folder."""
    with ZipFile(path) as packed:
        for entry in packed.infolist():
            target = folder / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(entry))
        return folder / packed.namelist()[0].partition("/")[0]
