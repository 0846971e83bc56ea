"""Images of one object stay in one split."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from time import process_time

import pytest

from core.engine.data.imports.splitting import PRIORITY, Picture, assign, group_of, join
from core.errors import UserError


def burst(objects: int, shots: int, name: str = "cup") -> list[Picture]:
    """Several pictures of each of some objects of a class."""
    paths = [f"{name}/{name}{thing}_{shot}.png" for thing in range(objects) for shot in range(shots)]
    return [Picture(path, name, None, path, group_of(path, name, "_")) for path in paths]


def test_a_group_is_its_name_up_to_the_separator() -> None:
    assert group_of("a/cup_1_02.png", "cup", "_") == "cup/cup_1"
    for path, separator in (("a/cup.png", "_"), ("a/_1.png", "_"), ("a/c_1.png", "")):
        assert group_of(path, "cup", separator) == ""
    assert group_of("a_b/cup.png", "cup", "_") == "", "folders do not count"


def test_images_of_one_object_share_a_split() -> None:
    pictures = [*burst(10, 5), *burst(10, 5, "fork")]
    splits, _ = assign(pictures)
    for group in {picture.group for picture in pictures}:
        assert len({splits[picture.path] for picture in pictures if picture.group == group}) == 1
    for name in ("cup", "fork"):
        counted = {split: sum(splits[p.path] == split for p in pictures if p.name == name) for split in PRIORITY}
        assert counted == {"train": 30, "validation": 10, "test": 10}
    alone, _ = assign([replace(picture, group="") for picture in pictures])
    tested, trained = ({p.group for p in pictures if alone[p.path] == split} for split in ("test", "train"))
    assert tested & trained, "without groups the objects of the test were trained on"


def test_equal_pixels_join_groups_and_two_groups_are_too_few() -> None:
    pictures = burst(4, 3)
    twins = [replace(p, pixels="the same") if p.path in ("cup/cup0_0.png", "cup/cup1_0.png") else p for p in pictures]
    splits, _ = assign(twins)
    assert len({splits[p.path] for p in twins if p.group in ("cup/cup0", "cup/cup1")}) == 1
    with pytest.raises(UserError, match="2 groups of images"):
        assign(burst(2, 9))


def test_thousands_of_classes_and_of_copies_take_no_minutes() -> None:
    """Twice as many take twice as long: before, ten thousand classes took half a minute, and so did as many copies."""
    many = [Picture(f"{c}/{i}", f"{c}", None, f"{c}-{i}") for c in range(6000) for i in range(4)]
    copies = [Picture(f"{name}/{i}", name, None, f"{i}") for i in range(8000) for name in ("a", "b")]
    before = process_time()
    splits, _ = assign(many)
    _, warnings = assign(copies)
    assert process_time() - before < 4
    assert Counter(splits.values()) == {"train": 12_000, "validation": 6000, "test": 6000}
    assert warnings[0].startswith("the same image in two classes, 8000 times")


def test_more_images_of_an_object_go_where_it_is() -> None:
    before = burst(10, 2)
    splits, _ = assign(before)
    there = [replace(picture, split=splits[picture.path]) for picture in before]
    more = [Picture(f"cup/cup{n}_9.png", "cup", None, f"new {n}", f"cup/cup{n}") for n in range(10)]
    joined = join([*there, *more])
    assert all(joined[p.path] == splits[p.path] for p in before)
    assert all(joined[f"cup/cup{n}_9.png"] == splits[f"cup/cup{n}_0.png"] for n in range(10))
