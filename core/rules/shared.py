"""Shared by all rules: steps as given, and facts that the catalog may not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.catalog import Facts
from core.errors import UserError, shorten
from core.options import Value

T = TypeVar("T")
Given = tuple[str, str, dict[str, Value]]  # stage, method, what was set


def whole(facts: Facts, key: str) -> int | None:
    """A count, or the length of a list; None if the catalog does not know it."""
    value = facts.get(key)
    if isinstance(value, list | tuple):
        return len(value)
    return value if isinstance(value, int) else None


def kind(value: object) -> str:
    """A given value and its type, for an error message."""
    return f"{shorten(value, 60)} ({type(value).__name__})"


def attempt(found: list[UserError], check: Callable[..., T], *arguments: object) -> T | None:
    """The result of `check`; if it raises a UserError, that is added to `found` and None returned."""
    try:
        return check(*arguments)
    except UserError as error:
        found.append(error)
        return None
