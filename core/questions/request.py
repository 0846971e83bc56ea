"""The base class of requests to the engine. A new kind is one file here, with a subclass of `Request`, and one of the
same name in core/engine/questions, with a function `answer(request, job)`; both are found by their place."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeGuard, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from core.errors import UserError, nearest
from core.jobs import DOCUMENT, Document, Job

A = TypeVar("A")


class Request(Generic[A]):
    """A request, as a frozen dataclass; `A` is the type of the answer. Both are stored as JSON in a job's folder; new
    fields need a default, so that what was stored before can be read.

    `kind` names the kind of request. `overtaken`: whether it takes long and regularly calls `Job.rest`, so that quick
    requests can be answered meanwhile.
    """

    kind: ClassVar[str]
    overtaken: ClassVar[bool] = False

    def to_document(self) -> Document:
        """The request as a job stores it."""
        return DOCUMENT.validate_python(TypeAdapter(type(self)).dump_python(self, mode="json"))

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """The request from a job's document; raises UserError `job_damaged` if a field is missing or wrong."""
        try:
            found: Self = TypeAdapter(cls).validate_python(document)
        except ValidationError as error:
            raise _damaged(cls.kind, error, "a request of this version") from error
        return found

    @classmethod
    def answer_to_document(cls, answer: A) -> Document:
        """The answer as a job stores it; raises ValueError if it cannot be JSON."""
        return DOCUMENT.validate_python(TypeAdapter(cls._answer_type()).dump_python(answer, mode="json"))

    @classmethod
    def answer_from_document(cls, document: Document) -> A:
        """The answer, whole or partial, from a job's document; raises UserError `job_damaged` if it is invalid."""
        try:
            found: A = TypeAdapter(cls._answer_type()).validate_python(document)
        except ValidationError as error:
            raise _damaged(cls.kind, error, "an answer of this version") from error
        return found

    @classmethod
    def _answer_type(cls) -> Any:
        (base,) = cls.__orig_bases__  # type: ignore[attr-defined]  # Request[A], as typing keeps it
        return get_args(base)[0]


def request_of(job: Job) -> Request[Any]:
    """The request of a job; raises UserError `unknown_kind`, `job_damaged` or `damaged_file`."""
    kind, known = job.kind, kinds()
    if kind not in known:
        raise UserError("unknown_kind", "kind", kind, f"one of {', '.join(known)}", nearest(kind, known))
    return known[kind].from_document(job.request)


def is_overtaken(kind: str) -> bool:
    """Whether quick requests may be answered during one of this kind; False for an unknown kind."""
    return kind in kinds() and kinds()[kind].overtaken


def overtakes(kind: str) -> bool:
    """Whether a request of this kind may be answered during a long one; False for an unknown kind."""
    return kind in kinds() and not kinds()[kind].overtaken


@cache
def kinds() -> dict[str, type[Request[Any]]]:
    """The request classes by kind: one subclass of `Request` in each file of this folder."""
    found: dict[str, type[Request[Any]]] = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"{__package__}.{info.name}")
        own = (value for value in vars(module).values() if _defined(value, module.__name__))
        found |= {request.kind: request for request in own}
    return dict(sorted(found.items()))


def _defined(value: object, module: str) -> TypeGuard[type[Request[Any]]]:
    """Whether `value` is a request class that `module` itself defines; the base class has no kind."""
    return (
        inspect.isclass(value) and issubclass(value, Request) and value.__module__ == module and hasattr(value, "kind")
    )


def _damaged(kind: str, error: ValidationError, allowed: str) -> UserError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return UserError("job_damaged", kind, f"{place}: {first['msg']}", allowed, "Try again.")
