"""What is asked of a process that sends a run, and what it answers; both are one line of JSON.

The request goes through the process's standard input: an address may hold a password, and a command line can be read by
everybody on the machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from core.errors import UserError

Tool = Literal["mlflow", "tensorboard"]
EXPERIMENT = "Condenser"


@dataclass(frozen=True)
class Request:
    """A run of a workspace for a tool: `where` is a folder or the address of a tracking server."""

    workspace: str
    run: str
    to: Tool
    where: str
    experiment: str = EXPERIMENT

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True)
class Sent:
    """What was sent: `where` without secrets; `again` says that the run was there before and was brought up to date.
    Of parameters, metrics and files those are counted that are there now."""

    to: str
    where: str
    again: bool
    parameters: int
    metrics: int
    files: int
    bytes: int


def read_request(line: bytes) -> Request:
    """The request of `to_line`."""
    return Request(**json.loads(line))


def answer(sent: Sent) -> bytes:
    """What was sent as an answer."""
    return json.dumps({"sent": asdict(sent)}).encode() + b"\n"


def refusal(error: UserError) -> bytes:
    """An error as an answer."""
    return json.dumps({"error": error.to_json()}).encode() + b"\n"


def read_answer(data: bytes) -> Sent:
    """The answer of a process; raises the UserError that it came to, and ValueError where it said nothing."""
    told = json.loads(data.splitlines()[-1]) if data.strip() else {}
    if "sent" in told:
        return Sent(**told["sent"])
    error = told.get("error")
    if not error:
        raise ValueError("the process said nothing")
    raise UserError(error["code"], error["field"], error["given"], error["allowed"], error["fix"])
