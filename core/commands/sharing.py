"""What a terminal shows of a shared dashboard: its addresses, as links and as a QR code, and what they expose."""

from __future__ import annotations

import sys

from rich.console import Console

from core.classroom.tokens import Role
from core.processes.dashboard import Address

EXPOSED = """\
Whoever has the learners' address can join under a nickname, start runs on this machine within the limits of the page
Class, and see their own results. Whoever has the teacher's sees and stops everything. The connection is not encrypted:
share it on a network that you trust. Both addresses end with this dashboard."""


def address_of(found: Address, role: Role) -> str:
    """The address with the token for learners or for the teacher; without one if the dashboard is not shared."""
    if found.tokens is None:
        return found.url
    return f"{found.url}/?token={found.tokens.teacher if role == 'teacher' else found.tokens.learners}"


def tell(found: Address, screen: Console) -> None:
    """Prints both addresses, the learners' as a QR code too where there is a terminal to show it."""
    began = "is" if found.started_here else "is already"
    print(f"The dashboard {began} shared at {found.url}" + ("; Ctrl-C stops it." if found.started_here else ""))
    print(f"  learners: {address_of(found, 'learner')}")
    print(f"  teacher:  {address_of(found, 'teacher')}", flush=True)
    if sys.stdout.isatty():
        _draw(address_of(found, "learner"), screen)
    screen.print(EXPOSED, soft_wrap=True)


def _draw(address: str, screen: Console) -> None:
    """The address as a QR code."""
    try:
        import segno  # here, because only this needs it
    except ImportError:
        screen.print("There is no QR code, because the package segno is not installed.", soft_wrap=True)
        return
    segno.make(address, micro=False).terminal(out=sys.stdout, compact=True)
    sys.stdout.flush()
