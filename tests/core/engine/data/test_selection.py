"""A selection of images against the same images copied: every way of reading, and artifacts bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.engine.data import Dataset, Split
from core.engine.data.augment import augment, prepare
from core.engine.data.dataset import few_labels, hash_splits
from core.engine.data.selection import Selection, choose, evenly, join, mapped, spilled
from core.engine.model import Preprocessing

IMAGES = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
OTHERS = 255 - IMAGES[:7]
Places = st.lists(st.integers(-40, 39), min_size=1, max_size=60)


@given(Places, st.lists(st.integers(0, 59), max_size=20), st.integers(1, 9))
def test_reads_what_copies_would_hold(places: list[int], again: list[int], size: int) -> None:
    chosen, copy = choose(IMAGES, places), IMAGES[torch.tensor(places)]
    assert isinstance(chosen, Selection)
    assert chosen.shape == copy.shape
    assert torch.equal(chosen, copy)
    for block, expected in zip(torch.split(chosen, size), torch.split(copy, size), strict=True):
        assert isinstance(block, Selection)
        assert np.array_equal(block.numpy(), expected.numpy())
    index = torch.tensor([number % len(places) for number in again], dtype=torch.int64)
    assert torch.equal(chosen[index], copy[index])
    assert torch.equal(choose(chosen, index), copy[index])
    both, expected = join(chosen, OTHERS, chosen), torch.cat([copy, OTHERS, copy])
    assert isinstance(both, Selection)
    assert torch.equal(both, expected)
    assert torch.equal(both[torch.arange(len(both) - 1, -1, -1)], expected.flip(0))


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x[3],
        lambda x: x[2:9:2],
        lambda x: x[:, 0],
        lambda x: x[-1],
        lambda x: x[[1, 1]],
        lambda x: x > 100,
        lambda x: x[torch.arange(len(x)) % 2 == 0],
        lambda x: x.float().mean(0),
        lambda x: torch.stack([x, x]),
        lambda x: torch.tensor_split(x, 4)[2],
        lambda x: list(x)[5],
        lambda x: x.to("cpu").contiguous(),
        lambda x: augment(x, "flip_crop", torch.Generator().manual_seed(1)),
        lambda x: augment(x, "rand_augment", torch.Generator().manual_seed(1)),
        lambda x: prepare(x, Preprocessing(8, 3, (0.5,) * 3, (0.2,) * 3)),
        lambda x: x[..., 1:3].sum(),
        lambda x: x.clone(),
    ],
)
def test_every_way_of_reading(read: Callable[[Tensor], Tensor]) -> None:
    places = torch.arange(39, -1, -3)
    assert torch.equal(read(choose(IMAGES, places)), read(IMAGES[places]))


def test_nothing_is_copied_until_it_is_read(digits: Dataset) -> None:
    few, pool = few_labels(Split(digits.train.images.clone(), digits.train.labels), 100, 10, seed=0)
    parts = (few.images, pool, join(few.images, pool))
    held = [base.data_ptr() for part in parts if isinstance(part, Selection) for base in part.bases]
    assert len(held) == 4
    assert len(set(held)) == 1


def test_a_mapped_file_gives_the_same_and_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = spilled(torch.split(IMAGES, 7), IMAGES.shape, tmp_path)
    assert torch.equal(kept, IMAGES)
    assert torch.equal(choose(kept, [5, 2])[torch.tensor([1])], IMAGES[[2]])
    assert list(tmp_path.iterdir()) == []
    fixed = IMAGES.numpy().copy()
    fixed.flags.writeable = False
    assert torch.equal(mapped(fixed), IMAGES)


def test_the_hash_of_a_selection_is_that_of_its_copy() -> None:
    places, labels = torch.arange(0, 40, 3), torch.arange(14) % 3
    lazy, copied = Split(choose(IMAGES, places), labels), Split(IMAGES[places], labels)
    assert hash_splits("abc", lazy) == hash_splits("abc", copied)
    assert hash_splits("abc", lazy) != hash_splits("abc", replace(copied, labels=labels.flip(0)))


@given(st.integers(1, 40), st.integers(1, 50))
def test_even_parts_are_few_and_differ_by_one_image(count: int, most: int) -> None:
    parts = evenly(choose(IMAGES, range(count)), most)
    sizes = [len(part) for part in parts]
    assert len(parts) == -(-count // most)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert torch.equal(torch.cat([part.clone() for part in parts]), IMAGES[:count])
