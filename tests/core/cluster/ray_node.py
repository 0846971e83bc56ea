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

    more = {"gcs_address": head} if head else {}
    settings = RayParams(
        node_ip_address="127.0.0.1",
        num_cpus=cores,
        object_store_memory=80_000_000,
        include_dashboard=False,
        temp_dir=folder,
        min_worker_port=0,
        max_worker_port=0,
        **more,
    )
    node = Node(settings, head=not head, shutdown_at_exit=True, spawn_reaper=True, connect_only=False)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    raylet = node.all_processes["raylet"][0].process.pid
    print(node.gcs_address, raylet, flush=True)
    while not ended.wait(1.0):
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *sys.argv[3:4])
