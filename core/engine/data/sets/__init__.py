"""The datasets that the program knows, one file each."""

from __future__ import annotations

from functools import cache

from core.engine.data.known import Bundled, KnownDataset
from core.engine.members import members


@cache
def known_datasets() -> dict[str, KnownDataset]:
    """All datasets by name: bundled ones first, then those that are downloaded on first use."""
    kinds = members(__name__, KnownDataset)  # type: ignore[type-abstract]
    made = sorted((kind() for kind in kinds.values()), key=lambda one: (not isinstance(one, Bundled), one.name))
    return {one.name: one for one in made}
