"""Nothing is answered without the token of the class; nobody gets what is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core.classroom.learners import Joined
from core.classroom.limits import Limits, set_limits
from core.classroom.tokens import fresh
from dashboard.classroom.gate import MOST_TABS, Gate, Shared
from dashboard.classroom.seats import HEADER, MOST_SESSIONS, Seats
from dashboard.classroom.slow import FREE, MOST_WAITING, Slow
from dashboard.classroom.wire import FILES, LARGEST
from tests.loops import in_a_loop

HOST = "192.0.2.7:8501"
MINE, THEIRS = "a" * 56, "b" * 56
LATER_MINE, LATER_THEIRS = "c" * 32, "d" * 32


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class House:
    """A gate before an application that answers 200 to anything, and says who it was told sits there."""

    def __init__(self, root: Path) -> None:
        self.waited: list[float] = []
        self.inner: list[Scope] = []
        self.received: list[Message] = []
        self.to_send: list[bytes] = []
        self.shared = Shared(root, "192.0.2.7", 8501, fresh(), Seats(), Slow(sleep=self._sleep))
        self.gate = Gate(self._application, self.shared, ["live", "try-it"])

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inner.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"inside"})
            return
        await send({"type": "websocket.accept"})
        for data in self.to_send:
            await send({"type": "websocket.send", "bytes": data})
        while (message := await receive())["type"] != "websocket.disconnect":
            self.received.append(message)

    def ask(self, path: str = "/", method: str = "GET", **how: Any) -> Answer:
        return in_a_loop(self.asking(path, method, **how))

    async def asking(
        self,
        path: str = "/",
        method: str = "GET",
        *,
        query: str = "",
        cookies: dict[str, str] | None = None,
        body: bytes = b"",
        messages: Sequence[bytes] = (),
        socket: bool = False,
        client: str = "192.0.2.99",
        sent: list[Message] | None = None,
        **headers: str,
    ) -> Answer:
        told = {"host": HOST, **headers}
        if cookies:
            told["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        scope: Scope = {
            "type": "websocket" if socket else "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "ws" if socket else "http",
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in told.items()],
            "client": (client, 5000),
            "server": ("192.0.2.7", 8501),
            "http_version": "1.1",
            "extensions": {"websocket.http.response": {}},
        }
        sent = [] if sent is None else sent
        first = {"type": "websocket.connect"} if socket else {"type": "http.request", "body": body, "more_body": False}
        last = {"type": "websocket.disconnect"} if socket else {"type": "http.disconnect"}
        incoming = iter([first, *({"type": "websocket.receive", "bytes": one} for one in messages), last])

        async def receive() -> Message:
            return next(incoming, last)

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        if sent[0]["type"] == "websocket.accept":
            return Answer(101, {}, b"")
        answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], answered, b"".join(one.get("body", b"") for one in sent))

    def cookies(self, who: Joined | None, *, teacher: bool = False) -> dict[str, str]:
        token = self.shared.tokens.teacher if teacher else self.shared.tokens.learners
        return {self.shared.token_cookie: token, **({self.shared.secret_cookie: who.secret} if who else {})}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


ROUTES = [
    ("/", "GET"),
    ("/index.html", "GET"),
    ("/live", "GET"),
    ("/live", "HEAD"),
    ("/nothing", "GET"),
    ("/class/join", "GET"),
    ("/class/join", "POST"),
    ("/favicon.png", "GET"),
    ("/manifest.json", "GET"),
    ("/_stcore/health", "GET"),
    ("/_stcore/host-config", "GET"),
    ("/_stcore/metrics", "GET"),
    ("/_stcore/script-health-check", "GET"),
    ("/_stcore/upload_file/s/f", "PUT"),
    ("/_stcore/upload_file/s/f", "DELETE"),
    ("/_stcore/upload_file/s/f", "OPTIONS"),
    (f"/media/{MINE}.png", "GET"),
    ("/static/js/index.js", "GET"),
    ("/_stcore/bidi-components/x/y.js", "GET"),
    ("/component/x/index.html", "GET"),
    ("/plotly/plotly.min.js", "GET"),
    ("/auth/login", "GET"),
    ("/oauth2callback", "GET"),
    ("/_stcore/agent", "GET"),
    ("//", "GET"),
    ("/../etc/passwd", "GET"),
    ("/_stcore/stream", "GET"),
]


@pytest.mark.parametrize(("path", "method"), ROUTES)
@pytest.mark.parametrize("token", [None, "", "x" * 32])
def test_every_route_is_closed_without_the_token(house: House, path: str, method: str, token: str | None) -> None:
    cookies = {} if token is None else {house.shared.token_cookie: token}
    answer = house.ask(path, method, cookies=cookies)
    assert answer.status == 403
    assert "content-security-policy" in answer.headers, "refusals carry the policies too"
    assert house.ask(path, method, query=f"token={token or ''}").status == 403
    assert house.inner == []


@given(
    path=st.text(min_size=1),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"]),
    socket=st.booleans(),
)
def test_no_path_and_no_method_gets_past(
    tmp_path_factory: pytest.TempPathFactory, path: str, method: str, socket: bool
) -> None:
    house = House(tmp_path_factory.getbasetemp())
    assert house.ask("/" + path.encode("utf-8", "ignore").decode(), method, socket=socket).status == 403
    assert house.inner == []


def test_a_websocket_is_closed_without_the_token(house: House) -> None:
    assert house.ask("/_stcore/stream", socket=True).status == 403
    assert house.ask("/_stcore/stream", socket=True, query=f"token={house.shared.tokens.learners}").status == 403
    assert house.ask("/_stcore/stream", socket=True, cookies=house.cookies(None)).status == 403, "and without a seat"
    assert house.inner == []


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_gets(house: House) -> None:
    answer = house.ask("/live", query=f"token={house.shared.tokens.learners}&run=x%22%3E%3Cb%3E&lang=zh")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{house.shared.token_cookie}={house.shared.tokens.learners};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert b"url=/live?run=x%22%3E%3Cb%3E&amp;lang=zh" in answer.body
    assert house.shared.tokens.learners.encode() not in answer.body, "the address that follows is without it"
    assert answer.headers["cache-control"] == "no-store"


def test_it_leads_to_pages_of_ours_only(house: House) -> None:
    answer = house.ask("//evil.example", query=f"token={house.shared.tokens.learners}")
    assert b'url=/"' in answer.body
    assert b"evil" not in answer.body


def test_another_name_or_another_site_gets_no_cookie(house: House) -> None:
    query = f"token={house.shared.tokens.learners}"
    assert house.ask(query=query, host="evil.example").status == 403
    assert house.ask(query=query, origin="http://evil.example").status == 403


def test_a_learner_is_asked_for_a_name_and_then_has_a_seat(house: House) -> None:
    bare = house.cookies(None)
    for page in ("/", "/live"):
        assert (house.ask(page, cookies=bare).status, house.ask(page, cookies=bare).headers["location"]) == (
            303,
            "/class/join",
        )
    for other in ("/_stcore/health", f"/media/{MINE}.png", "/static/x.js"):
        assert house.ask(other, cookies=bare).status == 403
    form = house.ask("/class/join", cookies=bare, accept_language="zh-CN,zh;q=0.9")
    assert "您的昵称" in form.body.decode()
    assert b"<script" not in form.body
    assert form.headers["referrer-policy"] == "same-origin", "else Chromium sends the form with the Origin null"
    joined = house.ask("/class/join", "POST", cookies=bare, body=b"nickname=%20Ana%20", origin=f"http://{HOST}")
    assert joined.status == 200
    name, _, rest = joined.headers["set-cookie"].partition("=")
    assert name == house.shared.secret_cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(rest.split("; "))
    seated = {**bare, name: rest.partition(";")[0]}
    assert house.ask("/live", cookies=seated).body == b"inside"
    told = dict(house.inner[-1]["headers"])[HEADER.encode()].decode()
    assert told == house.gate.members.learners()[0].id
    assert house.ask("/class/join", cookies=seated).status == 303, "who has a seat is not asked again"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"nickname=" + b"x" * 5000, 422, "1 to 30"),
        (b"", 422, "1 to 30"),
        (b"nickname=ana", 422, "already"),
        (b"nickname=%00", 422, "1 to 30"),
        (b"x" * 10**6, 413, "far too long"),
        (b"&" * 1000, 422, "1 to 30"),
        (b"\xff\xfe=\xff", 422, "1 to 30"),
    ],
)
def test_what_is_no_nickname_is_told_in_a_sentence(house: House, body: bytes, status: int, words: str) -> None:
    house.gate.members.join("Ana")
    answer = house.ask("/class/join", "POST", cookies=house.cookies(None), body=body)
    assert answer.status == status
    assert 'role="alert"' in answer.body.decode()
    assert words in answer.body.decode()
    assert len(house.gate.members.learners()) == 1


def test_who_has_the_teachers_code_comes_back_to_their_corner(house: House) -> None:
    ana = house.gate.members.join("Ana")
    entering: dict[str, Any] = {"method": "POST", "cookies": house.cookies(None), "origin": f"http://{HOST}"}
    first = house.ask("/class/join", body=b"nickname=Ana", **entering)
    assert b'name="code"' in first.body
    assert b'name="code"' not in house.ask("/class/join", cookies=house.cookies(None)).body, "nobody else is asked"
    wrong = house.ask("/class/join", body=b"nickname=Ana&code=abcdefgh", **entering)
    assert wrong.status == 422
    assert b"Ask your teacher for a new one" in wrong.body
    code = house.gate.members.code_for(ana.learner.id)
    back = house.ask("/class/join", body=f"nickname=Ana&code={code}".encode(), **entering)
    assert back.status == 200
    secret = back.headers["set-cookie"].partition("=")[2].partition(";")[0]
    cookies = {**house.cookies(None), house.shared.secret_cookie: secret}
    assert house.ask("/live", cookies=cookies).status == 200
    assert dict(house.inner[-1]["headers"])[HEADER.encode()] == ana.learner.id.encode()
    assert house.ask("/live", cookies=house.cookies(ana)).status == 303, "the lost browser is asked for a name"


def test_html_in_a_name_is_shown_as_typed(house: House) -> None:
    answer = house.ask(
        "/class/join",
        "POST",
        cookies=house.cookies(None),
        body=b"nickname=%22%3E%3Cscript%3Ealert(1)%3C/script%3E1234567",
    )
    assert answer.status == 422
    assert b"<script" not in answer.body
    assert b"&quot;&gt;&lt;script&gt;" in answer.body


def test_another_site_cannot_join_for_somebody(house: House) -> None:
    how = {"cookies": house.cookies(None), "body": b"nickname=Eve", "origin": "http://evil.example"}
    assert house.ask("/class/join", "POST", **how).status == 403
    assert house.gate.members.learners() == []


def test_nobody_chooses_a_seat_by_a_header(house: House) -> None:
    ana = house.gate.members.join("Ana")
    for name in (HEADER, HEADER.upper(), HEADER.title()):
        house.ask("/live", cookies=house.cookies(ana), **{name.replace("-", "_"): "teacher"})
        told = [value for key, value in house.inner[-1]["headers"] if key.lower() == HEADER.encode()]
        assert told == [ana.learner.id.encode()]


def test_the_teachers_token_opens_the_teachers_seat(house: House) -> None:
    house.ask("/live", cookies=house.cookies(None, teacher=True))
    assert dict(house.inner[-1]["headers"])[HEADER.encode()] == b"teacher"
    ana = house.gate.members.join("Ana")
    mixed = {**house.cookies(ana), house.shared.secret_cookie: house.shared.tokens.teacher}
    assert house.ask("/live", cookies=mixed).status == 303, "as a secret it opens nothing"


def test_a_token_of_an_earlier_start_is_refused(tmp_path: Path) -> None:
    before, now = House(tmp_path), House(tmp_path)
    ana = before.gate.members.join("Ana")
    assert now.ask("/live", cookies=before.cookies(ana)).status == 403
    assert now.ask("/live", query=f"token={before.shared.tokens.learners}").status == 403
    assert now.ask("/live", cookies=now.cookies(ana)).status == 200, "with today's, Ana is in her corner again"


def test_a_learner_comes_back_when_the_server_has_another_port(tmp_path: Path) -> None:
    before, now = House(tmp_path), House(tmp_path)
    ana = before.gate.members.join("Ana")
    now.shared = replace(now.shared, port=8502)
    now.gate = Gate(now._application, now.shared, ["live"])
    assert now.shared.secret_cookie != before.shared.secret_cookie
    kept = {before.shared.secret_cookie: ana.secret, now.shared.token_cookie: now.shared.tokens.learners}
    assert now.ask("/live", cookies=kept).status == 200
    assert dict(now.inner[-1]["headers"])[HEADER.encode()] == ana.learner.id.encode()
    many = {f"condenser_learner_{port}": "x" * 32 for port in range(9000, 9100)}
    assert now.ask("/live", cookies={**many, now.shared.token_cookie: now.shared.tokens.learners}).status == 303


def test_a_thousand_guesses_are_slowed_down_and_the_class_is_not(house: House) -> None:
    ana = house.gate.members.join("Ana")

    async def guess() -> list[int]:
        return [(await house.asking(query=f"token={number:032d}")).status for number in range(1000)]

    assert set(in_a_loop(guess())) == {403}
    assert sum(house.waited) > 3900, "one after another: over an hour"
    before = len(house.waited)
    assert house.ask("/live", cookies=house.cookies(ana)).status == 200, "from the same address"
    assert len(house.waited) == before


def test_guesses_at_once_all_wait_and_nobody_else_of_their_address_does(tmp_path: Path) -> None:
    """A class of thirty may share one address: who comes with the right one is let in while others guess."""
    house = House(tmp_path)
    held, ana = asyncio.Event(), house.gate.members.join("Ana")

    async def main() -> list[int]:
        async def wait(seconds: float) -> None:
            await held.wait()

        house.shared.slow._sleep = wait
        guesses = [asyncio.create_task(house.asking(query=f"token={number:032d}")) for number in range(100)]
        await asyncio.sleep(0.05)
        assert (await house.asking("/live", cookies=house.cookies(ana))).status == 200, "who has a seat goes on"
        assert (await house.asking(query=f"token={house.shared.tokens.learners}")).status == 200, (
            "who comes now comes in"
        )
        assert (await house.asking("/live", cookies=house.cookies(None))).status == 303
        assert sum(guess.done() for guess in guesses) == FREE, "the others have no answer yet"
        held.set()
        return [answer.status for answer in await asyncio.gather(*guesses)]

    statuses = in_a_loop(main())
    assert statuses.count(429) == 100 - 11
    assert statuses.count(403) == 11


def test_where_very_many_guess_from_many_addresses_no_token_is_compared(tmp_path: Path) -> None:
    house = House(tmp_path)
    held, ana = asyncio.Event(), house.gate.members.join("Ana")

    async def main() -> None:
        async def wait(seconds: float) -> None:
            await held.wait()

        house.shared.slow._sleep = wait
        guesses = [
            asyncio.create_task(house.asking(query=f"token={number:032d}", client=f"192.0.2.{number % 50}"))
            for number in range(1000)
        ]
        await asyncio.sleep(0.2)
        waiting = sum(not guess.done() for guess in guesses)
        assert waiting == MOST_WAITING
        right = await house.asking("/live", cookies=house.cookies(None), client="192.0.2.200")
        assert right.status == 429, "not even the right one"
        assert (await house.asking("/live", cookies=house.cookies(ana))).status == 200, "the class goes on"
        held.set()
        await asyncio.gather(*guesses)
        assert (await house.asking("/live", cookies=house.cookies(None))).status == 303

    in_a_loop(main())


def test_guessing_a_code_is_slow_too(house: House) -> None:
    ana = house.gate.members.join("Ana")
    house.gate.members.code_for(ana.learner.id)
    for number in range(20):
        body = f"nickname=Ana&code=abcdefg{number}".encode()
        assert house.ask("/class/join", "POST", cookies=house.cookies(None), body=body).status == 422
    assert sum(house.waited) > 20


# pages that are open


def keeping_open(house: House, who: Joined, meanwhile: Callable[[], object]) -> tuple[list[Message], list[Message]]:
    """What a page and its browser get from each other while `meanwhile` happens after the first message."""
    got: list[Message] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        await send({"type": "websocket.accept"})
        got.append(await receive())
        meanwhile()
        await send({"type": "websocket.send", "bytes": b"a secret"})
        got.append(await receive())
        await send({"type": "websocket.send", "bytes": b"another"})

    house.gate.app, usual = application, house.gate.app
    asked = BackMsg()
    asked.rerun_script.query_string = ""
    message = bytes(asked.SerializeToString())
    sent: list[Message] = []
    in_a_loop(
        house.asking("/_stcore/stream", socket=True, cookies=house.cookies(who), messages=[message] * 3, sent=sent)
    )
    house.gate.app = usual
    return got, sent


def test_an_open_page_of_who_is_taken_out_ends(house: House) -> None:
    ana = house.gate.members.join("Ana")
    got, sent = keeping_open(house, ana, lambda: house.gate.members.remove(ana.learner.id, to_trash=False))
    assert [one["type"] for one in got] == ["websocket.connect", "websocket.receive", "websocket.disconnect"]
    assert [one["type"] for one in sent] == ["websocket.accept", "websocket.close"]
    assert house.ask("/live", cookies=house.cookies(ana)).status == 303, "they are asked for a name, as anybody"
    assert house.ask(f"/media/{MINE}.png", cookies=house.cookies(ana)).status == 403


def test_an_open_page_of_the_browser_that_was_lost_ends_when_its_learner_is_back_in_another(house: House) -> None:
    ana, members = house.gate.members.join("Ana"), house.gate.members
    back: list[Joined] = []
    got, sent = keeping_open(
        house, ana, lambda: back.append(members.come_back("Ana", members.code_for(ana.learner.id)))
    )
    assert got[-1]["type"] == "websocket.disconnect"
    assert sent[-1]["type"] == "websocket.close"
    assert house.ask("/live", cookies=house.cookies(back[0])).status == 200


def test_an_open_page_stays_open_while_the_class_changes(house: House) -> None:
    ana, bob = house.gate.members.join("Ana"), house.gate.members.join("Bob")

    def change() -> None:
        house.gate.members.rename(ana.learner.id, "Anna")
        house.gate.members.remove(bob.learner.id, to_trash=True)

    got, sent = keeping_open(house, ana, change)
    assert [one["type"] for one in got] == ["websocket.connect", "websocket.receive", "websocket.receive"]
    assert [one.get("bytes") for one in sent] == [None, b"a secret", b"another"]


# what is another's


def shown(picture: str, download: str = "") -> list[bytes]:
    """Messages that put a picture and a download on a page."""
    pictured, offered = ForwardMsg(), ForwardMsg()
    pictured.delta.new_element.imgs.imgs.add().url = picture
    offered.delta.new_element.download_button.deferred_file_id = download
    return [bytes(one.SerializeToString()) for one in (pictured, offered)]


def typed(*values: str) -> list[bytes]:
    """Messages with that text in places of a page where a person's own text stands."""
    text, field = ForwardMsg(), ForwardMsg()
    text.delta.new_element.markdown.body = " ".join(values)
    field.delta.new_element.text_input.value = values[0]
    field.delta.new_element.text_input.label = values[-1]
    return [bytes(one.SerializeToString()) for one in (text, field)]


def opened(session: str) -> bytes:
    told = ForwardMsg()
    told.new_session.initialize.session_id = session
    return bytes(told.SerializeToString())


def later(file: str) -> bytes:
    asked = BackMsg()
    asked.backend_operation_request.deferred_file.file_id = file
    return bytes(asked.SerializeToString())


@pytest.fixture
def two(house: House) -> tuple[House, Joined, Joined]:
    """Ana and Bob, each with a session, a picture and a download on their page."""
    ana, bob = house.gate.members.join("Ana"), house.gate.members.join("Bob")
    for who, session, picture, download in ((ana, "sa", MINE, LATER_MINE), (bob, "sb", THEIRS, LATER_THEIRS)):
        house.to_send = [opened(session), *shown(f"/media/{picture}.png", download)]
        assert house.ask("/_stcore/stream", socket=True, cookies=house.cookies(who)).status == 101
    house.to_send = []
    return house, ana, bob


STREAM: dict[str, Any] = {"path": "/_stcore/stream", "socket": True}
ATTEMPTS: list[tuple[str, dict[str, Any], int]] = [
    ("her picture", {"path": f"/media/{MINE}.png"}, 200),
    ("his picture", {"path": f"/media/{THEIRS}.png"}, 403),
    ("his picture without its ending", {"path": f"/media/{THEIRS}"}, 403),
    ("a picture of nobody", {"path": f"/media/{'e' * 56}.png"}, 403),
    ("a path in place of a picture", {"path": f"/media/{MINE}/../{THEIRS}.png"}, 403),
    ("an upload to her page", {"path": "/_stcore/upload_file/sa/f", "method": "PUT", "content_length": "5"}, 200),
    ("an upload to his page", {"path": "/_stcore/upload_file/sb/f", "method": "PUT", "content_length": "5"}, 403),
    ("the removal of his upload", {"path": "/_stcore/upload_file/sb/f", "method": "DELETE"}, 403),
    ("an upload to no page", {"path": "/_stcore/upload_file/sx/f", "method": "PUT", "content_length": "5"}, 403),
    ("an upload of unknown length", {"path": "/_stcore/upload_file/sa/f", "method": "PUT"}, 411),
    ("her session again", {**STREAM, "sec_websocket_protocol": "streamlit, x, sa"}, 101),
    ("his session", {**STREAM, "sec_websocket_protocol": "streamlit, x, sb"}, 403),
    ("a session of nobody", {**STREAM, "sec_websocket_protocol": "streamlit, x, n"}, 101),
]


@pytest.mark.parametrize(("what", "how", "status"), ATTEMPTS, ids=[what for what, _, _ in ATTEMPTS])
def test_attempts_of_ana(two: tuple[House, Joined, Joined], what: str, how: dict[str, Any], status: int) -> None:
    house, ana, _ = two
    assert house.ask(**{"cookies": house.cookies(ana), **how}).status == status, what


def test_a_download_on_anothers_page_is_not_made(two: tuple[House, Joined, Joined]) -> None:
    house, ana, _ = two
    other = BackMsg()
    other.rerun_script.query_string = "x=1"
    clearing = BackMsg(clear_cache=True).SerializeToString()
    messages = [later(LATER_THEIRS), later(LATER_MINE), other.SerializeToString(), b"\xff\xff", clearing, later("x")]
    house.received.clear()
    house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana), messages=messages)
    assert [one.get("bytes") for one in house.received[1:]] == messages[1:3], (
        "what is Bob's, noise, and what concerns all"
    )


def test_a_message_larger_than_any_pages_is_left_out(two: tuple[House, Joined, Joined]) -> None:
    house, ana, _ = two
    small, large = BackMsg(), BackMsg()
    small.rerun_script.query_string, large.rerun_script.query_string = "x", "x" * LARGEST
    messages = [bytes(one.SerializeToString()) for one in (large, small)]
    house.received.clear()
    house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana), messages=messages)
    assert [one.get("bytes") for one in house.received if one.get("bytes")] == messages[1:]


def test_what_somebody_typed_is_not_put_on_their_page_as_a_file(two: tuple[House, Joined, Joined]) -> None:
    house, ana, _ = two
    house.to_send = typed(f"/media/{THEIRS}.png", LATER_THEIRS)
    house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana), messages=[later(LATER_THEIRS)])
    assert [one.get("bytes") for one in house.received if one.get("bytes")] == []
    assert house.ask(f"/media/{THEIRS}.png", cookies=house.cookies(ana)).status == 403


def test_every_place_of_a_file_is_known_to_streamlit() -> None:
    """A name that a later Streamlit gives to something else would keep a page from its own files."""
    known, seen = set(), set()
    left = [ForwardMsg.DESCRIPTOR]
    while left:
        message = left.pop()
        for field in message.fields if message.full_name not in seen else ():
            known.add(field.full_name)
            left += [field.message_type] if field.message_type else []
        seen.add(message.full_name)
    assert known >= FILES


def test_the_logo_and_the_icon_of_the_page_are_found(two: tuple[House, Joined, Joined]) -> None:
    house, ana, _ = two
    logo, icon = ForwardMsg(), ForwardMsg()
    logo.logo.image = f"/media/{'e' * 56}.png"
    icon.page_config_changed.favicon = f"/media/{'f' * 56}.png"
    house.to_send = [bytes(one.SerializeToString()) for one in (logo, icon)]
    house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana))
    for name in ("e" * 56, "f" * 56):
        assert house.ask(f"/media/{name}.png", cookies=house.cookies(ana)).status == 200


def test_what_a_message_holds_deep_inside_is_found(two: tuple[House, Joined, Joined]) -> None:
    house, ana, _ = two
    made, offered = ForwardMsg(), ForwardMsg()
    made.backend_operation_response.deferred_file.url = f"/media/{'e' * 56}.zip"
    offered.delta.new_element.download_button.url = f"/media/{'f' * 56}.csv"
    house.to_send = [bytes(one.SerializeToString()) for one in (made, offered)]
    house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana))
    for name in (f"{'e' * 56}.zip", f"{'f' * 56}.csv"):
        assert house.ask(f"/media/{name}", cookies=house.cookies(ana)).status == 200


def test_many_sessions_of_one_make_nobody_elses_forgotten() -> None:
    seats = Seats()
    seats.came("of bob", "bob", "")
    for number in range(20 * MOST_SESSIONS):
        seats.came(f"of ana {number}", "ana", "")
    assert seats.owner("of bob") == "bob"
    assert len(seats.sessions("ana")) == MOST_SESSIONS


def test_fifty_tabs_are_told_in_a_sentence(house: House) -> None:
    ana = house.gate.members.join("Ana")
    for _ in range(MOST_TABS):
        house.shared.seats.opened(ana.learner.id)
    answer = house.ask("/live", cookies=house.cookies(ana))
    assert answer.status == 429
    assert b"12 tabs" in answer.body
    assert house.ask("/_stcore/stream", socket=True, cookies=house.cookies(ana)).status == 403
    house.shared.seats.closed(ana.learner.id)
    assert house.ask("/live", cookies=house.cookies(ana)).status == 200


def test_ten_gigabytes_are_refused_before_they_are_read(two: tuple[House, Joined, Joined]) -> None:
    house, ana, bob = two
    set_limits(house.shared.root, Limits(uploads=10**6))
    how: dict[str, Any] = {"path": "/_stcore/upload_file/sa/f", "method": "PUT", "cookies": house.cookies(ana)}
    assert house.ask(**how, content_length=str(10**10)).status == 413
    told = house.shared.seats.told(ana.learner.id)
    assert told is not None
    assert told.code == "class_uploads", "her next page says it"
    assert house.ask(**how, content_length="600000").status == 200
    assert house.ask(**how, content_length="600000").status == 413, "all files together"
    assert house.ask(**how, content_length="400000").status == 200, "what was refused was not counted"
    for wrong in ("-5", "1e3", "9" * 20, ""):
        assert house.ask(**how, content_length=wrong).status == 411
    theirs = {**how, "path": "/_stcore/upload_file/sb/f", "cookies": house.cookies(bob)}
    assert house.ask(**theirs, content_length="900000").status == 200, "Bob has his own"
