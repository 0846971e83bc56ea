"""Splits: stratified, seeded for ever, and few labels out of many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.engine.data import Split, few_labels, few_shots, labelled_part
from core.engine.data.dataset import _mix, carve, draw, hash_splits, share_out, shuffled
from core.errors import UserError


def split(labels: list[int]) -> Split:
    images = torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    return Split(images, torch.tensor(labels))


def test_subset_keeps_image_and_label_together() -> None:
    part = split([5, 6, 7, 8]).subset([2, 0])
    assert part.labels.tolist() == [7, 5]
    assert part.images[:, 0, 0, 0].tolist() == [2, 0]
    assert len(part) == 2


def test_shuffled_is_a_permutation_that_never_changes() -> None:
    assert shuffled(10, 0).tolist() == [2, 4, 6, 8, 5, 1, 7, 0, 9, 3]
    assert sorted(shuffled(1000, 3).tolist()) == list(range(1000))
    assert not np.array_equal(shuffled(1000, 3), shuffled(1000, 4))


def test_shuffled_is_splitmix64() -> None:
    """The generator's published outputs for the seed 0 (https://prng.di.unimi.it/splitmix64.c)."""
    gamma = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)
    with np.errstate(over="ignore"):
        outputs = [int(_mix(gamma * np.uint64(step))[0]) for step in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_shuffled_looks_random() -> None:
    """Mean rank correlation with the identity over 200 seeds is about 0, with a deviation of 1/sqrt(n − 1)."""
    correlations = [np.corrcoef(np.arange(100), shuffled(100, seed))[0, 1] for seed in range(200)]
    assert abs(np.mean(correlations)) < 3 * 0.1 / np.sqrt(200)
    assert np.std(correlations) == pytest.approx(1 / np.sqrt(99), rel=0.2)


@pytest.mark.parametrize("total", [3, 4, 10, 57, 110, 111])
def test_share_out_is_exact_and_never_asks_for_more_than_there_is(total: int) -> None:
    available = np.array([100, 10, 1])
    given = share_out(available, total)
    assert given.sum() == total
    assert (given >= 1).all()
    assert (given <= available).all()


def test_draw_is_stratified_and_leaves_the_rest() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    chosen, left = draw(labels, 100, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [60, 30, 10]
    assert sorted([*chosen, *left]) == list(range(1000))


def test_few_labels_gives_each_class_one_and_hides_the_other_labels() -> None:
    whole = split([0] * 90 + [1] * 9 + [2])
    labelled, unlabelled = few_labels(whole, 10, 3, seed=1)
    assert len(labelled) == 10
    assert set(labelled.labels.tolist()) == {0, 1, 2}
    assert unlabelled.shape == (90, 1, 2, 2)
    seen = [*labelled.images[:, 0, 0, 0].tolist(), *unlabelled[:, 0, 0, 0].tolist()]
    assert sorted(seen) == list(range(100))


def test_few_labels_can_take_all() -> None:
    labelled, unlabelled = few_labels(split([0, 1]), 2, 2, seed=0)
    assert len(labelled) == 2
    assert len(unlabelled) == 0


@pytest.mark.parametrize("count", [0, 2, 101])
def test_few_labels_refuses_too_few_and_too_many(count: int) -> None:
    with pytest.raises(UserError, match=r"from 3 .* to 100"):
        few_labels(split([0] * 50 + [1] * 49 + [2]), count, 3, seed=0)


def test_few_labels_depends_on_the_seed_only() -> None:
    whole = split([0, 1] * 50)
    first, again, other = (few_labels(whole, 20, 2, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


def test_hash_notices_a_pixel_a_label_and_a_split() -> None:
    one = split([0, 1, 0, 1])
    pixel = Split(one.images.clone(), one.labels)
    pixel.images[0, 0, 0, 0] += 1
    label = Split(one.images, torch.tensor([1, 1, 0, 1]))
    left, right = carve(one, 2, seed=0)
    hashes = {hash_splits("ab", *parts) for parts in ([one], [pixel], [label], [left, right], [right, left])}
    assert len(hashes) == 5
    assert hash_splits("ac", one) not in hashes


def test_few_shots_gives_each_class_as_many() -> None:
    whole = split([0] * 30 + [1] * 5 + [2] * 9)
    labelled, unlabelled = few_shots(whole, 4, ("a", "b", "c"), seed=1)
    assert torch.bincount(labelled.labels).tolist() == [4, 4, 4]
    assert len(unlabelled) == 44 - 12
    more = few_shots(whole, 5, ("a", "b", "c"), seed=1)[0]
    seen = {image.numpy().tobytes() for image in more.images}
    assert all(image.numpy().tobytes() in seen for image in labelled.images), "one shot more keeps the others"


@pytest.mark.parametrize("shots", [6, 10])
def test_more_shots_than_the_smallest_class_has_are_refused(shots: int) -> None:
    with pytest.raises(UserError, match=r"1 to 5.*class rare") as caught:
        few_shots(split([0] * 30 + [1] * 5), shots, ("common", "rare"), seed=0)
    assert caught.value.field == "shots"


def test_without_labels_or_shots_everything_is_labelled() -> None:
    whole = split([0] * 3 + [1] * 3)
    labelled, pool = labelled_part(whole, 0, 0, ("a", "b"), 0)
    assert (len(labelled), len(pool)) == (6, 0)
    assert len(labelled_part(whole, 4, 0, ("a", "b"), 0)[1]) == 2
    assert len(labelled_part(whole, 0, 1, ("a", "b"), 0)[1]) == 4
