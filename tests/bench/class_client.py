"""A learner's browser without the drawing: it speaks Streamlit's protocol through the gate of a class, runs page
scripts, and runs again the parts that want to be run every few seconds, as the real one does."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from core.processes.dashboard import Address

LIMIT = 120.0  # seconds that a rerun may take before the bench gives up
DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@dataclass
class Told:
    """What the server told all clients: seconds of each whole rerun and of each part of a page, and what went wrong."""

    pages: list[float] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Client:
    """One browser session. `cookies` open the gate; `told` is shared by all."""

    def __init__(self, address: Address, cookies: dict[str, str], told: Told) -> None:
        self.address = address
        self.cookies = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.told = told
        self._socket: ClientConnection | None = None
        self._page = ""  # what the server calls the page that is shown
        self._finished: asyncio.Event = asyncio.Event()
        self._turn = asyncio.Lock()
        self._parts: dict[str, asyncio.Task[None]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def come(self) -> None:
        """Connects; the gate lets in whose cookies are those of the class."""
        host = f"{self.address.host}:{self.address.port}"
        headers = {"Cookie": self.cookies, "Origin": f"http://{host}"}
        self._socket = await connect(
            f"ws://{host}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit"), Subprotocol("x")],
            additional_headers=headers,
            max_size=None,
            proxy=None,
            open_timeout=LIMIT,
        )
        self._listening = asyncio.create_task(self._listen())

    async def leave(self) -> None:
        """Closes the tab."""
        for task in (*self._parts.values(), self._listening):
            if task is not None:
                task.cancel()
        if self._socket is not None:
            await self._socket.close()

    async def open(self, page: str, query: str = "") -> None:
        """Runs the script of a page, and waits for its end; a part that is just being run ends first."""
        async with self._turn:
            for task in self._parts.values():
                task.cancel()
            self._parts.clear()
            await self._run(page, query, "", self.told.pages)

    async def _run(self, page: str, query: str, fragment: str, times: list[float]) -> None:
        asked = BackMsg()
        asked.rerun_script.page_name = page
        asked.rerun_script.page_script_hash = self._page if fragment else ""
        asked.rerun_script.query_string = query
        asked.rerun_script.fragment_id = fragment
        asked.rerun_script.is_auto_rerun = bool(fragment)
        asked.rerun_script.context_info.locale = "en-US"
        self._finished.clear()
        began = time.monotonic()
        assert self._socket is not None
        await self._socket.send(asked.SerializeToString())
        await asyncio.wait_for(self._finished.wait(), LIMIT)
        times.append(time.monotonic() - began)

    async def _listen(self) -> None:
        assert self._socket is not None
        async for data in self._socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            kind = message.WhichOneof("type")
            if kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    self.told.wrong.append("a script that does not compile")
                if message.script_finished in DONE:
                    self._finished.set()
            elif kind == "page_not_found":
                self.told.wrong.append(f"no page {message.page_not_found.page_name}")
            elif kind == "navigation":
                self._page = message.navigation.page_script_hash
            elif kind == "auto_rerun":
                self._again(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            elif kind == "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._stop(fragment)
            elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
                self.told.wrong.append(message.delta.new_element.exception.message)

    def _again(self, fragment: str, seconds: float) -> None:
        """That part of the page is run every so many seconds until another page is opened."""
        if fragment not in self._parts:
            self._parts[fragment] = asyncio.create_task(self._keep_on(fragment, seconds))

    def _stop(self, fragment: str) -> None:
        found = self._parts.pop(fragment, None)
        if found is not None:
            found.cancel()

    async def _keep_on(self, fragment: str, seconds: float) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(seconds)
                async with self._turn:
                    await self._run("", "", fragment, self.told.parts)
