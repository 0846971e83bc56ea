"""Whether the runs of a workspace go to a cluster: its address, as a file in the workspace."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from core.errors import UserError
from core.files import remove_file, write_atomic
from core.processes.workers import serving
from core.storage.sealed import read_sealed, seal
from core.workspace import Workspace

FILE = "supervisor-cluster.json"
AUTO, OFF = "auto", "off"
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\]")


def checked(address: str) -> str:
    """`auto`, `off`, or HOST:PORT; raises UserError `bad_cluster` for any other text."""
    given = address.strip()
    host, _, port = given.rpartition(":")
    fits = port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
    if given in (AUTO, OFF) or (HOST.fullmatch(host) and fits):
        return given
    fix = "Start one with `ray start --head --port=6379`, and give HOST:6379."
    if given.startswith("ray://"):
        fix = "Join this machine to the cluster with `ray start --address=HOST:6379 --num-cpus=0`, and use auto."
    raise UserError("bad_cluster", "cluster", address, "auto (the cluster this machine is in), HOST:PORT, or off", fix)


def cluster_of(workspace: Workspace) -> str:
    """The address of the cluster that runs go to; empty if they stay on this machine, or if the file is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, UserError):
        address = checked(json.loads(read_sealed(serving(workspace).path / FILE))["address"])
        return "" if address == OFF else address
    return ""


def set_cluster(workspace: Workspace, address: str) -> None:
    """Sends later runs to that cluster; `off` keeps them on this machine. Raises UserError `bad_cluster`."""
    path = serving(workspace).path / FILE
    if checked(address) == OFF:
        remove_file(path)
    else:
        write_atomic(path, seal(json.dumps({"address": checked(address)}).encode()))
