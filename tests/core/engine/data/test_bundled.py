"""The bundled sets against their sources: scikit-learn, and Debian's Fashion-MNIST where it is installed."""

from __future__ import annotations

import csv
import gzip
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as bunch

from core.assets import ASSETS
from core.engine.data import Dataset, Split, datasets, fashion_mini_indices, load_dataset
from core.engine.data.published.idx import read_idx
from core.engine.data.sets.fashion_mini import FASHION_MINI
from core.engine.data.sets.fashion_mnist import INSTALLED, FashionMnist, installed
from core.engine.data.sets.glyphs import GLYPHS
from core.errors import UserError

needs_fashion = pytest.mark.skipif(not installed(), reason="Debian's dataset-fashion-mnist is not installed")


@pytest.fixture(scope="module")
def mini() -> Dataset:
    return load_dataset("fashion-mini", 28)


@pytest.fixture(scope="module")
def fashion() -> Dataset:
    """Fashion-MNIST as the catalog splits it: the real one where it is installed, else noise of the same shape."""
    if installed():
        return load_dataset("fashion-mnist", 28)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70_000, 28, 28), dtype=np.uint8)
    labels = np.arange(70_000) % 10
    return FashionMnist().apart(images[:60_000], labels[:60_000], images[60_000:], labels[60_000:])


def rows(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images.numpy()}


def test_digits_are_scikit_learns_scaled_to_255() -> None:
    data = load_dataset("digits", 224)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1197, 240, 360]
    assert (data.size, data.channels, data.train.images.dtype) == (8, 1, torch.uint8)
    together = torch.cat([part.images for part in (data.train, data.validation, data.test)]).numpy()[:, 0]
    expected = np.round(bunch().images / 16 * 255).astype(np.uint8)
    assert sorted(map(bytes, together)) == sorted(map(bytes, expected))
    for part in (data.train, data.validation, data.test):
        counts = part.labels.bincount(minlength=10).tolist()
        assert max(counts) - min(counts) <= max(2, 0.1 * max(counts))


def test_digits_do_not_change_between_loads() -> None:
    assert load_dataset("digits", 8).content_hash == load_dataset("digits", 64).content_hash
    assert load_dataset("digits", 8).content_hash.startswith("c100b388d837341e")


def test_glyphs_are_as_they_were_before_any_adaptation_was_scored() -> None:
    """How they are drawn was settled first: drawn otherwise, they would be another pair of domains."""
    data = load_dataset("glyphs", 64)
    assert data.content_hash == "a2db004847611d24da0cd2b4dba8c55fbe3b76eb42373bdeedc972adf9a8138d"
    assert [len(part) for part in (data.train, data.validation, data.test)] == [4520, 1080, 960]
    assert sum(path.stat().st_size for path in GLYPHS.iterdir()) <= 1_000_000
    for part in (data.train, data.validation, data.test):
        assert len(set(part.labels.bincount(minlength=10).tolist())) == 1
        assert bool((part.images.flatten(1).sum(1) > 0).all()), "a font without a digit"


def test_glyphs_compare_with_the_handwritten_digits() -> None:
    drawn, written = load_dataset("glyphs", 8), load_dataset("digits", 8)
    assert drawn.classes == written.classes
    assert (drawn.size, drawn.channels) == (written.size, written.channels)
    assert set(drawn.train.images.flatten().tolist()) == set(written.train.images.flatten().tolist())


def test_no_font_is_in_two_splits_and_each_has_a_licence() -> None:
    script = runpy.run_path(str(ASSETS / "make_glyphs.py"))
    with (GLYPHS / "fonts.csv").open(encoding="utf-8", newline="") as file:
        families = list(csv.DictReader(file))
    splits = script["split_families"](len(families))
    assert sorted(place for chosen in splits for place in chosen) == list(range(len(families)))
    data = load_dataset("glyphs", 8)
    for chosen, part in zip(splits, (data.train, data.validation, data.test), strict=True):
        drawn = sum(len(families[place]["files"].split(";")) for place in chosen)
        assert len(part) == drawn * script["VARIANTS"] * 10
    assert len({row["family"] for row in families}) == len(families)
    faces = [name for row in families for name in row["files"].split(";")]
    assert len(set(faces)) == len(faces)
    told = (GLYPHS / "LICENSE").read_text(encoding="utf-8")
    for row in families:
        name = row["licence"].replace("OFL-1", "SIL Open Font License 1").split("-")[0].split(" 1.")[0]
        assert name in told, row


def test_fashion_mini_is_small_balanced_and_licensed(mini: Dataset) -> None:
    assert FASHION_MINI.stat().st_size <= 4_000_000
    assert "MIT" in (FASHION_MINI.parent / "LICENSE").read_text()
    assert mini.train.labels.bincount().tolist() == [500] * 10
    assert mini.validation.labels.bincount().tolist() == [100] * 10
    assert mini.test.labels.bincount().tolist() == [200] * 10
    assert mini.train.images.shape == (5000, 1, 28, 28)


def test_fashion_mini_shares_no_image_between_splits(mini: Dataset) -> None:
    train, validation, test = rows(mini.train), rows(mini.validation), rows(mini.test)
    assert len(train | validation | test) == 8000


@needs_fashion
def test_fashion_mini_is_what_its_indices_say(mini: Dataset) -> None:
    indices = fashion_mini_indices()
    for split, part in (("train", "train"), ("validation", "train"), ("test", "t10k")):
        images = read_idx(gzip.decompress((INSTALLED / f"{part}-images-idx3-ubyte.gz").read_bytes()))
        labels = read_idx(gzip.decompress((INSTALLED / f"{part}-labels-idx1-ubyte.gz").read_bytes()))
        ours: Split = getattr(mini, split)
        assert np.array_equal(ours.images.numpy()[:, 0], images[indices[split]])
        assert np.array_equal(ours.labels.numpy(), labels[indices[split]])


@needs_fashion
@pytest.mark.slow
def test_fashion_mini_is_what_its_script_makes(mini: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made.npz"
    monkeypatch.setattr("core.engine.data.sets.fashion_mini.FASHION_MINI", made)
    runpy.run_path(str(FASHION_MINI.parents[1] / "make_fashion_mini.py"))["main"](INSTALLED)
    monkeypatch.setattr("core.engine.data.sets.fashion_mini.FASHION_MINI", made)
    assert load_dataset("fashion-mini", 28).content_hash == mini.content_hash


def test_fashion_mnist_keeps_mini_apart(fashion: Dataset, mini: Dataset) -> None:
    assert [len(part) for part in (fashion.train, fashion.validation, fashion.test)] == [54_000, 6_000, 10_000]
    assert fashion.validation.labels.bincount().tolist() == [600] * 10
    if not installed():
        return
    assert not rows(fashion.train) & rows(mini.validation)
    assert rows(mini.validation) <= rows(fashion.validation)
    assert not rows(mini.train) & rows(fashion.validation)
    assert rows(mini.test) <= rows(fashion.test)


def test_catalog_cards_agree_with_what_loads(mini: Dataset, fashion: Dataset) -> None:
    for data in (mini, fashion, load_dataset("digits", 8), load_dataset("glyphs", 8)):
        card = datasets()[data.name]
        loaded = (data.title, len(data.classes), data.size, data.channels, data.licence, data.source)
        assert loaded == (card.title, card.classes, card.size, card.channels, card.licence, card.source)
        assert card.images == len(data.train) + len(data.validation) + len(data.test)
        assert card.at_hand or card.bytes > 0
        assert card.to_json()["name"] == data.name


def test_unknown_name_tells_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'fashion-mini'") as caught:
        load_dataset("fashion-mimi", 28, folder=tmp_path)
    assert caught.value.code == "unknown_dataset"


@pytest.mark.parametrize("size", [0, 7, 1025])
def test_image_size_has_bounds(size: int) -> None:
    with pytest.raises(UserError, match="from 8 to 1024"):
        load_dataset("digits", size)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x08", b"\0\0\x08\x01\0\0\0\x05abcd", b"\0\0\x07\x01\0\0\0\0", b"PK\x03\x04"]
)
def test_damaged_idx_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="idx"):
        read_idx(data)
