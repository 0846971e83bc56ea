"""The dashboard as a process: `python -m dashboard.server --port N --workspace DIR` serves `app.py` on loopback, with
`--share ADDRESS` on that address of this machine, to whoever has a token of the class.

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
import sys
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from streamlit.errors import StreamlitAPIException
from streamlit.starlette import App

from core.assets import shipped
from core.classroom.tokens import kept
from core.errors import UserError, UserErrors
from dashboard import former_labels, late_address, undisturbed
from dashboard.addresses import address_of
from dashboard.classroom.seats import SHARED, seats
from dashboard.guard import PLOTLY, Guard

if TYPE_CHECKING:
    from dashboard.classroom.gate import Gate, Shared

SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)  # no fault of ours
TRIM_EVERY = 10.0  # seconds
THAW_EVERY = 600.0  # seconds
HERE = Path(__file__).parent
SCRIPT = HERE / "app.py"
CONFIG = HERE / ".streamlit" / "config.toml"
COMPONENTS = ("live_plot", "draw_pad", "picture_row")
PARTS = tuple(HERE / name / f"{name}.{kind}" for name in COMPONENTS for kind in ("css", "js"))
NEEDED = (SCRIPT, CONFIG, HERE / "frame.css", *PARTS)


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
    from dashboard.i18n import say  # here, that the server starts sooner

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
    lasting = Lasting()
    while True:
        await asyncio.sleep(TRIM_EVERY)
        await run_in_threadpool(lasting.collect, time.monotonic())
        if trim is not None:
            await run_in_threadpool(trim, 0)


class Lasting:
    """Excludes permanent objects from garbage collection: Streamlit collects after each script run, which takes 90 ms
    with the modules of a page loaded, and 5 ms without them.

    Objects are excluded (gc.freeze) whenever new modules were loaded. Objects of a visit may be among them, so every
    ten minutes everything is collected once.
    """

    def __init__(self) -> None:
        self.modules = 0
        self.thawed = 0.0

    def collect(self, now: float) -> None:
        """Collects; `now` in seconds of any clock that goes on."""
        if len(sys.modules) == self.modules and now - self.thawed < THAW_EVERY:
            gc.collect()
            return
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self.modules, self.thawed = len(sys.modules), now


def build(script: Path = SCRIPT, shared: Shared | None = None) -> App:
    """The application: Streamlit's, our guard before it, and plotly.js beside it; before all of them, if it is shared,
    the gate of the class."""
    undisturbed.install()
    former_labels.install()
    late_address.install()
    pages = [address_of(path.stem) for path in script.absolute().parent.glob("app_pages/*.py")]
    gate = [Middleware(_gate(), shared=shared, pages=pages)] if shared else []
    return App(
        script.absolute(),
        routes=[Route(PLOTLY, send_plotly)],
        middleware=[*gate, Middleware(Guard, pages=pages, host=shared.host if shared else "")],
        lifespan=lean,
        on_script_error=show_fault,
    )


def main(arguments: Sequence[str]) -> None:
    """Serves until SIGTERM; ends with 1 at once if the port is taken."""
    parser = argparse.ArgumentParser("python -m dashboard.server", description="Serve the dashboard.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--script", type=Path, default=SCRIPT, help="another script than the dashboard's")
    parser.add_argument("--share", metavar="ADDRESS", default="", help="listen there, with the tokens of the workspace")
    asked = parser.parse_args(arguments)
    os.environ["CONDENSER_WORKSPACE"] = str(asked.workspace.absolute())
    try:
        for path in NEEDED:  # without its configuration Streamlit would serve by rules of its own
            shipped(path)
    except UserError as error:
        sys.exit(str(error))
    shared = _shared(asked.workspace.absolute(), asked.share, asked.port) if asked.share else None
    build(asked.script, shared).run(config={"server.port": asked.port, **_address(asked.share)})


def _gate() -> type[Gate]:
    from dashboard.classroom.gate import Gate  # here, that a server for one person starts sooner

    return Gate


def _shared(root: Path, host: str, port: int) -> Shared:
    from dashboard.classroom.gate import Shared

    tokens = kept(root)
    if tokens is None:
        sys.exit(f"{root}: no tokens to share it with; start it with `condenser dashboard --share`")
    os.environ[SHARED] = host  # for the pages
    return Shared(root, host, port, tokens, seats())


def _address(host: str) -> dict[str, object]:
    """Where to listen, and for which names: Streamlit checks them too."""
    if not host:
        return {"server.address": "127.0.0.1"}
    names = ["127.0.0.1", "localhost", "::1", host]
    origins = ["http://127.0.0.1", "http://localhost", "http://[::1]", f"http://{host}"]
    return {"server.address": host, "server.allowedHosts": names, "server.corsAllowedOrigins": origins}


if __name__ == "__main__":
    main(sys.argv[1:])
