"""Tries failed browser tests once more, alone: `python -m tests.again` after a failed run of pytest.

A page on a machine that does other work now and then misses the moment a test waits for. Such a test is named, and
counts as passed if it passes at the second try with the machine to itself. Any other failed test stays failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

LAST = Path(".pytest_cache/v/cache/lastfailed")


class Only:
    """Leaves out whatever drives no browser, and remembers it."""

    def __init__(self) -> None:
        self.others: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.others = [item.nodeid for item in items if "chromium" not in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item.nodeid not in self.others]


def main() -> int:
    failed = sorted(json.loads(LAST.read_text())) if LAST.exists() else []
    if not failed:
        print("nothing to try again: no test is known to have failed", file=sys.stderr)
        return 1
    only = Only()
    ended = pytest.main(["-m", "not faults", *failed], plugins=[only])
    if only.others or ended != pytest.ExitCode.OK:
        print("failed, and not by a browser:", *only.others, sep="\n  ", file=sys.stderr)
        return 1
    print("PASSED AT THE SECOND TRY ONLY:", *failed, sep="\n  ", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
