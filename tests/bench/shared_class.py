"""A class on one server while two runs train: how fast page scripts answer thirty learners who poll as their browsers
do, whose run is next, and whether the server's memory stays flat. `python -m tests.bench.shared_class [LEARNERS]`.

Two waves of learners come, rerun pages for some time and leave. Streamlit keeps a session for two minutes after its
tab was closed, so that memory is looked at after a pause; what the second wave adds to the first is a leak.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from core.classroom.learners import Class
from core.classroom.tokens import Tokens, cookie_of, fresh
from core.events import RunFinished
from core.processes.dashboard import Address, Share, ensure_dashboard, stop_dashboard
from core.processes.slots import set_slots
from core.processes.workers import ensure_supervisor, stop_supervisor
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.bench.class_client import Client, Told
from tests.dashboard.test_pages import make

LEARNERS = 30
STAYS, THINKS, PAUSE = 45.0, 4.0, 130.0  # seconds of a wave, between two reruns of a learner, after a wave
GOAL = 1.5  # seconds, the 95th percentile of a rerun
FLAT = 40 * 2**20  # bytes that a second wave may add
PAGES = (("", ""), ("design", ""), ("tradeoffs", ""), ("learn", "lesson=pruning"), ("class", ""), ("live", ""))
LONG = """schema = 1
name = "training"
dataset = "digits"
backbone = "resnet8"
precision = "float32"
threads = 1
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 1000
"""
SHORT = LONG.replace('"training"', '"short"').replace("epochs = 1000", "epochs = 1")
GREEDY, MODEST = 4, 5  # runs of one learner, and how many learners with one run each


def main(learners: int = LEARNERS) -> None:
    """Prints the figures; ends with an error where the queue was unfair or a page failed."""
    with TemporaryDirectory() as folder:
        root = Workspace.open_or_create(Path(folder) / "w")
        set_slots(root, 2)
        tokens = fresh()
        address = ensure_dashboard(root, share=Share("127.0.0.1", tokens))
        ensure_supervisor(root)
        try:
            asyncio.run(_measure(root, address, tokens, learners))
        finally:
            stop_dashboard(root)
            stop_supervisor(root)


async def _measure(root: Workspace, address: Address, tokens: Tokens, learners: int) -> None:
    cookies = [_joined(root, address, tokens, number) for number in range(learners)]
    stores = [Workspace.open_or_create(root.path / "class" / one.id) for one in Class(root.path).learners()]
    training = [store.submit(LONG) for store in stores[:2]]
    await _until(lambda: all(run.state().status is Status.RUNNING for run in training), "both runs train")
    process = psutil.Process(address.who.pid)
    warm = Told()
    await _wave(address, cookies[:1], warm, 10.0)
    print(f"server before: {_megabytes(process):.0f} MB")
    after = []
    for wave in (1, 2):
        told = Told()
        during = await _wave(address, cookies, told, STAYS, process)
        _report(told, f"wave {wave}")
        print(f"server during wave {wave}: {during / 2**20:.0f} MB")
        assert all(run.state().status is Status.RUNNING for run in training), "the runs trained all the while"
        if wave == 1:
            await _fair(stores, training, learners)
            training = [store.submit(LONG) for store in stores[:2]]
        await asyncio.sleep(PAUSE)
        await _wave(address, cookies[:1], Told(), 2.0)  # Streamlit forgets old sessions when a new one comes
        after.append(process.memory_info().rss)
        print(f"server after wave {wave}: {after[-1] / 2**20:.0f} MB")
    grown = (after[1] - after[0]) / 2**20
    print(f"the second wave added {grown:.0f} MB, {'flat' if after[1] - after[0] <= FLAT else 'NOT flat'}")
    for run, store in zip(training, stores, strict=False):
        store.cancel(run.id)


def _joined(root: Workspace, address: Address, tokens: Tokens, number: int) -> dict[str, str]:
    """The cookies of a learner with a finished run."""
    joined = Class(root.path).join(f"learner {number}")
    make(Workspace.open_or_create(root.path / "class" / joined.learner.id), RunFinished())
    return {cookie_of(address.port): tokens.learners, f"condenser_learner_{address.port}": joined.secret}


async def _wave(
    address: Address, cookies: list[dict[str, str]], told: Told, seconds: float, process: psutil.Process | None = None
) -> int:
    """Learners come, rerun pages for so long, and leave; the server's memory while all were there, in bytes."""
    clients = [Client(address, one, told) for one in cookies]
    until = time.monotonic() + seconds
    await asyncio.gather(*(_visit(client, number, until) for number, client in enumerate(clients)))
    there = process.memory_info().rss if process else 0
    await asyncio.gather(*(client.leave() for client in clients))
    return there


async def _visit(client: Client, number: int, until: float) -> None:
    """One learner: a page, a while of looking at it, the next one."""
    await client.come()
    turn = number
    while turn == number or time.monotonic() < until:
        await client.open(*PAGES[turn % len(PAGES)])
        await asyncio.sleep(THINKS)
        turn += 1


def _report(told: Told, name: str) -> None:
    p50, p95 = np.percentile(told.pages, [50, 95])
    print(
        f"{name}: {len(told.pages)} page reruns, median {p50:.2f} s, p95 {p95:.2f} s (goal {GOAL} s: "
        f"{'reached' if p95 <= GOAL else 'NOT reached'}), {len(told.parts)} parts of pages, "
        f"p95 {np.percentile(told.parts, 95) if told.parts else 0:.2f} s, errors {len(told.wrong)}"
    )
    assert not told.wrong, told.wrong[:5]


async def _fair(stores: list[Workspace], training: list[Run], learners: int) -> None:
    """One learner queues several runs before others queue one each: everybody has one turn before a second."""
    greedy, modest = stores[2 % learners], stores[3 : 3 + MODEST]
    runs = {run.id: "greedy" for run in [greedy.submit(SHORT) for _ in range(GREEDY)]}
    found = [greedy.run(run_id) for run_id in runs]
    for store in modest:
        found.append(store.submit(SHORT))
        runs[found[-1].id] = store.path.name
    for store, run in zip(stores, training, strict=False):
        store.cancel(run.id)
    await _until(lambda: all(run.state().status.is_over for run in found), "the queue is empty")
    assert {run.state().status for run in found} == {Status.FINISHED}
    order = [runs[run.id] for run in sorted(found, key=lambda run: run.state().started or 0.0)]
    first = order[: len(set(order))]
    assert len(set(first)) == len(first), f"somebody had a second turn before all had one: {order}"
    print(f"the queue was fair: {' '.join(name if name == 'greedy' else name[:4] for name in order)}")


async def _until(question: Callable[[], bool], what: str, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.5)


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:2]))
