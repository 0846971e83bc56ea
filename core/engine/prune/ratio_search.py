"""What a cut determines by measuring: the ratio that meets a bound, the multiple that runs fastest.

Chosen once and stored: a second measurement might favour a different one, and the same recipe would then give a
different network.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from core.engine.context import Context
from core.engine.export.graph import write_graph
from core.engine.measure.anatomy import anatomy
from core.engine.measure.complexity import complexity
from core.engine.measure.latency import time_files
from core.engine.model import Model
from core.engine.prune.channel_selection import Scope
from core.engine.prune.cutter import Choice, Cutter
from core.engine.prune.structured import random_scores, reachable_ratio
from core.engine.training.precision import kind_of
from core.errors import UserError
from core.files import make_folder, remove_tree, write_atomic
from core.hardware.machine import processor
from core.rules.layer_patterns import read_names, read_ratios
from core.storage.sealed import read_sealed, seal

MULTIPLES = (1, 2, 4, 8, 16)
BUSY = "busy_choice"
WHILE_BUSY = (
    "The machine was busy while this cut was chosen by its latency: at rest, another ratio or multiple may meet the "
    "bound."
)
WORTH = 0.97  # of the latency of unrounded widths: a rounded cut keeps more channels, so it has to be faster


def chosen(method: Cutter, model: Model, context: Context, real: bool = True) -> Choice:
    """What the options leave open, measured once for the same network, options and machine, and cached, so that a
    resumed run, a control or the same recipe does not measure again. If not `real`, nothing is written, timed or
    exported."""
    open_questions = method.target != "none" or method.round_to == 0
    if not open_questions:
        return Choice(method.ratio, method.round_to)
    if not real:
        return _guess(method, model, context)
    notes = (context.folder / "choice.json", context.cache / "choices" / f"{_name(method, model, context)}.json")
    known = next((choice for note in notes if (choice := _read(note))), None)
    if known is None and notes[0].exists():  # damaged: choose again, and restart the training that follows
        remove_tree(context.folder)
    found = known or _choose(method, model, context)
    for note in notes:
        make_folder(note.parent)
        write_atomic(note, seal(json.dumps(asdict(found)).encode()))
    return found


def decisions(method: Cutter, choice: Choice) -> dict[str, str]:
    """The options that were left open, and the values found, for the receipt."""
    found = {"ratio": f"{choice.ratio:.6g}"} if method.target != "none" else {}
    return {**found, "round_to": str(choice.round_to)} if method.round_to == 0 else found


def refuse_early(method: Cutter, model: Model, context: Context) -> None:
    """Raises if the options ask for something impossible whatever is measured; searches nothing, writes no file."""
    if method.target == "none":
        _cut(method, model, Choice(method.ratio, method.round_to or 1), context, real=False)
        return
    smallest = _cut(method, model, Choice(_largest(method, model), method.round_to), context, real=False)
    if method.target in COUNTED:
        refuse_unreachable(measure(method.target, smallest, context), method.limit)


def blank(model: Model) -> Tensor:
    """A batch of two blank images of the network's own size."""
    p = model.preprocessing
    return torch.zeros(2, p.channels, p.size, p.size)


def _name(method: Cutter, model: Model, context: Context) -> str:
    """A name from everything the choice depends on except timing: weights, options, seeds, data and machine."""
    where = (kind_of(context.device), processor(), context.latency_threads, torch.__version__, onnxruntime.__version__)
    facts = (type(method).__name__, method, context.place, context.data.content_hash, len(context.labelled))
    digest = sha256(repr((facts, where)).encode())
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _read(note: Path) -> Choice | None:
    """The choice stored in a file; None if there is none or it is damaged, and it has to be made again."""
    try:
        return Choice(**json.loads(read_sealed(note)))
    except (OSError, ValueError, TypeError):
        return None


def _choose(method: Cutter, model: Model, context: Context) -> Choice:
    noisy = False

    def warn(code: str, message: str) -> None:
        nonlocal noisy
        if code == BUSY:  # told once by whoever takes the choice up, however many timings were noisy
            noisy = True
        else:
            context.warn(code, message)

    found = _measured(method, model, replace(context, warn=warn))
    return replace(found, noisy=noisy)


def _measured(method: Cutter, model: Model, context: Context) -> Choice:
    if method.target == "none":
        return Choice(method.ratio, _fastest(method, model, context))

    def size(ratio: float) -> float:
        return measure(method.target, _cut(method, model, Choice(ratio, method.round_to), context), context)

    return Choice(search(size, method.limit, _largest(method, model)), method.round_to)


def _guess(method: Cutter, model: Model, context: Context) -> Choice:
    """Counts are searched for as in a run, bytes by an estimate; where only timing can decide, `ratio` is kept."""
    if method.target in ("none", "latency"):
        return Choice(method.ratio, method.round_to or 1, guessed=True)
    p = model.preprocessing

    def size(ratio: float) -> float:
        thinned = _cut(method, model, Choice(ratio, method.round_to), context, real=False)
        if method.target == "bytes":
            return method.file_size().bytes(anatomy(thinned.net, (p.channels, p.size, p.size)))
        return measure(method.target, thinned, context)

    ratio = search(size, method.limit, _largest(method, model))
    return Choice(ratio, method.round_to, guessed=method.target == "bytes" or method.scope == "global")


def _fastest(method: Cutter, model: Model, context: Context) -> int:
    """The multiple whose file is fastest, if the gain justifies the additional channels."""
    with tempfile.TemporaryDirectory() as folder:
        files = {str(multiple): Path(folder) / f"{multiple}.onnx" for multiple in MULTIPLES}
        for multiple in MULTIPLES:
            context.stop_if_cancelled()
            write_graph(_cut(method, model, Choice(method.ratio, multiple), context), files[str(multiple)])
        times = milliseconds(files, context)
    best = min(MULTIPLES, key=lambda multiple: times[str(multiple)])
    return best if times[str(best)] < WORTH * times["1"] else 1


def _cut(method: Cutter, model: Model, choice: Choice, context: Context, real: bool = True) -> Model:
    """The network after the complete cut. After a local cut its widths do not depend on the scores."""
    context.stop_if_cancelled()
    blind = method.reads_images and not (real and method.scope == "global")
    *_, net = method.cut(model, choice, context, random_scores(0) if blind else None)
    return model.with_net(net)


def _largest(method: Cutter, model: Model) -> float:
    scope: Scope = "global" if method.scope == "global" else "local"
    ignored, ratios = read_names(method.ignored), read_ratios(method.layer_ratios)
    return reachable_ratio(model.net.cpu(), blank(model), scope, ignored, ratios)


STEPS = 256  # resolution of the search
SECONDS = 0.6  # of timing per candidate
MARGIN = 0.97  # of a latency bound: timings of the finished file will differ slightly

COUNTED = ("parameters", "macs")  # exactly, from shapes alone
KINDS = (*COUNTED, "bytes", "latency")


def measure(kind: str, model: Model, context: Context) -> float:
    """Parameters, multiply-accumulates, bytes of the float32 file, or its median latency in ms on this machine."""
    p = model.preprocessing
    if kind in COUNTED:
        found = complexity(model.net, (p.channels, p.size, p.size))
        return found.params if kind == "parameters" else found.macs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_graph(model, path)
        return path.stat().st_size if kind == "bytes" else milliseconds({"": path}, context)[""] / MARGIN


def milliseconds(files: dict[str, Path], context: Context) -> dict[str, float]:
    """The median latency of files, measured in alternation while other work of this program waits."""
    with context.alone():
        found = time_files(files, context.latency_threads, SECONDS * len(files), stop=context.stop_if_cancelled)
    latencies = {name: timing.latency() for name, timing in found.items()}
    if any(latency.noisy for latency in latencies.values()):
        context.remark(BUSY, WHILE_BUSY)
    return {name: latency.p50 for name, latency in latencies.items()}


def search(size: Callable[[float], float], limit: float, largest: float) -> float:
    """The smallest ratio, in steps of `largest` / 256, whose `size` is at most `limit`.

    Raises UserError unreachable_target with the smallest size there is.
    """
    refuse_unreachable(size(largest), limit)
    holds, fails = STEPS, -1
    while holds - fails > 1:
        middle = (holds + fails) // 2
        if size(largest * middle / STEPS) <= limit:
            holds = middle
        else:
            fails = middle
    return largest * holds / STEPS


def refuse_unreachable(smallest: float, limit: float) -> None:
    """Raises UserError unreachable_target if the size at the largest ratio, `smallest`, still exceeds the limit."""
    if smallest > limit:
        shown = f"{smallest:,.0f}" if smallest >= 100 else f"{smallest:.4g}"
        allowed = f"at least {shown} for this model"
        fix = "Raise the bound, choose another target, or start from a smaller network."
        raise UserError("unreachable_target", "limit", limit, allowed, fix)
