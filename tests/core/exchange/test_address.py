"""An address is told without what is secret in it, whatever it looks like and whoever repeats it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.exchange.address import check, cleaned, public

LETTERS = st.text("abcXYZ059", min_size=8, max_size=20).map(lambda text: f"q{text}")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("https://bob:geheim@mlflow.example.org/base/?token=x#y", "https://mlflow.example.org/base"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("file:/data/runs", "file:///data/runs"),
        ("postgresql+psycopg2://u:p@db:5432/mlflow", "postgresql+psycopg2://db:5432/mlflow"),
        ("databricks", "databricks"),
        ("user:pass@host", "***"),
    ],
)
def test_an_address_without_secrets(address: str, told: str) -> None:
    assert public(address) == told


@given(user=LETTERS, password=LETTERS, token=LETTERS)
def test_no_message_repeats_a_secret(user: str, password: str, token: str) -> None:
    address = f"https://{user}:{password}@example.org:8443/x?token={token}"
    messages = (
        f"GET {address} failed",
        f"HTTPSConnectionPool(host='example.org'): /x?token={token}",
        f"user {user!r} has no access with {password}",
    )
    for message in messages:
        told = cleaned(message, address)
        assert user not in told
        assert password not in told
        assert token not in told


def test_a_secret_that_is_written_in_percent_is_hidden_in_both_forms() -> None:
    address = "http://bob:p%40ssword@h:1"
    assert cleaned("with p%40ssword or p@ssword", address) == "with *** or ***"


@pytest.mark.parametrize(
    "address", ["", "mlflow", "htp://u:geheim@x", "http://", "http://h:99999", "http://a b", "x\n"]
)
def test_what_is_no_address_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(UserError) as refused:
        check(address)
    assert refused.value.code == "bad_address"
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("address", ["file:mlruns", "file:./mlruns", "file:", "sqlite:///mlflow.db", "sqlite://"])
def test_a_part_of_a_path_is_refused(address: str) -> None:
    """The process that sends works in the program's folder, not in the person's."""
    with pytest.raises(UserError, match="whole path"):
        check(address)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:5000", "https://u:p@h/x", "file:/tmp/x", "file:///tmp/x", "sqlite:////tmp/x.db", "databricks"],
)
def test_what_is_an_address_is_taken(address: str) -> None:
    assert check(address) == address
