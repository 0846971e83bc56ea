"""This machine, as far as it can be described without torch: processor, cores, memory, accelerator, runtimes."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import psutil

from core.errors import UserError

GPU = "CONDENSER_GPU"  # the index of the GPU that a worker was given
RUNTIMES = ("torch", "onnxruntime", "openvino")
NVIDIA = Path("/proc/driver/nvidia/gpus")
DEVICES = Path("/dev")
DRIVERS = ("nvidia[0-9]*", "nvmap", "dxg", "kfd")  # device files of GPUs for torch's CUDA: NVIDIA, Jetson, WSL, AMD
NUMBER = re.compile(r"-?\d+")
OF_NO_MODEL = re.compile(r"@.*|\bversion .*", re.IGNORECASE)  # a clock or an emulator's version
CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = {"AMX": "amx_bf16", "AVX512-BF16": "avx512_bf16"}  # Linux flags, the fastest unit first
LIMITED: dict[str, tuple[str, ...]] = {  # the units that remain under a limit of oneDNN
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"), ()),
    **dict.fromkeys(("AVX512_CORE_BF16", "AVX512_CORE_FP16"), ("AVX512-BF16",)),
}


@dataclass(frozen=True)
class Machine:
    """`memory` in bytes; `accelerator` is empty if none is found; `runtimes` are (package, version)."""

    processor: str
    cores: int
    memory: int
    accelerator: str
    runtimes: tuple[tuple[str, str], ...]


@cache
def machine() -> Machine:
    """The description of this machine, determined once per process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = tuple((name, _version(name)) for name in RUNTIMES)
    runtimes = tuple((name, number) for name, number in found if number)
    return Machine(processor(), cores, psutil.virtual_memory().total, accelerator(), runtimes)


def processor() -> str:
    """The processor's model name. One without a number, as virtual machines have it ("AMD EPYC"), stands for several
    generations that differ in speed and instructions: family and model follow it then."""
    facts = _cpuinfo()
    if not facts:
        return platform.processor() or platform.machine()
    name, family, model = (facts.get(key, "") for key in ("model name", "cpu family", "model"))
    is_vague = not any(map(str.isdigit, OF_NO_MODEL.sub("", name)))
    told = f" (family {family}, model {model})" if is_vague and family and model else ""
    return f"{name}{told}" if name else platform.machine()


def _cpuinfo() -> dict[str, str]:
    """Linux's facts about a core; none elsewhere."""
    try:
        text = CPUINFO.read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {name.strip(): rest.strip() for name, _, rest in lines}


def bfloat16_units() -> str:
    """The unit of this processor that trains faster in bfloat16 than in float32, by Linux's flags: AMX, or AMD's
    AVX512-BF16; empty if it has neither. Intel's AVX512-BF16 without AMX was slower than float32 (0.86 of its speed).

    oneDNN's own limit, ONEDNN_MAX_CPU_ISA, is respected: it disables the kernels of later instruction sets.
    """
    facts = _cpuinfo()
    amd, flags = facts.get("vendor_id") == "AuthenticAMD", facts.get("flags", "").split()
    found = [unit for unit, flag in BFLOAT16.items() if flag in flags and (amd or unit == "AMX")]
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return next((unit for unit in found if unit in LIMITED.get(limit, BFLOAT16)), "")


def accelerator() -> str:
    """The name of an NVIDIA GPU with a loaded driver, or of Apple's GPU; empty if there is neither."""
    for card in sorted(NVIDIA.glob("*/information")):
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return "Apple GPU" if platform.system() == "Darwin" and platform.machine() == "arm64" else ""


def gpus() -> int:
    """The number of NVIDIA GPUs with a loaded driver that this process may use, by CUDA_VISIBLE_DEVICES if it is
    set."""
    found = len(list(NVIDIA.glob("*/information")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found if visible is None else min(found, _visible(visible, found))


def _visible(text: str, found: int) -> int:
    """How many devices CUDA takes from a list: those before the first that does not exist."""
    names = [name.strip() for name in text.split(",")]
    there = takewhile(lambda name: name and (not NUMBER.fullmatch(name) or 0 <= int(name) < found), names)
    return len(list(there))


def devices() -> tuple[str, ...]:
    """The devices that a run may train on here, by their names in a recipe, `cpu` among them. Only those are left out
    that certainly are not here: some drivers, as in WSL, only torch can find."""
    there = {"cuda": _may_have_cuda(), "mps": platform.system() == "Darwin", "cpu": True}
    return tuple(name for name, may in there.items() if may)


def _may_have_cuda() -> bool:
    if platform.system() == "Darwin" or "+cpu" in _version("torch") or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return False
    if any(NVIDIA.glob("*/information")):
        return gpus() > 0
    return any(any(DEVICES.glob(pattern)) for pattern in DRIVERS)


def no_device(name: str, found: Iterable[str]) -> UserError:
    """That a recipe's device is not among those found here."""
    allowed = f"a device of this machine: auto, {', '.join(found)}"
    return UserError("no_device", "device", name, allowed, "Set device to auto, or install its driver.")


def lacks(package: str) -> bool:
    """Whether an optional package of Python is not installed."""
    return find_spec(package) is None


def missing_package(field: str, method: str, package: str) -> UserError:
    """That a method needs a package that is not installed here; it is the extra of the same name."""
    fix = f'Install it: pip install -e ".[{package}]"'
    return UserError("missing_extra", field, method, f"a machine with the package {package}", fix)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
