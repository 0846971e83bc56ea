"""RandAugment, TrivialAugment and AutoAugment on batches of uint8 images, each with its own draw.

Images that drew the same operation and strength are processed together by torchvision's kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as kernels

Kernel = Callable[[Tensor, float], Tensor]

BLANK: Sequence[str] = ("Identity", "AutoContrast", "Equalize", "Invert")  # operations without strength
ONE_SIDED = (*BLANK, "Posterize", "Solarize")  # the strengths of the others get a random sign
LEVELS = 31  # number of strengths in RandAugment and TrivialAugment; 10 in AutoAugment
TRIVIAL_SHIFT = 32  # pixels at most, as in the paper, or the image's side if that is less

OPERATIONS: Mapping[str, Kernel] = {
    "Identity": lambda images, _: images,
    "ShearX": lambda images, level: _affine(images, shear=(math.degrees(math.atan(level)), 0.0)),
    "ShearY": lambda images, level: _affine(images, shear=(0.0, math.degrees(math.atan(level)))),
    "TranslateX": lambda images, level: _affine(images, translate=(int(level), 0)),
    "TranslateY": lambda images, level: _affine(images, translate=(0, int(level))),
    "Rotate": lambda images, level: kernels.rotate(images, level),
    "Brightness": lambda images, level: kernels.adjust_brightness(images, 1 + level),
    "Color": lambda images, level: kernels.adjust_saturation(images, 1 + level),  # a grey image stays as it is
    "Contrast": lambda images, level: kernels.adjust_contrast(images, 1 + level),
    "Sharpness": lambda images, level: kernels.adjust_sharpness(images, 1 + level),
    "Posterize": lambda images, level: kernels.posterize(images, int(level)),
    "Solarize": lambda images, level: kernels.solarize(images, 255 * level),
    "AutoContrast": lambda images, _: kernels.autocontrast(images),
    "Equalize": lambda images, _: kernels.equalize(images),
    "Invert": lambda images, _: kernels.invert(images),
}
DRAWN = tuple(name for name in OPERATIONS if name != "Invert")  # the fourteen of RandAugment and TrivialAugment

Choice = tuple[str, float, int]  # operation, chance, strength 0 … 9
IMAGENET: Sequence[tuple[Choice, Choice]] = (  # table 9 of arXiv:1805.09501
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 0), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 0)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 0)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 0), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 0)),
    (("Equalize", 0.0, 0), ("Equalize", 0.8, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 0)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 0)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 0)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
)


def rand_augment(images: Tensor, generator: torch.Generator, operations: int = 2, strength: int = 9) -> Tensor:
    """`operations` random operations of fourteen, one after another, at `strength` 0 … 30 (Cubuk et al. 2020,
    arXiv:1909.13719). Images uint8 [N, C, H, W]."""
    for _ in range(operations):
        drawn = _draw(len(DRAWN), len(images), generator)
        images = _apply(images, [(DRAWN[n], strength) for n in drawn], strengths(images, LEVELS), generator)
    return images


def trivial_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """One random operation of fourteen at one of 31 strengths of the wide range (Müller & Hutter 2021,
    arXiv:2103.10158). Images uint8 [N, C, H, W]."""
    drawn, levels = _draw(len(DRAWN), len(images), generator), _draw(LEVELS, len(images), generator)
    chosen = [(DRAWN[n], level) for n, level in zip(drawn, levels, strict=True)]
    return _apply(images, chosen, strengths(images, LEVELS, wide=True), generator)


def auto_augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """One random pair of the 25 pairs of operations learned on ImageNet (Cubuk et al. 2019, arXiv:1805.09501). Images
    uint8 [N, C, H, W]."""
    drawn = _draw(len(IMAGENET), len(images), generator)
    for part in (0, 1):
        even = torch.rand(len(images), generator=generator, device=generator.device).tolist()
        chosen = [
            (name, level) if chance > u else ("Identity", 0)
            for (name, chance, level), u in zip((IMAGENET[n][part] for n in drawn), even, strict=True)
        ]
        images = _apply(images, chosen, strengths(images, 10), generator)
    return images


def strengths(images: Tensor, levels: int, *, wide: bool = False) -> dict[str, list[float]]:
    """The values of each operation's strengths 0 … `levels` − 1 for images [N, C, H, W]: slopes, pixels, degrees,
    factors or bits; `wide` is TrivialAugment's range."""
    height, width = images.shape[-2:]
    shift = (min(TRIVIAL_SHIFT, width), min(TRIVIAL_SHIFT, height)) if wide else (150 / 331 * width, 150 / 331 * height)
    slope, degrees, share, bits = (0.99, 135.0, 0.99, 6) if wide else (0.3, 30.0, 0.9, 4)
    most = {"ShearX": slope, "ShearY": slope, "TranslateX": shift[0], "TranslateY": shift[1], "Rotate": degrees}
    most |= dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), share)
    found = {name: torch.linspace(0.0, float(high), levels).tolist() for name, high in most.items()}
    found["Posterize"] = (8 - torch.arange(levels) / ((levels - 1) / bits)).round().tolist()
    found["Solarize"] = torch.linspace(1.0, 0.0, levels).tolist()
    return found | dict.fromkeys(BLANK, [0.0] * levels)


def _draw(below: int, count: int, generator: torch.Generator) -> list[int]:
    found: list[int] = torch.randint(below, (count,), generator=generator, device=generator.device).tolist()
    return found


def _apply(
    images: Tensor,
    chosen: Sequence[tuple[str, int]],
    meaning: Mapping[str, Sequence[float]],
    generator: torch.Generator,
) -> Tensor:
    """Applies to each image its operation at its strength, with a random sign where both exist."""
    signs = _draw(2, len(images), generator)
    groups: dict[tuple[str, float], list[int]] = {}
    for number, ((name, level), sign) in enumerate(zip(chosen, signs, strict=True)):
        value = meaning[name][level]
        groups.setdefault((name, -value if sign and name not in ONE_SIDED else value), []).append(number)
    out = images.clone()
    for (name, value), members in groups.items():
        if name != "Identity":
            index = torch.tensor(members, device=images.device)
            out[index] = OPERATIONS[name](images[index], value)
    return out


def _affine(images: Tensor, translate: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    corner = [0.0, 0.0] if any(shear) else None  # shears keep the corner fixed
    moved: Tensor = kernels.affine(images, 0.0, list(translate), 1.0, list(shear), center=corner)
    return moved
