"""What compression costs and gains on trained networks: fp32, int8, pruned, both, and few bits, over several seeds.

    python -m tests.bench.compression --net resnet18 [--seeds 3] [--keep FOLDER] [--rows "int8,W4"] [--time]

Every row is a recipe run as `condenser run` runs it, and every number of the table is one of its points. `--keep` is a
workspace: what is finished there is not run again, and a network that is trained stands for every row. `--time` runs
nothing: it times the kept files of the first seed in turns, beside the trained network as plain PyTorch runs it.
Settings were chosen on the validation images of seed 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles, stdev
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from core.commands import terminal
from core.engine.measure.latency import time_files
from core.engine.measure.runtime import open_session
from core.engine.model_file import load_model
from core.options import Value
from core.points import Point
from core.processes.workers import run_in_foreground
from core.recipe import Recipe, parse_recipe, recipe_from
from core.runs import Run
from core.state import Status
from core.workspace import Workspace
from tests.bench.speed import Work, eager, in_turns, many

Step = Mapping[str, Value]
PRUNED, BOTH = "50 % pruned", "50 % pruned, int8"
PAIRS = 15  # of timings in turns


@dataclass(frozen=True)
class Subject:
    """A network and how it is trained: the recipe without its tail, and the tails' own settings by method."""

    recipe: Mapping[str, Value]
    trained: tuple[Step, ...]
    settings: Mapping[str, Step]

    def steps(self, tail: tuple[Step, ...]) -> list[Step]:
        """The whole chain of a row: the network's training, then `tail` with this network's settings."""
        return [*self.trained, *({**step, **self.settings.get(str(step["method"]), {})} for step in tail)]


SCRATCH: Step = {
    "stage": "transfer",
    "method": "fine_tune",
    "batch": 128,
    "backbone_rate": 1.0,
    "layer_decay": 1.0,
    "statistics": "learned",
}
SUBJECTS = {
    "resnet18": Subject(  # thin: half the channels of the catalog's, cut before the training that counts
        {"dataset": "fashion-mini", "backbone": "resnet18", "weights": "none", "image_size": 28},
        (
            {**SCRATCH, "epochs": 1},
            {"stage": "prune", "method": "l2", "ratio": 0.5, "epochs": 0},
            {**SCRATCH, "epochs": 20, "augment": "flip_crop"},
        ),
        {"l2": {"epochs": 40}, "qat": {"epochs": 8}},
    ),
    "lite0": Subject(
        {"dataset": "fashion-mini", "backbone": "efficientnet_lite0", "image_size": 48},
        ({"stage": "transfer", "method": "fine_tune", "epochs": 3, "learning_rate": 0.01},),
        {"l2": {"epochs": 12, "round_to": 8}, "qat": {"epochs": 2}},
    ),
}

STATIC: Step = {"stage": "quantize", "method": "static"}
WEIGHTS: Step = {"stage": "quantize", "method": "weight_only"}
ROWS: dict[tuple[str, ...], tuple[Step, ...]] = {  # the names of a chain's last points: its tail
    ("fp32", PRUNED, BOTH): ({"stage": "prune", "method": "l2", "ratio": 0.5}, STATIC),
    ("int8",): (STATIC,),
    ("int8 corrected",): ({**STATIC, "bias_correction": True},),
    ("W4",): ({**WEIGHTS, "bits": 4},),
    ("W4 AdaRound",): ({**WEIGHTS, "bits": 4, "rounding": "adaround"},),
    ("W3",): ({**WEIGHTS, "bits": 3},),
    ("W3 trained",): ({"stage": "quantize", "method": "qat", "bits": 3},),
    ("W2",): ({**WEIGHTS, "bits": 2},),
    ("W2 trained",): ({"stage": "quantize", "method": "qat", "bits": 2},),
}


@dataclass(frozen=True)
class Row:
    """One row of the table: its points by seed, the first seed's first, and the run that they are of."""

    name: str
    points: list[Point]
    run: Run

    @property
    def file(self) -> Path:
        return self.run.folder / str(self.points[0].artifact)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=SUBJECTS, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a workspace to keep, and to go on from")
    parser.add_argument("--rows", default="", help="names of rows, separated by commas; default all")
    parser.add_argument("--time", action="store_true", help="time what is kept, run nothing")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        store, subject = Workspace.open_or_create(given.keep or Path(folder)), SUBJECTS[given.net]
        wanted = [name.strip() for name in given.rows.split(",") if name.strip()]
        chains = {names: tail for names, tail in ROWS.items() if not wanted or set(wanted) & set(names)}
        rows = []
        for names, tail in chains.items():
            recipe = recipe_of(given.net, subject, names[-1], tail, given.seeds)
            run = finished(store, recipe) if given.time else performed(store, recipe)
            rows += rows_of(names, run, len(recipe.steps), recipe.seed) if run else []
        if given.time:
            print_timings(rows, len(subject.trained) - 1)
        else:
            print_table(rows)


def recipe_of(net: str, subject: Subject, row: str, tail: tuple[Step, ...], seeds: int) -> Recipe:
    return recipe_from(
        {
            "schema": 1,
            "name": f"{net}: {row}",
            **subject.recipe,
            "seeds": seeds,
            "threads": 1,
            "precision": "float32",
            "steps": [dict(step) for step in subject.steps(tail)],
        }
    )


def performed(store: Workspace, recipe: Recipe) -> Run:
    """The run of `recipe`: an earlier one that is finished, or gone on with, or a new one."""
    run = _known(store, recipe) or store.create_run(recipe.to_toml())
    if run.state().status is not Status.FINISHED:
        if run.state().status is not Status.QUEUED:
            run.requeue()
        summary = terminal.follow(run, recipe, run_in_foreground(run), Console(stderr=True))
        assert summary.status is Status.FINISHED, (summary.error, summary.cause)
    return run


def finished(store: Workspace, recipe: Recipe) -> Run | None:
    run = _known(store, recipe)
    return run if run and run.state().status is Status.FINISHED else None


def _known(store: Workspace, recipe: Recipe) -> Run | None:
    runs = map(store.run, store.run_ids())
    return next((run for run in runs if parse_recipe(run.recipe_text).hash() == recipe.hash()), None)


def rows_of(names: tuple[str, ...], run: Run, steps: int, seed: int) -> list[Row]:
    """The last points of a run under their names, of each seed."""
    measured = sorted((m for m in run.state().measured if m.role != "control"), key=lambda m: (m.seed != seed, m.seed))
    places = zip(names, range(steps - len(names), steps), strict=True)
    return [Row(name, [m.point for m in measured if m.point.step == step], run) for name, step in places]


def print_table(rows: list[Row]) -> None:
    """Accuracies on test images in percent; the differences to fp32 seed by seed; bytes and p50 of the first seed."""
    dense = next((row.points for row in rows if row.name == "fp32"), [])
    print(f"{'row':<18} {'accuracy':<13} {'by seed':<22} {'points to fp32':<32} {'bytes':>10} {'packed':>9}  p50 ms")
    for row in rows:
        shares = [100 * (point.accuracy or 0.0) for point in row.points]
        lost = [s - 100 * (d.accuracy or 0.0) for s, d in zip(shares, dense, strict=False)]
        first, told = row.points[0], f"{mean(lost):+.2f} ({_listed(lost, '+.2f')})" if lost else ""
        around = f" ± {stdev(shares):.2f}" if len(shares) > 1 else ""
        accuracy, packed = f"{mean(shares):.2f}{around}", f"{first.packed_bytes:,}" if first.packed_bytes else ""
        latency = f"{first.latency_ms.p50:.3f}" if first.latency_ms else ""
        weight = f"{first.bytes or 0:>10,} {packed:>9}"
        print(f"{row.name:<18} {accuracy:<13} {_listed(shares, '.2f'):<22} {told:<32} {weight}  {latency}")


def print_timings(rows: list[Row], trained: int) -> None:
    """How many times faster than the trained network in PyTorch each file is, pair by pair; and all files in turns."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    files, run = {row.name: row.file for row in rows}, rows[0].run
    seed = parse_recipe(run.recipe_text).seed
    model = load_model(run.checkpoints / f"seed-{seed}" / f"step-{trained}" / "made")
    p = model.preprocessing
    image = np.random.default_rng(0).random((1, p.channels, p.size, p.size), dtype=np.float32)
    timed = time_files(files, 1, seconds=1.5 * len(files))
    print(f"{'row':<18} {'times faster than eager fp32':<30} {'quartiles':<13} {'n':<4} p50 ms in turns")
    for name, path in files.items():
        ratios = in_turns(many(eager(model.net, image)), many(_run(path, image)), PAIRS)
        low, _, high = quantiles(ratios, n=4)
        latency = timed[name].latency()
        told = f"{latency.p50:.3f}{' (noisy)' if latency.noisy else ''}"
        print(f"{name:<18} {median(ratios):<30.2f} {f'{low:.2f}–{high:.2f}':<13} {len(ratios):<4} {told}", flush=True)


def _run(path: Path, image: NDArray[np.float32]) -> Work:
    session = open_session(path, 1)
    return lambda: session.run(None, {"image": image})


def _listed(values: list[float], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


if __name__ == "__main__":
    main()
