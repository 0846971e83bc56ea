"""Weights from the Hugging Face hub: safetensors only, held against the sha256 that the hub names, kept once here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from core.engine.download import TIMEOUT, Progress, download, verify
from core.errors import UserError
from core.files import make_folder, remove_file, write_atomic

HUB = "https://huggingface.co"
FILE = "model.safetensors"
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
HOPS = 5  # redirects within a hub, as from a renamed repository


def endpoint() -> str:
    """The hub's address: `HF_ENDPOINT`, as huggingface_hub reads it, else the public one."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def at_hand(repository: str, target: Path) -> bool:
    """Whether `fetch` needs no network."""
    return target.is_file() or cached(repository) is not None


def cached(repository: str) -> Path | None:
    """The file in huggingface_hub's own cache, where another program has put it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, FILE)
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def fetch(repository: str, target: Path, progress: Progress | None = None) -> Path:
    """The weights of `repository`: at `target`, in the hub's cache, or downloaded to `target`.

    Beside `target` stands the sha256 that the hub gave, against which it is held at every load; without one, a person
    has put the file there. Raises UserError `weights_unreachable`, `weights_not_there`, `wrong_checksum`, `disk_full`.
    """
    record = target.with_name(f"{target.name}.sha256")
    if target.is_file():
        return verify(target, sha256_prefix=_recorded(record))
    if (ready := cached(repository)) is not None:
        blob = ready.resolve().name  # the cache names its files by their sha256
        return verify(ready, sha256_prefix=blob if SHA256.fullmatch(blob) else None)
    url, digest = _announced(repository, target)
    make_folder(target.parent)
    write_atomic(record, digest.encode())
    try:
        return download(url, target, sha256_prefix=digest, progress=progress)
    except UserError as error:
        if error.code == "wrong_checksum":
            remove_file(record)
        if error.code == "unreachable":
            raise _unreachable(repository, error.given, target) from error
        raise


def _recorded(record: Path) -> str | None:
    return record.read_text("utf-8").strip() if record.is_file() else None


def _announced(repository: str, target: Path) -> tuple[str, str]:
    """Where the hub serves the file, at one commit, and the sha256 it names for it."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise _unreachable(repository, "HF_HUB_OFFLINE is set", target)
    url = f"{endpoint()}/{repository}/resolve/main/{FILE}"
    headers = _headers(repository, url, target)
    digest = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    if not SHA256.fullmatch(digest):
        fix = "Unset HF_ENDPOINT or set it to a mirror that passes on the hub's headers."
        given = f"{endpoint()}, which names no sha256 for {repository}"
        raise UserError("weights_without_hash", "HF_ENDPOINT", given, "a hub that names the sha256 of its files", fix)
    commit = headers.get("X-Repo-Commit") or ""
    return (url.replace("/resolve/main/", f"/resolve/{commit}/") if COMMIT.fullmatch(commit) else url), digest


def _headers(repository: str, url: str, target: Path) -> Mapping[str, Any]:
    """The answer to a HEAD request, before the hub sends its caller to where the bytes are."""
    opener = build_opener(_Stay)
    for _ in range(HOPS):
        request = Request(url, method="HEAD", headers={"User-Agent": "condenser", "Accept-Encoding": "identity"})
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return dict(answer.headers)
        except HTTPError as error:
            error.close()
            place = error.headers.get("Location") or ""
            if not 300 <= error.code < 400 or not place:
                raise _refused(repository, error, target) from error
            if error.headers.get("X-Linked-Etag"):
                return dict(error.headers)
            url = urljoin(url, place)
        except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
            cause = str(getattr(error, "reason", error)) or type(error).__name__
            raise _unreachable(repository, f"{urlsplit(url).netloc}: {cause}", target) from error
    raise _unreachable(repository, f"more than {HOPS} redirects", target)


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the hub's own answer names the hash, the store behind it need not."""

    def redirect_request(self, *answer: Any) -> None:
        return None


def _refused(repository: str, error: HTTPError, target: Path) -> UserError:
    if error.code not in (401, 403, 404):
        return _unreachable(repository, f"the hub answered {error.code} {error.reason}", target)
    given = f"{repository} ({endpoint()} answered {error.code} {error.reason})"
    fix = "Choose other weights of the same architecture, or ask of a mirror by HF_ENDPOINT that has them."
    return UserError("weights_not_there", "backbone", given, f"weights with a public {FILE}", fix)


def _unreachable(repository: str, cause: str, target: Path) -> UserError:
    fix = (
        f'Go online; or set HF_ENDPOINT to a mirror of the hub; or set weights to "none"; or choose a backbone whose '
        f"weights are already here, such as efficientnet_lite0; or put {FILE} of {repository} at {target}."
    )
    return UserError("weights_unreachable", "backbone", f"{repository} ({cause})", "weights that can be had", fix)
