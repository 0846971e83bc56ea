"""Right answers of saved files on corrupted test images, as a question; what is done is kept by content, so that asking
again, or after a cancellation, goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from onnxruntime import InferenceSession
from pydantic import TypeAdapter

from core.engine.context import CancelledError
from core.engine.data import Split
from core.engine.data.corruptions import corrupted
from core.engine.data.dataset import draw
from core.engine.data.of_run import dataset_of
from core.engine.measure.runtime import predict, prepared_as_bundled
from core.engine.model import Preprocessing
from core.engine.questions.answers import opened, read_card
from core.engine.questions.import_data import Telling
from core.errors import UserError
from core.files import make_folder
from core.jobs import Job
from core.questions.corruptions import CORRUPTIONS, SEVERITIES
from core.questions.robustness import Corrupted, Robustness, RobustnessRequest
from core.run_files.answers import kept_at
from core.run_files.sides import Side, of_same_images, side
from core.storage.sealed import read_kept, write_kept
from core.workspace import Workspace

FORMAT = 1  # of what is kept, and of how images are corrupted; another one is made anew
CELLS = (("", 0), *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES))
DOING = "corrupting images"
Counts = dict[str, int]  # right answers by corruption and severity
COUNTS = TypeAdapter(Counts)


def answer(request: RobustnessRequest, job: Job) -> Robustness:
    """A row a point, corruption and severity. Raises UserError, and CancelledError between two of them once the person
    asks to stop; what was done stays."""
    store, tell = Workspace(job.workspace), Telling(job)
    chosen = [side(store, name) for name in request.points]
    _refuse_others(chosen)
    data = dataset_of(chosen[0].run, store, tell)
    split = subset(data.test, request.limit, len(data.classes))
    subjects = [Subject(one, kept_path(one, data.content_hash, len(split))) for one in chosen]
    cached = all(subject.is_done for subject in subjects)
    for number, (name, severity) in enumerate(CELLS):
        if job.cancel_requested():
            raise CancelledError
        job.tell(number, len(CELLS), DOING)
        _measure(subjects, split, name, severity)
        job.show(request.answer_to_document(Robustness(rows(subjects), len(split))))
        job.rest()
    return Robustness(rows(subjects), len(split), cached)


@dataclass
class Subject:
    """A point's file, and the counts of it so far, which are kept at `path`."""

    side: Side
    path: Path
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        found = read_kept(self.path)
        self.counts = {} if found is None else COUNTS.validate_json(found)
        self._session: InferenceSession | None = None

    @property
    def is_done(self) -> bool:
        return all(_key(*cell) in self.counts for cell in CELLS)

    def measure(self, split: Split, key: str) -> None:
        """Counts the right answers to the images of `split`."""
        if self._session is None:
            self._session = opened(self.side)
        pixels = Preprocessing.from_json(read_card(self.side)["preprocessing"])
        logits = predict(self._session, split.images, pixels, prepared=prepared_as_bundled)
        self.counts[key] = int((logits.argmax(1) == split.labels).sum())
        make_folder(self.path.parent)
        write_kept(self.path, COUNTS.dump_json(self.counts))


def _refuse_others(chosen: list[Side]) -> None:
    for other in chosen[1:]:
        if not of_same_images(chosen[0], other):
            fix = "Choose a point of the same version of the data."
            raise UserError("other_images", "point", other.id, "points on the same images", fix)


def _measure(subjects: list[Subject], split: Split, name: str, severity: int) -> None:
    """One corruption at one severity, drawn once for all who lack it."""
    lacking = [subject for subject in subjects if _key(name, severity) not in subject.counts]
    if not lacking:
        return
    images = split.images
    if name:
        images = torch.from_numpy(corrupted(split.images.numpy(), name, severity))
    for subject in lacking:
        subject.measure(Split(images, split.labels), _key(name, severity))


def rows(subjects: list[Subject]) -> tuple[Corrupted, ...]:
    """What was counted so far."""
    return tuple(
        Corrupted(subject.side.id, name, severity, subject.counts[_key(name, severity)])
        for subject in subjects
        for name, severity in CELLS
        if _key(name, severity) in subject.counts
    )


def subset(split: Split, limit: int, classes: int) -> Split:
    """At most `limit` images, but one of each class at least, drawn stratified and always the same; all for 0."""
    most = max(limit, classes)
    if not limit or most >= len(split):
        return split
    return split.subset(draw(split.labels.numpy(), most, seed=0)[0])


def kept_path(chosen: Side, content_hash: str, images: int) -> Path:
    """Where the counts of a point are kept: the name stands for its file, the images and how they are corrupted."""
    named = "\n".join((str(FORMAT), kept_at(chosen).name, content_hash, str(images)))
    return kept_at(chosen).parent / f"corrupted-{sha256(named.encode()).hexdigest()[:32]}.kept"


def _key(name: str, severity: int) -> str:
    return f"{name} {severity}"
