"""Counter-based randomness: every draw is seeded by its place in the run, so no random state is stored."""

from __future__ import annotations

from hashlib import blake2b

import torch


def counter_seed(*place: int | str) -> int:
    """A 63-bit seed for a place such as (recipe seed, step, "shuffle", epoch, batch)."""
    digest = blake2b("/".join(map(str, place)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*place: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded for a place."""
    return torch.Generator(device).manual_seed(counter_seed(*place))
