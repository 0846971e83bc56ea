"""The features that the last layer of a saved file reads, and their layout in a plane."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from threadpoolctl import threadpool_limits

from core.engine.export.graph import EMBEDDING, OUTPUT
from core.errors import UserError

LAST = ("Gemm", "MatMul", "Conv")
THROUGH = (
    "Add",
    "Flatten",
    "GlobalAveragePool",
    "Identity",
    "QuantizeLinear",
    "DequantizeLinear",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Squeeze",
)
PERPLEXITY = 30.0
Features = NDArray[np.float32]  # [N, D]


def with_features(graph: onnx.ModelProto) -> onnx.ModelProto:
    """`graph` with a further output `embedding`: what its last layer with weights reads. Raises UserError if that layer
    is of an unknown kind."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    node = makers.get(OUTPUT)
    while node is not None and node.op_type in THROUGH:
        node = makers.get(node.input[0])
    if node is None or node.op_type not in LAST:
        kind = node.op_type if node is not None else "nothing known"
        fix = "Choose the point before it, such as its float32 parent."
        raise UserError("no_features", "point", f"a file that ends in {kind}", "one that ends in a linear layer", fix)
    graph.graph.node.append(helper.make_node("Identity", [node.input[0]], [EMBEDDING]))
    graph.graph.output.append(helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, None))
    return graph


def flat(features: NDArray[np.float32]) -> Features:
    """[N, D], with the mean over the places of feature maps [N, D, h, w] or over tokens [N, T, D]."""
    if features.ndim == 4:
        return np.asarray(features.mean(axis=(2, 3)), np.float32)
    return np.asarray(features.mean(axis=1), np.float32) if features.ndim == 3 else features


def principal(features: Features) -> tuple[NDArray[np.float64], float]:
    """(coordinates [N, 2], share of the variance) by principal components; each axis points to where its largest
    loading is positive, so that the layout is always the same."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    total = float((sizes**2).sum())
    share = float((sizes[:2] ** 2).sum()) / total if total else 1.0
    found = centred @ axes.T
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1]))), share


def neighbours(features: Features) -> NDArray[np.float64]:
    """Coordinates [N, 2] by t-SNE (van der Maaten & Hinton 2008) from the principal components, with one thread and a
    fixed seed: always the same."""
    from sklearn.manifold import TSNE

    start = principal(features)[0]
    spread = start[:, 0].std() or 1.0
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    layout = TSNE(init=start / spread * 1e-4, perplexity=perplexity, random_state=0, n_jobs=1)
    with threadpool_limits(1):
        return np.asarray(layout.fit_transform(features), np.float64)
