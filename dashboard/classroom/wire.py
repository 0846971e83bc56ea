"""What goes over a websocket of a class, read along: what was put on a page is theirs to fetch, nothing else.

Streamlit makes a download for whoever names it, whichever session it was put on (1.67, `DeferredFileHandler`), and
takes messages that concern every session, such as one that clears all caches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import Message, Receive, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.classroom.seats import Seats

SHOWN = re.compile(r"/media/([0-9a-f]{16,128})(?:\.[a-z0-9]{1,12})?")
LATER = re.compile(r"[0-9a-f]{32}")  # a download that is made when it is asked for
MAY_NAME = re.compile(rb"/media/|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# where Streamlit itself puts a file's address; in a text it may be what somebody typed
FILES = {
    "Image.url",
    "Audio.url",
    "Video.url",
    "SubtitleTrack.url",
    "DownloadButton.url",
    "DownloadButton.deferred_file_id",
    "DeferredFileResponsePayload.url",
    "Logo.image",
    "Logo.icon_image",
    "PageConfig.favicon",
    "IFrame.src",
    "Block.ChatMessage.avatar",
}
LARGEST = 2**24  # bytes of what a page sends; files are uploaded, and counted
NOT_WELCOME = 1008  # the code with which a websocket is closed
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
            if not data or (len(data) <= LARGEST and _may_ask(data, seats, seat)):
                return message

    return receive_on


def while_welcome(receive: Receive, send: Send, is_welcome: Callable[[], bool]) -> tuple[Receive, Send]:
    """Both, until somebody is not welcome any more: the next message either way then ends the connection instead."""
    ended = False

    async def end() -> None:
        nonlocal ended
        if not ended:
            ended = True
            await send({"type": "websocket.close", "code": NOT_WELCOME})

    async def receive_on() -> Message:
        message = await receive()
        if message["type"] == "websocket.disconnect" or (not ended and is_welcome()):
            return message
        await end()
        return {"type": "websocket.disconnect", "code": NOT_WELCOME}

    async def send_on(message: Message) -> None:
        if not ended and is_welcome():
            await send(message)
        else:
            await end()

    return receive_on, send_on


def _named(data: bytes) -> Iterator[str]:
    """The files that a message puts on a page."""
    if MAY_NAME.search(data) is None:
        return
    told = ForwardMsg()
    try:
        told.ParseFromString(data)
    except DecodeError:
        return
    for text in _files(told):
        found = SHOWN.fullmatch(text)
        if found is not None or LATER.fullmatch(text):
            yield found[1] if found is not None else text


def _files(message: Any) -> Iterator[str]:
    """What stands in the fields of FILES, however deep."""
    for field, value in message.ListFields():
        if field.full_name in FILES:
            yield str(value)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _files(part)


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
