"""A draft as a document and back: what is kept of it, so that a reloaded page goes on where a person was."""

from __future__ import annotations

from typing import Any

from core.recipe import Recipe
from core.workspace_files.drafts import Document
from dashboard.design.documents import from_data
from dashboard.design.draft import Draft

KEPT = 50  # recipes to go back to, and forth


def to_document(draft: Draft) -> Document:
    """The recipe, what its name and its adjustments go back to, and the history, as JSON."""
    past, future = draft.past[-KEPT:], draft.future[:KEPT]
    return {
        "recipe": _data(draft.recipe),
        "preset": draft.preset,
        "parent": draft.parent,
        "past": [_data(recipe) for recipe in past],
        "future": [_data(recipe) for recipe in future],
        "base": None if draft.base is None else _data(draft.base),
        "wished": None if draft.wished is None else [_data(recipe) for recipe in draft.wished],
    }


def from_document(document: Document) -> Draft:
    """The draft again; its recipes may be wrong, as while one designs them, but of known methods and right types.

    Raises ValueError on anything else.
    """
    past, future = (_list(document, name) for name in ("past", "future"))
    base, wished = document.get("base"), document.get("wished")
    return Draft(
        from_data(document.get("recipe")),
        tuple(map(from_data, past)),
        tuple(map(from_data, future)),
        str(document.get("preset") or ""),
        base=None if base is None else from_data(base),
        wished=None if wished is None else _pair(document),
        parent=str(document.get("parent") or ""),
    )


def _data(recipe: Recipe) -> Any:
    return recipe.to_data()


def _pair(document: Document) -> tuple[Recipe, Recipe]:
    before, after = _list(document, "wished")
    return from_data(before), from_data(after)


def _list(document: Document, name: str) -> list[Any]:
    found = document.get(name)
    if not isinstance(found, list) or len(found) > KEPT:
        raise ValueError(f"{name} is no list of at most {KEPT} recipes")
    return found
