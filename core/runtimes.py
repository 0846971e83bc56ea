"""The runtimes in which a saved file is measured, by the names that points store, and what people call them."""

from __future__ import annotations

ONNXRUNTIME, OPENVINO, CUDA = "onnxruntime", "openvino", "onnxruntime-cuda"
INSTALLED, NO_OTHER = "installed", "none"  # further runtimes, as a recipe asks for them
TITLES = {ONNXRUNTIME: "onnxruntime", OPENVINO: "OpenVINO", CUDA: "onnxruntime on CUDA"}


def title(name: str) -> str:
    """What people call a runtime; one that is not known keeps its name."""
    return TITLES.get(name, name)
