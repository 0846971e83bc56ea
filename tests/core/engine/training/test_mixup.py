"""Mixup and CutMix against their papers: what is mixed with what, by which share, and what the loss makes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from core.engine.data import Dataset
from core.engine.model import Model
from core.engine.training.batches import Examples, Feed
from core.engine.training.loop import Schedule, Tally
from core.engine.training.mixup import Mixture, cross_entropy, mix
from core.errors import UserError
from tests.core.engine.conftest import MakeContext


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_blends_by_a_beta_share(alpha: float) -> None:
    images = noise(4000, 1, 2, 2)
    mixed, mixture = mix(images, alpha, 0.0, seeded())
    share = mixture.share[:, None, None, None]
    assert torch.equal(mixed, (share * images + (1 - share) * images[mixture.partner]).round().to(torch.uint8))
    assert sorted(mixture.partner.tolist()) == list(range(4000))
    assert stats.kstest(mixture.share.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.001


def test_cutmix_pastes_one_rectangle_whose_area_is_the_share() -> None:
    """The images are flat, so the pasted pixels show: they fill their own bounding box, and nothing beside it."""
    images = torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(200, 3, 12, 16).contiguous()
    mixed, mixture = mix(images, 0.0, 1.0, seeded())
    for number in range(200):
        if mixture.partner[number] == number:
            continue
        pasted = (mixed[number] == images[mixture.partner[number]]).all(0)
        assert torch.equal(pasted, ~(mixed[number] == images[number]).all(0))
        assert float(mixture.share[number]) == pytest.approx(1 - float(pasted.float().mean()), abs=1e-6)
        if pasted.any():
            rows, columns = (np.flatnonzero(pasted.any(d).numpy()) for d in (1, 0))
            assert int(pasted.sum()) == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    assert 0.5 < float(mixture.share.mean()) < 0.85  # below 1/2 only by what the border cuts off


def test_both_share_the_images_evenly() -> None:
    images = noise(1000, 1, 8, 8)
    mixed, mixture = mix(images, 5.0, 1.0, seeded())  # with so high an α every blend shows
    other = images[mixture.partner]
    pasted = ((mixed == images) | (mixed == other)).flatten(1).all(1)
    assert 430 < int(pasted.sum()) < 570


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)])
def test_the_seed_decides_everything(mixup: float, cutmix: float) -> None:
    images = noise(50, 1, 8, 8)
    (one, first), (two, second), (three, _) = (mix(images, mixup, cutmix, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert torch.equal(first.share, second.share)
    assert not torch.equal(one, three)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_a_mixture_is_that_of_mixed_probabilities(smoothing: float, weighted: bool) -> None:
    """Against a float64 sum over classes, written from the definition."""
    draw = seeded(3)
    logits, target = torch.randn(20, 5, generator=draw).double(), torch.randint(5, (20,), generator=draw)
    mixture = Mixture(torch.randperm(20, generator=draw), torch.rand(20, generator=draw).double())
    weights = torch.rand(5, generator=draw).double() if weighted else None
    each = torch.ones(5).double() if weights is None else weights
    total = scale = 0.0
    for n in range(20):
        share, other = float(mixture.share[n]), int(target[mixture.partner[n]])
        for label, part in ((int(target[n]), share), (other, 1 - share)):
            wanted = torch.full((5,), smoothing / 5, dtype=torch.float64)
            wanted = wanted * each
            wanted[label] += (1 - smoothing) * each[label]
            total -= part * float((wanted * logits[n].log_softmax(0)).sum())
            scale += part * float(each[label])
    found = cross_entropy(logits, target, mixture, smoothing=smoothing, weights=weights)
    assert float(found) == pytest.approx(total / scale, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_whole_images_have_torchs_own_loss(weighted: bool) -> None:
    logits, target = torch.randn(8, 3, generator=seeded()), torch.arange(8) % 3
    weights = torch.tensor([1.0, 2.0, 0.5]) if weighted else None
    whole = Mixture(torch.arange(8).flip(0), torch.ones(8))
    expected = F.cross_entropy(logits, target, weights, label_smoothing=0.1)
    assert torch.equal(cross_entropy(logits, target, None, smoothing=0.1, weights=weights), expected)
    torch.testing.assert_close(cross_entropy(logits, target, whole, smoothing=0.1, weights=weights), expected)


def test_a_teachers_probabilities_mix_as_the_images_do() -> None:
    known = torch.eye(3)
    mixture = Mixture(torch.tensor([1, 2, 0]), torch.tensor([1.0, 0.25, 0.5]))
    expected = torch.tensor([[1.0, 0, 0], [0, 0.25, 0.75], [0.5, 0, 0.5]])
    assert torch.equal(mixture.blend(known), expected)


def test_an_answer_is_right_by_the_share_of_its_label() -> None:
    tally = Tally()
    logits = torch.eye(3)
    tally.add(torch.tensor(1.0), logits, torch.arange(3), Mixture(torch.tensor([1, 2, 0]), torch.full((3,), 0.75)))
    assert tally.right == pytest.approx(2.25)
    assert tally.labelled == 3


def test_a_batch_says_how_it_was_mixed(
    make_context: MakeContext, make_model: Callable[..., Model], digits: Dataset
) -> None:
    schedule = Schedule(epochs=1, batch=64, learning_rate=0.1, mixup=0.2)
    context = make_context()
    examples = Examples.of(digits.train.subset(range(64)))
    (batch,) = Feed(examples, schedule, make_model(), context).epoch(0)
    assert batch.mixture is not None
    own = digits.train.images[batch.index].float()
    share = batch.mixture.share[:, None, None, None]
    expected = (share * own + (1 - share) * own[batch.mixture.partner]).round()
    assert torch.equal(batch.raw.float(), expected)
    assert torch.equal(batch.target, digits.train.labels[batch.index])


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_unlabelled_images_are_not_mixed(make_context: MakeContext, digits: Dataset, option: str) -> None:
    examples = Examples.of(digits.train.subset(range(20)), digits.train.images[20:40])
    schedule = Schedule(epochs=1, batch=8, learning_rate=0.1, **{option: 1.0})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"{option}.*labels") as caught:
        Feed(examples, schedule, None, make_context())  # type: ignore[arg-type]
    assert caught.value.field == option
