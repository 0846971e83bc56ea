"""A limit on the memory that it may take to follow the channels of a network.

For some networks (efficientvit_m0, whose attention heads feed one another) torch-pruning's graph grows beyond any
memory; without a limit they would take what other runs need, and end as "out of memory", which no smaller batch mends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOM = 4 * 2**30  # bytes; densenet201 and efficientnet_b4 take less than one
SHARE = 0.8  # of the memory that is free


@contextmanager
def limited(room: int = ROOM) -> Iterator[int]:
    """At most `room` bytes more than now, or a share of what is free, for this process inside the block; gives the
    number of bytes. Beyond it an allocation fails with MemoryError or torch's RuntimeError. Linux only."""
    allowed = min(room, int(psutil.virtual_memory().available * SHARE))
    taken = _taken()
    if not taken:
        yield allowed
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = taken + allowed
    if before[0] not in (resource.RLIM_INFINITY, -1) and before[0] < wanted:
        yield before[0] - taken
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, before[1]))
    try:
        yield allowed
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _taken() -> int:
    """Bytes of writable memory that this process has, as RLIMIT_DATA counts them; 0 if the system does not tell."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
    return 0
