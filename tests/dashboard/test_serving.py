"""What the dashboard's server answers, to whom, and what it shows when a page breaks; without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from importlib.metadata import version
from pathlib import Path

import plotly
import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from core.processes.dashboard import DASHBOARD, Address, ensure_dashboard, stop, stop_dashboard
from core.processes.process import ROOT
from core.processes.workers import alive
from core.workspace import Workspace
from dashboard import server
from dashboard.charts.style import DAY, NIGHT

SCRIPT = """
import json, os
import streamlit as st

def page():
    how = st.query_params.get("how")
    if how == "options":
        names = ("client.toolbarMode", "client.showErrorDetails", "server.maxUploadSize", "server.fileWatcherType",
                 "server.disconnectedSessionTTL", "server.enableXsrfProtection", "browser.gatherUsageStats",
                 "server.baseUrlPath", "theme.light.primaryColor", "theme.dark.backgroundColor")
        told = {name: st.get_option(name) for name in names}
        st.code(json.dumps({**told, "workspace": os.environ["CONDENSER_WORKSPACE"]}))
    elif how == "fault":
        raise ZeroDivisionError("a fault with <b>tags</b> and `ticks`")
    elif how == "refused":
        from core.errors import UserError
        raise UserError("out_of_range", "bits", "*64*", "2 to 8", "Choose 8.")

if st.query_params.get("how") == "early":
    raise ZeroDivisionError("before the navigation")
st.navigation([st.Page(page, title="Page"), st.Page("app_pages/home.py", title="Home")]).run()
"""
JS = "/plotly/plotly.min.js"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open_or_create(tmp_path_factory.mktemp("serving") / "w")


@pytest.fixture(scope="module")
def address(workspace: Workspace) -> Iterator[Address]:
    """A server with a script of our own, started by somebody whose own Streamlit is configured otherwise."""
    home = workspace.path.parent / "home"
    (home / ".streamlit").mkdir(parents=True)
    (home / ".streamlit" / "config.toml").write_text(
        '[server]\nbaseUrlPath = "x"\n[client]\ntoolbarMode = "developer"\n'
    )
    script = workspace.path.parent / "script.py"
    script.write_text(SCRIPT)
    (script.parent / "app_pages").mkdir()
    (script.parent / "app_pages" / "home.py").write_text("import streamlit as st\nst.title('home')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        running = ensure_dashboard(workspace, command=(*DASHBOARD, "--script", str(script)))
    yield running
    assert running.started_here
    assert stop_dashboard(workspace)


def ask(address: Address, path: str = "/", method: str = "GET", **headers: str) -> Reply:
    """One request as it is, with its Host and Origin."""
    connection = HTTPConnection("127.0.0.1", address.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": f"127.0.0.1:{address.port}", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response: HTTPResponse = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, told, response.read())
    finally:
        connection.close()


def upgrade(address: Address, host: str, origin: str | None) -> int:
    """The status of the answer to a request for a websocket."""
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Origin: {origin}"] if origin else []),
    ]
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(raw.recv(4096).split()[1])


def visit(address: Address, query: str = "") -> list[Delta]:
    """What a script draws, as a browser would be told."""
    asked = BackMsg()
    asked.rerun_script.query_string = query
    drawn = []
    with opened(address) as page:
        page.send(asked.SerializeToString())
        while True:
            told = ForwardMsg()
            data = page.recv(timeout=30)
            assert isinstance(data, bytes)
            told.ParseFromString(data)
            if told.HasField("delta"):
                drawn.append(told.delta)
            if told.HasField("script_finished"):
                return drawn


def opened(address: Address) -> ClientConnection:
    """A page's connection to the server."""
    url = f"ws://127.0.0.1:{address.port}/_stcore/stream"
    origin = Origin(f"http://127.0.0.1:{address.port}")
    return connect(url, origin=origin, subprotocols=[Subprotocol("streamlit")], proxy=None, open_timeout=30)


def elements(drawn: list[Delta], kind: str) -> list[Delta]:
    return [delta for delta in drawn if delta.new_element.WhichOneof("type") == kind]


# who is let in

GOOD_HOSTS = ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LOCALHOST:{port}", "localhost", "localhost:9000"]
BAD_HOSTS = [
    "evil.org",
    "evil.org:{port}",
    "127.0.0.1.evil.org:{port}",
    "localhost.evil.org",
    "evil.org@127.0.0.1:{port}",
    "0.0.0.0:{port}",
    "192.168.0.1:{port}",
    "127.0.0.1:{port}:1",
    "localhost:x",
    "",
    "localhost:{port}, evil.org",
]
BAD_ORIGINS = [
    "http://evil.org",
    "http://evil.org:{port}",
    "null",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:1",
    "http://127.0.0.1",
    "http://localhost:{port}",
    "http://127.0.0.1:{port}.evil.org",
    "file://",
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_loopback_name_is_let_in(address: Address, host: str) -> None:
    host = host.format(port=address.port)
    origin = f"http://{host.lower()}"
    assert ask(address, host=host).status == 200
    assert ask(address, host=host, origin=origin).status == 200
    assert upgrade(address, host, None) == 101
    assert upgrade(address, host, origin) == 101


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/static/x.js", JS])
def test_another_name_is_refused(address: Address, host: str, path: str) -> None:
    host = host.format(port=address.port)
    assert ask(address, path, host=host).status == 403
    if path == "/":
        assert upgrade(address, host, None) in (400, 403)
        assert upgrade(address, host, f"http://{host}") in (400, 403)


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_a_page_of_another_origin_is_refused(address: Address, origin: str) -> None:
    origin = origin.format(port=address.port)
    host = f"127.0.0.1:{address.port}"
    assert upgrade(address, host, origin) == 403
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        for path in ("/", "/_stcore/upload_file/a/b", "/_stcore/host-config"):
            reply = ask(address, path, method, origin=origin, content_length="0")
            assert reply.status == 403
            assert "access-control-allow-origin" not in reply.headers


def test_two_hosts_or_none_are_refused(address: Address) -> None:
    for lines in ((), ("Host: localhost", "Host: evil.org")):
        with socket.create_connection(("127.0.0.1", address.port), timeout=20) as raw:
            raw.sendall("\r\n".join(["GET / HTTP/1.0", *lines, "", ""]).encode())
            assert int(raw.recv(4096).split()[1]) in (400, 403)


def test_it_listens_on_loopback_only(address: Address) -> None:
    listening = [c.laddr for c in psutil.Process(address.who.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(at.ip, at.port) for at in listening] == [("127.0.0.1", address.port)]


def test_no_other_site_may_frame_the_page_or_be_asked_by_it(address: Address) -> None:
    page = ask(address)
    assert page.headers["condenser-process"] == str(address.who.pid)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'none'"
    sources = {source for sources in policy.values() for source in sources.split()}
    assert not {source for source in sources if ":" in source} - {"data:", "blob:"}
    assert json.loads(ask(address, "/_stcore/host-config").body)["allowedOrigins"] == []


def test_a_page_of_another_site_cannot_embed_anything_of_ours(address: Address) -> None:
    """Without an Origin, as browsers fetch images and scripts; following a link is allowed."""
    for site in ("cross-site", "same-site"):  # another port of this machine is of the same site
        for path in ("/", "/favicon.png", JS, "/_stcore/health"):
            assert ask(address, path, sec_fetch_site=site, sec_fetch_mode="no-cors").status == 403
        assert ask(address, "/", sec_fetch_site=site, sec_fetch_mode="navigate").status == 200
    assert ask(address, "/", sec_fetch_site="same-origin", sec_fetch_mode="cors").status == 200


EVERYWHERE = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/home", 200), (JS, 200), ("/_stcore/health", 200), ("/docs", 404), ("/media/x", 404), ("//x", 404)],
)
def test_every_answer_carries_the_policies(address: Address, path: str, status: int) -> None:
    for headers in ({}, {"host": "evil.org"}, {"origin": "http://evil.org"}):
        reply = ask(address, path, **headers)
        assert reply.status == (403 if headers else status)
        assert EVERYWHERE.items() <= reply.headers.items()
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "camera=(self)" in reply.headers["permissions-policy"]


def test_a_refused_websocket_carries_the_policies(address: Address) -> None:
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        "Host: evil.org",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        reply = raw.recv(8192).decode().lower()
    assert reply.startswith("http/1.1 403")
    assert all(f"{name}: {value.lower()}" in reply for name, value in EVERYWHERE.items())


def test_no_text_can_become_a_script(address: Address) -> None:
    """No eval, no inline script but Streamlit's own, by its hash; the browser tests see that the pages work so."""
    policy = ask(address).headers["content-security-policy"]
    (scripts,) = [part.split() for part in policy.split("; ") if part.startswith("script-src ")]
    assert not {"'unsafe-eval'", "'unsafe-inline'", "'unsafe-hashes'", "*", "data:", "https:", "http:"} & set(scripts)
    inline = re.findall(rb"<script>(.*?)</script>", ask(address).body, re.DOTALL)
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in inline}
    assert digests == {source for source in scripts if source.startswith("'sha")}


NOBODY_ASKED_FOR = (
    "/docs",
    "/redoc",
    "/openapi.json",
    "/metrics",
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/_stcore/agent/interact",
    "/_stcore/allowed-message-origins",
    "/_stcore/stream",
    "/healthz",
    "/st-allowed-message-origins",
    "/component/x/index.html",
    "/app/static/x",
    "/auth/login",
    "/oauth2callback",
    "/wp-admin",
    "/.git/config",
    "/.env",
    "/home/x",
    "/home/_stcore/health",
    "/docs/",
    "//docs",
    "/%2e%2e/etc/passwd",
    "/static",
    "/health",
)


@pytest.mark.parametrize("path", ["/nowhere", "/Live", "/home/x", "/docs"])
def test_a_person_at_no_page_is_shown_the_way_home(address: Address, path: str) -> None:
    reply = ask(address, path, accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert reply.status == 404
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.body.decode().count('<a href="/">') == 2  # in either language


def test_a_slash_too_many_leads_to_the_page(address: Address) -> None:
    reply = ask(address, "/home/?run=1%2F2&point=3")
    assert (reply.status, reply.headers["location"]) == (307, "/home?run=1%2F2&point=3")
    assert ask(address, "/home/", "POST", content_length="0").status == 404
    assert ask(address, "//home/").status == 404


@pytest.mark.parametrize("path", NOBODY_ASKED_FOR)
def test_pages_of_the_framework_that_nobody_asked_for_are_absent(address: Address, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert ask(address, path, method, content_length="0").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/media/../../../etc/passwd",
        "/static/../../../../etc/passwd",
        "/media/%2e%2e/%2e%2e/etc/passwd",
        "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static/..%5c..%5cx",
        "/_stcore/bidi-components/live_plot/../../../server.py",
        "/_stcore/bidi-components/x/%2e%2e/server.py",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out(address: Address, path: str) -> None:
    reply = ask(address, path)
    assert reply.status in (400, 404) or b"<title>Streamlit</title>" in reply.body
    assert b"root:" not in reply.body
    assert b"import" not in reply.body.replace(b"important", b"")[:40]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_page_takes_no_method_that_changes_something(address: Address, method: str) -> None:
    for path in ("/", "/home", JS, "/_stcore/health", "/media/x"):
        assert ask(address, path, method, content_length="0").status == 405


def test_an_upload_needs_a_token_and_a_session_and_has_a_limit(address: Address) -> None:
    upload = "/_stcore/upload_file/session/file"
    assert ask(address, upload, "PUT", content_length="0").status == 403, "without a token"
    token = re.search(r"_streamlit_xsrf=([^;]+)", ask(address, "/_stcore/health").headers.get("set-cookie", ""))
    assert token is not None
    known = {"cookie": f"_streamlit_xsrf={token[1]}", "X_Xsrftoken": token[1]}
    assert ask(address, upload, "PUT", content_length="0", **known).status == 400, "no such session"
    assert ask(address, upload, "PUT", content_length="0", cookie=known["cookie"]).status == 403
    for method in ("GET", "POST", "OPTIONS"):
        assert ask(address, upload, method, content_length="0", **known).status == 405


# what is served


def test_plotly_is_the_installed_one_zipped_and_kept(address: Address) -> None:
    installed = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_bytes()
    plain = ask(address, JS)
    assert plain.body == installed
    assert plain.headers["content-type"].startswith("text/javascript")
    assert plain.headers["cache-control"] == "no-cache"
    zipped = ask(address, f"{JS}?v={version('plotly')}", accept_encoding="gzip, br")
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == installed
    assert "immutable" in zipped.headers["cache-control"]
    assert "immutable" not in ask(address, f"{JS}?v=0").headers["cache-control"]


@pytest.mark.parametrize("path", ["/plotly/", "/plotly/datasets/iris.csv.gz", "/plotly/../../../core/cli.py"])
def test_nothing_else_of_the_package_is_served(address: Address, path: str) -> None:
    reply = ask(address, path)
    assert reply.status in (301, 400, 404) or b"<title>Streamlit</title>" in reply.body


def test_our_options_win_over_a_persons_own(address: Address, workspace: Workspace) -> None:
    (code,) = elements(visit(address, "how=options"), "code")
    found = json.loads(code.new_element.code.code_text)
    assert found == {
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "server.maxUploadSize": 200,
        "server.fileWatcherType": "none",
        "server.disconnectedSessionTTL": 30,
        "server.enableXsrfProtection": True,
        "browser.gatherUsageStats": False,
        "server.baseUrlPath": "",
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.backgroundColor": "#12161C",
        "workspace": str(workspace.path),
    }


# faults


@pytest.mark.parametrize(("how", "link"), [("fault", "page_link"), ("early", "link_button")])
def test_a_fault_is_told_in_a_sentence_with_details_and_a_way_home(address: Address, how: str, link: str) -> None:
    drawn = visit(address, f"how={how}")
    assert elements(drawn, "exception") == []
    (told,) = elements(drawn, "alert")
    assert "on our side" in told.new_element.alert.body
    assert "ZeroDivisionError" not in told.new_element.alert.body
    (details,) = [delta for delta in drawn if delta.add_block.HasField("expandable")]
    assert not details.add_block.expandable.expanded
    (code,) = elements(drawn, "code")
    assert "Traceback" in code.new_element.code.code_text
    assert "ZeroDivisionError: " in code.new_element.code.code_text
    (home,) = elements(drawn, link)
    assert home.new_element.page_link.page in ("home", "")


def test_what_a_person_did_wrong_is_told_as_everywhere(address: Address) -> None:
    drawn = visit(address, "how=refused")
    assert elements(drawn, "exception") == elements(drawn, "code") == []
    (told,) = elements(drawn, "alert")
    text = told.new_element.alert.body
    assert all(word in text for word in ("bits", "\\*64\\*", "2 to 8", "Choose 8")), text


# the process


def test_no_torch_comes_with_it(address: Address) -> None:
    visit(address)
    maps = Path(f"/proc/{address.who.pid}/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what a process has loaded")
    assert "python" in maps.read_text()
    assert "torch" not in maps.read_text()


def test_a_taken_port_ends_it_at_once(address: Address, workspace: Workspace) -> None:
    words = [*DASHBOARD, "--port", str(address.port), "--workspace", str(workspace.path)]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert ended.returncode == 1
    assert str(address.port) in ended.stderr + ended.stdout


def test_without_its_configuration_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit would serve by rules of its own: to every interface, for one."""
    monkeypatch.setattr(server, "NEEDED", (tmp_path / "config.toml",))
    with pytest.raises(SystemExit, match=r"config\.toml.*Install Condenser again"):
        server.main(["--port", "8599", "--workspace", str(tmp_path / "w")])


def test_it_ends_when_told_though_a_page_is_open(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "w")
    running = ensure_dashboard(store)
    with opened(running):
        begun = time.monotonic()
        stop(running)
        assert not alive(running.who)
    assert running.process is not None
    assert running.process.wait(10) in (0, -15), "it was not killed"
    assert time.monotonic() - begun < 10


def test_the_script_is_the_dashboards_own() -> None:
    assert server.SCRIPT == ROOT / "dashboard" / "app.py"
    assert server.build().script_path == server.SCRIPT


# colours


def test_text_can_be_read_in_both_themes() -> None:
    theme = tomllib.loads((ROOT / "dashboard" / ".streamlit" / "config.toml").read_text())["theme"]
    assert "://" not in json.dumps(theme), "fonts are the system's"
    for name, look in (("light", DAY), ("dark", NIGHT)):
        colors = theme[name]
        grounds = [colors["backgroundColor"], colors["secondaryBackgroundColor"]]
        for ink in (colors["textColor"], colors["primaryColor"], colors["linkColor"], look.ink, look.quiet):
            assert min(contrast(ink, ground) for ground in grounds) >= 4.5, (name, ink)
        assert colors["backgroundColor"] == look.paper, "a chart lies on the page"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours `#rrggbb`, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    shares = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)
