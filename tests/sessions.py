"""A saved file in onnxruntime, opened as its model card says and not by the product's own code."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

CPUINFO = Path("/proc/cpuinfo")
VNNI = {"avx512_vnni", "avx_vnni", "asimddp", "asimd"}  # those of ARM add in 32 bits
ROUNDS = b'"\x0eQuantizeLinear'  # as protobuf stores a node's operator


def opened(path: Path, options: onnxruntime.SessionOptions | None = None) -> onnxruntime.InferenceSession:
    """A session with `options`, default: onnxruntime's, and with sums of int8 layers kept whole where the processor's
    flags lack VNNI."""
    options = options or onnxruntime.SessionOptions()
    if ROUNDS in path.read_bytes() and not VNNI.intersection(CPUINFO.read_text().split()):
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
