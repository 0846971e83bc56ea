"""A dashboard without pages: its health address, and ways to misbehave, named by the environment's FAKE_DASHBOARD."""

from __future__ import annotations

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

MODE = os.environ.get("FAKE_DASHBOARD", "")


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if MODE == "never" else 200)
        self.send_header("Condenser-Process", str(os.getpid()))
        self.end_headers()

    def log_message(self, format: str, *values: object) -> None:
        print(format % values, flush=True)


def main() -> None:
    port = int(sys.argv[sys.argv.index("--port") + 1])
    if MODE == "broken":
        raise SystemExit("it broke")
    if MODE == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "slow":
        time.sleep(1.0)
    with HTTPServer(("127.0.0.1", port), Health) as server:
        print("serving", flush=True)
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
