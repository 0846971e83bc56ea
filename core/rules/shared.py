"""What the rooms of rules share: a step as given, and facts that the catalog may not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.catalog import Facts
from core.errors import UserError, shorten
from core.options import Value

T = TypeVar("T")
Given = tuple[str, str, dict[str, Value]]  # stage, method, what was set


def whole(facts: Facts, key: str) -> int | None:
    """A count, or how many a list has; None where the catalog does not say."""
    value = facts.get(key)
    if isinstance(value, list | tuple):
        return len(value)
    return value if isinstance(value, int) else None


def kind(value: object) -> str:
    """What was given and of which type, for a refusal."""
    return f"{shorten(value, 60)} ({type(value).__name__})"


def attempt(found: list[UserError], check: Callable[..., T], *arguments: object) -> T | None:
    """What `check` gives, or None after its refusal was added to `found`."""
    try:
        return check(*arguments)
    except UserError as error:
        found.append(error)
        return None
