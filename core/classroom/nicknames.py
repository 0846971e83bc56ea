"""What a learner may be called: a short name that everybody can read, and nobody else has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from core.errors import UserError

LONGEST = 30  # characters
ALLOWED = f"1 to {LONGEST} characters that can be seen"
BREAKS = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}  # control characters, half characters, private and unassigned ones
JOINER = "\u200d"  # holds the parts of some emoji together
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that are drawn as nothing
MOST_MARKS = 3  # above or below one letter: more run into the lines around the name


def checked(given: str, taken: Iterable[str]) -> str:
    """The nickname without white space around it; what is left is shown as typed, HTML too.

    Raises UserError `bad_nickname`, or `nickname_taken` where somebody's differs at most by case or form of letters.
    """
    name = unicodedata.normalize("NFC", given[: 100 * LONGEST]).strip()
    if not name or len(name) > LONGEST or len(given) > 100 * LONGEST:
        raise _refused(f"{len(given):,} characters" if name else "nothing", "Choose a shorter one." if name else "")
    if any(unicodedata.category(c) in BREAKS or (unicodedata.category(c) == "Cf" and c != JOINER) for c in name):
        raise _refused("a name with invisible characters", "Type it by hand.")
    if any(c in BLANK for c in name) or not any(unicodedata.category(c)[0] in "LNSP" for c in name):
        raise _refused("a name that nobody can see", "Use letters.")
    if _most_marks(name) > MOST_MARKS:
        raise _refused("a letter with too many marks", "Use fewer accents.")
    if _alike(name) in map(_alike, taken):
        fix = "Choose another. If that was you in another browser, go on there."
        raise UserError("nickname_taken", "nickname", name, "a name that nobody else in the class has", fix)
    return name


def is_same(one: str, other: str) -> bool:
    """Whether two nicknames differ at most by case, white space or form of letters."""
    return _alike(one[: 100 * LONGEST]) == _alike(other[: 100 * LONGEST])


def _most_marks(name: str) -> int:
    """How many combining marks the most decorated letter has."""
    most = run = 0
    for c in unicodedata.normalize("NFD", name):
        run = run + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        most = max(most, run)
    return most


def _alike(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _refused(given: str, fix: str) -> UserError:
    return UserError("bad_nickname", "nickname", given, ALLOWED, fix or "Type a name.")
