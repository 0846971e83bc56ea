"""Sending a run by a process of its own, which imports the tool; whoever asks waits for it, looks at it or ends it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from core.errors import UserError
from core.exchange.sent import Request, Sent, read_answer
from core.processes.process import ROOT

COMMAND = (sys.executable, "-m", "core.exchange.child")


class Sending:
    """One run on its way. The request is not kept: an address may hold a password."""

    def __init__(self, request: Request) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(request.to_line())
            self._process.stdin.close()

    def is_over(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> Sent:
        """What came of it; ends the process where the wait is interrupted. Raises UserError."""
        assert self._process.stdout is not None
        try:
            with self._process.stdout as answer:
                data = answer.read()
            code = self._process.wait()
        except BaseException:
            self.stop()
            raise
        try:
            return read_answer(data)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            given = f"The process that sent it ended with code {code} and said nothing."
            raise UserError("not_sent", "to", given, "", "Send it again.") from None

    def stop(self) -> None:
        """Ends it; what was sent so far stays where it is."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
