"""Two nicknames that are read as one are one, however they are written; others are two."""

from __future__ import annotations

import pytest

from core.classroom.nicknames import checked, is_same, readable
from core.errors import UserError

ALIKE = [
    ("Ana", "\u0410nа"),  # Cyrillic А and а
    ("ace", "асе"),  # all Cyrillic
    ("BOB", "ВОВ"),
    ("Bob", "ВОВ"),
    ("MAX", "ΜΑΧ"),  # Greek
    ("oun", "օսո"),  # Armenian
    ("Ana", "ᴬna"),
    ("Ana", "𝐀na"),
    ("Ana", "Ａｎａ"),
    ("Ana", "Ana\ufe0f"),  # a variation selector
    ("Ana", "A\u200ana"),  # a hair space
    ("Ana B", "ana\u00a0\u3000b "),
    ("Café", "Cafe\u0301"),
    ("Ali", "Alı"),
    ("Ali", "Ali\u0307"),
    ("Ida", "lda"),
    ("Ida1", "Idal"),
    ("Bob0", "BobO"),
    ("Jan-1", "Jan\u20131"),
    ("O'Neil", "O\u2019Neil"),
    ("Straße", "STRASSE"),
    ("علی رضا", "علی رضا\ufe0e"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_look_the_same_are_one(one: str, other: str) -> None:
    assert is_same(one, other)
    assert is_same(other, one)
    with pytest.raises(UserError) as told:
        checked(other, ["Zoe", one])
    assert told.value.code in ("nickname_taken", "bad_nickname")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ian", "Lan"),
        ("José", "Jose"),
        ("Anna", "Ana"),
        ("Bobo", "Bob0"),
        ("team 1", "team 2"),
        ("Ana", "Ana!"),
        ("小明", "小朋"),
        ("Нина", "Nina"),
        ("learner 1", "learner 11"),
        ("Ида", "Аида"),
    ],
)
def test_names_that_are_told_apart_are_two(one: str, other: str) -> None:
    assert not is_same(one, other)
    assert checked(other, [one]) == other


@pytest.mark.parametrize(
    "given",
    ["Максим", "Δήμητρα", "علی\u200cرضا", "ශ්\u200dරී", "👨\u200d👩\u200d👧", "小明Ana", "x_Дима_x", "Đức", "カナー"],
)
def test_a_name_of_any_script_is_kept_as_typed(given: str) -> None:
    assert checked(given, []) == given


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Maxим", "two alphabets"),
        ("Αnna", "two alphabets"),
        ("A\u200dna", "invisible"),
        ("Ana\u200d", "invisible"),
        ("1\u200c2", "invisible"),
        ("A\u00adna", "invisible"),
        ("A\u2066na", "invisible"),
        ("\u0301Ana", "begins with a mark"),
    ],
)
def test_what_would_pass_for_another_name_is_refused_for_its_own_reason(given: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        checked(given, [])
    assert refused.value.code == "bad_nickname"
    assert told in refused.value.given


def test_a_name_of_an_earlier_version_stays_readable() -> None:
    assert readable("Maxим") == "Maxим"
