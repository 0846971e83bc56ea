"""TOML in and out: hostile text is refused quickly, and what is written is read back with the same type."""

from __future__ import annotations

import math
import time
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.options import Value
from core.text import toml


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("seed = " + "9" * 5000, "number_too_long"),
        ("seed = 0x" + "f" * 5000, "number_too_long"),
        ("seed = " + "[" * 100_000, "too_deep"),
        ("seed = " + "{a=" * 50_000, "too_deep"),
        (".".join("a" * 100_000) + " = 1", "too_deep"),
        ("[" + ".".join("a" * 100_000) + "]", "too_deep"),
        ("#" * 262_145, "too_large"),
        ("é" * 131_073, "too_large"),
        (b"name = '\xff'", "not_utf8"),
        ("name = '\ud800'", "not_utf8"),
        ("seed = 1\nseed = 2", "duplicate_key"),
        ("[a]\n[a]", "duplicate_key"),
        ("a = {b = 1, b = 2}", "duplicate_key"),
        ("seed = ", "not_toml"),
        ("name = hello", "not_toml"),
        ('name = "never closed', "not_toml"),
        ("<html>", "not_toml"),
        ("PK\x03\x04", "not_toml"),
        ("'" * 200_000, "not_toml"),
        ('"' * 200_000, "not_toml"),
        ('"""\\' * 60_000, "not_toml"),
        ("a" * 200_000, "not_toml"),
    ],
    ids=lambda value: None if len(value) > 20 else repr(value),
)
def test_hostile_text_is_refused_quickly(text: str | bytes, code: str) -> None:
    start = time.process_time()
    with pytest.raises(UserError) as caught:
        toml.read(text)
    assert caught.value.code == code
    assert len(str(caught.value)) < 500
    assert time.process_time() - start < 2


def test_a_duplicate_key_is_told_with_its_line() -> None:
    with pytest.raises(UserError) as caught:
        toml.read("seed = 1\r\n\r\nseed = 2\r\n")
    assert (caught.value.code, caught.value.field, caught.value.given) == ("duplicate_key", "recipe line 3", "seed = 2")
    with pytest.raises(UserError, match="recipe line 2: got seed = 2"):
        toml.read("seed = 1\nseed = 2\n")


def test_a_byte_order_mark_is_no_text() -> None:
    assert toml.read(b"\xef\xbb\xbfseed = 1") == toml.read("\ufeffseed = 1") == {"seed": 1}


def test_the_limits_themselves_are_allowed() -> None:
    nested = "a = " + "[" * toml.MAX_DEPTH + "]" * toml.MAX_DEPTH
    assert toml.read(nested + "\n" + "#" * (toml.MAX_BYTES - len(nested) - 1))
    assert toml.read("n = " + "1" * toml.MAX_DIGITS) == {"n": int("1" * toml.MAX_DIGITS)}


text = st.text()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(text, st.one_of(st.booleans(), st.integers(-(10**30), 10**30), st.floats(), text), max_size=6))
def test_what_is_written_is_read_back_with_its_type(values: dict[str, Value]) -> None:
    written = toml.write_table(values)
    back = tomllib.loads(written)
    assert list(back) == list(values)
    for key, value in values.items():
        assert type(back[key]) is type(value)
        assert back[key] == value or (isinstance(value, float) and math.isnan(value))


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from("ab.=[]{}\"'\\\n# 1_-,eé\0"), max_size=60))
def test_near_toml_is_read_as_the_standard_library_reads_it_or_refused(near: str) -> None:
    try:
        expected: object = tomllib.loads(near)
    except tomllib.TOMLDecodeError:
        expected = UserError
    try:
        got: object = toml.read(near)
    except UserError as error:
        got = UserError if error.code in {"not_toml", "duplicate_key"} else error.code
    assert got in (expected, "too_deep")
