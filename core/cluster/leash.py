"""Ends a worker when the process that started it dies: what a lost node or carrier leaves behind must not go on.

`python -m core.cluster.leash IDENTITY` waits for the end of its stdin, which the starting process holds open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from core.processes.identity import Identity
from core.processes.process import ROOT, end


def leash(who: Identity) -> subprocess.Popen[bytes]:
    """Has the worker `who` killed once this process, or what is returned, is gone, however it ends."""
    words = (sys.executable, "-m", "core.cluster.leash", json.dumps(asdict(who)))
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT, start_new_session=True)


def main(arguments: list[str]) -> None:
    """Waits, then kills."""
    who = Identity(**json.loads(arguments[0]))
    while sys.stdin.buffer.read(4096):
        pass
    end(who, kill=True)


if __name__ == "__main__":
    main(sys.argv[1:])
