"""One node of a Ray cluster that listens on loopback alone: `python ray_node.py CORES FOLDER [ADDRESS OF THE HEAD]`.

It prints the cluster's address and runs until it is ended; its raylet ends with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # also for whoever connects
os.environ.update(LOOPBACK)


def main(cores: int, folder: str, head: str = "") -> None:
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    settings = RayParams(
        node_ip_address="127.0.0.1", num_cpus=cores, object_store_memory=80_000_000, include_log_monitor=False,
        include_dashboard=False, temp_dir=folder, min_worker_port=0, max_worker_port=0,
        **({"gcs_address": head} if head else {}),
    )  # fmt: skip
    node = Node(settings, head=not head, shutdown_at_exit=True, spawn_reaper=True, connect_only=False)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    print(node.gcs_address, *(each.pid for each in _raylets(node)), flush=True)
    while not ended.wait(1.0):
        pass


def _raylets(node: object) -> list[object]:
    started = getattr(node, "all_processes", {})
    return [info.process for info in started.get("raylet", [])]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *sys.argv[3:4])
