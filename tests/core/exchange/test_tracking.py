"""What MLflow's own client reads back is what the run's log says, files byte for byte; nothing is there twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from core.errors import UserError
from core.exchange.record import record
from core.exchange.sending import Sending
from core.exchange.sent import Request, Sent
from core.run_files import run_table
from core.runs import Run
from core.workspace import Workspace

mlflow = pytest.importorskip("mlflow", reason="the extra [mlflow] is not installed")
PROGRAM = os.environ.get("CONDENSER_TEST_MLFLOW") or shutil.which("mlflow", path=str(Path(sys.executable).parent))
SERVES = bool(os.environ.get("CONDENSER_TEST_MLFLOW")) or find_spec("flask") is not None


def sent(store: Workspace, run: Run, address: str, experiment: str = "tests") -> Sent:
    return Sending(Request(str(store.path), run.id, "mlflow", address, experiment)).wait()


def client(address: str) -> Any:
    return mlflow.MlflowClient(tracking_uri=address)


def prove_equal(address: str, run: Run, folder: Path, experiment: str = "tests") -> None:
    """Everything that the client finds of a run, against the run itself."""
    reader, told = client(address), record(run)
    place = reader.get_experiment_by_name(experiment).experiment_id
    (found,) = reader.search_runs([place], f"tags.`condenser.run` = '{run.id}'")
    assert found.info.run_name == told.name
    assert found.info.status == "FINISHED"
    assert told.begun is not None
    assert told.ended is not None
    assert (found.info.start_time, found.info.end_time) == (round(1000 * told.begun), round(1000 * told.ended))
    assert found.data.params == told.parameters
    assert found.data.tags.items() >= told.tags.items()
    names = {metric.name for metric in told.metrics}
    assert set(found.data.metrics) == names
    for name in names:
        history = sorted((m.timestamp, m.step, m.value) for m in reader.get_metric_history(found.info.run_id, name))
        assert history == sorted((round(1000 * m.time), m.step, m.value) for m in told.metrics if m.name == name)
    got = Path(reader.download_artifacts(found.info.run_id, "", str(folder)))
    files = {path.relative_to(got).as_posix() for path in got.rglob("*") if path.is_file()}
    assert files == {"run.csv", "recipe.toml", *(saved.path for saved in told.files)}
    for saved in told.files:
        assert sha256((got / saved.path).read_bytes()).hexdigest() == saved.sha256
    assert (got / "run.csv").read_bytes() == run_table.to_csv(run)
    assert (got / "recipe.toml").read_text() == run.recipe_text


@pytest.mark.thorough
def test_a_folder_of_runs_has_everything_once_however_often_it_is_sent(
    store: Workspace, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = f"file:{tmp_path / 'mlruns'}"
    for again in (False, True):
        assert sent(store, finished, address).again is again
        folder = tmp_path / f"got {again}"
        folder.mkdir()
        prove_equal(address, finished, folder)


@pytest.mark.slow
@pytest.mark.skipif(not SERVES, reason="no MLflow server here: CONDENSER_TEST_MLFLOW names its program")
def test_a_server_has_everything_once_however_often_it_is_sent(store: Workspace, finished: Run, tmp_path: Path) -> None:
    with served(tmp_path) as address:
        assert not sent(store, finished, address).again
        prove_equal(address, finished, tmp_path / "one")
        assert sent(store, finished, address.replace("//", "//bob:geheim@")).again
        prove_equal(address, finished, tmp_path / "two")
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"geheim" not in everything


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of MLflow's own on loopback, with a database and files in `folder`."""
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(PROGRAM),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/runs.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


# servers that are none, or do not want it


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://bob:geheim@127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b"who?", "not_let_in"),
        (403, b"no", "not_let_in"),
        (200, b"<html>geheim</html>", "refused_there"),
        (404, b"there is no geheim here", "refused_there"),
        (400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "bob:geheim"}', "refused_there"),
    ],
)
def test_a_refusal_is_one_sentence_without_the_password(
    store: Workspace, finished: Run, status: int, body: bytes, code: str
) -> None:
    with answering(status, body) as address, pytest.raises(UserError) as refused:
        sent(store, finished, address)
    assert refused.value.code == code
    assert "geheim" not in str(refused.value)
    assert "Nothing was sent." in refused.value.fix


@pytest.mark.thorough
def test_a_server_that_does_not_answer_is_one_sentence(
    store: Workspace, finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://bob:geheim@127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UserError, match="does not answer") as refused:
            sent(store, finished, address)
    assert refused.value.code == "silent_server"
    assert "geheim" not in str(refused.value)
