"""A set of photographs larger than memory, from import to int8: seconds and memory of each stage.

    python -m tests.bench.larger_than_memory [--images 100000] [--side 224] [--limit 3.0] [--folder DIR]

Draws the photographs as JPEG files, imports them, and runs four recipes, each with its data limited to `--limit` GB
(RLIMIT_DATA, which pages of mapped files do not count against). Printed for the process and its children: the highest
anonymous memory, and the highest resident memory, of which the system can drop the mapped part at any time. Needs
about three times images × side² × 3 bytes of disk.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

CLASSES = 10
RECIPE = 'name = "large"\ndataset = "large"\nbackbone = "resnet8"\nweights = "none"\nimage_size = 64\nthreads = 2\n'
FEW = 'name = "large"\ndataset = "large"\nbackbone = "resnet8_fashion"\nimage_size = 32\nthreads = 2\n'
PROBE = '[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\nl2 = 0.01\n'
TUNE = '[[steps]]\nstage = "transfer"\nmethod = "fine_tune"\nepochs = 1\n'
STUDENT = '[[steps]]\nstage = "distill"\nmethod = "kd"\nstudent = "resnet8"\nepochs = 2\nviews = 2\ntwin = false\n'
INT8 = '[[steps]]\nstage = "quantize"\nmethod = "static"\n'
RECIPES = {
    "probe": FEW + PROBE,
    "fine-tune, 1 epoch": RECIPE + TUNE,
    "300 labels, distilled on all": FEW + "labels = 300\n" + PROBE + STUDENT,
    "probe, int8": FEW + PROBE + INT8,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--limit", type=float, default=3.0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="large-") as folder:
        measure(Path(folder), given.images, given.side, int(given.limit * 1e9))


def measure(folder: Path, images: int, side: int, limit: int) -> None:
    photos, workspace = folder / "photos", folder / "workspace"
    began = time.monotonic()
    draw(photos, images, side)
    size = images * side * side * 3 / 1e9
    print(f"{images:,} images of {side} px, {size:.1f} GB decoded; drawn in {time.monotonic() - began:.0f} s")
    print(f"{'stage':32s}{'seconds':>9s}{'anonymous':>12s}{'resident':>12s}")
    watched("import", ["import", str(photos), "--name", "large"], workspace, limit)
    for name, recipe in RECIPES.items():
        path = folder / "recipe.toml"
        path.write_text(recipe, encoding="utf-8")
        watched(name, ["run", str(path)], workspace, limit)


def draw(folder: Path, images: int, side: int) -> None:
    """Stripes whose direction is the class, with noise, a file each."""
    for number in range(CLASSES):
        (folder / f"class {number}").mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(_drawn, *zip(*((folder, n, side) for n in range(images)), strict=True), chunksize=256):
            pass


def _drawn(folder: Path, number: int, side: int) -> None:
    draws = np.random.default_rng(number)
    label = number % CLASSES
    down, across = np.mgrid[:side, :side] / side * 12
    angle = np.pi * label / CLASSES
    wave = np.sin(down * np.sin(angle) + across * np.cos(angle) + draws.uniform(0, 6))
    pixels = 128 + 60 * wave[..., None] * draws.uniform(0.5, 1, 3) + draws.normal(0, 12, (side, side, 1))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"class {label}" / f"{number}.jpg", quality=80)


def watched(name: str, arguments: Sequence[str], workspace: Path, limit: int) -> None:
    """Runs one command below the limit and prints what it took."""
    command = [sys.executable, "-m", "core.cli", *arguments, "--workspace", str(workspace)]
    began, anonymous, resident = time.monotonic(), 0, 0
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    ) as process:
        whole = psutil.Process(process.pid)
        while process.poll() is None:
            found = [memory(one) for one in (whole, *children(whole))]
            anonymous = max(anonymous, sum(own for own, _ in found))
            resident = max(resident, sum(held for _, held in found))
            time.sleep(0.2)
        assert process.stderr is not None
        told = process.stderr.read()
    seconds = time.monotonic() - began
    print(f"{name:32s}{seconds:9.0f}{anonymous / 1e9:9.2f} GB{resident / 1e9:9.2f} GB", flush=True)
    if process.returncode:
        print(told[-2000:])


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def memory(process: psutil.Process) -> tuple[int, int]:
    """Bytes that are the process's own, and all that are in memory."""
    try:
        found = process.memory_info()
    except psutil.Error:
        return 0, 0
    return found.rss - found.shared, found.rss


if __name__ == "__main__":
    main()
