"""A seal covers every bit of a document, and a kept file every bit of what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.storage.sealed import DamagedError, Opened, read_kept, seal, unseal, write_kept

DOCUMENTS = (b"{}", b'{\n "a": 1\n}', b'{"seal": 1}', '{"名":"ü"}'.encode())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_sealed_document_is_json_and_opens_to_what_it_was(document: bytes) -> None:
    assert unseal(seal(document)) == Opened(document, True)
    assert unseal(document) == Opened(document, False), "one from before there were seals is read as it is"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_flipped_bit_and_every_cut_is_found(document: bytes) -> None:
    sealed = seal(document)
    for place in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(DamagedError):
            unseal(bytes(damaged))
    for length in range(74, len(sealed)):
        with pytest.raises(DamagedError):
            unseal(sealed[:length])
    with pytest.raises(DamagedError):
        unseal(sealed + b"\0")


def test_only_an_object_can_be_sealed() -> None:
    with pytest.raises(ValueError, match="object"):
        seal(b"[1]")


@given(st.binary(max_size=200), st.data())
def test_a_kept_file_is_whole_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, drawn: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.kept"
    write_kept(path, data)
    assert read_kept(path) == data
    stored = bytearray(path.read_bytes())
    stored[drawn.draw(st.integers(0, len(stored) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))
    path.write_bytes(stored)
    assert read_kept(path) is None
    path.unlink()
    assert read_kept(path) is None
