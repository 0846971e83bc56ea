"""Questions to the engine that give no points: profile, rank, import; each answered with plain data."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from core.dataset_edits import EDIT, AddImages
from core.disk import disk_error
from core.engine.context import CancelledError
from core.engine.data import import_data
from core.engine.data.imports.class_folders import Wishes
from core.engine.data.imports.editing import edit_dataset
from core.engine.data.imports.sample_photos import import_sample_photos
from core.engine.data.published.load import fetch
from core.engine.data.published.sets import PUBLISHED
from core.engine.measure.complexity import profile
from core.engine.questions.dataset_report import dataset_report, dataset_samples
from core.engine.questions.preview import preview
from core.engine.questions.rank_backbones import agreement, rank
from core.engine.questions.sensitivity import sensitivity
from core.errors import UserError, UserErrors, nearest
from core.jobs import DOCUMENT, Document, Job
from core.uploads import drop
from core.workspace import Workspace

KINDS = (
    "preview", "profile", "rank", "import", "sensitivity", "dataset_edit", "dataset_fetch", "dataset_report",
    "dataset_samples",
)  # fmt: skip
INTERVAL = 0.2  # seconds between two reports of a job that goes from file to file
TEXT = TypeAdapter(str)
WHOLE = TypeAdapter(int)
FLAG = TypeAdapter(bool)
TEXTS = TypeAdapter(list[str])


def answer(job: Job) -> None:
    """Answers the job; what goes wrong becomes its answer, so that a worker serves the next one."""
    try:
        job.answer(_result(job, job.request))
    except (UserError, UserErrors) as error:
        job.fail(error)
    except CancelledError:
        job.fail(UserError("cancelled", job.kind, f"This {job.kind} was cancelled.", "", "Ask again to begin anew."))
    except OSError as error:
        found = disk_error(error, job.folder)
        fault = UserError("internal", "engine", repr(error), "a fault of the program", "Please report it.")
        job.fail(found or fault, "" if found else traceback.format_exc())
    except Exception as error:  # noqa: BLE001 (told to whoever asked, with its traceback)
        fault = UserError("internal", "engine", repr(error), "a fault of the program", "Please report it.")
        job.fail(fault, traceback.format_exc())


def _result(job: Job, asked: Document) -> Document:
    workspace = job.folder.parent.parent
    match job.kind:
        case "preview":
            foreseen = preview(TEXT.validate_python(asked["recipe"]), workspace)
            return TypeAdapter(Document).validate_python(json.loads(json.dumps(asdict(foreseen))))
        case "profile":
            name = TEXT.validate_python(asked["backbone"])
            return asdict(profile(name, _number(asked, "classes"), _number(asked, "image_size")))
        case "rank":
            names = TEXTS.validate_python(asked["backbones"])
            rows = rank(
                TEXT.validate_python(asked["dataset"]), names, _number(asked, "limit") or 0, workspace, job,
                image_size=_number(asked, "image_size") or 0,
                controls=FLAG.validate_python(asked.get("controls", False)),
            )  # fmt: skip
            agreed = [asdict(each) for each in agreement(rows)]
            return TypeAdapter(Document).validate_python({"rows": [asdict(row) for row in rows], "agreement": agreed})
        case "sensitivity":
            run, what = (TEXT.validate_python(asked[name]) for name in ("run", "what"))
            step, limit = (WHOLE.validate_python(asked[name]) for name in ("step", "limit"))
            return sensitivity(run, step, what, limit, workspace, job)
        case "import" if asked.get("sample_photos"):
            drawn = import_sample_photos(TEXT.validate_python(asked["name"]), workspace / "datasets", Telling(job))
            return TypeAdapter(Document).validate_python(asdict(drawn))
        case "import":
            path = Path(TEXT.validate_python(asked["path"]))
            name = TEXT.validate_python(asked["name"])
            imported = import_data(
                path, name, workspace / "datasets", side=_number(asked, "side") or 0, wishes=_wishes(asked),
                shape=TEXT.validate_python(asked.get("shape", "crop")),
                encoding=TEXT.validate_python(asked.get("encoding") or "") or None, progress=Telling(job),
            )  # fmt: skip
            drop(Workspace(workspace), path)
            return TypeAdapter(Document).validate_python(asdict(imported))
        case "dataset_edit":
            name = TEXT.validate_python(asked["dataset"])
            edit = EDIT.validate_python(asked["edit"])
            edited = edit_dataset(name, edit, workspace / "datasets", Telling(job))
            if isinstance(edit, AddImages):
                drop(Workspace(workspace), Path(edit.path))
            return TypeAdapter(Document).validate_python(edited.to_json())
        case "dataset_report":
            report = dataset_report(TEXT.validate_python(asked["dataset"]), workspace, Telling(job))
            return DOCUMENT.validate_python(report.model_dump(mode="json"))
        case "dataset_samples":
            made = dataset_samples(TEXTS.validate_python(asked["datasets"]), workspace, Telling(job))
            return DOCUMENT.validate_python({"datasets": made})
        case "dataset_fetch":
            return _fetched(TEXT.validate_python(asked["dataset"]), workspace, job)
    raise UserError("unknown_kind", "kind", job.kind, f"one of {', '.join(KINDS)}", "Ask for one of them.")


def _fetched(name: str, workspace: Path, job: Job) -> Document:
    """A published set put on this machine."""
    if name not in PUBLISHED:
        raise UserError("unknown_dataset", "dataset", name, "a dataset to download", nearest(name, PUBLISHED))
    fetch(name, workspace / "datasets", Telling(job))
    return {"dataset": name}


def _wishes(asked: Document) -> Wishes:
    return Wishes(
        classes_from=TEXT.validate_python(asked.get("classes_from", "")),
        splits=FLAG.validate_python(asked.get("splits", True)),
        merge=FLAG.validate_python(asked.get("merge", False)),
    )


class Telling:
    """Progress of a job that goes from file to file: written down now and then, with a rest for quick questions and a
    look whether it was cancelled. Raises CancelledError."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._next = 0.0
        self._what = ""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if time.monotonic() < self._next and what == self._what and done != total:
            return
        if self.job.cancel_requested() or not self.job.folder.is_dir():  # whoever asked may have gone
            raise CancelledError
        self.job.tell(done, total or 0, what)
        self.job.rest()
        self._next, self._what = time.monotonic() + INTERVAL, what


def _number(asked: Document, name: str) -> int | None:
    value = asked.get(name)
    return None if value is None else WHOLE.validate_python(value)
