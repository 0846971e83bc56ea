"""Texts as pictures: each letter in its cell, what has no room is cut, what no font has is counted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from core.engine.data import lettering
from core.engine.data.lettering import draw, lacking, plain, room


def cell(page: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    return page[row * side : (row + 1) * side, column * side : (column + 1) * side]


def test_letters_stand_row_by_row_in_the_smallest_square_grid() -> None:
    page = draw("abcde", 60)  # 3 × 3 cells of 20
    assert page.shape == (60, 60)
    assert page.dtype == np.uint8
    inked = [[bool(cell(page, row, column, 20).any()) for column in range(3)] for row in range(3)]
    assert inked == [[True, True, True], [True, True, False], [False, False, False]]
    assert page.max() > 200


def test_the_same_letter_looks_the_same_wherever_it_stands() -> None:
    page = draw("axxa", 40)
    assert np.array_equal(cell(page, 0, 0, 20), cell(page, 1, 1, 20))
    assert np.array_equal(cell(page, 0, 1, 20), cell(page, 1, 0, 20))
    assert not np.array_equal(cell(page, 0, 0, 20), cell(page, 0, 1, 20))


def test_blanks_are_cells_and_all_else_invisible_is_a_blank() -> None:
    assert plain("  a\t\n\u200bb\x00 c\u3000") == "a b c"
    assert plain("soft\u00adly \ue000\U000e0fff") == "softly \ue000\U000e0fff"  # unknown signs stay, to be counted
    assert not cell(draw("a bc", 40), 0, 1, 20).any()
    assert np.array_equal(draw("a b", 32), draw(" a \n b ", 32))


def test_composed_and_decomposed_letters_are_one() -> None:
    assert np.array_equal(draw("e\u0301te", 40), draw("\u00e9te", 40))


@pytest.mark.parametrize("side", [1, 5, 8, 31, 96])
def test_any_text_fits_any_square(side: int) -> None:
    for text in ("", "a", "Wg|Äy", "x" * 5000):
        assert draw(text, side).shape == (side, side)


def test_what_has_no_room_is_cut() -> None:
    assert room(96) == 256
    assert np.array_equal(draw("m" * 256, 96), draw("m" * 256 + "i" * 50, 96))
    assert not np.array_equal(draw("m" * 255, 96), draw("m" * 255 + "i", 96))


def test_letters_lie_inside_their_cells() -> None:
    """An umlaut above and a tail below, of the built-in font and of a wider one, where there is one."""
    letters = "ÄQgjy|" if lettering._wider() else "AQgjy|"
    for letter in letters:
        page = draw(letter, 40)
        assert page[0].max() < 128
        assert page[-1].max() < 128


def test_letters_that_no_font_has_are_counted_and_drawn_bare_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the built-in font alone, which has no more than ASCII."""
    monkeypatch.setattr(lettering, "_wider", lambda: ())
    lettering._owner.cache_clear()
    lettering._glyph.cache_clear()
    try:
        missing = lacking(iter(["Café 漢字漢", "plain ASCII stays: ~!@#$%^&*()_+{}[]"]))
        assert missing == {"é": 1, "漢": 2, "字": 1}
        assert np.array_equal(draw("é", 40), draw("e", 40))
        assert not draw("漢字", 40).any()
    finally:
        lettering._owner.cache_clear()
        lettering._glyph.cache_clear()


def test_wider_fonts_are_asked_in_turn() -> None:
    files = lettering._wider()
    if not files:
        pytest.skip("no wider font on this machine")
    for path in files:
        ImageFont.truetype(path, 20)
    covered = lacking(iter(["é"]))
    assert not covered
    assert not np.array_equal(draw("é", 40), draw("e", 40))
