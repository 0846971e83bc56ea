"""The pool's images are made like the labelled ones, and copies of held-out images are left out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core.engine.data import Dataset, Split, load_dataset
from core.engine.data.imports.images import silent
from core.engine.data.pool import Pool, held_out, like, pool_of, unlike
from core.errors import UserError

SIZES = {"digits": 8, "other": 8, "photos": None}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", 8)


def noise(count: int, channels: int = 1, size: int = 8) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draw)


def other(digits: Dataset, images: Tensor, name: str = "other") -> Dataset:
    none = torch.full((len(images),), -1)
    return replace(
        digits, name=name, train=Split(images, none), size=images.shape[2], channels=images.shape[1], unlabelled=True
    )


def taken(digits: Dataset, images: Tensor, scratch: Path, name: str = "other") -> Pool:
    return pool_of(other(digits, images, name), digits, SIZES, scratch, silent)


def test_images_that_are_alike_already_stay_what_they_are(digits: Dataset, tmp_path: Path) -> None:
    images = noise(7)
    assert like(images, digits, tmp_path) is images
    found = taken(digits, images, tmp_path)
    assert torch.equal(found.images + 0, images)
    assert found.notes == ()
    assert found.about(0) == ("Learned without labels from 7 images of other.",)
    assert found.about(1200)[0].endswith("other and 1,200 training images of the dataset whose labels are not used.")


@pytest.mark.parametrize(("channels", "size", "ours"), [(3, 8, 1), (1, 16, 3), (3, 5, 1), (3, 24, 3)])
def test_others_are_converted_as_pillow_does_it(
    digits: Dataset, tmp_path: Path, channels: int, size: int, ours: int
) -> None:
    images, data = noise(5, channels, size), replace(digits, channels=ours)
    found = like(images, data, tmp_path)
    assert found.shape == (5, ours, 8, 8)
    for image, made in zip(images.numpy(), found.numpy(), strict=True):
        picture = Image.fromarray(image[0] if channels == 1 else image.transpose(1, 2, 0))
        small = picture.resize((8, 8), Image.Resampling.BILINEAR).convert("L" if ours == 1 else "RGB")
        expected = np.asarray(small).reshape(8, 8, ours).transpose(2, 0, 1).astype(int)
        assert np.abs(made.astype(int) - expected).max() <= 2


def test_what_was_changed_is_said(digits: Dataset, tmp_path: Path) -> None:
    assert taken(digits, noise(5, 3, 16), tmp_path, "photos").notes == (
        "The images of photos were resized from their sizes to 8 × 8, as those of digits are.",
        "The images of photos were converted from colour to grey.",
    )
    assert unlike(other(digits, noise(5)), digits) == ""
    assert unlike(other(digits, noise(5, 3, 16)), digits).startswith(
        "The images of other (16 pixels, colour) are not like those of digits (8 pixels, grey)"
    )


def test_copies_of_held_out_images_are_left_out(digits: Dataset, tmp_path: Path) -> None:
    brighter = (digits.test.images[3:5].float() * 0.9 + 12).round().to(torch.uint8)
    copies = torch.cat([digits.test.images[:2], digits.validation.images[:1], brighter])
    strangers = noise(40)
    images = torch.cat([strangers[:20], copies, strangers[20:]])
    assert held_out(images, digits, silent).tolist() == [0] * 20 + [2, 2, 2, 1, 1] + [0] * 20
    found = taken(digits, images, tmp_path)
    assert torch.equal(found.images + 0, strangers)
    assert found.notes == ("Left out of other: 3 equal to and 2 nearly equal to validation or test images of digits.",)
    with pytest.raises(UserError) as caught:
        taken(digits, copies, tmp_path)
    assert (caught.value.code, caught.value.field) == ("empty_pool", "pool")
