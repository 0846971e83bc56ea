"""The dashboard as a process: `python -m dashboard.server --port N --workspace DIR` serves `app.py` on loopback.

Everything but the port is in `.streamlit/config.toml` beside this file, where Streamlit looks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import errno
import gc
import gzip
import os
import re
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.errors import StreamlitAPIException
from streamlit.starlette import App

from core.errors import UserError, UserErrors

SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)  # no fault of ours
TRIM_EVERY = 10.0  # seconds
SCRIPT = Path(__file__).with_name("app.py")
CHARTED = ("/live", "/tradeoffs")
HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
REFUSED = "Only pages of this machine may ask: Host 127.0.0.1, localhost or [::1], and Origin, if any, the same.\n"
POLICY = "; ".join(  # the browser itself keeps the page from asking anybody else, whatever text got into it
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class Guard:
    """Refuses, with 403, what a page of another origin asks; a name that now means this machine is another origin.

    Two pages on this machine differ in their port: the Origin must be the Host, whichever port a tunnel gave it.
    Every method is refused, not only those that change something: Streamlit answers an unknown Origin of a GET by
    looking up the machine's address on the internet.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_marks() | _hint(scope))
            await send(message)

        if scope["type"] == "lifespan" or is_welcome(Headers(scope=scope)):
            await self.app(scope, receive, send_marked)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403
        else:
            await PlainTextResponse(REFUSED, 403)(scope, receive, send_marked)


def is_welcome(headers: Headers) -> bool:
    """Whether a request was made for a loopback name, by a page from that very name and port or by no page."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    known = len(hosts) == 1 and HOST.fullmatch(hosts[0].lower()) is not None
    return known and (not origins or origins == [f"http://{hosts[0].lower()}"])


@cache
def _marks() -> dict[str, str]:
    """On every answer; the pid tells whoever started us that it is we who answer on this port."""
    return {
        "Condenser-Process": str(os.getpid()),
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }


def _hint(scope: Scope) -> dict[str, str]:
    """With a page that has charts: the browser fetches plotly.js while Streamlit starts, not after."""
    if scope["type"] != "http" or scope["path"] not in CHARTED:
        return {}
    return {"Link": f"</plotly/plotly.min.js?v={version('plotly')}>; rel=preload; as=script"}


async def send_plotly(request: Request) -> Response:
    """plotly.js of the installed package; kept by the browser for good if the address names its version (`?v=`)."""
    lasting = request.query_params.get("v") == version("plotly")
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(_plotly(), media_type="text/javascript", headers=headers)
    body = await run_in_threadpool(_zipped_plotly)
    headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(body, media_type="text/javascript", headers=headers)


def _plotly() -> Path:
    found = find_spec("plotly")  # without importing it: the server starts sooner
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "package_data" / "plotly.min.js"


@cache
def _zipped_plotly() -> bytes:
    """Zipped once: Streamlit would do it anew for every page that asks."""
    return gzip.compress(_plotly().read_bytes(), compresslevel=6)


def show_fault(error: Exception) -> bool:
    """Shows what a script did not catch, in place of Streamlit's red traceback; True as Streamlit wants it."""
    from dashboard.words import say  # here, that the server starts sooner

    if isinstance(error, UserError | UserErrors):
        from dashboard.faults import refused

        refused(error)
    elif isinstance(error, OSError) and error.errno in SYSTEM:
        from dashboard.faults import not_done, refused

        refused(not_done(error), "".join(traceback.format_exception(error)))
    else:
        st.error(say("faults.happened"), icon=":material/error:")
        with st.expander(say("faults.details")):
            st.code("".join(traceback.format_exception(error)), language=None)
    _show_way_home(say("faults.home"))
    return True


def _show_way_home(label: str) -> None:
    try:
        st.page_link("app_pages/home.py", label=label, icon=":material/home:")
    except StreamlitAPIException:  # the fault came before there were pages
        st.link_button(label, "/", icon=":material/home:")


@asynccontextmanager
async def lean(app: App) -> AsyncIterator[None]:
    """Clears away what past visits left, which Python and the C library would keep for a while."""
    task = asyncio.create_task(_trim())
    yield None
    task.cancel()


async def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; elsewhere there is no need or no way
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY)
        await run_in_threadpool(gc.collect)
        await run_in_threadpool(trim, 0)


def build(script: Path = SCRIPT) -> App:
    """The application: Streamlit's, our guard before it, and plotly.js beside it."""
    return App(
        script.absolute(),
        routes=[Route("/plotly/plotly.min.js", send_plotly)],
        middleware=[Middleware(Guard)],
        lifespan=lean,
        on_script_error=show_fault,
    )


def main(arguments: Sequence[str]) -> None:
    """Serves until SIGTERM; ends with 1 at once if the port is taken."""
    parser = argparse.ArgumentParser("python -m dashboard.server", description="Serve the dashboard on loopback.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--script", type=Path, default=SCRIPT, help="another script than the dashboard's")
    asked = parser.parse_args(arguments)
    os.environ["CONDENSER_WORKSPACE"] = str(asked.workspace.absolute())
    build(asked.script).run(config={"server.port": asked.port, "server.address": "127.0.0.1"})


if __name__ == "__main__":
    main(sys.argv[1:])
