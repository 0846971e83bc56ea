"""Answers a job with the function `answer` of the file here that has the name of its request's file."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from typing import Any

from core.engine.backbones.own import look_in
from core.engine.context import CancelledError
from core.errors import UserError, UserErrors
from core.jobs import Document, Job
from core.questions.request import kinds, request_of
from core.storage.disk import disk_error


def answer(job: Job) -> None:
    """Answers the job; errors become its answer, so that the worker can serve the next one."""
    try:
        job.answer(_result(job))
    except (UserError, UserErrors) as error:
        job.fail(error)
    except CancelledError:
        job.fail(UserError("cancelled", job.kind, f"This {job.kind} was cancelled.", "", "Try again to start over."))
    except OSError as error:
        found = disk_error(error, job.folder)
        fault = UserError("internal", "engine", repr(error), "a fault of the program", "Please report it.")
        job.fail(found or fault, "" if found else traceback.format_exc())
    except Exception as error:  # noqa: BLE001 (becomes the answer, with its traceback)
        fault = UserError("internal", "engine", repr(error), "a fault of the program", "Please report it.")
        job.fail(fault, traceback.format_exc())


def _result(job: Job) -> Document:
    look_in(job.workspace / "models")
    request = request_of(job)
    return request.answer_to_document(ANSWERS[request.kind](request, job))


def _answers() -> dict[str, Callable[[Any, Job], Any]]:
    """The functions by kind; all are imported while the worker waits, so that the first answer comes quickly."""
    names = {kind: request.__module__.rpartition(".")[2] for kind, request in kinds().items()}
    return {kind: importlib.import_module(f"core.engine.questions.{name}").answer for kind, name in names.items()}


ANSWERS = _answers()
