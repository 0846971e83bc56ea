"""`make preflight`: actually prunes, trains one step, saves, exports and quantizes every backbone, and stores the
verdicts in core/preflight.json. Slow; resumes where it stopped, and starts over when a library version changed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.engine.backbones import backbones, load_backbone
from core.engine.export.graph import write_graph
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration
from core.engine.quantize.static import Static
from core.errors import UserError
from core.files import write_atomic

VERDICTS = Path(__file__).parents[2] / "preflight.json"
LIBRARIES = ("torch", "torchvision", "timm", "torch-pruning", "onnx", "onnxruntime", "onnxscript")
CHECKS = ("prunable", "exportable", "quantizable")
SECONDS, MEMORY = 300, 8 * 2**30  # CPU time, so that a busy machine does not change a verdict
PATIENCE = 20  # wall-clock seconds per second of CPU time; beyond that there is no verdict
RATIO, CLASSES, SIDE, BATCH = 0.5, 10, 64, 2


def main() -> None:
    """Checks the catalog, or the named backbones; `--one` is the child process that checks a single one."""
    parser = argparse.ArgumentParser(prog="python -m core.engine.prune.preflight", description=__doc__)
    parser.add_argument("names", nargs="*", help="backbones; all if none is named")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=VERDICTS, help="the file of verdicts")
    given = parser.parse_args()
    if given.one:
        _limit(given.seconds)
        for fact in examine(given.one):
            print(json.dumps(fact), flush=True)
    else:
        survey(given.names or sorted(backbones(), key=lambda name: backbones()[name].params), given.out)


def survey(names: list[str], out: Path) -> None:
    """Examines each backbone that has no verdict under these library versions, and saves after each.

    A child that dies before it has built the network gives no verdict.
    """
    versions = {name: version(name) for name in LIBRARIES}
    done = _known(out, versions)
    for number, name in enumerate(names, start=1):
        if name in done:
            continue
        print(f"{number}/{len(names)} {name} …", end=" ", flush=True)
        verdict = _verdict(name)
        if "image_size" not in verdict:
            print(f"not examined: {verdict['why']['prunable']}", flush=True)
            continue
        done[name] = verdict
        kept = {"versions": versions, "backbones": dict(sorted(done.items()))}
        write_atomic(out, (json.dumps(kept, indent=1) + "\n").encode(), private=False)
        print(_words(done[name]), flush=True)


def examine(name: str) -> Iterator[dict[str, Any]]:
    """The facts about one backbone, one at a time, so that a child that is killed has already reported the first."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = _fresh(name)
    images = torch.rand(BATCH, model.preprocessing.channels, model.preprocessing.size, model.preprocessing.size)
    yield {"image_size": model.preprocessing.size, "params_before": _count(model.net)}
    reason, net = _tried(lambda: _pruned(model.net, images))
    if not reason:
        model = model.with_net(net)  # frees the memory of the unpruned network
        reason, _ = _tried(lambda: _used(model, images))
    yield {"prunable": not reason, "why": reason, "params_after": _count(model.net) if net is not None else None}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        reason, _ = _tried(lambda: _export(model, images, path))
        yield {"exportable": not reason, "why": reason}
        reason, _ = _tried(lambda: _quantize(path, images)) if not reason else ("it cannot be exported", None)
        yield {"quantizable": not reason, "why": reason}


def _fresh(name: str) -> Model:
    backbone = backbones()[name]
    step = backbone.smallest  # networks with a grid of patches need multiples of the smallest size
    size = backbone.image_size if backbone.image_size <= SIDE else math.ceil(SIDE / step) * step
    classes = tuple(f"class {number}" for number in range(CLASSES))
    net = load_backbone(name, CLASSES, "none", size)
    return Model(net, name, classes, backbone.preprocessing(size))


def _pruned(whole: nn.Module, images: Tensor) -> nn.Module:
    net = prune_channels(whole, images, RATIO)
    if _count(net) >= _count(whole):
        raise RuntimeError("its parameters did not fall")
    return net


def _used(model: Model, images: Tensor) -> None:
    """Trains one step, saves, and checks that the reloaded network gives the same outputs."""
    net = model.net.train()
    nn.functional.cross_entropy(net(images), torch.arange(len(images))).backward()  # type: ignore[no-untyped-call]
    if any(parameter.grad is not None and not parameter.grad.isfinite().all() for parameter in net.parameters()):
        raise RuntimeError("its gradients are not finite")
    net.zero_grad(set_to_none=True)
    net.eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_model(model, Path(folder))
        again = load_model(Path(folder)).net.eval()
        if not torch.equal(again(images), net(images)):
            raise RuntimeError("loaded again it answers differently")


def _export(model: Model, images: Tensor, path: Path) -> None:
    write_graph(model, path)
    with torch.no_grad():
        expected = model.net.eval()(images).numpy()
    difference = float(np.abs(_answers(path, images) - expected).max())
    if not difference <= 1e-3 * max(1.0, float(np.abs(expected).max())):
        raise RuntimeError(f"the exported file answers differently by {difference:.3g}")


def _quantize(path: Path, images: Tensor) -> None:
    """Static 8 bits, as in a recipe, on random images: the file must be written, run and return finite numbers."""
    target = path.with_name("int8.onnx")
    Static().convert(path, target, Calibration(lambda: iter([images.numpy()])))
    if not np.isfinite(_answers(target, images)).all():
        raise RuntimeError("the quantized file does not answer with finite numbers")


def _answers(path: Path, images: Tensor) -> Any:
    from core.engine.measure.runtime import open_session

    session = open_session(path)
    return session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]


def _tried(work: Callable[[], Any]) -> tuple[str, Any]:
    """("", result), or (reason, None): whatever a library raises is the verdict."""
    try:
        return "", work()
    except UserError as error:
        return f"{error.given}: {error.fix}" if error.code == "not_exportable" else str(error), None
    except MemoryError:
        return f"it needs more than {MEMORY >> 30} GB of memory", None
    except Exception as error:  # noqa: BLE001
        first = str(error).strip().splitlines()
        return f"{type(error).__name__}: {first[0][:200] if first else ''}", None


def _verdict(name: str) -> dict[str, Any]:
    """What a child process finds about one backbone, within the limits of time and memory."""
    before = _children_seconds()
    output, end = _child(name)
    found: dict[str, Any] = dict.fromkeys(CHECKS, False)
    why = dict.fromkeys(CHECKS, end)
    for line in output.splitlines():
        fact = json.loads(line)
        reason = fact.pop("why", "")
        for check in fact.keys() & set(CHECKS):
            why.pop(check)
            if reason:
                why[check] = reason
        found.update((key, value) for key, value in fact.items() if value is not None)
    return {**found, "why": why, "seconds": round(_children_seconds() - before, 1)}


def _child(name: str) -> tuple[bytes, str]:
    """The child's output, and how it ended."""
    command = [sys.executable, "-m", "core.engine.prune.preflight", "--one", name, "--seconds", str(SECONDS)]
    # Without a fixed threshold glibc keeps freed tensors: 3 GB of them for vit_h_14.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "262144"}
    before = _children_seconds()
    try:
        child = subprocess.run(command, capture_output=True, timeout=PATIENCE * SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return b"", "the machine is too busy"
    ended = -child.returncode in (signal.SIGXCPU, signal.SIGKILL)  # at the soft limit, or beyond the hard one at once
    if ended and _children_seconds() - before >= SECONDS:
        return child.stdout, f"not finished within {SECONDS} s of processor time"
    last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return child.stdout, f"the process ended with {child.returncode}: {' '.join(last)[:200]}"


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _known(out: Path, versions: dict[str, str]) -> dict[str, Any]:
    if not out.exists():
        return {}
    kept: dict[str, Any] = json.loads(out.read_bytes())
    return dict(kept["backbones"]) if kept["versions"] == versions else {}


def _words(verdict: dict[str, Any]) -> str:
    marks = [f"{check} {'yes' if verdict[check] else 'NO: ' + verdict['why'][check]}" for check in CHECKS]
    return f"{', '.join(marks)} ({verdict['seconds']} s)"


def _count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _limit(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
