"""Drafts of recipes, kept in the workspace so that a reloaded page finds them: `drafts/<id>.json`.

A page's address holds the opaque id, never a path. A draft need not be a valid recipe.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress

from pydantic import JsonValue, TypeAdapter

from core.errors import UserError
from core.files import make_folder, remove_file, safe_join, write_atomic
from core.workspace import ID, Workspace, new_id

FOLDER = "drafts"
KEEP = 30 * 24 * 3600.0  # seconds
MOST = 200  # drafts; the oldest are removed
LARGEST = 2**20  # bytes
Document = dict[str, JsonValue]
SEALED = TypeAdapter(dict[str, str | Document])


def write_draft(workspace: Workspace, draft_id: str, document: Document) -> None:
    """Stores a draft under its id; raises OSError if the disk fails, ValueError if `draft_id` is no id."""
    folder = make_folder(workspace.path / FOLDER)
    data = json.dumps({"sha256": _sha256(document), "draft": document}, ensure_ascii=False)
    path = safe_join(folder, f"{_checked(draft_id)}.json")
    if not path.exists():
        _tidy(workspace)
    write_atomic(path, data.encode())


def read_draft(workspace: Workspace, draft_id: str) -> Document:
    """The draft with that id; raises UserError `damaged_draft` if there is none or its checksum does not match."""
    try:
        path = safe_join(workspace.path / FOLDER, f"{_checked(draft_id)}.json")
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        found = SEALED.validate_json(path.read_bytes())
        document = found["draft"]
        if not isinstance(document, dict) or found.get("sha256") != _sha256(document):
            raise ValueError("its checksum does not match")
    except (OSError, ValueError, KeyError) as error:
        given = f"draft {draft_id}: {error}"
        fix = "Start a new design, or load a recipe."
        raise UserError("damaged_draft", "draft", given, "a draft kept in this workspace", fix) from error
    return document


def newest_draft(workspace: Workspace) -> tuple[str, float] | None:
    """The id of the draft that was changed last, and when (seconds since 1970); None if there is none."""
    found = []
    with suppress(OSError):
        found = [(path.stat().st_mtime, path.stem) for path in (workspace.path / FOLDER).glob("*.json")]
    known = [(changed, name) for changed, name in found if ID.fullmatch(name)]
    return (max(known)[1], max(known)[0]) if known else None


def new_draft_id() -> str:
    """A new, opaque, unique id."""
    return new_id()


def _checked(draft_id: str) -> str:
    if not ID.fullmatch(draft_id):
        raise ValueError("no id of a draft")
    return draft_id


def _tidy(workspace: Workspace) -> None:
    """Removes drafts that are too old or too many."""
    with suppress(OSError):
        paths = sorted((workspace.path / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for place, path in enumerate(paths):
            if place >= MOST or time.time() - path.stat().st_mtime > KEEP:
                remove_file(path)


def _sha256(document: Document) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()
