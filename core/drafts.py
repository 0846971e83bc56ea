"""What a person is designing, kept in the workspace so that a reloaded page finds it: `drafts/<id>.json`.

A page's address names the opaque id, never a path. The document says nothing about whether the recipe is right.
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
MOST = 200  # drafts; the oldest go
LARGEST = 2**20  # bytes
Document = dict[str, JsonValue]
SEALED = TypeAdapter(dict[str, str | Document])


def write_draft(workspace: Workspace, draft_id: str, document: Document) -> None:
    """Keeps a draft under its id; raises OSError when the disk does."""
    folder = make_folder(workspace.path / FOLDER)
    data = json.dumps({"sha256": _sha256(document), "draft": document}, ensure_ascii=False)
    path = safe_join(folder, f"{_checked(draft_id)}.json")
    if not path.exists():
        _tidy(workspace)
    write_atomic(path, data.encode())


def read_draft(workspace: Workspace, draft_id: str) -> Document:
    """The draft of that id; raises UserError `damaged_draft` where there is none or its checksum does not hold."""
    try:
        path = safe_join(workspace.path / FOLDER, f"{_checked(draft_id)}.json")
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        found = SEALED.validate_json(path.read_bytes())
        document = found["draft"]
        if not isinstance(document, dict) or found.get("sha256") != _sha256(document):
            raise ValueError("its checksum does not hold")
    except (OSError, ValueError, KeyError) as error:
        given = f"draft {draft_id}: {error}"
        fix = "Design again, or load a recipe."
        raise UserError("damaged_draft", "draft", given, "a draft kept in this workspace", fix) from error
    return document


def newest_draft(workspace: Workspace) -> tuple[str, float] | None:
    """The id of the draft that was changed last, and when; None where there is none."""
    found = []
    with suppress(OSError):
        found = [(path.stat().st_mtime, path.stem) for path in (workspace.path / FOLDER).glob("*.json")]
    known = [(changed, name) for changed, name in found if ID.fullmatch(name)]
    return (max(known)[1], max(known)[0]) if known else None


def new_draft_id() -> str:
    """An id that says nothing and is nobody else's."""
    return new_id()


def _checked(draft_id: str) -> str:
    if not ID.fullmatch(draft_id):
        raise ValueError("no id of a draft")
    return draft_id


def _tidy(workspace: Workspace) -> None:
    """Removes the drafts that nobody will miss."""
    with suppress(OSError):
        paths = sorted((workspace.path / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for place, path in enumerate(paths):
            if place >= MOST or time.time() - path.stat().st_mtime > KEEP:
                remove_file(path)


def _sha256(document: Document) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()
