"""A shared dashboard as a class meets it: real server, and a browser where only that shows it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import InvalidStatus

from core.classroom.learners import Class
from core.classroom.tokens import cookie_of, fresh
from core.commands.sharing import address_of
from core.events import RunFinished
from core.processes.dashboard import Address, Share, ensure_dashboard, running_dashboard, stop_dashboard
from core.runs import Notes
from core.workspace import Workspace
from dashboard.classroom.gate import MOST_TABS
from dashboard.classroom.slow import AT_ONCE, FREE
from dashboard.classroom.wire import NOT_WELCOME
from tests.bench.class_client import Client, Told
from tests.browser import SLOW, Watched, violations, wait_until_drawn
from tests.dashboard.test_pages import make
from tests.loops import in_a_loop
from tests.test_sessions import rerun

SAMPLES = Path(__file__).resolve().parents[3] / "assets" / "samples"


WORDS = """() => document.body.innerText + [...document.querySelectorAll("input")].map((node) => node.value).join()"""


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Address]]:
    workspace = Workspace.open_or_create(tmp_path_factory.mktemp("school") / "w")
    yield workspace, ensure_dashboard(workspace, share=Share("127.0.0.1", fresh()))
    assert stop_dashboard(workspace)


def status(address: Address, path: str, method: str = "GET", **headers: str) -> int:
    connection = HTTPConnection(address.host, address.port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_real_server_is_closed_without_the_token(school: tuple[Workspace, Address]) -> None:
    _, address = school
    tokens = address.tokens
    assert tokens is not None
    page = "/static/" + next(
        name for name in re.findall(r"static/([^\"]+\.js)", _get(address, "/index.html", tokens.teacher))
    )
    routes = [
        "/",
        "/live",
        "/index.html",
        "/_stcore/health",
        "/_stcore/host-config",
        "/_stcore/stream",
        page,
        "/favicon.png",
        "/manifest.json",
        "/plotly/plotly.min.js",
        "/_stcore/upload_file/a/b",
        "/media/x.png",
        "/nothing",
    ]
    for path in routes:
        for method in ("GET", "PUT", "POST", "DELETE"):
            assert status(address, path, method) == 403, (method, path)
    known = {"Cookie": f"{cookie_of(address.port)}={tokens.teacher}"}
    assert {path: status(address, path, **known) for path in ("/", "/_stcore/health", page)} == {
        "/": 200,
        "/_stcore/health": 200,
        page: 200,
    }


def _get(address: Address, path: str, token: str) -> str:
    connection = HTTPConnection(address.host, address.port, timeout=20)
    try:
        connection.request("GET", path, headers={"Cookie": f"{cookie_of(address.port)}={token}"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_it_listens_where_it_says_and_shows_no_token(school: tuple[Workspace, Address]) -> None:
    workspace, address = school
    process = psutil.Process(address.who.pid)
    listening = [one.laddr for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    assert [(one.ip, one.port) for one in listening] == [("127.0.0.1", address.port)]
    tokens = address.tokens
    assert tokens is not None
    for token in (tokens.learners, tokens.teacher):
        assert token not in " ".join(process.cmdline())
        assert token not in str(process.environ())
        assert token not in address.log.read_text()
    found = running_dashboard(workspace)
    assert found is not None
    assert (found.tokens, found.host) == (tokens, "127.0.0.1"), "a second command prints the same addresses"


@pytest.mark.thorough
def test_what_cannot_be_shared_is_told(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "core.cli", "dashboard", "--no-browser", "--workspace", str(tmp_path / "w")]
    for more, told in (
        (["--address", "127.0.0.1"], "--share"),
        (["--share", "--address", "203.0.113.9"], "this machine"),
    ):
        found = subprocess.run([*words, *more], capture_output=True, text=True, timeout=60)
        assert found.returncode == 2
        assert told in found.stderr
        assert not (tmp_path / "w").exists()


def test_of_fifty_tabs_twelve_are_open_and_the_others_are_told(school: tuple[Workspace, Address]) -> None:
    workspace, address = school
    tokens = address.tokens
    assert tokens is not None
    joined = Class(workspace.path).join("fifty tabs")
    cookies = {cookie_of(address.port): tokens.learners, f"condenser_learner_{address.port}": joined.secret}

    async def open_fifty() -> tuple[int, int, int]:
        clients = [Client(address, cookies, Told()) for _ in range(50)]
        found = await asyncio.gather(*(client.come() for client in clients), return_exceptions=True)
        refused = [one.response.status_code for one in found if isinstance(one, InvalidStatus)]
        told = status(address, "/live", Cookie="; ".join(f"{name}={value}" for name, value in cookies.items()))
        await asyncio.gather(*(client.leave() for client in clients))
        return found.count(None), refused.count(403), told

    assert in_a_loop(open_fifty()) == (MOST_TABS, 50 - MOST_TABS, 429)


def test_an_open_page_ends_when_its_learner_is_taken_out(school: tuple[Workspace, Address]) -> None:
    workspace, address = school
    assert address.tokens is not None
    joined = Class(workspace.path).join("taken out")
    cookies = {cookie_of(address.port): address.tokens.learners, f"condenser_learner_{address.port}": joined.secret}

    async def stay() -> int:
        client = Client(address, cookies, Told())
        await client.come()
        await client.open("learn")
        assert client._socket is not None
        Class(workspace.path).remove(joined.learner.id, to_trash=False)
        asked = BackMsg()
        asked.rerun_script.page_name = "live"
        await client._socket.send(asked.SerializeToString())
        await asyncio.wait_for(client._socket.wait_closed(), 30)
        await client.leave()
        return client._socket.close_code or 0

    assert in_a_loop(stay()) == NOT_WELCOME
    told = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    assert status(address, "/live", **told) == 303, "asked for a name"
    assert "Traceback" not in address.log.read_text()


@pytest.mark.thorough
def test_guesses_from_a_hundred_connections_do_not_hold_up_the_class(school: tuple[Workspace, Address]) -> None:
    workspace, address = school
    tokens = address.tokens
    assert tokens is not None
    joined = Class(workspace.path).join("in the class")
    cookies = f"{cookie_of(address.port)}={tokens.learners}; condenser_learner_{address.port}={joined.secret}"
    with ThreadPoolExecutor(100) as pool:
        guesses = [pool.submit(status, address, f"/?token={number:032d}") for number in range(100)]
        began = time.monotonic()
        assert status(address, "/_stcore/health", Cookie=cookies) == 200
        lasted = time.monotonic() - began
        answers = [guess.result() for guess in guesses]
    assert set(answers) == {403, 429}
    assert answers.count(403) <= FREE + AT_ONCE + 20, "the others were not even compared"
    assert lasted < 10, "a busy machine"


# with a browser


def joined(chromium: Browser, address: Address, name: str, *, width: int = 1280) -> tuple[BrowserContext, Page]:
    """A browser of its own that came by the learners' address."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, locale="en-US")
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.goto(address_of(address, "learner"))
    page.fill("#nickname", name)
    page.click("button[type=submit]")
    page.wait_for_selector("[data-testid=stMain] h2")
    wait_until_drawn(page)
    return context, page


@pytest.mark.slow
def test_two_learners_see_nothing_of_each_other_and_the_teacher_sees_both(
    school: tuple[Workspace, Address], chromium: Browser, tmp_path: Path
) -> None:
    workspace, address = school
    ana_context, ana = joined(chromium, address, "Ana")
    bob_context, bob = joined(chromium, address, "Bob")
    watched = Watched(bob).listen()
    corners = {one.nickname: workspace.path / "class" / one.id for one in Class(workspace.path).learners()}
    run = make(Workspace.open_or_create(corners["Ana"]), RunFinished())
    run.annotate(Notes(name="Sunflower"))
    host = address.url
    for path in (
        f"live?run={run.id}",
        f"inspect?run={run.id}",
        f"tradeoffs?sel={run.id}.0",
        f"try-it?run={run.id}",
        f"live?run=../{corners['Ana'].name}/runs/{run.id}",
        f"tradeoffs?corner={corners['Ana'].name}",
    ):
        bob.goto(f"{host}/{path}")
        bob.wait_for_selector("[data-testid=stMain] h2")
        wait_until_drawn(bob)
        assert "Sunflower" not in bob.evaluate(WORDS), path
    ana.goto(f"{host}/live?run={run.id}")
    ana.wait_for_function(f"() => ({WORDS})().includes('Sunflower')")
    bob.goto(f"{host}/class")
    bob.wait_for_selector("text=Your corner")
    wait_until_drawn(bob)
    assert bob.get_by_text("Who is where").count() == 0
    assert violations(bob) == []
    watched.is_clean()

    teacher = chromium.new_context(locale="en-US").new_page()
    teacher.set_default_timeout(SLOW)
    teacher.goto(f"{address_of(address, 'teacher')}")
    teacher.wait_for_selector("[data-testid=stMain] h2")
    teacher.goto(f"{host}/class")
    teacher.wait_for_selector("text=Who is where")
    wait_until_drawn(teacher)
    assert violations(teacher) == []
    teacher.get_by_label("A learner", exact=True).click()
    teacher.get_by_role("option", name="Ana").click()
    teacher.get_by_role("button", name="Show on the screen").click()
    teacher.wait_for_selector("text=You are looking at the corner of")

    ana.goto(f"{host}/class")
    ana.get_by_role("button", name="Prepare the hand-in").click()
    with ana.expect_download() as told:
        ana.get_by_role("button", name=re.compile("Download")).click()
    told.value.save_as(tmp_path / "ana.zip")
    with zipfile.ZipFile(tmp_path / "ana.zip") as handed:
        assert f"runs/{run.id}.zip" in handed.namelist()
        (tmp_path / "hand-in.html").write_bytes(handed.read("hand-in.html"))
    reader = chromium.new_context().new_page()
    requests: list[str] = []
    reader.on("request", lambda request: requests.append(request.url))
    reader.goto((tmp_path / "hand-in.html").as_uri())
    reader.wait_for_selector(".plotly .point")
    assert "Ana" in reader.locator("h1").inner_text()
    assert [one for one in requests if not one.startswith(("data:", "blob:"))] == [
        (tmp_path / "hand-in.html").as_uri()
    ], "nothing is fetched"
    for context in (ana_context, bob_context, teacher.context, reader.context):
        context.close()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(1800)  # thirty browsers on two cores
def test_thirty_sessions_on_one_server(school: tuple[Workspace, Address], chromium: Browser) -> None:
    """Thirty browsers of thirty learners walk through real pages: no error, and the server lets go of them."""
    _, address = school
    process = psutil.Process(address.who.pid)
    before = process.memory_info().rss
    sessions = [joined(chromium, address, f"learner {number}") for number in range(30)]
    for path in ("design", "tradeoffs", "class"):
        for _, page in sessions:
            page.goto(f"{address.url}/{path}", wait_until="commit")
        for _, page in sessions:
            page.wait_for_selector("[data-testid=stMain] h2")
            wait_until_drawn(page)
            expect(page.get_by_test_id("stException")).to_have_count(0)
    for number, (_, page) in enumerate(sessions):
        expect(page.get_by_text(f"learner {number}", exact=True).first).to_be_visible()
    reruns = [rerun(page) for _, page in sessions]
    during = process.memory_info().rss
    for context, _ in sessions:
        context.close()
    p95, grown = float(np.percentile(reruns, 95)), (during - before) / 2**20
    print(f"{len(reruns)} reruns, p95 {p95:.2f} s; {grown:.0f} MB more than without sessions")
    assert p95 < 6, "1.5 s where thirty browsers do not take from the server's cores: tests.bench.shared_class"
    assert grown < 30 * 60, "60 MB a session"
    assert "Traceback" not in address.log.read_text()
