"""What TensorBoard's own reader finds in the file is what the run's log says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import cli
from core.errors import UserError
from core.exchange import child
from core.exchange.record import record
from core.exchange.sending import Sending
from core.exchange.sent import Request
from core.runs import Run
from core.workspace import Workspace

accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="the extra [tensorboard] is not installed"
)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, store: Workspace, finished: Run) -> Path:
    """The folder of logs after the run was sent."""
    folder = tmp_path_factory.mktemp("logs")
    sent = Sending(Request(str(store.path), finished.id, "tensorboard", str(folder))).wait()
    assert not sent.again
    assert sent.metrics == len(record(finished).metrics)
    return folder


def test_a_part_of_a_path_is_refused(store: Workspace, finished: Run) -> None:
    """The process that writes works in the program's folder; a page hands over what a person typed."""
    with pytest.raises(UserError, match="whole path"):
        child.send(Request(str(store.path), finished.id, "tensorboard", "logs"))


def test_a_file_in_the_way_is_named(store: Workspace, finished: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    for where in (tmp_path / "taken", tmp_path / "taken" / "logs"):
        with pytest.raises(UserError) as caught:
            child.send(Request(str(store.path), finished.id, "tensorboard", str(where)))
        assert (caught.value.code, caught.value.given) == ("not_a_folder", str(tmp_path / "taken"))


def read(logs: Path) -> Any:
    (folder,) = logs.iterdir()
    found = accumulator.EventAccumulator(str(folder), {accumulator.SCALARS: 0, accumulator.TENSORS: 0})
    return found.Reload()


def test_the_scalars_are_those_of_the_run_with_their_steps_and_times(logs: Path, finished: Run) -> None:
    found = read(logs)
    told = record(finished).metrics
    assert set(found.Tags()["scalars"]) == {metric.name for metric in told}
    for name in found.Tags()["scalars"]:
        expected = sorted((m.time, m.step, float(np.float32(m.value))) for m in told if m.name == name)
        assert sorted((e.wall_time, e.step, e.value) for e in found.Scalars(name)) == expected


def test_the_table_of_hyperparameters_has_every_parameter_and_how_it_ended(logs: Path, finished: Run) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    found, told = read(logs), record(finished)
    start, end = (
        found.SummaryMetadata(tag).plugin_data.content
        for tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
    )
    begun = metadata.parse_session_start_info_plugin_data(start)
    assert set(begun.hparams) == set(told.parameters)
    assert begun.hparams["steps.1.ratio"].number_value == 0.5
    assert begun.hparams["dataset"].string_value == "digits"
    assert begun.start_time_secs == told.begun
    assert metadata.parse_session_end_info_plugin_data(end).status == api_pb2.STATUS_SUCCESS


def test_the_texts_hold_what_a_scalar_cannot(logs: Path, finished: Run) -> None:
    found = read(logs)
    texts = {tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in ("recipe", "files", "figures")}
    assert 'method = "fine_tune"' in texts["recipe"]
    for artifact in finished.state().artifacts:
        assert f"{artifact.path}  {artifact.bytes} bytes  sha256 {artifact.sha256}" in texts["files"]
    for point in finished.summary().points:
        assert repr(point.accuracy) in texts["figures"]


def test_sending_twice_writes_the_same_file_again(
    logs: Path, store: Workspace, finished: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (before,) = (path.read_bytes() for path in logs.rglob("events*"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["send", finished.id, str(logs), "--to", "tensorboard", "--workspace", str(store.path), "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["again"] is True
    (after,) = (path.read_bytes() for path in logs.rglob("events*"))
    assert after == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, store: Workspace, finished: Run) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UserError, match="a folder"):
        Sending(Request(str(store.path), finished.id, "tensorboard", str(tmp_path / "x"))).wait()
    assert (tmp_path / "x").read_text() == "mine"
