"""What stands before everything else of a shared dashboard: no request gets past it without the class's token.

The address of the class holds the token once (`/?token=…`); it then lives in a cookie that no script can read. A second
cookie holds the secret of a learner's browser, which says whose corner is shown. What was put on another's page,
another's browser session and another's uploads are refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.classroom.learners import Class
from core.classroom.limits import charge_upload
from core.classroom.tokens import Role, Tokens, cookie_of
from core.errors import UserError
from dashboard.classroom.door import JOIN, Door
from dashboard.classroom.seats import HEADER, TEACHER, Seats
from dashboard.classroom.slow import Slow, client_of
from dashboard.classroom.wire import listening, speaking, while_welcome
from dashboard.guard import UPLOADS, is_welcome, marks

TOKEN = "token"
SECRET_COOKIE = "condenser_learner_"  # and the port
MOST_PORTS = 8  # other ports whose cookies are looked at
NO_TOKEN = (
    "This dashboard is shared with a class: open it with the whole address that your teacher shows.\n"
    "本面板已与班级共享：请用老师给出的完整地址打开。\n"
)
WRONG_TOKEN = (
    "This address is not, or no longer, that of the class: ask your teacher for today's.\n"
    "这个地址不是或不再是班级的地址：请向老师询问今天的地址。\n"
)
CROWDED = (
    "Too many wrong addresses came from here. Wait a moment, then open the one that your teacher shows.\n"
    "从这里发出的错误地址太多。请稍等片刻，再打开老师给出的地址。\n"
)
NO_NAME = "Choose a nickname first: open the address of the class.\n"
NOT_YOURS = "That belongs to somebody else in the class.\n"
ITS_ORIGIN = {"Referrer-Policy": "same-origin"}  # with "no-referrer" a browser sends a form with the Origin "null"
MOST_TABS = 12  # of one learner
MEDIA = re.compile(r"/media/([0-9a-f]{16,128})(\.[a-z0-9]{1,12})?")


@dataclass(frozen=True)
class Shared:
    """What a shared server knows of its class."""

    root: Path
    host: str
    port: int
    tokens: Tokens
    seats: Seats
    slow: Slow = field(default_factory=Slow)

    @property
    def token_cookie(self) -> str:
        """The cookie that holds the token."""
        return cookie_of(self.port)

    @property
    def secret_cookie(self) -> str:
        """The cookie that holds the secret of a learner's browser."""
        return f"{SECRET_COOKIE}{self.port}"

    def secrets_of(self, cookies: Mapping[str, str]) -> list[str]:
        """The secrets that a browser keeps, this port's first: today the server may have another port than when they
        joined."""
        others = [name for name in cookies if name.startswith(SECRET_COOKIE) and name != self.secret_cookie]
        return [cookies[name] for name in [self.secret_cookie, *others][: 1 + MOST_PORTS] if name in cookies]


class Gate:
    """Lets through who has a token and a seat, and tells the pages the seat. `pages` are the names of the pages."""

    def __init__(self, app: ASGIApp, shared: Shared, pages: Collection[str]) -> None:
        self.app = app
        self.shared = shared
        self.members = Class(shared.root)
        self.door = Door(self.members, shared.secret_cookie, shared.slow)
        self.pages = frozenset({"/", *(f"/{name}" for name in pages)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        scope = _without_seat(scope)
        role, refusal = await self._who(connection)
        if refusal is None and role is not None:
            seat = TEACHER if role == "teacher" else self._learner(connection)
            refusal = await self._seated(scope, receive, connection, seat)
            if refusal is None and seat is not None:
                if scope["type"] == "websocket":
                    receive, send = while_welcome(receive, send, lambda: self._is_at(connection, seat))
                await self._let_in(_with_seat(scope, seat), receive, send, seat)
                return
        if scope["type"] == "websocket":
            await _close(scope, send, refusal)
        elif refusal is not None:
            refusal.headers.update(marks() | (ITS_ORIGIN if scope["path"] == JOIN else {}))
            await refusal(scope, receive, send)

    async def _who(self, connection: HTTPConnection) -> tuple[Role | None, Response | None]:
        """Whose token came with a request, or what to answer in the application's place."""
        given = connection.query_params.get(TOKEN) if connection.scope["type"] == "http" else None
        asked = given if given is not None else connection.cookies.get(self.shared.token_cookie)
        if not asked:
            return None, PlainTextResponse(NO_TOKEN, 403)
        if self.shared.slow.is_full() and self._learner(connection) is None:
            return None, PlainTextResponse(CROWDED, 429)
        role = self.shared.tokens.role(asked)
        if role is None:
            return None, await self._wrong(connection)
        if given is None:
            return role, None
        if not is_welcome(connection.headers, self.shared.host):
            return None, PlainTextResponse(WRONG_TOKEN, 403)
        return role, self._opening(connection, given)

    async def _wrong(self, connection: HTTPConnection) -> Response:
        """The answer to a wrong token, when it may be given. Others who come from the same address are not concerned:
        a whole school may have one."""
        client = client_of(connection)
        is_crowded = self.shared.slow.is_crowded(client)
        await self.shared.slow.wrong(client)
        return PlainTextResponse(CROWDED, 429) if is_crowded else PlainTextResponse(WRONG_TOKEN, 403)

    def _opening(self, connection: HTTPConnection, token: str) -> Response:
        """A page that keeps the token and goes on by itself: after a redirect from a link on another site, a browser
        would not send the cookie."""
        rest = [(name, value) for name, value in connection.query_params.multi_items() if name != TOKEN]
        path = connection.url.path if connection.url.path in self.pages else "/"
        answer = self.door.opening(path + (f"?{urlencode(rest)}" if rest else ""))
        _set(answer, self.shared.token_cookie, token, None)
        return answer

    def _learner(self, connection: HTTPConnection) -> str | None:
        known = map(self.members.with_secret, self.shared.secrets_of(connection.cookies))
        return next((found.id for found in known if found is not None), None)

    def _is_at(self, connection: HTTPConnection, seat: str) -> bool:
        """Whether who opened that connection still has the seat: a learner is taken out of the class, or comes back in
        another browser, while pages of theirs are open."""
        return seat == TEACHER or self._learner(connection) == seat

    async def _seated(
        self, scope: Scope, receive: Receive, connection: HTTPConnection, seat: str | None
    ) -> Response | None:
        """What to answer in the application's place to somebody with a token, if anything."""
        path = scope["path"]
        if scope["type"] == "http" and path == JOIN:
            if not is_welcome(connection.headers, self.shared.host):
                return PlainTextResponse(NO_TOKEN, 403)
            return RedirectResponse("/", 303) if seat else await self.door.join(Request(scope, receive))
        if seat is None:
            wants_page = scope["type"] == "http" and path in self.pages
            return RedirectResponse(JOIN, 303) if wants_page else PlainTextResponse(NO_NAME, 403)
        return self._not_theirs(scope, connection, seat)

    def _not_theirs(self, scope: Scope, connection: HTTPConnection, seat: str) -> Response | None:
        """The refusal of what belongs to another seat, or is too much for this one."""
        path, seats = scope["path"], self.shared.seats
        if scope["type"] == "websocket":
            session = _session_asked(connection)
            taken = session is not None and seats.owner(session) not in (None, seat)
            if taken or (seat != TEACHER and seats.tabs(seat) >= MOST_TABS):
                return PlainTextResponse(NOT_YOURS if taken else "Too many tabs.\n", 403)
        elif path.startswith(UPLOADS):
            if seats.owner(path.removeprefix(UPLOADS).partition("/")[0]) != seat:
                return PlainTextResponse(NOT_YOURS, 403)
            return self._too_much(scope, connection, seat)
        elif path.startswith("/media/"):
            named = MEDIA.fullmatch(path)
            if named is None or not seats.was_shown(seat, named[1]):
                return PlainTextResponse(NOT_YOURS, 403)
        elif path in self.pages and seat != TEACHER and seats.tabs(seat) >= MOST_TABS:
            return self.door.notice(connection, "tabs", MOST_TABS)
        return None

    def _too_much(self, scope: Scope, connection: HTTPConnection, seat: str) -> Response | None:
        """Counts an upload against the learner's limit, by the length that it says; the server reads no further."""
        corner = None if seat == TEACHER or scope["method"] != "PUT" else self.members.corner(seat)
        if corner is None:
            return None
        length = connection.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 15:
            return PlainTextResponse("An upload must say its length.\n", HTTPStatus.LENGTH_REQUIRED)
        try:
            charge_upload(corner, int(length))
        except UserError as error:
            self.shared.seats.tell(seat, error)
            return PlainTextResponse(f"{error}\n", 413)
        return None

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, seat: str) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        self.shared.seats.opened(seat)
        try:
            await self.app(scope, listening(receive, self.shared.seats, seat), speaking(send, self.shared.seats, seat))
        finally:
            self.shared.seats.closed(seat)


def _set(answer: Response, name: str, value: str, age: int | None) -> None:
    answer.set_cookie(name, value, max_age=age, path="/", httponly=True, samesite="strict")


def _without_seat(scope: Scope) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name.lower() != HEADER.encode()]}


def _with_seat(scope: Scope, seat: str) -> Scope:
    return {**scope, "headers": [*scope["headers"], (HEADER.encode(), seat.encode())]}


def _session_asked(connection: HTTPConnection) -> str | None:
    """The browser session that a websocket wants to take up again: the third subprotocol, as Streamlit reads it."""
    entries = [part.strip() for part in connection.headers.get("sec-websocket-protocol", "").split(",")]
    return entries[2] if len(entries) > 2 and entries[2] else None


async def _close(scope: Scope, send: Send, refusal: Response | None) -> None:
    """Refuses a websocket before it is accepted."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    status, body = (refusal.status_code, bytes(refusal.body)) if refusal else (403, NO_NAME.encode())
    status = status if status >= 400 else 403
    headers = [(name.lower().encode(), value.encode()) for name, value in marks().items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
