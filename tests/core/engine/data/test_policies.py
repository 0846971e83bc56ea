"""The policies of augmentation against torchvision's own, one image at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from core.engine.data import augment, erase
from core.engine.data.policies import (
    BLANK,
    DRAWN,
    IMAGENET,
    ONE_SIDED,
    OPERATIONS,
    auto_augment,
    rand_augment,
    strengths,
    trivial_augment,
)

RAND, TRIVIAL, AUTO = v2.RandAugment(), v2.TrivialAugmentWide(), v2.AutoAugment()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def smooth(count: int, channels: int, side: int) -> Tensor:
    """Images with structure, such that operations on levels show."""
    coarse = noise(count, channels, 4, 4).float()
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear").round().to(torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def theirs(image: Tensor, name: str, level: float) -> Tensor:
    """torchvision's outcome for one image."""
    found = RAND._apply_image_or_video_transform(image, name, level, InterpolationMode.NEAREST, RAND._fill)
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize(("policy", "levels", "wide"), [(RAND, 31, False), (TRIVIAL, 31, True), (AUTO, 10, False)])
def test_strengths_are_torchvisions(policy: v2.Transform, levels: int, wide: bool) -> None:
    ours = strengths(noise(1, 1, 40, 48), levels, wide=wide)
    space = policy._AUGMENTATION_SPACE
    assert set(space) == (set(OPERATIONS) - {"Identity"} if policy is AUTO else set(DRAWN))
    for name, (magnitudes, signed) in space.items():
        assert signed == (name not in ONE_SIDED)
        expected = magnitudes(levels, 40, 48)
        assert (expected is None) == (name in BLANK)
        if expected is not None:
            assert ours[name] == pytest.approx(expected.tolist())


def test_the_pairs_are_torchvisions() -> None:
    expected = [tuple((n, p, m or 0) for n, p, m in pair) for pair in AUTO._get_policies(v2.AutoAugmentPolicy.IMAGENET)]
    assert list(IMAGENET) == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_many_is_torchvisions_on_each(name: str, channels: int) -> None:
    images = smooth(6, channels, 20)
    for level in {strengths(images, 31)[name][n] for n in (3, 9, 30)}:
        for signed in (level,) if name in ONE_SIDED else (level, -level):
            ours = OPERATIONS[name](images, signed)
            for before, after in zip(images, ours, strict=True):
                assert torch.equal(after, theirs(before, name, signed)), (name, signed)


def outcomes(image: Tensor, names: tuple[str, ...], levels: dict[str, list[float]], strength: int) -> set[bytes]:
    found = set()
    for name in names:
        level = levels[name][strength]
        for signed in (level,) if name in ONE_SIDED else (level, -level):
            found.add(theirs(image, name, signed).numpy().tobytes())
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_rand_augment_does_one_of_fourteen_to_each(channels: int) -> None:
    images = smooth(1, channels, 16).expand(600, -1, -1, -1)
    allowed = outcomes(images[0], DRAWN, strengths(images, 31), 9)
    found = {image.numpy().tobytes() for image in rand_augment(images, seeded(), operations=1)}
    assert found == allowed, "each of them is allowed, and none is left out"


@pytest.mark.slow
def test_trivial_augment_takes_any_strength() -> None:
    images = smooth(1, 3, 40).expand(400, -1, -1, -1)
    levels = strengths(images, 31, wide=True)
    allowed = set().union(*(outcomes(images[0], DRAWN, levels, n) for n in range(31)))
    found = {image.numpy().tobytes() for image in trivial_augment(images, seeded())}
    assert found <= allowed
    assert len(found) > 150


def test_auto_augment_does_its_pairs() -> None:
    """With the chances drawn for it, an image ends as torchvision's operations of one pair end."""
    images = smooth(1, 3, 16).expand(300, -1, -1, -1)
    levels = strengths(images, 10)
    allowed: set[bytes] = set()
    for first, second in IMAGENET:
        middle = {images[0].numpy().tobytes(): images[0]} if first[1] < 1 else {}
        for name, _, strength in (first,) if first[1] else ():
            for sign in (1,) if name in ONE_SIDED else (1, -1):
                made = theirs(images[0], name, sign * levels[name][strength])
                middle[made.numpy().tobytes()] = made
        for made in middle.values():
            allowed |= {made.numpy().tobytes()} if second[1] < 1 else set()
            allowed |= outcomes(made, (second[0],), levels, second[2])
    found = {image.numpy().tobytes() for image in auto_augment(images, seeded())}
    assert found <= allowed
    assert len(found) > 20


def test_small_images_do_not_leave_the_frame_more_often() -> None:
    """TrivialAugment's 32 pixels would push every 8-pixel digit out of sight three times in four."""
    levels = strengths(noise(1, 1, 8, 8), 31, wide=True)
    assert max(levels["TranslateX"]) == 8
    assert max(strengths(noise(1, 1, 64, 64), 31, wide=True)["TranslateX"]) == 32


@pytest.mark.parametrize("name", ["rand_augment", "trivial_augment", "auto_augment"])
def test_a_batch_is_its_images(name: str) -> None:
    """What happens to an image depends on its own draw: other images beside it change nothing."""
    images = noise(12, 1, 16, 16)
    other = torch.cat([images[:6], noise(6, 1, 16, 16, seed=1)])
    one, two = augment(images, name, seeded(4)), augment(other, name, seeded(4))
    assert torch.equal(one[:6], two[:6])


def test_erasing_fills_one_rectangle_with_noise() -> None:
    images = torch.zeros(3000, 1, 24, 24, dtype=torch.uint8)
    erased = erase(images, 0.3, seeded())
    changed = (erased > 0).flatten(1).any(1)
    assert 0.27 < float(changed.float().mean()) < 0.33
    areas = []
    for image in erased[changed]:
        rows, columns = (torch.nonzero(image[0].any(d)).flatten() for d in (1, 0))
        tall, broad = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        areas.append(tall * broad / 576)
        assert float((image[0] > 0).float().sum()) > 0.8 * tall * broad, "noise, full but for a few zeros"
    assert 0.004 < min(areas) < 0.03
    assert 0.30 < max(areas) < 0.36
    theirs_ = v2.RandomErasing(p=1.0, value=1.0)
    torch.manual_seed(0)
    expected = torch.tensor([float(theirs_(torch.zeros(1, 24, 24)).mean()) for _ in range(1000)]).mean()
    assert sum(areas) / len(areas) == pytest.approx(float(expected), abs=0.015)


def test_erasing_nothing_changes_nothing_and_the_seed_decides() -> None:
    images = noise(20, 3, 16, 16)
    assert torch.equal(erase(images, 0.0, seeded()), images)
    assert torch.equal(erase(images, 0.5, seeded(1)), erase(images, 0.5, seeded(1)))
    assert not torch.equal(erase(images, 0.5, seeded(1)), erase(images, 0.5, seeded(2)))
