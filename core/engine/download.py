"""Downloads a file: with progress, resumed if interrupted, checked, and moved into place atomically."""

from __future__ import annotations

import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from core.errors import UserError
from core.files import lock, make_folder, move, open_log, remove_file

Progress = Callable[[int, int | None], None]  # (bytes done, total bytes or None if the server does not tell)
CHUNK = 1 << 18  # bytes between two reports
TIMEOUT = 30.0  # seconds without an answer
ATTEMPTS = 5  # after interruptions, as long as each attempt receives more bytes


def download(
    url: str,
    target: Path,
    *,
    sha256_prefix: str | None = None,
    md5: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Downloads `url` (http, https) to `target` and returns `target`; an existing file is checked and kept.

    Unfinished bytes stay in `<target>.part` and are continued with a Range request (RFC 9110, 14.2), also after a
    cancelled or killed download. Raises UserError `unreachable` (no answer, refused, interrupted), `wrong_checksum`
    (the bytes are removed) or `disk_full`.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError("unreachable", "url", url, "an http or https address", "Check the address.")
    if target.is_file():
        return verify(target, sha256_prefix=sha256_prefix, md5=md5)
    make_folder(target.parent)
    part = target.with_name(target.name + ".part")
    with lock(part):  # a second process waits here for the first and then finds the file
        if target.is_file():
            remove_file(part)
            return target
        _fetch_all(url, part, progress or _silent)
        verify(part, sha256_prefix=sha256_prefix, md5=md5)
        move(part, target)
    return target


def verify(path: Path, *, sha256_prefix: str | None = None, md5: str | None = None) -> Path:
    """`path`, if its content has the given hashes; otherwise removes a `.part` file and raises UserError
    `wrong_checksum`."""
    expected = {"sha256": sha256_prefix, "md5": md5}
    for algorithm, digest in expected.items():
        if digest is None:
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if not found.startswith(digest.lower()):
            partial = path.suffix == ".part"
            if partial:
                remove_file(path)
            fix = "Download it again: the bytes were removed." if partial else f"Delete {path} and try again."
            allowed = f"{algorithm} {digest}"
            raise UserError("wrong_checksum", path.name, f"{algorithm} {found[: len(digest)]}", allowed, fix)
    return path


def _fetch_all(url: str, part: Path, progress: Progress) -> None:
    cause = ""
    for _ in range(ATTEMPTS):
        before = part.stat().st_size
        try:
            if _fetch(url, part, progress):
                return
            cause = "the connection was cut"
        except HTTPError as error:
            error.close()
            raise _unreachable(url, f"the server answered {error.code} {error.reason}") from error
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            cause = str(getattr(error, "reason", error)) or type(error).__name__
        if part.stat().st_size <= before:
            break
    raise _unreachable(url, cause)


def _fetch(url: str, part: Path, progress: Progress) -> bool:
    """One request for the missing bytes; True once the file is complete."""
    done = part.stat().st_size
    with _opened(url, done) as answer:
        if answer is None:  # 416: there is nothing after the bytes we have
            return True
        if answer.status != http.client.PARTIAL_CONTENT or _start(answer) != done:
            done = 0
        total = _total(answer, done)
        with open_log(part) as file:
            file.truncate(done)
            progress(done, total)
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                _append(file, chunk, part, total)
                done += len(chunk)
                progress(done, total)
            os.fsync(file.fileno())
    return total is None or done >= total


@contextmanager
def _opened(url: str, start: int) -> Iterator[http.client.HTTPResponse | None]:
    headers = {"User-Agent": "condenser", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        error.close()
        whole = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if whole.isdecimal() and int(whole) == start:
            yield None
            return
        answer = urlopen(Request(url, headers={**headers, "Range": "bytes=0-"}), timeout=TIMEOUT)
    with answer:
        yield answer


def _start(answer: http.client.HTTPResponse) -> int:
    """The first position in `Content-Range: bytes 100-199/200`; -1 if it is missing."""
    first = (answer.headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else -1


def _total(answer: http.client.HTTPResponse, done: int) -> int | None:
    length = answer.headers.get("Content-Length") or ""
    return done + int(length) if length.isdecimal() else None


def _append(file: BinaryIO, chunk: bytes, part: Path, total: int | None) -> None:
    try:
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        need = "space for the file" if total is None else f"{total / 1e6:.0f} MB in all"
        fix = f"Free space on the disk that holds {part.parent}, then try again: received bytes are kept."
        raise UserError("disk_full", part.name, error.strerror or "a failed write", need, fix) from error


def _unreachable(url: str, cause: str) -> UserError:
    fix = "Check the connection and try again: received bytes are kept, and the download continues."
    return UserError("unreachable", "url", f"{url} ({cause})", "an address that answers", fix)


def _silent(done: int, total: int | None) -> None:
    return None
