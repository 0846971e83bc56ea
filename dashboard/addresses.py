"""The address of each page: the name of its file, but where that is not what a person would type."""

from __future__ import annotations

OTHERS = {"tryit": "try-it", "classroom": "class"}


def address_of(page: str) -> str:
    """The address of the page in `app_pages/<page>.py`."""
    return OTHERS.get(page, page)


def page_at(address: str) -> str:
    """The name of the page at an address; the first one has none."""
    return next((page for page, at in OTHERS.items() if at == address), address) or "home"
