"""User text, escaped for the place where it is shown: names of runs, classes and files, notes."""

from __future__ import annotations

import re
import unicodedata
from html import escape

JOINER = "\u2060"  # invisible, zero width: breaks patterns that are searched after Markdown was parsed
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit's icons, emoji and arrows and GitHub's bare links are found in the parsed text, where backslashes are gone
# already: `:smile:`, `:material/home:`, `->`, `www.x.org`, `a@b.org`, `http://x`.
FOUND_LATER = re.compile(r"[:@]|[-<>=~](?=[-<>=~])|www(?=\.)", re.IGNORECASE)
TURNS_AROUND = {"R", "AL", "AN", "RLE", "RLO", "LRE", "LRO", "RLI", "LRI", "FSI", "PDF", "PDI"}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
RESERVED = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)(\..*)?")
LONGEST_NAME = 120  # bytes, so that a suffix and a number still fit into 255


class UserText(str):
    """A string that may reach a page, a chart, a table or a disk only through one of these methods."""

    __slots__ = ()

    def md(self) -> str:
        """For Streamlit's Markdown, on one line: nothing becomes a link, an image, HTML, a formula or a colour."""
        text = _isolated(_one_line(self))
        joined = FOUND_LATER.sub(lambda found: found[0] + JOINER, text)
        return PUNCTUATION.sub(r"\\\1", joined)

    def plain(self) -> str:
        """For places that show any text unchanged, such as alternative texts and menus: on one line."""
        return _isolated(_one_line(self))

    def plot(self) -> str:
        """For Plotly's labels and hover texts, which interpret some HTML, `%{x}` and, with MathJax, `$…$`."""
        return escape(_isolated(_one_line(self)), quote=False).replace("%{", f"%{JOINER}{{").replace("$", "&#36;")

    def html(self) -> str:
        """For the text or an attribute of a web page."""
        return escape(_isolated(_one_line(self)), quote=True)

    def csv(self) -> str:
        """For a cell of a table: a `'` is put before what a spreadsheet would take for a formula."""
        text = str(self).replace("\0", "")
        return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith(("\t", "\r")) else text

    def path(self) -> str:
        """For a file name on every system: letters and digits of every script, `-`, `_`, `.` and inner spaces."""
        text = unicodedata.normalize("NFC", self)
        safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in text)
        name = safe.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore").strip(" .")
        return f"_{name}" if RESERVED.fullmatch(name) else name or "unnamed"


def _one_line(text: str) -> str:
    """White space as single spaces; other control characters and lone surrogates are removed."""
    whole = " ".join(text.split())
    return "".join(c for c in whole if unicodedata.category(c) not in {"Cc", "Cs"})


def _isolated(text: str) -> str:
    """Isolates text that runs from right to left, so that it does not reorder the words around it."""
    return f"\u2068{text}\u2069" if any(unicodedata.bidirectional(c) in TURNS_AROUND for c in text) else text
