"""What is said where latencies of unlike machines are shown together."""

from __future__ import annotations

from collections.abc import Sequence

from core.escaping import UserText
from dashboard.i18n import say


def told(key: str, processors: Sequence[str]) -> str:
    """The sentence `key` with the machines that latencies were measured on; empty where they are of one kind."""
    if len(processors) < 2:
        return ""
    listed = say("machines.list").join(UserText(name).md() if name else say("machines.unknown") for name in processors)
    return say(f"machines.{key}", count=len(processors), machines=listed)
