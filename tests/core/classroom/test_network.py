"""The address to share on is one of this machine's, and what the terminal shows of it can be scanned."""

from __future__ import annotations

import io
import ipaddress
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from core.classroom import network
from core.classroom.tokens import fresh
from core.commands import sharing
from core.errors import UserError
from core.processes.dashboard import Address
from core.processes.identity import identity


def test_the_addresses_are_real_and_loopback_comes_last() -> None:
    found = network.addresses()
    assert "127.0.0.1" in found
    loopback = [ipaddress.ip_address(one).is_loopback for one in found]
    assert loopback == sorted(loopback)


def test_one_that_leads_to_the_network_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "addresses", lambda: ["192.0.2.5", "198.51.100.7", "127.0.0.1"])
    monkeypatch.setattr(network, "_towards_outside", lambda: "198.51.100.7")
    assert network.shared_address(None) == "198.51.100.7"
    monkeypatch.setattr(network, "_towards_outside", lambda: "")
    assert network.shared_address(None) == "192.0.2.5"
    assert network.shared_address("192.0.2.5") == "192.0.2.5"
    assert network.shared_address("127.0.0.2") == "127.0.0.2"


@pytest.mark.parametrize("asked", ["203.0.113.9", "0.0.0.0", "localhost", "", "::1", "127.0.0.1:80", "x" * 5000])
def test_no_other_address_is_listened_on(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(network, "addresses", lambda: ["192.0.2.5", "127.0.0.1"])
    with pytest.raises(UserError) as told:
        network.shared_address(asked)
    assert told.value.code == "not_our_address"
    assert "192.0.2.5" in told.value.allowed


def test_a_machine_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "addresses", lambda: ["127.0.0.1"])
    with pytest.raises(UserError) as told:
        network.shared_address(None)
    assert told.value.code == "no_network"
    assert "--address 127.0.0.1" in told.value.fix


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("has_package", [True, False])
def test_the_terminal_shows_both_addresses(monkeypatch: pytest.MonkeyPatch, has_package: bool) -> None:
    if has_package:
        pytest.importorskip("segno")
    else:
        monkeypatch.setitem(sys.modules, "segno", None)
    out, told = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    who = identity(os.getpid())
    assert who is not None
    tokens = fresh()
    address = Address("http://192.0.2.5:8501", 8501, who, True, Path("log"), None, "192.0.2.5", tokens)
    sharing.tell(address, Console(file=told, width=300))
    shown = out.getvalue()
    assert f"learners: http://192.0.2.5:8501/?token={tokens.learners}\n" in shown
    assert f"teacher:  http://192.0.2.5:8501/?token={tokens.teacher}\n" in shown
    assert ("▄" in shown or "▀" in shown or "\x1b[" in shown) == has_package, "the QR code"
    assert ("segno is not installed" in told.getvalue()) != has_package
    assert "not encrypted" in told.getvalue()
