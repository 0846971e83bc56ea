"""A run as TensorBoard reads it: one event file in a folder of its own. The one module that imports tensorboard.

Scalars keep the steps and times of the run's own log. TensorBoard holds them in 32 bits, so a size above 16 MB is
rounded there; the texts give every figure exactly. Files are no part of TensorBoard: a text lists them with hashes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.struct_pb2 import Value  # type: ignore[import-untyped]
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from core.errors import UserError
from core.exchange.record import PREFIX, Metric, Record
from core.exchange.sent import Sent
from core.files import make_folder, replacing
from core.state import Status
from core.text.escaping import UserText

VERSION = "brain.Event:2"
ENDED = {Status.FINISHED: api_pb2.STATUS_SUCCESS, Status.FAILED: api_pb2.STATUS_FAILURE}
LATEST = "point/"  # metrics that the table of hyperparameters shows


def send(record: Record, folder: Path) -> Sent:
    """Writes the run into a folder below `folder`; one that was written there before is replaced.

    Raises UserError `not_a_folder` or OSError.
    """
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise UserError("not_a_folder", "where", str(there), "a folder, or one to be made", "Name another one.")
    make_folder(folder, private=False)
    before = sorted(path for path in folder.glob(f"* {record.id}") if path.is_dir())
    mine = before[0] if before else make_folder(folder / f"{UserText(record.name).path()} {record.id}", private=False)
    path = mine / file_name(record)
    again = path.exists()
    data = content(record)
    with replacing(path, private=False) as temporary:
        temporary.write_bytes(data)
    return Sent("tensorboard", str(mine), again, len(record.parameters), len(record.metrics), 1, len(data))


def file_name(record: Record) -> str:
    """The same for every sending of a run; TensorBoard asks for `tfevents` in the name."""
    return f"events.out.tfevents.{int(record.begun or 0)}.condenser"


def content(record: Record) -> bytes:
    """The event file. The same run gives the same bytes."""
    begun = record.begun or 0.0
    out = io.BytesIO()
    writer = RecordWriter(out)
    writer.write(Event(wall_time=begun, file_version=VERSION).SerializeToString())
    for summary in (*_hyperparameters(record), *_texts(record)):
        writer.write(Event(wall_time=begun, step=0, summary=summary).SerializeToString())
    for metric in sorted(record.metrics, key=lambda each: each.time):
        writer.write(_scalar(metric).SerializeToString())
    return out.getvalue()


def _scalar(metric: Metric) -> Event:
    value = Summary.Value(tag=metric.name, simple_value=metric.value)
    return Event(wall_time=metric.time, step=metric.step, summary=Summary(value=[value]))


# the table of hyperparameters


def _hyperparameters(record: Record) -> Iterator[Summary]:
    """What varies, which metrics belong into the table, when it began and how it ended."""
    names = dict.fromkeys(each.name for each in record.metrics if each.name.startswith(LATEST))
    experiment = api_pb2.Experiment(
        hparam_infos=[api_pb2.HParamInfo(name=name, type=_kind(text)) for name, text in record.parameters.items()],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=name)) for name in names],
    )
    start = plugin_data_pb2.SessionStartInfo(group_name=record.id, start_time_secs=record.begun or 0.0)
    for name, text in record.parameters.items():
        start.hparams[name].CopyFrom(_value(text))
    yield _plugin(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=experiment))
    yield _plugin(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=start))
    if record.status.is_over:
        end = plugin_data_pb2.SessionEndInfo(
            status=ENDED.get(record.status, api_pb2.STATUS_UNKNOWN), end_time_secs=record.ended or 0.0
        )
        yield _plugin(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=end))


def _plugin(tag: str, data: plugin_data_pb2.HParamsPluginData) -> Summary:
    data.version = metadata.PLUGIN_DATA_VERSION
    content = data.SerializeToString(deterministic=True)  # the tool's own function leaves the order to chance
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content))
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return Value(bool_value=text == "true")
    number = _number(text)
    return Value(string_value=text) if number is None else Value(number_value=number)


def _kind(text: str) -> int:
    if text in ("true", "false"):
        return int(api_pb2.DATA_TYPE_BOOL)
    return int(api_pb2.DATA_TYPE_STRING if _number(text) is None else api_pb2.DATA_TYPE_FLOAT64)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# texts


def _texts(record: Record) -> Iterator[Summary]:
    """Recipe, tags, exact figures and files, as Markdown in which nothing of a person's text is markup."""
    yield _text("recipe", _block(record.recipe.splitlines()))
    tags = {name.removeprefix(PREFIX): text for name, text in record.tags.items()}
    yield _text("run", _block(f"{name}: {text}" for name, text in {**tags, "note": record.note}.items() if text))
    points = (each for each in record.metrics if "/" in each.name and not each.name.startswith("step"))
    yield _text("figures", _block(f"step {each.step}  {each.name}  {each.value!r}" for each in points))
    yield _text("files", _block(f"{each.path}  {each.bytes} bytes  sha256 {each.sha256}" for each in record.files))


def _block(lines: Iterable[str]) -> str:
    """A block of code: each line four spaces in."""
    return "\n".join(f"    {piece}" for line in lines for piece in line.splitlines() or [""]) or "–"


def _text(tag: str, text: str) -> Summary:
    about: SummaryMetadata = create_summary_metadata(display_name=tag, description="")
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=tensor)])
