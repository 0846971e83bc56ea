"""What a cut leaves to measurement: the ratio that meets a bound, the multiple that runs fastest.

Chosen once and kept: measured again, another might be the fastest, and the same recipe would give another network.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from core.engine.bench import Bench
from core.engine.export.graph import write_graph
from core.engine.measure.anatomy import anatomy
from core.engine.model import Model
from core.engine.precision import kind_of
from core.engine.prune.cutter import Choice, Cutter
from core.engine.prune.ranking import Scope
from core.engine.prune.structured import random_scores, reachable_ratio
from core.engine.prune.target import COUNTED, measure, milliseconds, refuse_unreachable, search
from core.files import make_folder, remove_tree, write_atomic
from core.machine import processor
from core.ratios import read_names, read_ratios
from core.sealed import read_sealed, seal

MULTIPLES = (1, 2, 4, 8, 16)
WORTH = 0.97  # of the time of unrounded widths: a rounded cut keeps more channels, and must be faster for it


def chosen(method: Cutter, model: Model, bench: Bench, real: bool = True) -> Choice:
    """What the options leave open, measured once for the same network, options and machine, and kept in the cache, so
    that neither a resumed run, nor a control, nor the same recipe again measures anew. Not `real`: nothing is written,
    timed or exported."""
    open_questions = method.target != "none" or method.round_to == 0
    if not open_questions:
        return Choice(method.ratio, method.round_to)
    if not real:
        return _guess(method, model, bench)
    notes = (bench.folder / "choice.json", bench.cache / "choices" / f"{_name(method, model, bench)}.json")
    known = next((choice for note in notes if (choice := _read(note))), None)
    if known is None and notes[0].exists():  # damaged: chosen anew, and the training after it begins anew
        remove_tree(bench.folder)
    found = known or _choose(method, model, bench)
    for note in notes:
        make_folder(note.parent)
        write_atomic(note, seal(json.dumps(asdict(found)).encode()))
    return found


def decisions(method: Cutter, choice: Choice) -> dict[str, str]:
    """What was left open, and what that came to, for the receipt."""
    found = {"ratio": f"{choice.ratio:.6g}"} if method.target != "none" else {}
    return {**found, "round_to": str(choice.round_to)} if method.round_to == 0 else found


def refuse_early(method: Cutter, model: Model, bench: Bench) -> None:
    """Raises where the options, whatever will be measured, ask for what the network cannot give: no search, no file."""
    if method.target == "none":
        _cut(method, model, Choice(method.ratio, method.round_to or 1), bench, real=False)
        return
    smallest = _cut(method, model, Choice(_largest(method, model), method.round_to), bench, real=False)
    if method.target in COUNTED:
        refuse_unreachable(measure(method.target, smallest, bench), method.limit)


def blank(model: Model) -> Tensor:
    """A batch of two blank images of the network's own size."""
    p = model.preprocessing
    return torch.zeros(2, p.channels, p.size, p.size)


def _name(method: Cutter, model: Model, bench: Bench) -> str:
    """Names everything the choice depends on but the clock: weights, options, draws, data and machine."""
    where = (kind_of(bench.device), processor(), bench.latency_threads, torch.__version__, onnxruntime.__version__)
    facts = (type(method).__name__, method, bench.place, bench.data.content_hash, len(bench.labelled))
    digest = sha256(repr((facts, where)).encode())
    for name, tensor in sorted(model.net.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _read(note: Path) -> Choice | None:
    """The choice in a file; None where there is none, or it is damaged: then it is made anew."""
    try:
        return Choice(**json.loads(read_sealed(note)))
    except (OSError, ValueError, TypeError):
        return None


def _choose(method: Cutter, model: Model, bench: Bench) -> Choice:
    if method.target == "none":
        return Choice(method.ratio, _fastest(method, model, bench))

    def size(ratio: float) -> float:
        return measure(method.target, _cut(method, model, Choice(ratio, method.round_to), bench), bench)

    return Choice(search(size, method.limit, _largest(method, model)), method.round_to)


def _guess(method: Cutter, model: Model, bench: Bench) -> Choice:
    """Counts are searched for as in a run, bytes by their estimate; what only a clock can tell is left at `ratio`."""
    if method.target in ("none", "latency"):
        return Choice(method.ratio, method.round_to or 1, guessed=True)
    p = model.preprocessing

    def size(ratio: float) -> float:
        thinned = _cut(method, model, Choice(ratio, method.round_to), bench, real=False)
        if method.target == "bytes":
            return method.packing().bytes(anatomy(thinned.net, (p.channels, p.size, p.size)))
        return measure(method.target, thinned, bench)

    ratio = search(size, method.limit, _largest(method, model))
    return Choice(ratio, method.round_to, guessed=method.target == "bytes" or method.scope == "global")


def _fastest(method: Cutter, model: Model, bench: Bench) -> int:
    """The multiple whose file is fastest, if that is worth the channels it keeps."""
    with tempfile.TemporaryDirectory() as folder:
        files = {str(multiple): Path(folder) / f"{multiple}.onnx" for multiple in MULTIPLES}
        for multiple in MULTIPLES:
            bench.stop_if_cancelled()
            write_graph(_cut(method, model, Choice(method.ratio, multiple), bench), files[str(multiple)])
        times = milliseconds(files, bench)
    best = min(MULTIPLES, key=lambda multiple: times[str(multiple)])
    return best if times[str(best)] < WORTH * times["1"] else 1


def _cut(method: Cutter, model: Model, choice: Choice, bench: Bench, real: bool = True) -> Model:
    """The network after a whole cut. A local one is as wide whatever the scores are."""
    bench.stop_if_cancelled()
    blind = method.reads_images and not (real and method.scope == "global")
    *_, net = method.cut(model, choice, bench, random_scores(0) if blind else None)
    return model.with_net(net)


def _largest(method: Cutter, model: Model) -> float:
    scope: Scope = "global" if method.scope == "global" else "local"
    ignored, ratios = read_names(method.ignored), read_ratios(method.layer_ratios)
    return reachable_ratio(model.net.cpu(), blank(model), scope, ignored, ratios)
