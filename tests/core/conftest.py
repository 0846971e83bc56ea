"""A finished run on real digits, made once: trained, pruned, quantized, exported."""

from __future__ import annotations

import os

import pytest

from core.engine.pipeline.run import run_recipe
from core.runs import Run
from core.workspace import Workspace

TRAINED = """
name = "small [digits]"
dataset = "digits"
backbone = "resnet8"
image_size = 8
precision = "float32"

[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 4
learning_rate = 0.01
backbone_rate = 1.0
"""
PRUNED = """
[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5
epochs = 2

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 64
"""


def export(method: str) -> str:
    return f'\n[[steps]]\nstage = "export"\nmethod = "{method}"\n'


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open_or_create(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def finished(store: Workspace) -> Run:
    """Points 0 (trained), 1 (pruned), 2 (int8); step 3 exports the last as ONNX."""
    return finished_run(store, TRAINED + PRUNED + export("onnx"))


@pytest.fixture(scope="session")
def exported(store: Workspace, finished: Run) -> Run:
    """The same trained network, exported from torch in step 1 as a program and in step 2 as tensors."""
    return finished_run(store, TRAINED + export("torch_export") + export("safetensors"))


def finished_run(store: Workspace, recipe: str) -> Run:
    run = store.create_run(recipe)
    run_recipe(run, os.getpid())
    return run
