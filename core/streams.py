"""stdout and stderr as terminals, pipes and locales really have them: closed, full, or unable to hold a character."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from typing import TextIO

NARROWEST = 20  # columns that a table is laid out for, however few a terminal claims to have


def prepare() -> None:
    """Makes stdout and stderr take any text: what an encoding lacks is escaped (`\\u4e2d`), never an error.

    A stream that was closed before we started is replaced by one that goes nowhere, so that no file of ours gets its
    number.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
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
    """`data` as JSON that stdout can hold: escaped as JSON escapes where its encoding lacks a character."""
    text = json.dumps(data, ensure_ascii=False, indent=1)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, indent=1)
    return text


def finish() -> str:
    """Writes out what is still held back; what went wrong, in words, empty if nothing did.

    A reader that has gone (`| head`) is nothing wrong. Python is kept from trying again at its end.
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
