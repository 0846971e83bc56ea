"""Tokens open one door each, and only as long as they are today's."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.classroom.tokens import Tokens, cookie_of, fresh, keep, kept


def test_each_token_opens_its_own_door() -> None:
    tokens = fresh()
    assert tokens.role(tokens.learners) == "learner"
    assert tokens.role(tokens.teacher) == "teacher"


@pytest.mark.parametrize("given", ["", "x", "é", "\ud800", "\0", "x" * 10**6])
def test_no_other_text_does(given: str) -> None:
    tokens = fresh()
    assert tokens.role(given) is None
    assert tokens.role(tokens.teacher + given) == ("teacher" if not given else None)
    assert tokens.role(tokens.teacher[:-1] + given[:1]) is None or given[:1] == tokens.teacher[-1]


def test_they_are_new_every_time_and_hold_192_random_bits() -> None:
    made = [one for tokens in (fresh(), fresh(), fresh()) for one in (tokens.learners, tokens.teacher)]
    assert len(set(made)) == 6
    assert all(len(one) == 32 for one in made), "24 bytes as base64"


def test_they_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    assert kept(tmp_path) is None
    tokens = fresh()
    keep(tmp_path, tokens)
    assert kept(tmp_path) == tokens
    file = tmp_path / "class" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(file.read_bytes().replace(tokens.teacher.encode(), b"A" * 32))
    assert kept(tmp_path) is None, "what was changed by hand opens nothing"


def test_a_token_too_short_is_no_token() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Tokens(learners="", teacher="")


def test_two_dashboards_of_one_machine_do_not_share_a_cookie() -> None:
    assert cookie_of(8501) != cookie_of(8502)
