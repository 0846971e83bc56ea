"""A job is a question to the engine in a folder: a preview, a ranking, an import; answered once, without points. What
can be asked is in core.questions.

request.json   kind and what is asked       result.json   the answer, or the error
worker.json    which process works on it    progress.json how far it is    cancel   a person's flag
partial.json   as much of the answer as there is while the job goes on
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from core.errors import Choice, UserError, UserErrors
from core.files import write_atomic
from core.sealed import read_sealed, seal

Document = dict[str, JsonValue]
DOCUMENT = TypeAdapter(Document)
CHOICES = TypeAdapter(list[Choice])


@dataclass(frozen=True)
class JobProgress:
    """`done` of `total`, and what is being done in a few words."""

    done: int
    total: int
    what: str


def _error(found: Document, choices: Sequence[Choice] = ()) -> UserError:
    words = {key: str(found.get(key, "")) for key in ("code", "field", "given", "allowed", "fix")}
    return UserError(**words, choices=choices)


class Job:
    """The only way to a job's folder. `rest` is what its worker does whenever a long job pauses for a moment."""

    def __init__(self, folder: Path, rest: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.rest = rest
        self.worker = folder / "worker.json"
        self.answer_path = folder / "result.json"

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def workspace(self) -> Path:
        """The folder of the workspace it is asked in."""
        return self.folder.parent.parent

    @property
    def kind(self) -> str:
        """What is asked; empty where the question is damaged."""
        try:
            return str(self._asked()["kind"])
        except UserError:
            return ""

    @property
    def request(self) -> Document:
        """The question; raises UserError `damaged_file`."""
        return DOCUMENT.validate_python(self._asked()["request"])

    def readable(self) -> bool:
        """Whether what is asked can be read."""
        try:
            return bool(self.kind) and self.request is not None
        except (OSError, ValueError, KeyError):
            return False

    def _asked(self) -> Document:
        return self._read("request.json")

    def _read(self, name: str) -> Document:
        """A document of the job; raises UserError `damaged_file` where it is not as it was written."""
        try:
            return DOCUMENT.validate_json(read_sealed(self.folder / name))
        except (OSError, ValueError) as error:
            raise UserError("damaged_file", "job", f"{self.id}/{name}", "a whole file", "Ask again.") from error

    # for whoever asks

    def done(self) -> bool:
        """Whether there is an answer, good or bad."""
        return self.answer_path.exists()

    def result(self) -> Document:
        """The answer; raises the UserError it ended with, UserErrors where there were several, or RuntimeError if there
        is no answer yet."""
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
        """The traceback of a failed job, for "copy diagnostics"; empty if there is none."""
        if not self.done():
            return ""
        try:
            return str(self._read("result.json").get("details", ""))
        except UserError:
            return ""

    def progress(self) -> JobProgress | None:
        """How far the job is, if it said so."""
        try:
            return JobProgress(**json.loads(read_sealed(self.folder / "progress.json")))
        except (OSError, ValueError, TypeError):
            return None

    def partial(self) -> Document | None:
        """As much of the answer as there is, if the job said so; whole or not at all."""
        try:
            return DOCUMENT.validate_json(read_sealed(self.folder / "partial.json"))
        except (FileNotFoundError, ValueError):
            return None

    def prove_space(self) -> None:
        """Raises OSError where the disk would not take an answer, of which then nobody can say so."""
        write_atomic(self.folder / "space", b"an answer needs some")

    def cancel(self) -> None:
        """Asks the worker to stop; a job that nobody has begun is answered at once by the supervisor."""
        write_atomic(self.folder / "cancel", b"")

    def cancel_requested(self) -> bool:
        return (self.folder / "cancel").exists()

    # for the worker

    def tell(self, done: int, total: int, what: str) -> None:
        """Says how far the job is."""
        data = {"done": done, "total": total, "what": what}
        write_atomic(self.folder / "progress.json", seal(json.dumps(data).encode()))

    def show(self, part: Mapping[str, JsonValue]) -> None:
        """Shows the part of the answer that is there; replaces what was shown before."""
        write_atomic(self.folder / "partial.json", seal(json.dumps(dict(part), allow_nan=False).encode()))

    def answer(self, result: Mapping[str, JsonValue]) -> None:
        """Ends the job with an answer; raises ValueError on NaN and infinity."""
        self._end({"result": dict(result)})

    def fail(self, error: UserError | UserErrors, details: str = "") -> None:
        """Ends the job with one error or several; `details` is a traceback if the fault is ours."""
        every = error.errors if isinstance(error, UserErrors) else (error,)
        errors: list[JsonValue] = [dict(one.to_json()) for one in every]
        choices = error.choices if isinstance(error, UserError) else ()
        ways = DOCUMENT.validate_python({"choices": [choice.to_json() for choice in choices]}) if choices else {}
        self._end({"error": errors[0], "errors": errors, "details": details, **ways})

    def _end(self, document: Document) -> None:
        write_atomic(self.answer_path, seal(json.dumps(document, ensure_ascii=False, allow_nan=False).encode()))
