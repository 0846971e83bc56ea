"""The fifteen common corruptions in five severities: what weather, cameras and files do to pictures.

Hendrycks & Dietterich 2019, arXiv:1903.12261. Written anew on NumPy and SciPy, so that no photo of frost and no further
library is needed: frost and fog are drawn by formula, and glass takes each pixel from a neighbour. Images are float64
[N, C, H, W] in 0 … 1 inside; every draw is seeded by its place, so that the result is the same in every process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.signal import fftconvolve

from core.engine.data.corruption_levels import LEVELS
from core.engine.seeds import counter_seed

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Random = np.random.Generator
SMALL = 64  # pixels: up to here the severities of CIFAR-10-C
BLOCK = 64  # images that share a draw's seed
OCTAVES = 5  # of fog: from a patch of half the image to one of its thirty-second part
GREY = np.array([0.299, 0.587, 0.114])  # luma of red, green and blue (ITU-R BT.601)


def corrupted(images: Pixels, corruption: str, severity: int) -> Pixels:
    """uint8 images [N, C, H, W], one channel or three, with a corruption of CORRUPTIONS at a severity of 1 to 5."""
    change = partial(CHANGES[corruption], level=LEVELS[corruption][images.shape[-1] > SMALL][severity - 1])
    blocks = []
    for number, start in enumerate(range(0, len(images), BLOCK)):
        seed = counter_seed("corruption", corruption, severity, number)
        block = images[start : start + BLOCK] / 255.0
        blocks.append(change(block, random=np.random.Generator(np.random.Philox(seed))))
    return np.concatenate([(np.clip(block, 0, 1) * 255).round().astype(np.uint8) for block in blocks])


def gaussian_noise(x: Array, *, level: float, random: Random) -> Array:
    """Electronic noise, as in poor light."""
    return x + random.normal(0, level, x.shape)


def shot_noise(x: Array, *, level: float, random: Random) -> Array:
    """Noise of counted photons, `level` of them at full brightness."""
    return random.poisson(x * level) / level


def impulse_noise(x: Array, *, level: float, random: Random) -> Array:
    """A share of values that are black or white."""
    hit, white = random.random(x.shape) < level, random.random(x.shape) < 0.5
    return np.where(hit, white.astype(np.float64), x)


def defocus_blur(x: Array, *, level: tuple[float, float], random: Random) -> Array:
    """A disk of a radius in pixels, its edge smoothed."""
    radius, smooth = level
    wide = int(np.ceil(max(radius, 1) + 3 * smooth))
    y, z = np.mgrid[-wide : wide + 1, -wide : wide + 1]
    kernel = gaussian_filter((y**2 + z**2 <= radius**2).astype(np.float64), smooth)
    return _filtered(x, kernel / kernel.sum())


def glass_blur(x: Array, *, level: tuple[float, int, int], random: Random) -> Array:
    """Each pixel from a neighbour at most so far away, again and again, blurred before and after."""
    sigma, far, times = level
    found = _smooth(x, sigma)
    rows, columns = np.mgrid[: x.shape[2], : x.shape[3]]
    for _ in range(times):
        steps = random.integers(-far, far + 1, (2, len(x), *rows.shape))
        down = np.clip(rows + steps[0], 0, x.shape[2] - 1)
        along = np.clip(columns + steps[1], 0, x.shape[3] - 1)
        found = found[np.arange(len(x))[:, None, None], :, down, along].transpose(0, 3, 1, 2)
    return _smooth(found, sigma)


def motion_blur(x: Array, *, level: tuple[int, float], random: Random) -> Array:
    """A camera that moves, each time in another direction of 45 degrees to both sides."""
    angles = random.uniform(-45, 45, len(x))
    return np.stack([_filtered(one[None], _streak(*level, angle))[0] for one, angle in zip(x, angles, strict=True)])


def zoom_blur(x: Array, *, level: tuple[float, float], random: Random) -> Array:
    """A camera that comes nearer: the mean over magnifications."""
    most, step = level
    factors = 1 + np.arange(0, most + step / 2, step)
    return (x + sum(_zoomed(x, factor) for factor in factors)) / (len(factors) + 1)


def snow(x: Array, *, level: tuple[float, ...], random: Random) -> Array:
    """Flakes that fall in streaks, before a whitened picture."""
    mean, spread, zoom, threshold, length, sigma, dark = level
    flakes = _zoomed(random.normal(mean, spread, (len(x), 1, *x.shape[2:])), zoom)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    angles = random.uniform(-135, -45, len(x))
    pairs = zip(flakes, angles, strict=True)
    falling = np.stack([_filtered(one[None], _streak(int(length), sigma, angle))[0] for one, angle in pairs])
    white = np.maximum(x, _grey(x) * 1.5 + 0.5)
    found: Array = dark * x + (1 - dark) * white + falling + falling[:, :, ::-1, ::-1]
    return found


def frost(x: Array, *, level: tuple[float, float], random: Random) -> Array:
    """Bright ridges of ice over the picture."""
    ridges = 1 - np.abs(2 * _clouds(random, x, 1.6) - 1)
    return level[0] * x + level[1] * ridges**4


def fog(x: Array, *, level: tuple[float, float], random: Random) -> Array:
    """Clouds of all sizes before the picture, which keeps its brightest value."""
    thick, decay = level
    brightest = x.max(axis=(1, 2, 3), keepdims=True)
    found: Array = (x + thick * _clouds(random, x, decay)) * brightest / (brightest + thick)
    return found


def brightness(x: Array, *, level: float, random: Random) -> Array:
    """The value of hue, saturation and value raised; black becomes grey."""
    value = x.max(axis=1, keepdims=True)
    raised = np.clip(value + level, 0, 1)
    found: Array = np.where(value > 0, x * raised / np.maximum(value, 1e-12), raised)
    return found


def contrast(x: Array, *, level: float, random: Random) -> Array:
    """Values nearer to the mean of their channel."""
    mean = x.mean(axis=(2, 3), keepdims=True)
    found: Array = (x - mean) * level + mean
    return found


def elastic_transform(x: Array, *, level: tuple[float, float, float], random: Random) -> Array:
    """A picture on rubber: waves, on a square whose corners were moved."""
    side = x.shape[-1]
    strong, smooth, whole = (share * side for share in level)
    return np.stack([_stretched(one, strong, smooth, whole, random) for one in x])


def pixelate(x: Array, *, level: float, random: Random) -> Array:
    """Fewer pixels, enlarged again."""
    side = x.shape[-1]
    few = max(1, int(side * level))
    box = Image.Resampling.BOX
    return _by_pillow(x, lambda image: image.resize((few, few), box).resize((side, side), box))


def jpeg_compression(x: Array, *, level: int, random: Random) -> Array:
    """Saved as JPEG of a quality."""

    def saved(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=level)
        return Image.open(file, formats=["JPEG"])

    return _by_pillow(x, saved)


Change = Callable[..., Array]
CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        gaussian_noise,
        shot_noise,
        impulse_noise,
        defocus_blur,
        glass_blur,
        motion_blur,
        zoom_blur,
        snow,
        frost,
        fog,
        brightness,
        contrast,
        elastic_transform,
        pixelate,
        jpeg_compression,
    )
}


def _filtered(x: Array, kernel: Array) -> Array:
    """Each channel convolved with a kernel of odd sides, the picture mirrored at its edges."""
    tall, wide = (size // 2 for size in kernel.shape)
    padded = np.pad(x, ((0, 0), (0, 0), (tall, tall), (wide, wide)), mode="symmetric")
    found: Array = fftconvolve(padded, kernel[None, None], mode="valid", axes=(2, 3))
    return found


def _smooth(x: Array, sigma: float) -> Array:
    found: Array = gaussian_filter(x, (0, 0, sigma, sigma))
    return found


def _streak(length: int, sigma: float, degrees: float) -> Array:
    """A line from the middle in a direction, fading as a Gaussian does; a kernel that sums to 1."""
    kernel = np.zeros((2 * length + 1, 2 * length + 1))
    along = np.arange(0, length + 0.25, 0.25)
    rows = (length + along * np.sin(np.deg2rad(degrees))).round().astype(int)
    columns = (length + along * np.cos(np.deg2rad(degrees))).round().astype(int)
    np.add.at(kernel, (rows, columns), np.exp(-(along**2) / (2 * sigma**2)))
    found: Array = kernel / kernel.sum()
    return found


def _zoomed(x: Array, factor: float) -> Array:
    """The middle of each picture magnified, in its size."""
    middle = (x.shape[-1] - 1) / 2
    return _sampled(x, middle + (np.arange(x.shape[-1]) - middle) / factor)


def _sampled(x: Array, places: Array) -> Array:
    """Square pictures at these places of their rows and of their columns, linear in between."""
    low = np.clip(np.floor(places).astype(int), 0, x.shape[-1] - 1)
    high, share = np.minimum(low + 1, x.shape[-1] - 1), places - low
    rows = x[:, :, low] * (1 - share)[:, None] + x[:, :, high] * share[:, None]
    found: Array = rows[..., low] * (1 - share) + rows[..., high] * share
    return found


def _grey(x: Array) -> Array:
    """The luma [N, 1, H, W]."""
    return x if x.shape[1] == 1 else np.tensordot(GREY, x, (0, 1))[:, None]


def _clouds(random: Random, x: Array, decay: float) -> Array:
    """Fractal noise [N, 1, H, W] in 0 … 1: random grids, each twice as fine and `decay` times weaker than the last."""
    count, side = len(x), x.shape[-1]
    total = np.zeros((count, 1, side, side))
    for octave in range(1, OCTAVES + 1):
        grid = random.random((count, 1, 2**octave + 1, 2**octave + 1))
        total += _sampled(grid, np.linspace(0, 2**octave, side)) / decay ** (octave - 1)
    low, high = (edge(total, axis=(2, 3), keepdims=True) for edge in (np.min, np.max))
    found: Array = (total - low) / np.maximum(high - low, 1e-12)
    return found


def _stretched(one: Array, strong: float, smooth: float, whole: float, random: Random) -> Array:
    """One picture [C, H, W]: three points of a square moved by up to `whole` pixels, then waves of `strong`."""
    side = one.shape[-1]
    middle, third = side // 2, side // 3
    square = np.array([[1, 1], [1, -1], [-1, -1]]) * third + middle
    moved = square + random.uniform(-whole, whole, square.shape)
    whole_of = np.linalg.solve(np.c_[moved, np.ones(3)], square)  # where a pixel comes from
    waves = [strong * gaussian_filter(random.uniform(-1, 1, (side, side)), smooth, truncate=3) for _ in range(2)]
    rows, columns = np.mgrid[:side, :side]
    places = np.c_[(rows + waves[0]).ravel(), (columns + waves[1]).ravel(), np.ones(side * side)]
    come = (places @ whole_of).T.reshape(2, side, side)
    return np.stack([map_coordinates(channel, come, order=1, mode="mirror") for channel in one])


def _by_pillow(x: Array, change: Callable[[Image.Image], Image.Image]) -> Array:
    return np.stack([_planes(change(image)) for image in _images(x)])


def _images(x: Array) -> Iterator[Image.Image]:
    for one in (x * 255).round().astype(np.uint8):
        yield Image.fromarray(one[0] if len(one) == 1 else one.transpose(1, 2, 0))


def _planes(image: Image.Image) -> Array:
    found = np.asarray(image, np.float64) / 255
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)
