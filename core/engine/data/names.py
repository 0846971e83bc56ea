"""The names in a person's folder or zip: what is refused, what is skipped, and how bytes become text."""

from __future__ import annotations

import unicodedata

IGNORED = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db"})
DEEPEST = 32
LONGEST = 255  # bytes in one name


class Unsafe(ValueError):
    """A name that could leave its folder."""


def check_path(name: str) -> None:
    """Raises Unsafe on names that no honest archive holds."""
    parts = name.rstrip("/").split("/")
    if name.startswith("/"):
        raise Unsafe("an absolute path")
    if "\\" in name:
        raise Unsafe("a backslash")
    if "\0" in name:
        raise Unsafe("a NUL character")
    if ".." in parts:
        raise Unsafe("it climbs out of its folder")
    if len(parts[0]) >= 2 and parts[0][1] == ":" and parts[0][0].isalpha():
        raise Unsafe("a drive letter")
    if len(parts) > DEEPEST:
        raise Unsafe(f"{len(parts)} folders deep")


def plain(name: str) -> str:
    """The path without `.` steps, so that `./a/b` and `a/b` are seen to be the same file."""
    return "/".join(part for part in name.split("/") if part != ".")


def ignored(name: str) -> bool:
    """Whether a file is something an operating system left behind."""
    return not IGNORED.isdisjoint(name.split("/"))


def skip_reason(name: str) -> str:
    """Why a file of this name is left out, or an empty text."""
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "its name holds control characters"
    if any(len(part.encode()) > LONGEST for part in name.split("/")):
        return f"its name is longer than {LONGEST} bytes"
    return ""


def choose_encoding(unmarked: list[bytes], encoding: str | None) -> str:
    """The encoding of a zip's names that carry no UTF-8 mark and are not ASCII; empty where there are none.

    All names decide together: UTF-8 first, then Chinese GB 2312, then the format's own cp437, which reads anything.
    """
    if not unmarked:
        return ""
    for choice in (encoding,) if encoding else ("utf-8", "gb2312"):
        try:
            for raw in unmarked:
                raw.decode(choice)
        except (UnicodeDecodeError, LookupError):
            continue
        return choice
    return "cp437"


def decode_name(raw: bytes, encoding: str) -> str:
    """The name as text; bytes that do not fit become lone surrogates, and such names are skipped."""
    return raw.decode(encoding or "utf-8", "surrogateescape")


def folded(name: str) -> str:
    """The same text for names that differ only in case or Unicode form."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def blank(name: str) -> bool:
    """Whether nothing of a name can be seen."""
    return not any(unicodedata.category(c)[0] not in "ZC" for c in name)
