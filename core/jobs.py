"""A job is a request to the engine, stored in a folder: a preview, a ranking, an import; answered once. The kinds of
request are in core.questions.

request.json   the kind and the request          result.json    the answer, or the error
worker.json    the process that works on it      progress.json  how far it is
partial.json   the answer so far                 cancel         exists once a person cancels
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from core.errors import Choice, UserError, UserErrors
from core.files import write_atomic
from core.storage.sealed import read_sealed, seal

Document = dict[str, JsonValue]
DOCUMENT = TypeAdapter(Document)
CHOICES = TypeAdapter(list[Choice])


@dataclass(frozen=True)
class JobProgress:
    """`done` of `total` (0: unknown), and what is being done, in a few words."""

    done: int
    total: int
    what: str


def _error(found: Document, choices: Sequence[Choice] = ()) -> UserError:
    words = {key: str(found.get(key, "")) for key in ("code", "field", "given", "allowed", "fix")}
    return UserError(**words, choices=choices)


class Job:
    """Access to a job's folder. A long job calls `rest` now and then, so that its worker can answer quick requests."""

    def __init__(self, folder: Path, rest: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.rest = rest
        self.worker = folder / "worker.json"
        self.answer_path = folder / "result.json"

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def workspace(self) -> Path:
        """The folder of its workspace."""
        return self.folder.parent.parent

    @property
    def kind(self) -> str:
        """The kind of request; empty if request.json is damaged."""
        try:
            return str(self._asked()["kind"])
        except UserError:
            return ""

    @property
    def request(self) -> Document:
        """The request; raises UserError `damaged_file`."""
        return DOCUMENT.validate_python(self._asked()["request"])

    def readable(self) -> bool:
        """Whether the request can be read."""
        try:
            return bool(self.kind) and self.request is not None
        except (OSError, ValueError, KeyError):
            return False

    def _asked(self) -> Document:
        return self._read("request.json")

    def _read(self, name: str) -> Document:
        """A document of the job; raises UserError `damaged_file` if it is not as it was written."""
        try:
            return DOCUMENT.validate_json(read_sealed(self.folder / name))
        except (OSError, ValueError) as error:
            raise UserError("damaged_file", "job", f"{self.id}/{name}", "an intact file", "Try again.") from error

    # for the process that asks

    def done(self) -> bool:
        """Whether the job has ended, with an answer or an error."""
        return self.answer_path.exists()

    def result(self) -> Document:
        """The answer; raises the UserError or UserErrors that the job ended with, or RuntimeError if it has not
        ended."""
        if not self.done():
            raise RuntimeError(f"job {self.id} is not done; ask done() first")
        answer = self._read("result.json")
        found = answer.get("errors", [answer.get("error")])
        every = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        if len(every) > 1:
            raise UserErrors(_error(one) for one in every)
        if every:
            raise _error(every[0], CHOICES.validate_python(answer.get("choices", [])))
        return DOCUMENT.validate_python(answer["result"])

    def details(self) -> str:
        """The traceback of a failed job, to be copied into a report; empty if there is none."""
        if not self.done():
            return ""
        try:
            return str(self._read("result.json").get("details", ""))
        except UserError:
            return ""

    def progress(self) -> JobProgress | None:
        """The last reported progress; None if there is none."""
        try:
            return JobProgress(**json.loads(read_sealed(self.folder / "progress.json")))
        except (OSError, ValueError, TypeError):
            return None

    def partial(self) -> Document | None:
        """The part of the answer that is known so far; None if there is none."""
        try:
            return DOCUMENT.validate_json(read_sealed(self.folder / "partial.json"))
        except (FileNotFoundError, ValueError):
            return None

    def prove_space(self) -> None:
        """Raises OSError if the disk is too full to store an answer; the worker itself could not report that."""
        write_atomic(self.folder / "space", b"an answer needs some")

    def cancel(self) -> None:
        """Asks the worker to stop; a job that has not begun is ended at once by the supervisor."""
        write_atomic(self.folder / "cancel", b"")

    def cancel_requested(self) -> bool:
        """Whether a person asked the worker to stop."""
        return (self.folder / "cancel").exists()

    # for the worker

    def tell(self, done: int, total: int, what: str) -> None:
        """Reports progress."""
        data = {"done": done, "total": total, "what": what}
        write_atomic(self.folder / "progress.json", seal(json.dumps(data).encode()))

    def show(self, part: Mapping[str, JsonValue]) -> None:
        """Publishes the part of the answer that is known so far, replacing what was published before."""
        write_atomic(self.folder / "partial.json", seal(json.dumps(dict(part), allow_nan=False).encode()))

    def answer(self, result: Mapping[str, JsonValue]) -> None:
        """Ends the job with an answer; raises ValueError on NaN or infinity."""
        self._end({"result": dict(result)})

    def fail(self, error: UserError | UserErrors, details: str = "") -> None:
        """Ends the job with one or several errors; `details` is a traceback if the program is at fault."""
        every = error.errors if isinstance(error, UserErrors) else (error,)
        errors: list[JsonValue] = [dict(one.to_json()) for one in every]
        choices = error.choices if isinstance(error, UserError) else ()
        ways = DOCUMENT.validate_python({"choices": [choice.to_json() for choice in choices]}) if choices else {}
        self._end({"error": errors[0], "errors": errors, "details": details, **ways})

    def _end(self, document: Document) -> None:
        write_atomic(self.answer_path, seal(json.dumps(document, ensure_ascii=False, allow_nan=False).encode()))
