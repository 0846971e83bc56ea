"""The process that sends one run: `python -m core.exchange.child`, a request on standard input, an answer on standard
output. What the tools print goes nowhere: it may repeat an address with its password."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from core.errors import UserError
from core.exchange import address
from core.exchange.record import record
from core.exchange.sent import Request, Sent, answer, read_request, refusal
from core.text.whole_path import whole_path
from core.workspace import Workspace

DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # one sentence soon, not after minutes
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
PACKAGES = {"mlflow": "mlflow", "tensorboard": "tensorboard"}  # what to install, by what is missing


def send(request: Request) -> Sent:
    """Sends it; raises UserError, none of which repeats what is secret in the address."""
    workspace = Workspace.open_to_read(Path(request.workspace))
    run = workspace.run(request.run)
    try:
        if request.to == "tensorboard":
            from core.exchange import event_file

            return event_file.send(record(run), whole_path(request.where, "where"))
        where = address.check(request.where)
        from core.exchange import tracking

        return tracking.send(run, record(run), where, request.experiment)
    except ImportError as error:
        raise missing(request.to, error) from None
    except UserError:
        raise
    except OSError as error:
        given = f"Not written: {error.strerror or type(error).__name__}."
        fix = "Is there room, and may you write there?"
        raise UserError("not_sent", "where", given, "", fix) from None
    except Exception as error:  # noqa: BLE001
        said = address.cleaned(f"{type(error).__name__}: {error}".splitlines()[0], request.where)
        raise UserError("not_sent", "where", f"{request.to}: {said}", "", "Nothing here was changed.") from None


def missing(tool: str, error: ImportError) -> UserError:
    """That a tool's client is not installed, or not all of it."""
    name = (error.name or "").partition(".")[0]
    if name in PACKAGES or not name:
        fix = f'Install it: pip install "condenser[{tool}]"'
        return UserError("missing_extra", "to", f"The package {tool} is not installed.", "", fix)
    given = f"This address takes more than {tool}'s client: the package {name} is missing."
    return UserError(
        "missing_package", "where", given, "", "Start a server and give its address, or pip install mlflow."
    )


def main() -> None:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update(TELEMETRY)
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        told = answer(send(read_request(sys.stdin.buffer.readline())))
    except UserError as error:
        told = refusal(error)
    os.write(out, told)
    os._exit(0)  # without the tools' threads, which would hold the process up


if __name__ == "__main__":
    main()
