"""The datasets that the program knows, a file each."""

from __future__ import annotations

from functools import cache

from core.engine.data.known import Bundled, KnownDataset
from core.engine.members import members


@cache
def known_datasets() -> dict[str, KnownDataset]:
    """Every dataset by name: bundled sets first, then those that are fetched when first asked for."""
    kinds = members(__name__, KnownDataset)  # type: ignore[type-abstract]
    made = sorted((kind() for kind in kinds.values()), key=lambda one: (not isinstance(one, Bundled), one.name))
    return {one.name: one for one in made}
