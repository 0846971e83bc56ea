"""File names in imported folders and zips: which are refused or skipped, and how bytes become text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from core.engine.data.imports.encodings import ZIP_GUESSES, decodes, guess

# Names left behind by operating systems, file managers, editors and version control, case-folded. Names that begin with
# a dot are hidden, and ignored too.
IGNORED = frozenset(
    (
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "picasa.ini",
        "ntuser.dat",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "found.000",
        "lost+found",
        "lost.dir",
        "network trash folder",
        "temporary items",
        "thevolumesettingsfolder",
        "@eadir",
        "@recycle",
        "#recycle",
        "#snapshot",
        "@recently-snapshot",
        "@tmp",
        "@__thumb",
        "@sharebin",
        "__pycache__",
        "node_modules",
        "$windows.~bt",
        "$windows.~ws",
        "$extend",
        "msocache",
        "config.msi",
        "iconcache.db",
        "zbthumbnail.info",
        "pspbrwse.jbf",
        "photothumb.db",
        "backups.backupdb",
        "desktop db",
        "desktop df",
        "_gsdata_",
        "_vti_cnf",
        "sync.ffs_db",
        "thmbnl",
    )
)
IGNORED_FORMS = re.compile(r"found\.\d{3}|ehthumbs.*\.db|thumbs.*\.db|.+:zone\.identifier|.+\.ds_store")
IGNORED_AS_WRITTEN = frozenset({"RECYCLER", "RECYCLED", "CVS"})  # in lower case they could be classes
TEMPORARY = ("~$", "~lock", ".~lock")  # prefixes used by office programs
DEEPEST = 32
LONGEST = 255  # bytes in one name


class Unsafe(ValueError):
    """A file name that could leave its folder."""


def check_path(name: str) -> None:
    """Raises Unsafe for names that no honest archive contains."""
    parts = name.rstrip("/").split("/")
    if name.startswith("/"):
        raise Unsafe("an absolute path")
    if "\\" in name:
        raise Unsafe("a backslash")
    if "\0" in name:
        raise Unsafe("a NUL character")
    if ".." in parts:
        raise Unsafe("a path that leaves its folder")
    if len(parts[0]) >= 2 and parts[0][1] == ":" and parts[0][0].isalpha():
        raise Unsafe("a drive letter")
    if len(parts) > DEEPEST:
        raise Unsafe(f"{len(parts)} folders deep")


def plain(name: str) -> str:
    """The path without `.` components, so that `./a/b` and `a/b` are recognised as the same file."""
    return "/".join(part for part in name.split("/") if part != ".")


def ignored(path: str) -> str:
    """The outermost component of a path that is hidden or left behind by a system; empty if there is none."""
    return next((part for part in path.split("/") if is_ignored(part)), "")


def is_ignored(name: str) -> bool:
    """Whether a file or folder with this name is hidden or left behind by a program."""
    if name in (".", ".."):  # components without meaning
        return False
    plain = name.casefold()
    litter = plain in IGNORED or name in IGNORED_AS_WRITTEN or bool(IGNORED_FORMS.fullmatch(plain))
    return litter or name.startswith((".", *TEMPORARY))


def skip_reason(name: str) -> str:
    """Why a file with this name is skipped; empty if it is not."""
    if any(unicodedata.category(c) == "Cs" for c in name):
        return "its name is not valid text: rename it, or for a zip give its encoding"
    if any(unicodedata.category(c) == "Cc" for c in name):
        return "its name holds control characters"
    if any(len(part.encode()) > LONGEST for part in name.split("/")):
        return f"its name is longer than {LONGEST} bytes"
    return ""


def choose_encoding(unmarked: list[bytes], encoding: str | None) -> str:
    """The encoding of a zip's names that have no UTF-8 flag and are not ASCII; empty if there are none.

    All names share one encoding: the given one, otherwise UTF-8, otherwise the most plausible (see `encodings`),
    otherwise the format's own cp437, which can decode anything.
    """
    if not unmarked:
        return ""
    if encoding:
        return encoding if all(decodes(raw, encoding) for raw in unmarked) else "cp437"
    together = b"\n".join(unmarked)
    return "utf-8" if decodes(together, "utf-8") else guess(together, ZIP_GUESSES, "cp437")


def decode_name(raw: bytes, encoding: str) -> str:
    """The name as text; undecodable bytes become lone surrogates, and such names are skipped."""
    return raw.decode(encoding or "utf-8", "surrogateescape")


def folded(name: str) -> str:
    """A normal form, equal for names that differ only in case or Unicode form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def alike(name: str) -> str:
    """A normal form, equal for similar names: those that differ only in case, Unicode form, full-width forms, spaces,
    underscores or hyphens between words, kinds of dashes and apostrophes, invisible characters or trailing dots."""
    seen = "".join(c for c in folded(name).translate(_SIGNS) if unicodedata.category(c)[0] not in "ZC")
    seen = _JOINT.sub("", "".join(c for c in seen if not _selects_form(c)))
    return seen.rstrip(".") or seen


_SIGNS = str.maketrans(
    {**dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"), **dict.fromkeys("’‘‛ʼ′`´＇", "'"), **dict.fromkeys("“”„″＂", '"')}
)
_JOINT = re.compile(r"(?<=[^\W\d_]{2})[-_](?=[^\W\d_]{2})")  # of words, not of numbers or grades: `A-`, `1-2` stay


def _selects_form(character: str) -> bool:
    return 0xFE00 <= ord(character) <= 0xFE0F or character in "\u034f\u115f\u1160\u3164\uffa0\u2800"


def plainest(names: Sequence[str]) -> str:
    """Of similar names, the one with the fewest spaces and unusual characters; ties go to the first in order."""
    return min(
        names, key=lambda name: (len(name) - len(alike(name)), name != unicodedata.normalize("NFKC", name), name)
    )


def shown(name: str) -> str:
    """A name for use in a sentence: invisible characters are escaped, and names with spaces at their ends quoted."""
    spelled = "".join(f"\\u{ord(c):04x}" if _unseen(c) else c for c in name)
    return f'"{spelled}"' if spelled != spelled.strip() or not spelled else spelled


def _unseen(character: str) -> bool:
    odd = unicodedata.category(character)[0] == "C" or _selects_form(character)
    return odd or (unicodedata.category(character) in ("Zs", "Zl", "Zp") and character not in " \u3000")


def blank(name: str) -> bool:
    """Whether a name has no visible character."""
    return not any(unicodedata.category(c)[0] not in "ZC" for c in name)
