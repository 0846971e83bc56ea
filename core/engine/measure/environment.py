"""Where a value was measured: machine, device and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from core.engine.context import describe_device
from core.hardware.machine import GPU, processor

WAITING = {"PASSIVE": "asleep", "ACTIVE": "spinning"}  # of threads that share an operation, by OMP_WAIT_POLICY
PACKAGES = ("torch", "torchvision", "timm", "torch-pruning", "onnx", "onnxruntime", "onnxscript", "numpy")


def environment(device: torch.device, threads: int, bfloat16: str) -> dict[str, str]:
    """Machine, processor, device, threads and how they wait for each other, and the versions that can affect a figure;
    `bfloat16` are the units on which `precision = "auto"` is based in this run, `gpu` is the index of the one it was
    given."""
    versions = {name: _version(name) for name in ("condenser", *PACKAGES)}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "device": describe_device(device),
        "threads": str(threads),
        "waiting": WAITING.get(os.environ.get("OMP_WAIT_POLICY", "").upper(), "as the libraries do"),
        "latency": "onnxruntime's own threads, which spin where there are several",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": bfloat16,
        **({"gpu": os.environ[GPU]} if device.type == "cuda" and GPU in os.environ else {}),
        **{name: number for name, number in versions.items() if number},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
