"""Attention rollout: how much of each patch of an image flows through all attention layers to what the last layer
reads (Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers, arXiv:2005.00928).

The attention matrices are those that the saved file computes in its runtime, so that a file in integers has them too.
The map is of the image alone: it is the same for every class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from torch import nn
from torchvision.models import VisionTransformer

from core.engine.backbones import Backbone, find, load_backbone
from core.engine.backbones.skeleton import on_meta
from core.engine.measure.runtime import open_session
from core.engine.measure.saliency import Image, Map, enlarged, scaled
from core.errors import UserError

Attention = NDArray[np.float32]  # [heads, T, T]: row n says how much of each token goes into token n
Undefined = Literal["no_attention", "windows", "other"]
BACKBONE = "condenser.backbone"  # metadata of a saved file


@dataclass(frozen=True)
class Tokens:
    """`before` tokens stand before those of the patches, which are a square; the last layer reads the first token, or
    the mean of the patches' (`mean`)."""

    before: int
    mean: bool = False


def rollout(attentions: Sequence[Attention], tokens: Tokens) -> NDArray[np.float64]:
    """[g, g]: what flows from each patch to what is read, over the attention matrices from the first layer to the last.

    A layer passes on half of a token itself, through the connection around its attention, and half of what the mean of
    its heads gathers; the patches' shares and those of the tokens before them sum to 1. Raises ValueError where the
    patches are no square.
    """
    count = attentions[0].shape[-1]
    flow = np.eye(count)
    for heads in attentions:
        flow = (0.5 * heads.mean(axis=0, dtype=np.float64) + 0.5 * np.eye(count)) @ flow
    read = flow[tokens.before :].mean(axis=0) if tokens.mean else flow[0]
    side = isqrt(count - tokens.before)
    shares: NDArray[np.float64] = read[tokens.before :].reshape(side, side)
    return shares


def rollout_map(data: bytes, image: Image, tokens: Tokens) -> Map | None:
    """The map of a saved file for an image [1, channels, S, S]: 1 at the patch from which most flows, 0 at the one
    with the least, all 0 where they are alike; None where the file's attention is not between all of its tokens."""
    found = attentions_of(data, image)
    if not found or len({each.shape[-2:] for each in found}) > 1:
        return None
    count = found[0].shape[-1] - tokens.before
    if count < 1 or isqrt(count) ** 2 != count:
        return None
    shares = rollout(found, tokens)
    if np.ptp(shares) <= 1e-6 * shares.max():
        return np.zeros(image.shape[2:], np.float32)
    whole = enlarged(torch.from_numpy(shares)[None, None], image.shape[2])
    return scaled((whole - whole.min()).astype(np.float32))


def attentions_of(data: bytes, image: Image) -> list[Attention]:
    """The attention matrices of an ONNX file for one image, in the order of its layers: whatever a softmax makes that
    is [1, heads, T, T]."""
    graph = onnx.load_from_string(data)
    names = [node.output[0] for node in graph.graph.node if node.op_type == "Softmax"]
    kept = {each.name for each in graph.graph.output}
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in kept)
    session = open_session(graph.SerializeToString())
    if not names:
        return []
    found = session.run(names, {session.get_inputs()[0].name: image})
    return [each[0].astype(np.float32) for each in found if each.ndim == 4 and each.shape[2] == each.shape[3]]


def tokens_of_file(session: InferenceSession) -> Tokens | Undefined:
    """The tokens of an opened file, by the backbone that it names; why it has no rollout where it has none."""
    try:
        return _tokens_of_entry(find(session.get_modelmeta().custom_metadata_map.get(BACKBONE, "")))
    except UserError:  # a fused network, or one whose own architecture is gone
        return "other"


@lru_cache(maxsize=32)
def _tokens_of_entry(backbone: Backbone) -> Tokens | Undefined:
    return tokens_of(on_meta(lambda: load_backbone(backbone.name, 2, "none")))


def tokens_of(net: nn.Module) -> Tokens | Undefined:
    """The tokens of a network in which every token attends to every other in every layer and each patch is a part of
    the image; else why a rollout is not defined for it: it has `no_attention`, attends within `windows`, or is of an
    `other` kind, such as a hybrid with convolutions."""
    if type(net) is VisionTransformer:
        return Tokens(1)
    if (read := _plain(net)) is not None:
        return read
    kinds = {type(module).__name__.lower() for module in net.modules()}
    if any("window" in kind for kind in kinds):
        return "windows"
    return "other" if any("attention" in kind for kind in kinds) else "no_attention"


def _plain(net: Any) -> Tokens | None:
    """The tokens of a vision transformer of timm, of the plain kind; None for any other network."""
    from timm.layers.patch_embed import PatchEmbed
    from timm.models.eva import Eva, EvaBlock, EvaBlockPostNorm
    from timm.models.vision_transformer import Block, ResPostBlock
    from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer

    if type(net) not in (TimmVisionTransformer, Eva) or type(net.patch_embed) is not PatchEmbed:
        return None
    blocks = {type(block) for block in net.blocks} <= {Block, ResPostBlock, EvaBlock, EvaBlockPostNorm}
    read = net.global_pool in ("token", "avg") and net.attn_pool is None
    if not (blocks and read) or getattr(net, "pool_include_prefix", False):
        return None
    return Tokens(int(net.num_prefix_tokens), net.global_pool == "avg")
