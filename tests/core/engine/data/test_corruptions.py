"""Corruptions: the same in every process, as strong as their severity says, and each what its formula says."""

from __future__ import annotations

import io
import subprocess
import sys
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from core.engine.data.corruption_levels import LEVELS
from core.engine.data.corruptions import CHANGES, corrupted
from core.questions.corruptions import CORRUPTIONS, KINDS, SEVERITIES

Pixels = Any
MIXED = (
    "elastic_transform",
    "glass_blur",
    "snow",
    "frost",
)  # their severities change several things against each other
RISING = [name for name in CORRUPTIONS if name not in MIXED]


def pictures(count: int = 6, channels: int = 3, side: int = 32) -> Pixels:
    """Smooth pictures of many values, as photographs are."""
    random = np.random.default_rng(side)
    small = random.random((count, channels, 5, 5))
    found = zoom(small, (1, 1, side / 5, side / 5), order=1)
    return (found * 255).round().astype(np.uint8)


def digest() -> str:
    whole = sha256()
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            whole.update(corrupted(pictures(3, 3, 16), name, severity).tobytes())
    return whole.hexdigest()


def far(images: Pixels, name: str, severity: int) -> float:
    return float(np.abs(corrupted(images, name, severity).astype(float) - images).mean())


def test_there_are_fifteen_in_five_severities() -> None:
    assert set(CHANGES) == set(LEVELS) == set(CORRUPTIONS)
    assert (len(CORRUPTIONS), len(KINDS)) == (15, 4)
    assert all(len(levels) == len(SEVERITIES) == 5 for both in LEVELS.values() for levels in both)


@pytest.mark.thorough
def test_they_are_bit_equal_in_another_process() -> None:
    code = "from tests.core.engine.data.test_corruptions import digest; print(digest())"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert digest() == again


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 28), (1, 72)])
def test_every_shape_keeps_its_shape(name: str, channels: int, side: int) -> None:
    images = pictures(24, channels, side)
    before = images.copy()
    for severity in (1, 5):
        found = corrupted(images, name, severity)
        assert found.shape == images.shape
        assert found.dtype == np.uint8
        assert (found != images).any(), "it does something"
    assert (images == before).all(), "not in place"


@pytest.mark.parametrize("name", RISING)
@pytest.mark.parametrize("side", [32, 72])
def test_the_severer_the_farther(name: str, side: int) -> None:
    images = pictures(side=side)
    found = [far(images, name, severity) for severity in (1, 3, 5)]
    assert found == sorted(found), found
    assert found[2] > 1.15 * found[0]


@pytest.mark.parametrize("name", MIXED)
def test_the_others_change_much_at_once(name: str) -> None:
    assert far(pictures(side=72), name, 5) > 5


def test_images_of_another_block_get_other_noise() -> None:
    same = np.repeat(pictures(1), 70, axis=0)
    found = corrupted(same, "gaussian_noise", 1)
    assert (found[0] != found[1]).any()
    assert (found[0] != found[64]).any()


def test_gaussian_noise_has_the_spread_it_says() -> None:
    grey = np.full((40, 3, 32, 32), 128, np.uint8)
    found = corrupted(grey, "gaussian_noise", 3).astype(float) / 255
    assert found.std() == pytest.approx(0.08, rel=0.02)
    assert found.mean() == pytest.approx(128 / 255, abs=0.002)


def test_shot_noise_is_poissons() -> None:
    """Its variance is mean / photons: (128 / 255) / 100."""
    grey = np.full((40, 3, 32, 32), 128, np.uint8)
    found = corrupted(grey, "shot_noise", 3).astype(float) / 255
    assert found.var() == pytest.approx(128 / 255 / 100, rel=0.03)


def test_impulse_noise_hits_the_share_it_says() -> None:
    grey = np.full((40, 3, 32, 32), 128, np.uint8)
    found = corrupted(grey, "impulse_noise", 5)
    assert (found != 128).mean() == pytest.approx(0.07, rel=0.05)
    assert set(np.unique(found)) == {0, 128, 255}
    assert (found == 255).sum() == pytest.approx((found == 0).sum(), rel=0.1)


@pytest.mark.parametrize("name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"])
def test_a_blur_leaves_a_plain_picture_alone(name: str) -> None:
    plain = np.full((2, 3, 32, 32), 90, np.uint8)
    assert np.abs(corrupted(plain, name, 5).astype(int) - 90).max() <= 1


def test_contrast_and_brightness_by_hand() -> None:
    images = pictures()
    x = images / 255
    mean = x.mean(axis=(2, 3), keepdims=True)
    assert np.abs(corrupted(images, "contrast", 5) / 255 - ((x - mean) * 0.15 + mean)).max() <= 0.5 / 255 + 1e-9
    raised = corrupted(images, "brightness", 5).max(axis=1) / 255
    assert np.abs(raised - np.clip(x.max(axis=1) + 0.3, 0, 1)).max() <= 0.5 / 255 + 1e-9


def test_jpeg_and_pixels_are_pillows() -> None:
    images = pictures(2)
    for one, jpeg, coarse in zip(
        images, corrupted(images, "jpeg_compression", 5), corrupted(images, "pixelate", 5), strict=True
    ):
        picture, file = Image.fromarray(one.transpose(1, 2, 0)), io.BytesIO()
        picture.save(file, "JPEG", quality=40)
        assert (np.asarray(Image.open(file, formats=["JPEG"])) == jpeg.transpose(1, 2, 0)).all()
        box = Image.Resampling.BOX
        assert (np.asarray(picture.resize((20, 20), box).resize((32, 32), box)) == coarse.transpose(1, 2, 0)).all()
