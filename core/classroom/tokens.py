"""The two random tokens of a shared dashboard: one in the learners' address, one in the teacher's.

They are made anew whenever the dashboard starts, so that an old address opens nothing.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from core.classroom.places import class_of
from core.files import make_folder, write_atomic
from core.storage.sealed import read_sealed, seal
from core.summary import IMMUTABLE

FILE = "tokens.json"
BYTES = 24  # of randomness: 192 bits
LONGEST = 200  # characters of what is compared

Role = Literal["learner", "teacher"]


class Tokens(BaseModel):
    """Both tokens, as text that fits into an address."""

    model_config = IMMUTABLE

    learners: str = Field(min_length=32)
    teacher: str = Field(min_length=32)

    def role(self, given: str) -> Role | None:
        """Whose token it is, compared in a time that does not depend on what was given; None for any other text."""
        told = given[:LONGEST].encode("utf-8", "replace")
        is_teacher = compare_digest(told, self.teacher.encode())
        is_learner = compare_digest(told, self.learners.encode())
        return "teacher" if is_teacher else "learner" if is_learner else None


def cookie_of(port: int) -> str:
    """The name of the cookie that holds the token; browsers do not tell the ports of a machine apart."""
    return f"condenser_class_{port}"


def fresh() -> Tokens:
    """New tokens of 192 random bits each."""
    return Tokens(learners=secrets.token_urlsafe(BYTES), teacher=secrets.token_urlsafe(BYTES))


def keep(root: Path, tokens: Tokens) -> None:
    """Writes them for the server to read, in a file for its owner alone."""
    write_atomic(make_folder(class_of(root)) / FILE, seal(tokens.model_dump_json().encode()))


def kept(root: Path) -> Tokens | None:
    """The tokens of the dashboard that was last shared; None if there are none or the file is damaged."""
    try:
        return Tokens.model_validate_json(read_sealed(class_of(root) / FILE))
    except (OSError, ValueError):
        return None
