"""Packs a model as a zip, unpacks it again, and tests the unpacked model as a person who downloads it would."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter

from core.assets import PREDICT
from core.engine import build
from core.engine.backbones import find
from core.engine.context import CancelledError
from core.engine.data import Dataset, Split, load_dataset
from core.engine.export import Export
from core.engine.measure.runtime import BATCH, open_session
from core.engine.model import Model
from core.engine.model_file import WEIGHTS, load_model
from core.errors import UserError
from core.files import remove_file
from core.jobs import Job
from core.points import Point
from core.questions.bundle import QUANTIZE, Bundled, BundleRequest, Compared, Format
from core.recipe import Recipe
from core.run_files.artifacts import read_artifact
from core.run_files.bundle import PREDICTIONS, SAMPLES, point_of, write_bundle
from core.run_files.bundling import ZIP, file_name, unpack, write_zip
from core.runs import Run
from core.workspace import Workspace

Pixels = NDArray[np.uint8]
Prepare = Callable[[Pixels], NDArray[np.float32]]  # maps an image [C, H, W] to the network's input [1, channels, S, S]


def answer(request: BundleRequest, job: Job) -> Bundled:
    """What was packed, and the comparison of its answers; the zip is in the job's folder. Raises UserError if the
    point's files are missing or not as they were measured, CancelledError if the job is cancelled; then no zip is
    left."""
    store = Workspace(job.workspace)
    run = store.run(request.run)
    try:
        with TemporaryDirectory(prefix="condenser-bundle-") as drafts:
            return _Packing(run, point_of(run, request.step), store, job).bundle(Path(drafts), request.formats)
    except BaseException:
        remove_file(job.folder / ZIP)
        raise


class _Packing:
    """Packs one point and compares its answers."""

    def __init__(self, run: Run, point: Point, store: Workspace, job: Job) -> None:
        self.run, self.point, self.store, self.job = run, point, store, job
        self.recipe: Recipe = run.recipe()
        self.artifact = run.folder / (point.artifact or "")

    def bundle(self, drafts: Path, formats: tuple[str, ...]) -> Bundled:
        """Writes, packs, unpacks and compares."""
        self.report("packing")
        home, name = drafts / "packed", file_name(self.run, self.point.step)
        write_bundle(self.run, self.point.step, home)
        data = self.data()
        further = tuple(self.format(one, home / one, data) for one in formats)
        path = self.job.folder / ZIP
        write_zip(home, path, name)
        unpacked = unpack(path, drafts / "unpacked")
        return Bundled(
            name=f"{name}.zip",
            bytes=path.stat().st_size,
            files=tuple(sorted(one.relative_to(unpacked).as_posix() for one in unpacked.rglob("*") if one.is_file())),
            test=None if data is None else self.compare_test(unpacked, data.test),
            samples=self.compare_samples(unpacked),
            formats=further,
        )

    def report(self, what: str, done: int = 0, total: int = 0) -> None:
        """Reports progress and lets quick jobs pass; raises CancelledError if the job was cancelled or removed."""
        if self.job.cancel_requested() or not self.job.folder.is_dir():
            raise CancelledError
        self.job.tell(done, total, what)
        self.job.rest()

    def data(self) -> Dataset | None:
        """The images of the run; None if they are no longer available."""
        self.report("loading")
        size = self.recipe.image_size or find(self.recipe.backbone).image_size
        try:
            return load_dataset(self.recipe.dataset, size, folder=self.store.datasets)
        except UserError:
            return None

    # the ONNX file

    def compare_test(self, folder: Path, test: Split) -> Compared | None:
        """Runs the whole test split through the unpacked files, in the batches of the measurement; None if the measured
        answers were not stored, or are for other images."""
        known = self.kept(PREDICTIONS)
        if known is None or not np.array_equal(known["test_labels"], test.labels.numpy()):
            return None
        logits = np.concatenate(list(self.answers(self.session(folder), test.images.numpy(), preparing(folder))))
        sure, mine = torch.from_numpy(logits).softmax(1).max(1)
        return compared(mine.numpy(), known["test_answers"], sure.numpy() - known["test_confidences"])

    def answers(self, session: ort.InferenceSession, images: Pixels, prepare: Prepare) -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(images), BATCH):
            self.report("comparing", start, len(images))
            batch = np.concatenate([prepare(image) for image in images[start : start + BATCH]])
            yield session.run(["logits"], {session.get_inputs()[0].name: batch})[0]

    def compare_samples(self, folder: Path) -> Compared | None:
        """Runs the images in the bundle one at a time and compares with the logits stored with them."""
        path = folder / SAMPLES
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as found:
            images, logits = found["images"], found["logits"]
        session, prepare = self.session(folder, alone=True), preparing(folder)
        name = session.get_inputs()[0].name
        mine = np.concatenate([session.run(["logits"], {name: prepare(image)})[0] for image in images])
        return compared(mine.argmax(1), logits.argmax(1), mine - logits)

    def session(self, folder: Path, *, alone: bool = False) -> ort.InferenceSession:
        """A session of the unpacked model, with one thread; if `alone`, with the threads of its latency."""
        latency = self.point.latency_ms
        threads = latency.threads if alone and latency is not None else 1
        return open_session(folder / "model.onnx", threads)

    def kept(self, name: str) -> Mapping[str, NDArray[Any]] | None:
        """The arrays stored next to the measured file as `name`; None if they are missing or damaged."""
        path = self.artifact.with_name(name)
        try:
            read_artifact(self.run, path.relative_to(self.run.folder).as_posix())
            with np.load(path, allow_pickle=False) as found:
                return dict(found)
        except (UserError, OSError, ValueError):
            return None

    # other formats

    def format(self, name: str, folder: Path, data: Dataset | None) -> Format:
        """Writes one export format into `folder`, reads it back and compares; an error in one format does not stop the
        others."""
        self.report(name)
        try:
            method = build("export", name)
            assert isinstance(method, Export)
            method.check_machine()
            if data is None:
                raise UserError(
                    "missing_data", "dataset", self.recipe.dataset, "images to compare with", "Import it again."
                )
            quantized = any(one.stage == QUANTIZE for one in self.recipe.steps[: self.point.step + 1])
            _, found = method.deliver(
                self.model(), self.artifact, folder, data.validation.images, self.recipe.threads, quantized=quantized
            )
        except UserError as error:
            for written in folder.glob("*") if folder.is_dir() else ():
                remove_file(written)
            return Format(name=name, refused={key: str(value) for key, value in error.to_json().items()})
        same = round(found.same_answers * found.images)
        return Format(
            name=name, compared=Compared(images=found.images, same=same, difference=found.difference_from_file)
        )

    def model(self) -> Model:
        """The network of the point, or of the last unquantized step before it."""
        home = self.run.checkpoints / f"seed-{self.recipe.seed}"
        for step in range(self.point.step, -1, -1):
            made = home / f"step-{step}" / "made"
            if self.recipe.steps[step].stage != QUANTIZE and (made / WEIGHTS).exists():
                return load_model(made)
        fix = "Run the recipe again: steps whose models are cached are not trained again."
        raise UserError("missing_artifact", "step", self.point.step, "a step whose network still exists", fix)


def preparing(folder: Path) -> Prepare:
    """The preprocessing of the predict.py in an unpacked bundle; raises UserError if the script was changed."""
    script, text = folder / PREDICT.name, PREDICT.read_bytes()
    if script.read_bytes() != text:
        raise UserError("damaged_bundle", "bundle", PREDICT.name, "the script as it was packed", "Pack it again.")
    predict = runpy.run_path(str(script))
    pixels = TypeAdapter(dict[str, Any]).validate_json((folder / "preprocessing.json").read_bytes())

    def prepare(image: Pixels) -> NDArray[np.float32]:
        found: NDArray[np.float32] = predict["normalise"](tuple(Image.fromarray(plane) for plane in image), pixels)
        return found

    return prepare


def compared(mine: NDArray[Any], known: NDArray[Any], differences: NDArray[Any]) -> Compared:
    """Compares answers [N] with the measured ones [N]; `differences` are of logits or probabilities."""
    return Compared(
        images=len(known), same=int((mine == known).sum()), difference=float(np.abs(differences).max(initial=0.0))
    )
