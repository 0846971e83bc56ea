"""Asking a cluster, from a process without Ray, whether it answers and which of its nodes may have runs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

from core.cluster.nodes import Node
from core.cluster.setting import checked
from core.errors import UserError
from core.processes.process import ROOT
from core.workspace import Workspace

LIMIT = 90.0  # seconds for an answer, on a busy machine
HOME = "Stay on this machine: condenser dashboard --cluster off."


def probe(workspace: Workspace, address: str) -> tuple[Node, ...]:
    """The nodes of the cluster, refused ones with the reason.

    Raises UserError `bad_cluster`, `no_ray`, those of `contact.connect`, or `cluster_refused` where no node
    may have runs.
    """
    checked(address)
    if find_spec("ray") is None:
        fix = "Install it here and on the nodes: pip install 'condenser[cluster]'."
        raise UserError("no_ray", "cluster", "Ray is not installed on this machine.", "", fix)
    nodes = _asked(workspace, address)
    if not any(not node.refused and node.cores for node in nodes):
        told = "; ".join(f"{node.name}: {node.refused or 'it lends no cores'}" for node in nodes) or "it has no nodes"
        fix = f"{told}. Install the same versions on both. {HOME}"
        raise UserError("cluster_refused", "cluster", f"No node of the cluster at {address} can have runs.", "", fix)
    return nodes


def _asked(workspace: Workspace, address: str) -> tuple[Node, ...]:
    words = (sys.executable, "-m", "core.cluster.carrier", str(workspace.path), address, "--look")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, cwd=ROOT, check=False)
        told = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        given = f"The cluster at {address} does not answer within {LIMIT:.0f} s."
        raise UserError("cluster_silent", "cluster", given, "", HOME) from error
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"asking the cluster at {address} failed:\n{done.stderr[-2000:]}") from error
    if isinstance(told, dict):
        raise UserError(**told)
    return tuple(Node(**node) for node in told)


def described(nodes: tuple[Node, ...], address: str) -> list[str]:
    """The cluster in lines of text: what it lends, and who is refused and why."""
    usable = [node for node in nodes if not node.refused and node.cores]
    cores, gpus = sum(node.cores for node in usable), sum(node.gpus for node in usable)
    first = f"Runs go to the cluster at {address}: {len(usable)} nodes, {cores} cores, {gpus} GPUs."
    return [first, *(f"No runs for {node.name}: {node.refused}." for node in nodes if node.refused)]
