"""A child for `further_runtimes` whose runtimes are onnxruntime with a fault, so that none need be installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

CHILD = Path(__file__).parents[4] / "core" / "engine" / "measure" / "runtime_child.py"
TYPES = {"f32": 10}


def loaded() -> Any:
    place = importlib.util.spec_from_file_location("runtime_child", CHILD)
    assert place is not None
    assert place.loader is not None
    found = sys.modules["runtime_child"] = importlib.util.module_from_spec(place)
    place.loader.exec_module(found)
    return found


def main() -> None:
    child = loaded()

    def opened(path: str, threads: int, change: Any) -> Any:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        run = lambda image: change(session.run(["logits"], {"image": image})[0])  # noqa: E731
        return child.Opened(run, "cpu", f"7.{threads}", "f32", "bf16", TYPES)

    def same(path: str, threads: int, shape: Sequence[int]) -> Any:
        print("what a runtime prints is no answer")
        return opened(path, threads, lambda logits: logits)

    def negated(path: str, threads: int, shape: Sequence[int]) -> Any:
        return opened(path, threads, lambda logits: -logits)

    def refusing(path: str, threads: int, shape: Sequence[int]) -> Any:
        raise RuntimeError("Check failed at frontend.cpp:1\n\nno rule for MatMulNBits\n")

    def dying(path: str, threads: int, shape: Sequence[int]) -> Any:
        runs = []

        def change(logits: Any) -> Any:
            runs.append(logits)
            if len(runs) > child.WARMUP:
                os._exit(3)
            return logits

        return opened(path, threads, change)

    child.OPENERS.update({"same": same, "negated": negated, "refusing": refusing, "dying": dying})
    child.main()


if __name__ == "__main__":
    main()
