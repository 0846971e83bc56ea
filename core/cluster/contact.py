"""A Ray cluster as seen from here: whether it answers, which nodes it has, what is installed on them."""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from core.cluster.facts import Facts, facts, unlike
from core.cluster.nodes import Node
from core.cluster.setting import AUTO
from core.errors import UserError

AGAIN = 0.5  # seconds before a node that cannot be reached is asked again
ANSWER = 5.0  # seconds for the cluster's port to answer
PROBE = 30.0  # seconds for a node to say what is installed there: a first process has to start


def connect(address: str) -> None:
    """Joins the cluster; raises UserError `cluster_silent`, `cluster_version` or `cluster_not_joined`."""
    start = "Start it (`ray start --head --port=6379`), or stay on this machine: condenser dashboard --cluster off."
    if address != AUTO:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        except OSError as error:
            why = f"The cluster at {address} does not answer ({error.strerror or error})."
            raise UserError("cluster_silent", "cluster", why, "", start) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, namespace="condenser", logging_level=logging.ERROR, log_to_driver=False)
    except RuntimeError as error:
        raise _unusable(address, " ".join(str(error).split())) from error
    except (ConnectionError, ValueError) as error:
        where = "No cluster runs on this machine" if address == AUTO else f"The cluster at {address} does not answer"
        raise UserError("cluster_silent", "cluster", f"{where}.", "", start) from error


def _unusable(address: str, said: str) -> UserError:
    """The error for a cluster that answers and cannot be joined; `said` is Ray's reason, which names both versions."""
    if "ersion mismatch" in said:
        what, fix = "The cluster runs another version of Ray or Python.", f"{said} Install the same versions on both."
        return UserError("cluster_version", "cluster", what, "", fix)
    what = f"This machine cannot join the cluster at {address}."
    fix = f"Join it with `ray start --address={address} --num-cpus=0`, then use auto. Ray says: {said[:500]}"
    return UserError("cluster_not_joined", "cluster", what, "", fix)


def look(known: dict[str, Node]) -> list[Node]:
    """The nodes that are alive; one that is new is asked what is installed there, and `known` keeps the answer."""
    alive = [found for found in ray.nodes() if found["Alive"]]
    asked = {found["NodeID"]: _ask(found["NodeID"]) for found in alive if found["NodeID"] not in known}
    if asked:
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=PROBE)
    mine = facts()
    for found in alive:
        if found["NodeID"] in asked:
            known[found["NodeID"]] = _node(found, asked[found["NodeID"]], mine)
    return [known[found["NodeID"]] for found in alive]


def _ask(node: str) -> Any:
    return ray.remote(facts).options(num_cpus=0, max_retries=0, scheduling_strategy=on(node)).remote()


def _node(found: dict[str, Any], answer: Any, mine: Facts) -> Node:
    lent, name = found["Resources"], f"{found['NodeManagerHostname']} ({found['NodeID'][:6]})"
    about = Node(found["NodeID"], name, int(lent.get("CPU", 0)), int(lent.get("GPU", 0)))
    try:
        there: Facts = ray.get(answer, timeout=0)
    except GetTimeoutError:
        return replace(about, refused=f"it did not answer within {PROBE:.0f} s")
    except (RayError, ImportError) as error:
        said = str(error).strip().splitlines()[-1][:200]
        return replace(about, refused=f"Condenser could not be loaded there ({said})")
    return replace(about, processor=there.processor, refused=unlike(there, mine))


def on(node: str) -> NodeAffinitySchedulingStrategy:
    """Has Ray do something on that node and no other."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


def call(guest: Any, name: str, *arguments: object) -> Any:
    """A guest's answer, asked for again while its node cannot be reached and is not known to be dead."""
    while True:
        try:
            return ray.get(getattr(guest, name).remote(*arguments))
        except ActorUnavailableError:
            time.sleep(AGAIN)
