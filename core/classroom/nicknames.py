"""What a learner may be called: a short name that everybody can read, and nobody else has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from core.errors import UserError

LONGEST = 30  # characters
ALLOWED = f"1 to {LONGEST} characters that can be seen"
BREAKS = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}  # control characters, half characters, private and unassigned ones
JOINER = "\u200d"  # holds the parts of some emoji together


def checked(given: str, taken: Iterable[str]) -> str:
    """The nickname without white space around it; what is left is shown as typed, HTML too.

    Raises UserError `bad_nickname`, or `nickname_taken` where somebody's differs at most by case or form of letters.
    """
    name = unicodedata.normalize("NFC", given[: 100 * LONGEST]).strip()
    if not name or len(name) > LONGEST or len(given) > 100 * LONGEST:
        raise _refused(f"{len(given):,} characters" if name else "nothing", "Choose a shorter one." if name else "")
    if any(unicodedata.category(c) in BREAKS or (unicodedata.category(c) == "Cf" and c != JOINER) for c in name):
        raise _refused("a name with invisible characters", "Type it by hand.")
    if not any(unicodedata.category(c)[0] in "LNSP" for c in name):
        raise _refused("a name that nobody can see", "Use letters.")
    if _alike(name) in map(_alike, taken):
        fix = "Choose another. If that was you in another browser, go on there."
        raise UserError("nickname_taken", "nickname", name, "a name that nobody else in the class has", fix)
    return name


def _alike(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _refused(given: str, fix: str) -> UserError:
    return UserError("bad_nickname", "nickname", given, ALLOWED, fix or "Type a name.")
