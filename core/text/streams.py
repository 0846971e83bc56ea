"""stdout and stderr that cope with real terminals, pipes and locales: closed, full, or lacking a character."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from typing import TextIO

NARROWEST = 20  # columns a table is laid out for at least, even if the terminal reports fewer


def prepare() -> None:
    """Makes stdout and stderr accept any text: characters an encoding lacks are escaped (`\\u4e2d`), never an error.

    Streams that were closed before the start are opened on /dev/null, so that no other file gets their numbers.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) < NARROWEST:
        os.environ["COLUMNS"] = str(NARROWEST)
    sys.stdout = _able(sys.stdout)
    sys.stderr = _able(sys.stderr)


def _able(stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def document(data: object) -> str:
    """`data` as JSON that stdout can encode: non-ASCII is escaped if the encoding lacks a character."""
    text = json.dumps(data, ensure_ascii=False, indent=1)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, indent=1)
    return text


def finish() -> str:
    """Flushes both streams and returns what went wrong in words; empty if nothing did.

    A closed pipe (`| head`) is no error. Python is kept from flushing again at exit.
    """
    wrong = ""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _discard(stream)
        except (OSError, ValueError) as error:
            wrong = getattr(error, "strerror", None) or str(error)
            _discard(stream)
    return wrong


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)
