"""Results that a page which reruns each second keeps for the session until their inputs change."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from dashboard.session import language, recall, remember

T = TypeVar("T")


def kept(name: str, shows: Hashable, make: Callable[[], T]) -> T:
    """The last result of `make` under `name`; computed again if its inputs `shows` or the language have changed."""
    depends = (language(), shows)
    known: tuple[Hashable, T] | None = recall(f"kept.{name}", None)
    if known is None or known[0] != depends:
        known = (depends, make())
        remember(f"kept.{name}", known)
    return known[1]
