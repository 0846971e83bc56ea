"""Errors in a person's input: which field, what was given, what is allowed, how to fix it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Choice:
    """One way to resolve an ambiguity that only a person can decide: what to add to a job's `request`, the same as
    `flags` of a command, its `meaning` in words, and, if it is about classes, their `counts` of images by name."""

    request: Mapping[str, str | bool]
    flags: str
    meaning: str
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """As in the commands' JSON output."""
        return asdict(self)


class UserError(ValueError):
    """One mistake in a person's input. The CLI and the dashboard show it unchanged; no traceback belongs to it.

    With an empty `allowed` it reports an event rather than a mistake: `given` is a sentence that says what happened,
    `fix` what is kept and what to do. `choices` are solutions that a page can offer as buttons.
    """

    def __init__(
        self, code: str, field: str, given: object, allowed: str, fix: str, choices: Sequence[Choice] = ()
    ) -> None:
        self.code = code
        self.field = field
        self.given = shorten(given)
        self.allowed = allowed
        self.fix = fix
        self.choices = tuple(choices)
        super().__init__(f"{field}: got {self.given}; allowed: {allowed}. {fix}" if allowed else f"{self.given} {fix}")

    def to_json(self) -> dict[str, str]:
        """As in the commands' JSON output, without `choices`."""
        return {
            "code": self.code,
            "field": self.field,
            "given": self.given,
            "allowed": self.allowed,
            "fix": self.fix,
        }


class UserErrors(ValueError):
    """Several mistakes, reported together so that they can be fixed in one go."""

    def __init__(self, errors: Iterable[UserError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


def shorten(given: object, limit: int = 120) -> str:
    """`given` as text on one line of at most `limit` characters."""
    text = given or '""' if isinstance(given, str) else _show(given)
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _show(given: object) -> str:
    if given is None:
        return "nothing"
    try:
        return repr(given)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return "a number of thousands of digits"


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the known word nearest to `word`, or lists the known words."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Choose one of: {', '.join(choices[:12])}{' …' if len(choices) > 12 else ''}."
