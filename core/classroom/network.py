"""Which addresses this machine has, and the one to share a dashboard on."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from core.errors import UserError

OUTSIDE = ("192.0.2.1", 9)  # a documentation address (RFC 5737): asked which way leads there, nothing is sent


def addresses() -> list[str]:
    """The IPv4 addresses of the network interfaces that are up, loopback last."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = [
        one.address
        for name, held in sorted(psutil.net_if_addrs().items())
        for one in held
        if name in up and one.family == socket.AF_INET
    ]
    return sorted(dict.fromkeys(found), key=lambda one: ipaddress.ip_address(one).is_loopback)


def shared_address(asked: str | None) -> str:
    """The address to listen on: the one `asked` for, or the one that leads to the rest of the network.

    Raises UserError `not_our_address`, or `no_network` where the machine has none but loopback.
    """
    here = addresses()
    if asked is not None:
        return _checked(asked, here)
    outward = [one for one in here if not ipaddress.ip_address(one).is_loopback]
    if not outward:
        fix = "Connect it to a network, or name an address with --address 127.0.0.1 to try it on this machine alone."
        raise UserError("no_network", "share", "no network", "a machine that is connected to a network", fix)
    leads = _towards_outside()
    return leads if leads in outward else outward[0]


def _checked(asked: str, here: list[str]) -> str:
    try:
        is_ours = asked in here or ipaddress.IPv4Address(asked).is_loopback
    except ValueError:
        is_ours = False
    if not is_ours:
        allowed = f"an IPv4 address of this machine: {', '.join(here)}"
        raise UserError("not_our_address", "address", asked, allowed, "Leave it out to have one chosen.")
    return asked


def _towards_outside() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(OUTSIDE)
        except OSError:
            return ""
        return str(probe.getsockname()[0])
