"""What every dataset that the program knows keeps to; one joins by being in the folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from core.catalog import load_catalog
from core.engine.data import datasets, load_dataset
from core.engine.data.counts import count_dataset
from core.engine.data.dataset import SPLITS, Split
from core.engine.data.known import Bundled
from core.engine.data.published.load import Published
from core.engine.data.sets import known_datasets

NAMES = list(known_datasets())
BUNDLED = [name for name, known in known_datasets().items() if isinstance(known, Bundled)]
PUBLISHED = [name for name, known in known_datasets().items() if isinstance(known, Published)]


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_whole(name: str) -> None:
    card = datasets()[name]
    assert card.name == name == known_datasets()[name].name
    assert all(text.strip() for text in (card.title, card.title_zh, card.licence, card.source))
    assert card.classes >= 2
    assert card.images >= 10 * card.classes
    assert card.channels in (1, 3)
    assert card.size is None or 8 <= card.size <= 1024
    assert len(card.class_names) in (0, card.classes)
    assert load_catalog().dataset(name)["images"] == card.images


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_loads_as_its_card_says(name: str, tmp_path: Path) -> None:
    card, data = datasets()[name], load_dataset(name, 32)
    parts: list[Split] = [getattr(data, split) for split in SPLITS]
    assert (data.name, data.title, len(data.classes)) == (name, card.title, card.classes)
    assert (data.licence, data.source, data.channels) == (card.licence, card.source, card.channels)
    assert sum(map(len, parts)) == card.images
    side = card.size or 32
    for part in parts:
        assert part.images.dtype == torch.uint8
        assert part.images.shape == (len(part), card.channels, side, side)
        assert set(part.labels.tolist()) == set(range(card.classes)), "every class is in every split"
    counted = count_dataset(name, 32, tmp_path)
    assert counted.exact
    assert [len(getattr(counted.data, split)) for split in SPLITS] == [len(part) for part in parts]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_is_the_same_whenever_it_is_loaded(name: str) -> None:
    known = known_datasets()[name]
    assert isinstance(known, Bundled)
    for one, again in zip(known.splits(32), known.splits(32), strict=True):
        assert torch.equal(one.images, again.images)
        assert torch.equal(one.labels, again.labels)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_set_names_what_it_fetches(name: str, tmp_path: Path) -> None:
    known = known_datasets()[name]
    assert isinstance(known, Published)
    for archive in known.archives:
        assert archive.url.startswith(("https://", "http://"))
        assert archive.file
        assert archive.bytes > 0
        assert archive.md5 is None or re.fullmatch(r"[0-9a-f]{32}", archive.md5)
    assert not known.is_here(tmp_path)


def test_no_two_published_sets_share_their_content() -> None:
    known = [known_datasets()[name] for name in PUBLISHED]
    assert len({one.content_hash() for one in known if isinstance(one, Published)}) == len(PUBLISHED)
