"""What a learner may be called: a short name that everybody can read, and that nobody takes for another's.

Two names are the same to a reader if their skeletons are, in the sense of Unicode's UTS 39. In place of its table of
6,000 lookalikes there are the letters of other alphabets that are drawn like Latin ones (LOOKALIKES), and a rule: a
word has the letters of one of the alphabets in ALPHABETS, as in an address of the web.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from core.errors import UserError

LONGEST = 30  # characters
ALLOWED = f"1 to {LONGEST} characters that can be seen"
BREAKS = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}  # control characters, half characters, private and unassigned ones
JOINERS = "\u200c\u200d"  # hold together or part the letters of some scripts, and the parts of some emoji
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that are drawn as nothing
MOST_MARKS = 3  # above or below one letter: more run into the lines around the name
ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "TIFINAGH", "GLAGOLITIC")
WORDS = re.compile(r"[^\W\d_]+")
THIN = re.compile(f"[\u2006\u2009\u200a\u202f{JOINERS}\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
SAME_MARKS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u2032`´", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
    }
)
LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХҮԌԚԜӀаеѕіјорсухһԁԛԝӏүԍΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανιρυϲϳՕՍօսոհցզᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃıȷɑɡ",
    "ABESIJKMHOPCTYXYGQWIaesijopcyxhdqwlygABEZHIKMNOPTYXoavipucjOUounhgqABCDEHJKLMPRSTVWZijag",
)
STROKES = str.maketrans("Il1|0", "llllO")  # drawn alike in many typefaces


def checked(given: str, taken: Iterable[str]) -> str:
    """The nickname of somebody who joins, without white space around it; what is left is shown as typed, HTML too.

    Raises UserError as `readable`, `bad_nickname` where a word mixes alphabets, or `nickname_taken` where somebody's
    looks like it, whatever its case.
    """
    name = readable(given)
    if any(len(_alphabets(word)) > 1 for word in WORDS.findall(_composed(name))):
        raise _refused("a word with letters of two alphabets", "Write each word in one alphabet.")
    if any(is_same(name, other) for other in taken):
        fix = "Choose another. If that was you in another browser, go on there."
        raise UserError("nickname_taken", "nickname", name, "a name unlike everybody else's in the class", fix)
    return name


def readable(given: str) -> str:
    """A nickname without white space around it; raises UserError `bad_nickname` where it cannot be read as typed."""
    name = unicodedata.normalize("NFC", given[: 100 * LONGEST]).strip()
    if not name or len(name) > LONGEST or len(given) > 100 * LONGEST:
        raise _refused(f"{len(given):,} characters" if name else "nothing", "Choose a shorter one." if name else "")
    if _joins_nothing(name) or any(_is_unseen(c) for c in name):
        raise _refused("a name with invisible characters", "Type it by hand.")
    if any(c in BLANK for c in name) or not any(unicodedata.category(c)[0] in "LNSP" for c in name):
        raise _refused("a name that nobody can see", "Use letters.")
    if unicodedata.category(name[0])[0] == "M":
        raise _refused("a name that begins with a mark", "Begin it with a letter.")
    if _most_marks(name) > MOST_MARKS:
        raise _refused("a letter with too many marks", "Use fewer accents.")
    return name


def _is_unseen(c: str) -> bool:
    kind = unicodedata.category(c)
    return kind in BREAKS or (kind == "Cf" and c not in JOINERS)


def is_same(one: str, other: str) -> bool:
    """Whether two nicknames look alike, or differ at most by case, white space or form of letters."""
    pairs = zip(_skeletons(one[: 100 * LONGEST]), _skeletons(other[: 100 * LONGEST]), strict=True)
    return any(mine == theirs for mine, theirs in pairs)


def _skeletons(name: str) -> tuple[str, str, str]:
    """What is the same of names that are read as one: in small letters, in letters as they are drawn, and both."""
    plain = _composed(name)
    drawn = plain.translate(LOOKALIKES)
    return (
        _dotless(plain.casefold().translate(LOOKALIKES)),
        _dotless(drawn.translate(STROKES)),
        _dotless(drawn.casefold()),
    )


def _composed(name: str) -> str:
    """The usual form of each letter and mark, with one blank between words and nothing that takes no room."""
    plain = unicodedata.normalize("NFKC", THIN.sub("", name)).translate(SAME_MARKS)
    return " ".join(plain.split())


def _dotless(skeleton: str) -> str:
    """Without the dots above i and j, which have one anyway."""
    return re.sub("(?<=[ij])\u0307", "", skeleton)


def _alphabets(word: str) -> set[str]:
    """Those of ALPHABETS that the letters of a word belong to."""
    names = (unicodedata.name(c, "").partition(" ")[0] for c in word)
    return {name for name in names if name in ALPHABETS}


def _joins_nothing(name: str) -> bool:
    """Whether a joiner stands at an end, or beside what it does nothing to: a letter of ALPHABETS, a digit, a mark."""
    spots = (place for place, c in enumerate(name) if c in JOINERS)
    return any(place in (0, len(name) - 1) or not _is_joined(name[place - 1], name[place + 1]) for place in spots)


def _is_joined(before: str, after: str) -> bool:
    return not any(c.isascii() or c in JOINERS or _alphabets(c) for c in (before, after))


def _most_marks(name: str) -> int:
    """How many combining marks the most decorated letter has."""
    most = run = 0
    for c in unicodedata.normalize("NFD", name):
        run = run + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        most = max(most, run)
    return most


def _refused(given: str, fix: str) -> UserError:
    return UserError("bad_nickname", "nickname", given, ALLOWED, fix or "Type a name.")
