"""A path that was typed on a page is whole, or is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UserError
from core.text.whole_path import whole_path


@pytest.mark.parametrize("typed", ["", " ", "photos", "./photos", "../photos", "~nobody-of-that-name/photos"])
def test_a_part_of_a_path_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="whole path") as caught:
        whole_path(typed, "path")
    assert (caught.value.code, caught.value.field) == ("part_of_a_path", "path")


def test_a_home_is_meant_as_a_shell_means_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert whole_path(" ~/photos ", "path") == tmp_path / "photos"
    assert whole_path("/photos", "path") == Path("/photos")
