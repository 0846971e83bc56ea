"""A run as MLflow keeps it: parameters, metrics with their steps and times, tags, files. The one module that imports
MLflow.

A run is found again by its tag, so that sending it twice brings it up to date: of the metrics only those are sent that
are not there yet, since not every server drops what it has already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric as Sendable
from mlflow.entities import Param, RunStatus, RunTag
from mlflow.entities import Run as Tracked
from mlflow.exceptions import MlflowException, RestException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE, MLFLOW_SOURCE_NAME

from core.errors import UserError
from core.exchange import address as addresses
from core.exchange.record import RUN, Metric, Record
from core.exchange.sent import Sent
from core.run_files import run_table
from core.runs import Run
from core.state import Status

METRICS, PARAMETERS, TAGS = 1000, 100, 100  # in one request: the server's own limits
LONGEST_PARAMETER, LONGEST_TAG = 6000, 5000  # characters
STATUS = {
    Status.FINISHED: RunStatus.FINISHED,
    Status.FAILED: RunStatus.FAILED,
    Status.INTERRUPTED: RunStatus.FAILED,
    Status.CANCELLED: RunStatus.KILLED,
    Status.QUEUED: RunStatus.SCHEDULED,
}
TABLE, RECIPE = "run.csv", "recipe.toml"
NOTHING, AGAIN = "Nothing was sent.", "What was sent is kept there; sending it again completes it."
SILENT = re.compile(r"failed with exception|Max retries|timed out|error code 50[234]")
UNKNOWN = re.compile(r"error code 40[13]")
Key = tuple[str, int, int, float]
T = TypeVar("T")


def send(run: Run, record: Record, address: str, experiment: str) -> Sent:
    """Sends the run to the server at `address`, into an experiment that is made where there is none.

    Raises UserError `silent_server`, `refused_there` or `not_sent`; none of them repeats what is secret in the address.
    """
    kept = NOTHING
    try:
        client = MlflowClient(tracking_uri=address)
        place = _experiment(client, experiment)
        found = _found(client, place, record)
        kept = AGAIN
        tracked = found or _created(client, place, record)
        _send(client, tracked, record)
        sizes = _send_files(client, tracked.info.run_id, run, record)
        client.update_run(tracked.info.run_id, name=record.name)
        _finish(client, tracked.info.run_id, record)
    except MlflowException as error:
        raise told(error, address, kept) from None
    return Sent(
        "mlflow",
        addresses.public(address),
        found is not None,
        len(record.parameters),
        len(record.metrics),
        len(sizes),
        sum(sizes),
    )


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        fix = "Restore it there, or name another one with --experiment."
        raise UserError("deleted_experiment", "experiment", name, "an experiment that was not deleted", fix)
    return str(found.experiment_id)


def _found(client: MlflowClient, experiment: str, record: Record) -> Tracked | None:
    """The run as it was sent before."""
    same = client.search_runs([experiment], f"tags.`{RUN}` = '{record.id}'", max_results=1)
    return same[0] if same else None


def _created(client: MlflowClient, experiment: str, record: Record) -> Tracked:
    tags = {RUN: record.id, MLFLOW_SOURCE_NAME: "condenser"}
    return client.create_run(experiment, start_time=_milliseconds(record.begun), tags=tags, run_name=record.name)


def _send(client: MlflowClient, tracked: Tracked, record: Record) -> None:
    """Parameters, tags and metrics in requests as large as the server allows."""
    name = tracked.info.run_id
    known = tracked.data.params
    parameters = [Param(k, v[:LONGEST_PARAMETER]) for k, v in record.parameters.items() if k not in known]
    for some in _pieces(parameters, PARAMETERS):
        client.log_batch(name, params=some)
    tags = {**record.tags, MLFLOW_RUN_NAME: record.name, MLFLOW_RUN_NOTE: record.note}
    for some_tags in _pieces([RunTag(k, v[:LONGEST_TAG]) for k, v in tags.items() if v], TAGS):
        client.log_batch(name, tags=some_tags)
    there = _there(client, tracked)
    new = [each for each in record.metrics if _key(each) not in there]
    for some_metrics in _pieces(new, METRICS):
        client.log_batch(name, metrics=[Sendable(m.name, m.value, _time(m), m.step) for m in some_metrics])


def _there(client: MlflowClient, tracked: Tracked) -> set[Key]:
    """The metrics that the server has already."""
    histories = (client.get_metric_history(tracked.info.run_id, name) for name in tracked.data.metrics)
    return {(m.key, m.step, m.timestamp, m.value) for history in histories for m in history}


def _key(metric: Metric) -> Key:
    return metric.name, metric.step, _time(metric), metric.value


def _send_files(client: MlflowClient, name: str, run: Run, record: Record) -> list[int]:
    """The run's files at their own paths, its recipe and its table; their sizes. One that is there is replaced."""
    for saved in record.files:
        folder = str(PurePosixPath(saved.path).parent)
        client.log_artifact(name, str(run.folder / saved.path), folder if folder != "." else None)
    texts = {TABLE: run_table.to_csv(run), RECIPE: record.recipe.encode()}
    with TemporaryDirectory() as folder:
        for file, data in texts.items():
            path = Path(folder) / file
            path.write_bytes(data)
            client.log_artifact(name, str(path))
    return [*(saved.bytes for saved in record.files), *map(len, texts.values())]


def _finish(client: MlflowClient, name: str, record: Record) -> None:
    """The run's own status, and when it ended."""
    status = RunStatus.to_string(STATUS.get(record.status, RunStatus.RUNNING))
    if record.status.is_over:
        client.set_terminated(name, status, _milliseconds(record.ended))
    else:
        client.update_run(name, status=status)


def _pieces(everything: Sequence[T], most: int) -> Iterator[list[T]]:
    rest = iter(everything)
    while some := list(islice(rest, most)):
        yield some


def _time(metric: Metric) -> int:
    return round(1000 * metric.time)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)


def told(error: MlflowException, address: str, kept: str) -> UserError:
    """What a person is told of an error of MLflow's; `kept` says what of the run is there."""
    where = addresses.public(address)
    message = addresses.cleaned(str(error), address)
    if SILENT.search(message):
        fix = f"{kept} Is it running there, and may this machine reach it?"
        return UserError("silent_server", "address", f"MLflow at {where} does not answer.", "", fix)
    if UNKNOWN.search(message):
        fix = f"{kept} Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        return UserError("not_let_in", "address", f"MLflow at {where} asks who you are.", "", fix)
    said = "refused" if isinstance(error, RestException) else "said"
    first = message.splitlines()[0] if message else type(error).__name__
    return UserError("refused_there", "address", f"MLflow at {where} {said}: {first}", "", kept)
