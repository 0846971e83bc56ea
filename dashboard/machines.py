"""What is said where latencies that were measured under unlike conditions are shown together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core import runtimes
from core.comparison.speed import Conditions, unlike
from core.text.escaping import UserText
from dashboard.i18n import say

Shown = Callable[[str], str]  # how names of machines are escaped


def markdown(name: str) -> str:
    """For a page."""
    return UserText(name).md()


def told(key: str, processors: Sequence[str], shown: Shown = markdown) -> str:
    """The sentence `key` with the machines that latencies were measured on; empty where they are of one kind."""
    if len(processors) < 2:
        return ""
    listed = say("machines.list").join(shown(name) if name else say("machines.unknown") for name in processors)
    return say(f"machines.{key}", count=len(processors), machines=listed)


def told_of(key: str, kinds: Sequence[Conditions], shown: Shown = markdown) -> str:
    """The sentence `key` with the conditions that latencies were measured under, as far as they differ, and which of
    them do; empty where they are the same."""
    if not (differing := unlike(kinds)):
        return ""
    if differing == ("processor",):
        return told(key, [kind.processor for kind in kinds], shown)
    listed = say("machines.between").join(shown(told_one(kind, differing)) for kind in kinds)
    return say(f"machines.{key}_conditions", count=len(kinds), names=names(differing), conditions=listed)


def names(differing: Iterable[str]) -> str:
    """What the conditions of latencies are called."""
    return say("closing.list").join(say(f"closing.unlike_{name}") for name in differing)


def told_one(kind: Conditions, differing: Iterable[str]) -> str:
    """Those of a latency's conditions that differ from others', not escaped."""
    return say("machines.list").join(_condition(name, kind) for name in differing)


def _condition(name: str, kind: Conditions) -> str:
    if name in ("threads", "batch"):
        return say(f"machines.{name}", count=int(getattr(kind, name)))
    if name == "processor":
        return kind.processor or say("machines.unknown")
    if name == "runtime_version":
        return f"{runtimes.title(kind.runtime)} {kind.runtime_version or say('machines.unknown_version')}"
    return runtimes.title(getattr(kind, name))
