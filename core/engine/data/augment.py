"""Augmentation, resizing and preprocessing of batches of images, on uint8 tensors and any device.

Every image gets its own random draw: one shift for a whole batch cost 6 percentage points of accuracy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from core.engine.data.policies import auto_augment, rand_augment, trivial_augment
from core.engine.model import Preprocessing
from core.errors import UserError, nearest
from core.options import Value

POLICIES = {"rand_augment": rand_augment, "trivial_augment": trivial_augment, "auto_augment": auto_augment}
AUGMENTATIONS = ("none", "flip_crop", "shift", *POLICIES)
CALLED: dict[Value, tuple[str, str]] = {
    "none": ("none", "无"),
    "flip_crop": ("flip and crop", "翻转与裁剪"),
    "shift": ("shift", "平移"),
    "rand_augment": ("RandAugment", "RandAugment"),
    "trivial_augment": ("TrivialAugment", "TrivialAugment"),
    "auto_augment": ("AutoAugment", "AutoAugment"),
}
ERASED, SIDES = (0.02, 0.33), (0.3, 3.3)  # of erase: share of the image's area, height to width
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL's convert("L")
AT_ONCE = 2**26  # input pixels resized together: 256 MB as float32


def augment(images: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Augments each of images [N, C, H, W] (uint8 or float) with its own draw from `generator`.

    `none`: unchanged. `flip_crop`: flipped horizontally with probability 1/2 and shifted by up to 1/8 of the side, the
    border reflected. `shift`: shifted by up to 1/8, never flipped (a mirrored digit is another sign), the border
    repeated. `rand_augment`, `trivial_augment`, `auto_augment`: see core.engine.data.policies; none of them flips, and
    new pixels are black; float images are rounded. Draws are made on the generator's own device, so a CPU generator
    gives the same draws everywhere. Raises UserError for an unknown name.
    """
    if name == "none":
        return images
    if name not in AUGMENTATIONS:
        raise UserError(
            "unknown_choice", "augmentation", name, f"one of {', '.join(AUGMENTATIONS)}", nearest(name, AUGMENTATIONS)
        )
    if name in POLICIES:
        return POLICIES[name](images.round().to(torch.uint8), generator).to(images.dtype)
    count, _, height, width = images.shape
    rows = _shifts(count, height, generator)
    columns = _shifts(count, width, generator)
    if name == "shift":
        return _take(images, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
    flip = torch.rand(count, 1, generator=generator, device=generator.device) < 0.5
    columns = _reflect(columns, width)
    columns = torch.where(flip, width - 1 - columns, columns)
    return _take(images, _reflect(rows, height), columns)


def erase(images: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Replaces a rectangle by noise, with probability `chance` in each of images [N, C, H, W]: 2 … 33 % of the area,
    aspect ratio 0.3 … 3.3.

    RandomErasing with random values (Zhong et al. 2017, arXiv:1708.04896); a rectangle that does not fit is drawn again
    up to ten times, then its longer side is cut.
    """
    count, _, height, width = images.shape
    device = generator.device
    chosen = torch.rand(count, generator=generator, device=device) < chance
    share, shape, place = torch.rand(3, 10, count, generator=generator, device=device)
    area = (ERASED[0] + (ERASED[1] - ERASED[0]) * share) * height * width
    ratio = torch.exp(math.log(SIDES[0]) + (math.log(SIDES[1]) - math.log(SIDES[0])) * shape)
    tall, broad = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    first = ((tall < height) & (broad < width)).to(torch.int64).argmax(0, keepdim=True)
    tall = tall.gather(0, first)[0].clamp(1, height)
    broad = broad.gather(0, first)[0].clamp(1, width)
    top = (place[0] * (height - tall + 1)).floor()
    left = (place[1] * (width - broad + 1)).floor()
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    across = (columns >= left[:, None]) & (columns < (left + broad)[:, None])
    down = (rows >= top[:, None]) & (rows < (top + tall)[:, None]) & chosen[:, None]
    inside = (down[:, None, :, None] & across[:, None, None, :]).to(images.device)
    noise = torch.randint(0, 256, images.shape, generator=generator, device=device).to(images)
    return torch.where(inside, noise, images)


def _shifts(count: int, side: int, generator: torch.Generator) -> Tensor:
    """[N, side]: for each image the source position of each row (or column), shifted by −side/8 … side/8."""
    most = side // 8
    device = generator.device
    offsets = torch.randint(-most, most + 1, (count, 1), generator=generator, device=device)
    return offsets + torch.arange(side, device=device)


def _reflect(positions: Tensor, side: int) -> Tensor:
    return side - 1 - (side - 1 - positions.abs()).abs()


def _take(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """out[n, c, i, j] = images[n, c, rows[n, i], columns[n, j]]: whole rows first, then columns."""
    count, channels, height, width = images.shape
    rows, columns = rows.to(images.device), columns.to(images.device)
    first = torch.arange(count * channels, device=images.device).view(count, channels, 1) * height
    moved = images.reshape(-1, width).index_select(0, (first + rows.unsqueeze(1)).flatten())
    index = columns.view(count, 1, 1, width).expand(count, channels, height, width)
    return moved.view(count, channels, height, width).gather(3, index)


def resize(images: Tensor, size: int) -> Tensor:
    """uint8 [N, C, H, W] as float32 [N, C, size, size], 0 … 255: bilinear, antialiased, not rounded."""
    count, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images.float()
    step = max(1, AT_ONCE // (channels * max(height * width, size * size)))
    out = torch.empty(count, channels, size, size, dtype=torch.float32, device=images.device)
    for start in range(0, count, step):
        part = images[start : start + step].float()
        out[start : start + step] = functional.interpolate(part, size=(size, size), mode="bilinear", antialias=True)
    return out


def prepare(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The network's input float32 [N, channels, size, size] for uint8 images [N, 1 or 3, H, W]."""
    pixels = _channels(_middle(resize(images, preprocessing.side), preprocessing.size), preprocessing.channels)
    mean = torch.tensor(preprocessing.mean, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).view(1, -1, 1, 1)
    return (pixels - mean * 255).mul_(1 / (std * 255))


def _middle(pixels: Tensor, size: int) -> Tensor:
    first = round((pixels.shape[-1] - size) / 2)  # as torchvision rounds
    return pixels[..., first : first + size, first : first + size]


def _channels(pixels: Tensor, channels: int) -> Tensor:
    if channels == pixels.shape[1]:
        return pixels
    if channels == 3:
        return pixels.expand(-1, 3, -1, -1)
    weights = torch.tensor(LUMINANCE, device=pixels.device).view(1, 3, 1, 1)
    return (pixels * weights).sum(1, keepdim=True)


def prepare_numpy(images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """`prepare` with NumPy and Pillow only: within 1e-3 of it, and bit-identical to a bundle's predict.py, so that
    measurements with it hold for users without torch."""
    size, side = preprocessing.size, preprocessing.side
    pixels = images.astype(np.float32)
    if images.shape[2:] != (side, side):
        pixels = np.stack([[_resize_plane(plane, side) for plane in image] for image in pixels])
    first = round((side - size) / 2)
    pixels = pixels[:, :, first : first + size, first : first + size]
    if preprocessing.channels == 1 and pixels.shape[1] == 3:
        shares = np.array(LUMINANCE, np.float32)
        pixels = (pixels[:, 0] * shares[0] + pixels[:, 1] * shares[1] + pixels[:, 2] * shares[2])[:, None]
    mean, std = (np.array(v, np.float32).reshape(1, -1, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    prepared: NDArray[Any] = (pixels - mean * 255) * (1 / (std * 255))
    return np.broadcast_to(prepared, (len(images), preprocessing.channels, size, size)).astype(np.float32)


def _resize_plane(plane: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    image = Image.fromarray(plane)  # mode F: Pillow keeps fractions instead of rounding to uint8
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
