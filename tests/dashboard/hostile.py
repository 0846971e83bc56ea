"""Text as nobody should type it, in every place where a person's text may stand: names, classes, files, notes, tags."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from core.events import (
    AnyEvent,
    ArtifactSaved,
    Measured,
    Progress,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from core.files import make_folder, write_atomic
from core.options import Value
from core.points import Latency, Point
from core.recipe import Recipe, Step
from core.runs import Notes, Run
from core.workspace import Workspace

HOST = "hostile.example"
TEXTS = (
    f"![](http://{HOST}/a.png)",
    "[a](javascript:alert(1))",
    f"[a](http://{HOST}/b)",
    f"<img src=http://{HOST}/c.png onerror=alert(1)>",
    f"</script><script src=http://{HOST}/d.js></script>",
    f'<iframe srcdoc="<script>alert(1)</script>" src=http://{HOST}></iframe>',
    f"$\\href{{http://{HOST}/e}}{{x}}$",
    f"<a href='http://{HOST}/f'>f</a><b>bold</b>",
    f"www.{HOST} http://{HOST}/g g@{HOST}",
    ":red[no] :red-badge[no] :small[no]",
    ":material/home: :smile: :streamlit:",
    "%{x} %{customdata[0]} %{y:.3f}",
    "`code` ```block``` **bold** _it_ ~~gone~~",
    "| a | b |",
    "a\n\n- b\n\n***\n\n    c",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "a -> b <- c -- d",
    "{name} {0} {} %s %(x)d ${x}",
    "\u202eright to left\u202c \u05d0\u05d1\u05d2",
    "zero\u200bwidth\u200d \u00ad",
    "= 1 + 1",
    "\\ \\n \\u0041 &amp; &#65; &lt;b&gt;",
    "😀 模型 é e\u0301",
)
LONG = "x" * 4096
STAGES = (("transfer", "linear_probe"), ("distill", "kd"), ("prune", "l2"), ("quantize", "static"))


def on_one_line(text: str) -> str:
    """A name as a recipe may have it: text on one line, of at most 200 characters."""
    return " ".join(text.split())[:200]


def furnish(workspace: Workspace, text: str) -> dict[str, Run]:
    """A run that finished, one that failed, one interrupted, one paused and one that goes on, and a dataset; `text` is
    whatever a person or a file may have put into them."""
    dataset(workspace, text)
    ends: dict[str, AnyEvent | None] = {
        "finished": RunFinished(),
        "failed": RunFailed(
            {"code": text, "field": text, "given": text, "allowed": text, "fix": text, "message": text}, text
        ),
        "interrupted": RunInterrupted(text),
        "paused": RunPaused(text),
        "running": None,
    }
    return {name: run(workspace, text, end) for name, end in ends.items()}


def run(workspace: Workspace, text: str, end: AnyEvent | None) -> Run:
    made = workspace.create_run(recipe(text).to_toml())
    made.annotate(Notes(name=text, note=text, tags=(text[:300],)))
    environment = {"device": text, "threads": text, "processor": text, text or "-": text}
    made.emit(RunStarted(os.getpid(), environment), Warned(0, "a", f"{text} was skipped"), Warned(None, text, text))
    for step, (stage, method) in enumerate(STAGES):
        path = answers(made, step, text)
        made.emit(
            StepStarted(step, stage, method, text, 3),
            Progress(step, 0, "training", 1, 3, 0, 3, 0.5, 0.7, 0.6, 0.65, 100.0, 3.0),
            Progress(step, 0, "training", 1, 3, 0, 3, 0.5, 0.7, 0.6, 0.65, 100.0, 3.0, control=text),
            ArtifactSaved(step, f"{text}/{step}", 10, text),
            Measured("point", 0, point(step, text, path)),
            Measured("control", 0, point(step, f"{text} control", None)),
            StepFinished(step, 1.0, (text,)),
        )
    write_atomic(made.log, text.encode(errors="replace"))
    if end is not None:
        made.emit(end)
    else:
        made.emit(StepStarted(1, "distill", "kd", text, 3), Progress(1, 0, "training", 2, 3, 0, 3, 0.5))
    return made


def recipe(text: str) -> Recipe:
    """With the text wherever a recipe has room for one; a dataset's name is what a person called it."""
    options: tuple[dict[str, Value], ...] = ({}, {"omit": on_one_line(text), "pool": False}, {}, {})
    steps = tuple(Step(*link, given) for link, given in zip(STAGES, options, strict=True))
    return Recipe(on_one_line(text), on_one_line(text), "efficientnet_lite0", steps, image_size=64)


def point(step: int, text: str, artifact: str | None) -> Point:
    timed = Latency(runtime=text, device=text, threads=1, batch=1, n=9, p50=1.0, p95=2.0, noisy=False)
    receipt: dict[str, Any] = {
        "no_gain": [text, f"no gain because {text}"],
        "notes": [text],
        "recall": {text: 0.5},
        "layers": {"touched": 1, "total": 2},
        "kernels": [{"op": text, "type": text, "count": 2}],
        "latency_first": {"ms": 1.0, "ms_now": 2.0, "withheld": text},
    }
    return Point(
        step=step,
        stage=STAGES[step][0],
        method=STAGES[step][1],
        name=text,
        accuracy=0.8 - step / 50,
        accuracy_low=0.7,
        accuracy_high=0.9,
        validation_accuracy=0.8 - step / 50,
        bytes=10 ** (7 - step),
        params=1000,
        macs=10_000,
        latency_ms=timed,
        artifact=artifact,
        receipt=receipt,
    )


def answers(made: Run, step: int, text: str) -> str:
    """What the point of a step answered, and the classes' names, as they lie beside its file."""
    folder = make_folder(made.artifacts / f"step-{step}")
    card = {"classes": [text, f"other {text}"]}
    write_atomic(folder / "card.json", json.dumps(card).encode())
    given = np.array([0, 1, 0, 1, 0, (step + 1) % 2])
    with (folder / "predictions.npz").open("wb") as file:
        np.savez(file, test_answers=given, test_labels=np.array([0, 1, 0, 1, 0, 1]))
    with (folder / "samples.npz").open("wb") as file:
        np.savez(file, images=np.zeros((6, 1, 8, 8), dtype=np.uint8))
    return f"artifacts/step-{step}/model.onnx"


def dataset(workspace: Workspace, text: str) -> Path:
    """A dataset of one's own, called `text`, with such classes and files."""
    folder = make_folder(workspace.datasets / f"own-{len(list(workspace.datasets.iterdir())):064x}")
    images = [{"file": "0" * 64, "label": n % 2, "split": "train", "name": text} for n in range(40)]
    card = {
        "schema_version": 1,
        "name": on_one_line(text),
        "classes": [text, f"other {text}"],
        "channels": 3,
        "side": 0,
        "images": images,
        "skipped": [{"file": text, "reason": text}],
        "warnings": [text],
    }
    write_atomic(folder / "dataset.json", json.dumps(card).encode())
    return folder
