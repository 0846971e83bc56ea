"""What goes over a websocket of a class, read along: what was put on a page is theirs to fetch, nothing else.

Streamlit makes a download for whoever names it, whichever session it was put on (1.67, `DeferredFileHandler`), and
takes messages that concern every session, such as one that clears all caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import Message, Receive, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.classroom.seats import Seats

SHOWN = re.compile(rb"/media/([0-9a-f]{16,128})")
LATER = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")  # a download that is made when it is asked for
SMALL = 2**16  # bytes of a message that may hold one
USUAL = {"rerun_script", "stop_script", "file_urls_request", "app_heartbeat", "load_git_info"}
ASKED = "backend_operation_request"


def speaking(send: Send, seats: Seats, seat: str) -> Send:
    """`send`, which remembers the files it names as shown to that seat, and the session as theirs."""
    began = False

    async def send_on(message: Message) -> None:
        nonlocal began
        data = message.get("bytes")
        if data:
            if not began and (session := _session(data)):
                seats.came(session, seat, "")
                began = True
            seats.showed(seat, _named(data))
        await send(message)

    return send_on


def listening(receive: Receive, seats: Seats, seat: str) -> Receive:
    """`receive`, which leaves out what no page sends, and requests for downloads that were not put on one of theirs."""

    async def receive_on() -> Message:
        while True:
            message = await receive()
            data = message.get("bytes")
            if not data or _may_ask(data, seats, seat):
                return message

    return receive_on


def _named(data: bytes) -> Iterator[str]:
    yield from (found.decode() for found in SHOWN.findall(data))
    if len(data) <= SMALL:
        yield from (found.decode() for found in LATER.findall(data))


def _session(data: bytes) -> str:
    told = ForwardMsg()
    try:
        told.ParseFromString(data)
    except DecodeError:
        return ""
    return told.new_session.initialize.session_id if told.HasField("new_session") else ""


def _may_ask(data: bytes, seats: Seats, seat: str) -> bool:
    asked = BackMsg()
    try:
        asked.ParseFromString(data)
    except DecodeError:
        return False
    kind = asked.WhichOneof("type")
    if kind != ASKED:
        return kind in USUAL
    payload = asked.backend_operation_request.WhichOneof("payload")
    if payload == "deferred_file":
        return seats.was_shown(seat, asked.backend_operation_request.deferred_file.file_id)
    return payload == "dataframe_chunk"  # of the session itself, as Streamlit sees to
