"""Batched pixels against slow, plain references: Pillow, NumPy, torchvision, one image at a time."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from core.assets import PREDICT
from core.engine.data import AUGMENTATIONS, augment, prepare, prepare_numpy, resize
from core.engine.model import Preprocessing
from core.errors import UserError


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def candidates(image: Tensor, mode: str, flips: bool) -> list[bytes]:
    """Every outcome the augmentation may have, made by padding and cropping one image."""
    reach = image.shape[-1] // 8
    found = []
    for flip in (False, True) if flips else (False,):
        padded = np.pad(image.numpy(), ((0, 0), (reach, reach), (reach, reach)), mode=mode)  # type: ignore[call-overload]
        for top in range(2 * reach + 1):
            for left in range(2 * reach + 1):
                side = image.shape[-1]
                crop = padded[:, top : top + side, left : left + side]
                found.append((crop[:, :, ::-1] if flip else crop).tobytes())
    return found


@pytest.mark.parametrize(("name", "mode", "flips"), [("shift", "edge", False), ("flip_crop", "reflect", True)])
def test_every_image_is_one_of_the_allowed_outcomes(name: str, mode: str, flips: bool) -> None:
    images = noise(64, 3, 16, 16)
    for before, after in zip(images, augment(images, name, seeded()), strict=True):
        assert after.numpy().tobytes() in candidates(before, mode, flips)


@pytest.mark.parametrize(("name", "outcomes"), [("shift", 25), ("flip_crop", 50)])
def test_draws_are_per_image_and_even(name: str, outcomes: int) -> None:
    """The same image 5,000 times: every outcome about equally often (chi-square within 5 deviations)."""
    image = noise(1, 1, 16, 16).expand(5000, 1, 16, 16)
    moved = augment(image, name, seeded()).flatten(1).numpy()
    seen = np.unique(moved, axis=0, return_counts=True)[1].astype(float)
    assert len(seen) == outcomes
    expected = 5000 / outcomes
    chi_square = ((seen - expected) ** 2 / expected).sum()
    assert abs(chi_square - (outcomes - 1)) < 5 * (2 * (outcomes - 1)) ** 0.5


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_seed_decides_everything_and_input_stays(name: str) -> None:
    images = noise(8, 3, 32, 32)
    before = images.clone()
    first, again = augment(images, name, seeded(5)), augment(images, name, seeded(5))
    assert torch.equal(first, again)
    assert torch.equal(images, before)
    assert (first.shape, first.dtype) == (images.shape, images.dtype)
    assert torch.equal(augment(images.float(), name, seeded(5)), first.float())
    assert torch.equal(first, images) == (name == "none")


def test_digits_of_eight_pixels_move_by_one_at_most() -> None:
    image = torch.zeros(200, 1, 8, 8, dtype=torch.uint8)
    image[:, :, 4, 4] = 255
    where = augment(image, "shift", seeded()).flatten(1).argmax(1)
    assert set((where // 8).tolist()) == {3, 4, 5}
    assert set((where % 8).tolist()) == {3, 4, 5}


def test_unknown_augmentation_is_refused() -> None:
    with pytest.raises(UserError, match="Did you mean 'flip_crop'"):
        augment(noise(1, 1, 8, 8), "flipcrop", seeded())


@pytest.mark.parametrize(("before", "after"), [(28, 96), (32, 32), (64, 17), (100, 99)])
def test_resize_is_pillows_bilinear(before: int, after: int) -> None:
    images = noise(3, 3, before, before)
    for image, resized in zip(images, resize(images, after), strict=True):
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((after, after), Image.Resampling.BILINEAR)
        expected = torch.from_numpy(np.asarray(pillow).copy()).permute(2, 0, 1).float()
        assert (resized - expected).abs().max() <= 1.0  # Pillow rounds twice, to whole levels


def test_resize_in_pieces_is_resize_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(7, 1, 20, 20)
    whole = resize(images, 30)
    monkeypatch.setattr(sys.modules[resize.__module__], "AT_ONCE", 2000)
    assert torch.equal(resize(images, 30), whole)


@pytest.mark.parametrize("channels_in", [1, 3])
@pytest.mark.parametrize("channels_out", [1, 3])
@pytest.mark.parametrize("size", [24, 32, 50])
def test_prepare_is_torchvisions_and_numpys(channels_in: int, channels_out: int, size: int) -> None:
    images = noise(5, channels_in, 32, 32)
    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) if channels_out == 3 else ((0.3,), (0.35,))
    preprocessing = Preprocessing(size, channels_out, mean, std)
    ours = prepare(images, preprocessing)
    pixels = reference.resize(images.double(), [size, size], antialias=True)
    if channels_out != channels_in:
        pixels = pixels.repeat(1, 3, 1, 1) if channels_out == 3 else reference.rgb_to_grayscale(pixels)
    expected = reference.normalize(pixels / 255, list(mean), list(std))
    assert ours.dtype == torch.float32
    assert (ours - expected).abs().max() < 1e-3  # torchvision writes the weights of grey with four digits
    assert np.abs(ours.numpy() - prepare_numpy(images.numpy(), preprocessing)).max() < 1e-4


def test_prepare_at_its_limits() -> None:
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    prepared = prepare(black_and_white, Preprocessing(8, 3, (0.5,) * 3, (0.5,) * 3))
    assert prepared.shape == (2, 3, 8, 8)
    assert torch.equal(prepared[0], torch.full((3, 8, 8), -1.0))
    assert torch.equal(prepared[1], torch.full((3, 8, 8), 1.0))


@pytest.mark.parametrize(("size", "crop"), [(24, 0.8), (21, 0.875), (40, 1.0)])
def test_the_middle_is_kept_as_torchvision_keeps_it(size: int, crop: float) -> None:
    """In torch, in NumPy, and in the script of a bundle."""
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = Preprocessing(size, 3, mean, std, crop)
    resized = reference.resize(images.float(), [round(size / crop)] * 2, antialias=True)
    expected = reference.normalize(reference.center_crop(resized, [size, size]) / 255, list(mean), list(std))
    assert torch.allclose(prepare(images, pixels), expected, atol=1e-4)
    ours = prepare_numpy(images.numpy(), pixels)
    assert np.abs(ours - expected.numpy()).max() < 1e-2
    script = runpy.run_path(str(PREDICT))
    planes = tuple(Image.fromarray(plane) for plane in images[0].numpy())
    assert (script["normalise"](planes, pixels.to_json()) == ours[:1]).all()
    assert Preprocessing.from_json(pixels.to_json()) == pixels
