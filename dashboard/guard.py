"""What stands before Streamlit: who may ask, for which addresses, and which rules the browser is given with an answer.

SECURITY.md says against whom each of these rules stands, and which test holds it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir

CHARTED = ("/data", "/live", "/tradeoffs", "/learn")
PLOTLY = "/plotly/plotly.min.js"
HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
REFUSED = "Only pages of this machine may ask: Host 127.0.0.1, localhost or [::1], and Origin, if any, the same.\n"
ABSENT = "There is nothing at this address.\n"
NOWHERE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Nothing here · Condenser</title>
<style>body { font: 1rem/1.6 system-ui, sans-serif; margin: 15vh auto; max-width: 24rem; padding: 0 1rem }
</style></head>
<body><p>There is nothing at this address.<br><a href="/">Home</a></p>
<p lang="zh-Hans">此地址没有页面。<br><a href="/">首页</a></p></body></html>
"""
UNUSUAL = "This address does not take that method.\n"

READ = ("GET", "HEAD")
SOCKET = "/_stcore/stream"
UPLOADS = "/_stcore/upload_file/"
# What the pages ask Streamlit for. Everything else it offers (metrics, a check that runs the script, the interface
# for agents, documentation, and its page under every other name) is answered with 404.
ASKED = ("/", "/index.html", "/favicon.png", "/manifest.json", "/_stcore/health", "/_stcore/host-config", PLOTLY)
ASKED_BELOW = ("/static/", "/media/", "/_stcore/bidi-components/")
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class Guard:
    """Refuses, with 403, what a page of another origin asks; a name that now means this machine is another origin.

    Two pages on this machine differ in their port: the Origin must be the Host, whichever port a tunnel gave it.
    Every method is refused, not only those that change something: Streamlit answers an unknown Origin of a GET by
    looking up the machine's address on the internet. `pages` are the names of the pages; any other address than
    theirs and those in ASKED gets a 404, and a method that no page uses a 405. `host` is an address of this machine
    that a class may ask for too.
    """

    def __init__(self, app: ASGIApp, pages: Collection[str], host: str = "") -> None:
        self.app = app
        self.host = host
        self.pages = frozenset(f"/{name}" for name in pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(marks() | _hint(scope))
            await send(message)

        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            refusal = self._refusal(scope)
            await (refusal or self.app)(scope, receive, send_marked)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_welcome(Headers(scope=scope), self.host) and scope["path"] == SOCKET:
            await self.app(scope, receive, send)
        elif "websocket.http.response" in scope.get("extensions", {}):
            headers = [(name.lower().encode(), value.encode()) for name, value in marks().items()]
            await send({"type": "websocket.http.response.start", "status": 403, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": REFUSED.encode()})
        else:
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403

    def _refusal(self, scope: Scope) -> Response | None:
        """What to answer in Streamlit's place, if anything."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        if not is_welcome(headers, self.host):
            return PlainTextResponse(REFUSED, 403)
        if path.startswith(UPLOADS):
            return None if method in ("PUT", "DELETE") else PlainTextResponse(UNUSUAL, 405)
        if path not in self.pages and path not in ASKED and not path.startswith(ASKED_BELOW):
            return self._absent(scope, headers)
        return None if method in READ else PlainTextResponse(UNUSUAL, 405)

    def _absent(self, scope: Scope, headers: Headers) -> Response:
        """For a person a page with the way to Home, or, where only a slash is too much, the page that was meant."""
        meant = scope["path"].removesuffix("/")
        if meant in self.pages and scope["method"] in READ:
            query = scope.get("query_string", b"").decode("latin-1")
            return RedirectResponse(f"{meant}?{query}" if query else meant)
        return (
            HTMLResponse(NOWHERE, 404) if "text/html" in headers.get("accept", "") else PlainTextResponse(ABSENT, 404)
        )


def is_welcome(headers: Headers, host: str = "") -> bool:
    """Whether a request was made for a loopback name or for `host`, by a page from that very name and port or by no
    page.

    A page of another site can ask for an image or a script without an Origin: browsers mark that by Sec-Fetch-Site.
    Following a link to us is allowed.
    """
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    known = len(hosts) == 1 and (HOST.fullmatch(hosts[0].lower()) is not None or _is_at(hosts[0], host))
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    embedded = elsewhere and headers.get("sec-fetch-mode") != "navigate"
    return known and not embedded and (not origins or origins == [f"http://{hosts[0].lower()}"])


def _is_at(given: str, host: str) -> bool:
    """Whether a Host header names that address, with or without a port."""
    name, _, port = given.partition(":")
    return bool(host) and name == host and (not port or (port.isdecimal() and len(port) <= 5))


@cache
def marks() -> dict[str, str]:
    """On every answer; the pid tells whoever started us that it is we who answer on this port."""
    return {
        "Condenser-Process": str(os.getpid()),
        "Content-Security-Policy": policy(),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


@cache
def policy() -> str:
    """The browser itself keeps the page from asking anybody else, and from running text, whatever text got into it.

    Scripts come from our own files, from the modules of components (blob:), and from the inline scripts of Streamlit's
    installed page, each known by its hash. Styles are written inline by Streamlit and by Plotly.
    """
    page = (Path(get_static_dir()) / "index.html").read_text(encoding="utf-8")
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in INLINE.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests), "blob:"])
    return "; ".join(
        (
            "default-src 'self' data: blob:",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hint(scope: Scope) -> dict[str, str]:
    """With a page that has charts: the browser fetches plotly.js while Streamlit starts, not after."""
    if scope["type"] != "http" or scope["path"] not in CHARTED:
        return {}
    return {"Link": f"<{PLOTLY}?v={version('plotly')}>; rel=preload; as=script"}
