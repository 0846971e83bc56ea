"""Mixup and CutMix: images of a batch mixed in pairs, and the cross-entropy with their mixed labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Mixture:
    """The share `share[i]` (0 … 1, float32 [N]) of mixed image i comes from the original image i, the rest from image
    `partner[i]` (int64 [N]) of the same batch."""

    partner: Tensor
    share: Tensor

    def blend(self, values: Tensor) -> Tensor:
        """`values` [N, …] of the original images, such as a teacher's probabilities, mixed in the same proportions."""
        share = self.share.view(-1, *(1,) * (values.ndim - 1)).to(values)
        return share * values + (1 - share) * values[self.partner]


def mix(images: Tensor, mixup: float, cutmix: float, generator: torch.Generator) -> tuple[Tensor, Mixture]:
    """uint8 images [N, C, H, W], each mixed with a random other one, with a share drawn from Beta(α, α).

    `mixup` is the α of blending (Zhang et al. 2018, arXiv:1710.09412), `cutmix` that of pasting a rectangle (Yun et
    al. 2019, arXiv:1905.04899), whose area, clipped at the border, determines the share; with both above 0 one of them
    is drawn for each image. The images mixed in are original ones.
    """
    count = len(images)
    partner = torch.randperm(count, generator=generator, device=generator.device).to(images.device)
    pasted = torch.rand(count, generator=generator, device=generator.device) < (0.5 if mixup and cutmix else cutmix > 0)
    blended = _beta(mixup, count, generator) if mixup else torch.ones(count, device=generator.device)
    other = images[partner]
    inside, kept = _rectangles(images, _beta(cutmix, count, generator), generator) if cutmix else (None, blended)
    share = torch.where(pasted, kept, blended).to(images.device)
    weight = share.view(-1, 1, 1, 1)
    if inside is not None:
        cut = pasted.view(-1, 1, 1, 1).to(images.device)
        weight = torch.where(cut, (~inside).to(weight), weight)
    mixed = weight * images + (1 - weight) * other
    return mixed.round().to(images.dtype), Mixture(partner, share)


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    mixture: Mixture | None = None,
    *,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of logits [N, C] with target [N]; for a mixture, each label counts by its share.

    `smoothing` is the share of a label spread over all classes, `weights` [C] the class weights, by whose sum the mean
    is normalised, as in torch.
    """

    def part(labels: Tensor) -> tuple[Tensor, Tensor]:
        each = F.cross_entropy(logits, labels, weights, label_smoothing=smoothing, reduction="none")
        return each, torch.ones_like(each) if weights is None else weights[labels]

    if mixture is None:
        return F.cross_entropy(logits, target, weights, label_smoothing=smoothing)
    own, own_weight = part(target)
    other, other_weight = part(target[mixture.partner])
    share = mixture.share
    total = share * own + (1 - share) * other
    mean: Tensor = total.sum() / (share * own_weight + (1 - share) * other_weight).sum()
    return mean


def _beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """[count] draws from Beta(α, α): a gamma draw over the sum of two (torch's sampler does not accept a generator)."""
    first, second = (_log_gamma(alpha, count, generator) for _ in range(2))
    return torch.sigmoid(first - second).float()


def _log_gamma(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Logarithms of Gamma(α, 1) draws: Gamma(α + 1) · U^(1/α), by Marsaglia & Tsang 2000; logarithms because a small
    α underflows. Eight attempts each: one is rejected with probability below 0.05."""
    device, d = generator.device, alpha + 1 - 1 / 3
    normal = torch.randn(8, count, generator=generator, device=device, dtype=torch.float64)
    even = torch.rand(9, count, generator=generator, device=device, dtype=torch.float64).clamp_min(1e-300)
    v = (1 + normal / (9 * d) ** 0.5).clamp_min(1e-12) ** 3
    taken = (even[:8].log() < 0.5 * normal**2 + d - d * v + d * v.log()) & (normal > -((9 * d) ** 0.5))
    first = taken.to(torch.int64).argmax(0)
    drawn: Tensor = (d * v.gather(0, first[None])[0]).log() + even[8].log() / alpha
    return drawn


def _rectangles(images: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(inside [N, 1, H, W], share of the image outside [N]): a rectangle of the image's aspect ratio and area
    1 − share, with a random centre, clipped at the border."""
    count, _, height, width = images.shape
    side = (1 - share).sqrt()
    sides = []
    for length in (height, width):
        centre = torch.randint(0, length, (count,), generator=generator, device=generator.device)
        half = (side * length).long() // 2
        place = torch.arange(length, device=generator.device)
        sides.append((place >= (centre - half)[:, None]) & (place < (centre + half)[:, None]))
    inside = sides[0][:, :, None] & sides[1][:, None, :]
    kept = 1 - inside.float().mean((1, 2))
    return inside[:, None].to(images.device), kept
