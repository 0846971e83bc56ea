"""The names, labels and cards of a person's own networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.errors import UserError
from core.own.models import (
    CARD,
    OwnNetwork,
    bare_name,
    catalog_entries,
    damaged_networks,
    find_network,
    network_home,
    new_name,
    own_networks,
    read_labels,
    remove_network,
)
from core.storage.sealed import seal


def card(name: str, architecture: str = "resnet18") -> OwnNetwork:
    return OwnNetwork(
        schema_version=1,
        name=name,
        architecture=architecture,
        width=0,
        channels=3,
        classes=["cat", "dog"],
        named=True,
        size=96,
        mean=[0.5] * 3,
        std=[0.25] * 3,
        crop=0.875,
        params=11,
        macs=12,
        sha256="0" * 64,
        bytes=4,
        file="best.pth",
        file_sha256="1" * 64,
        notes=[],
    )


def kept(folder: Path, name: str, architecture: str = "resnet18") -> Path:
    home = network_home(name, folder)
    home.mkdir(parents=True)
    (home / CARD).write_bytes(seal(card(name, architecture).model_dump_json().encode()))
    return home


def test_a_network_is_an_entry_of_the_catalog(tmp_path: Path) -> None:
    kept(tmp_path, "mine")
    kept(tmp_path, "strange", "of another version")
    entries = catalog_entries(tmp_path, load_catalog().backbones)
    assert list(entries) == ["own/mine"]
    facts = load_catalog().with_backbones(entries).backbone("own/mine")
    assert (facts["classes"], facts["image_size"], facts["crop"], facts["weights"]) == (2, 96, 0.875, "own")
    assert facts["smallest"] == load_catalog().backbone("resnet18")["smallest"]
    assert find_network("own/mine", tmp_path).card == find_network("mine", tmp_path).card


def test_names(tmp_path: Path) -> None:
    assert new_name(" own/Mein Netz_2 ", tmp_path) == "Mein Netz_2"
    assert bare_name("own/我的") == "我的"
    kept(tmp_path, "mine")
    for name in ("", "own/", "a/b", "a,b", 'a"b', "a\nb", "x" * 65, "mine"):
        with pytest.raises(UserError) as refused:
            new_name(name, tmp_path)
        assert refused.value.field == "name"


def test_an_unknown_network_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="import-model"):
        find_network("mine", tmp_path)
    kept(tmp_path, "mine")
    with pytest.raises(UserError, match="own/mine"):
        find_network("own/mime", tmp_path)


def test_a_damaged_card_is_left_out_and_can_be_removed(tmp_path: Path) -> None:
    home, folder, trash = kept(tmp_path / "models", "mine"), tmp_path / "models", tmp_path / "trash"
    data = bytearray((home / CARD).read_bytes())
    data[-10] ^= 1
    (home / CARD).write_bytes(data)
    assert own_networks(folder) == []
    assert damaged_networks(folder) == [home]
    with pytest.raises(UserError, match="import the network again"):
        find_network("mine", folder)
    assert remove_network("own/mine", folder, trash) == "mine"
    assert (trash / home.name / CARD).is_file()
    assert not home.exists()


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    for content, names in (
        (b"cat\r\ndog\n\n", ["cat", "dog"]),
        (b"\xef\xbb\xbf cat \nsea lion", ["cat", "sea lion"]),
        ('["猫", "dog"]'.encode(), ["猫", "dog"]),
        (b'{\n "cat": 1,\n "dog": 0\n}', ["dog", "cat"]),
        (json.dumps({str(number): f"n{number}" for number in (10, *range(10))}).encode(), [f"n{n}" for n in range(11)]),
    ):
        path.write_bytes(content)
        assert read_labels(path) == names
    for content in (
        b"",
        b"cat\n\ndog",
        b"cat\ncat",
        b"\xff\xfe\x00",
        b'["a", 1]',
        b"[[[",
        b"a\x07\nb",
        b"a\n" * 2**22,
        b"{}",
        b'{"a": 1}',
        b'{"a": 0, "b": 0}',
        b'{"1": "a", "2": "b"}',
        b'{"a": true, "b": false}',
        b'{"0": ["a"]}',
    ):
        path.write_bytes(content)
        with pytest.raises(UserError) as refused:
            read_labels(path)
        assert refused.value.code == "bad_labels"
    with pytest.raises(UserError, match="No such file"):
        read_labels(tmp_path / "none")
