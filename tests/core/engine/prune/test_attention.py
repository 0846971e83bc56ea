"""Attention blocks: dead dimensions go without a trace, heads stay, the temperature of the logits stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.swin_transformer import (
    PatchMerging,
    PatchMergingV2,
    ShiftedWindowAttention,
    ShiftedWindowAttentionV2,
)

from core.engine.prune.attention import AttentionCut, MergingCut, projections
from core.engine.prune.l2 import L2

WIDTH, HEADS = 24, 3

BLOCKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "vit": (lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), (2, 5)),
    "swin": (lambda: ShiftedWindowAttention(WIDTH, [4, 4], [2, 2], HEADS), (2, 8, 8)),
    "swin_v2": (lambda: ShiftedWindowAttentionV2(WIDTH, [4, 4], [2, 2], HEADS), (2, 8, 8)),
    "maxvit": (lambda: RelativePositionalMultiHeadAttention(WIDTH, WIDTH // HEADS, 16), (2, 4, 16)),
}


def run(block: Any, entry: Tensor) -> Tensor:
    block.eval()
    with torch.no_grad():
        packed = isinstance(block, nn.MultiheadAttention)
        answer: Tensor = block(entry, entry, entry, need_weights=False)[0] if packed else block(entry)
    return answer


@pytest.mark.parametrize("name", BLOCKS)
def test_dead_embedding_channels_and_dead_inner_dimensions_go_without_a_trace(name: str) -> None:
    torch.manual_seed(0)
    make, shape = BLOCKS[name]
    block = make()
    parts = projections(block)
    width = WIDTH // HEADS
    inner = torch.cat([torch.randperm(width)[: width // 2] + head * width for head in range(HEADS)])
    values = torch.cat([torch.randperm(width)[: width // 2] + head * width for head in range(HEADS)])
    removed = sorted(torch.randperm(WIDTH)[: WIDTH // 2].tolist())
    kept = [index for index in range(WIDTH) if index not in removed]
    with torch.no_grad():
        for parameter in (getattr(parts.owner, parts.bias), parts.out.bias):
            nn.init.uniform_(parameter, -0.5, 0.5)
        dead = torch.cat([inner, inner + WIDTH, values + 2 * WIDTH])
        getattr(parts.owner, parts.weight)[dead] = 0
        getattr(parts.owner, parts.bias)[dead] = 0
        parts.out.weight[:, values] = 0
    entry = torch.randn(*shape, WIDTH)
    entry[..., removed] = 0
    before = run(block, entry)
    AttentionCut(L2().importance(0)).prune_out_channels(block, removed)
    after = run(block, entry[..., kept])
    torch.testing.assert_close(after, before[..., kept], rtol=1e-4, atol=1e-5)
    assert (projections(block).heads, projections(block).out.weight.shape) == (HEADS, (len(kept), len(kept)))


def test_each_head_keeps_its_own_strongest_dimensions() -> None:
    torch.manual_seed(0)
    block = nn.MultiheadAttention(8, 2)
    with torch.no_grad():
        block.in_proj_weight.fill_(0.01)
        for row in (1, 3, 4, 6):  # two in each head of four
            block.in_proj_weight[row] = float(row)
            block.in_proj_weight[16 + row] = float(10 * row)
    AttentionCut(L2().importance(0)).prune_in_channels(block, [0, 2, 5, 7])
    stretch = (4 / 8) ** 0.5  # √(new width / old width), so that logits keep their temperature
    torch.testing.assert_close(block.in_proj_weight[:4, 0], stretch * torch.tensor([1.0, 3.0, 4.0, 6.0]))
    torch.testing.assert_close(block.in_proj_weight[8:, 0], torch.tensor([10.0, 30.0, 40.0, 60.0]))
    assert (block.embed_dim, block.kdim, block.vdim, block.head_dim, block.num_heads) == (4, 4, 4, 2, 2)


@pytest.mark.parametrize("kind", [PatchMerging, PatchMergingV2])
def test_patch_merging_loses_a_channel_in_all_four_neighbours(kind: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    merging = kind(6)
    nn.init.uniform_(merging.norm.weight, 0.5, 1.5)
    before = merging.reduction.weight.detach().clone()
    norm = merging.norm.weight.detach().clone()
    cut = MergingCut()
    cut.prune_in_channels(merging, [1, 4])
    places = [part * 6 + channel for part in range(4) for channel in (0, 2, 3, 5)]
    assert torch.equal(merging.reduction.weight, before[:, places])
    cut.prune_out_channels(merging, [0, 3])
    rows = [row for row in range(12) if row not in (0, 3)]
    assert torch.equal(merging.reduction.weight, before[rows][:, places])
    assert torch.equal(merging.norm.weight, norm[places if kind is PatchMerging else rows])
    assert run(merging, torch.randn(1, 4, 4, 4)).shape == (1, 2, 2, 10)
