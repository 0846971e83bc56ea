"""The features of validation and target images in a plane, as a question; kept beside the run by content."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime import InferenceSession
from torch import Tensor

from core.engine.data.dataset import draw, shuffled
from core.engine.data.of_run import dataset_of, target_images, target_of
from core.engine.data.selection import choose
from core.engine.export.graph import EMBEDDING
from core.engine.measure.features_in_plane import Features, flat, neighbours, principal, with_features
from core.engine.measure.runtime import open_session, predict, prepared_as_bundled
from core.engine.model import Preprocessing
from core.engine.questions.answers import read_card
from core.engine.questions.import_data import Telling
from core.files import make_folder
from core.jobs import DOCUMENT, Job
from core.questions.feature_map import LIMIT, FeatureMap, FeatureMapRequest
from core.run_files.answers import kept_at
from core.run_files.artifacts import read_artifact
from core.run_files.sides import Side, side
from core.storage.sealed import read_kept, write_kept
from core.workspace import Workspace

FORMAT = 1  # of what is kept; another one is made anew


@dataclass(frozen=True)
class Images:
    """uint8 images [N, C, H, W] with their places in their split, and their labels [N], −1 if there is none."""

    images: Tensor
    places: tuple[int, ...]
    labels: tuple[int, ...]


def answer(request: FeatureMapRequest, job: Job) -> FeatureMap:
    """The map; raises UserError, and CancelledError between two batches once the person asks to stop."""
    store, tell = Workspace(job.workspace), Telling(job)
    chosen = side(store, request.point)
    path = kept_path(chosen, request.plane)
    if (kept := read_kept(path)) is not None:
        return request.answer_from_document(DOCUMENT.validate_json(kept))
    found = mapped(chosen, request, store, tell)
    make_folder(path.parent)
    write_kept(path, DOCUMENT.dump_json(request.answer_to_document(found)))
    return found


def mapped(chosen: Side, request: FeatureMapRequest, store: Workspace, tell: Telling) -> FeatureMap:
    """The features of both domains, and their layout."""
    data = dataset_of(chosen.run, store, tell)
    labels = data.validation.labels.numpy()
    places = draw(labels, max(LIMIT, len(data.classes)), 0)[0] if len(labels) > LIMIT else np.arange(len(labels))
    own = Images(choose(data.validation.images, places), tuple(places.tolist()), tuple(labels[places].tolist()))
    other = of_target(chosen, store, tell)
    domains = [own, other] if other is not None else [own]
    features = features_of(chosen, [each.images for each in domains], tell)
    tell("laying out", 0, None)
    plane, share = (neighbours(features), None) if request.plane == "tsne" else principal(features)
    return FeatureMap(
        x=tuple(plane[:, 0].tolist()),
        y=tuple(plane[:, 1].tolist()),
        place=tuple(place for each in domains for place in each.places),
        label=tuple(label for each in domains for label in each.labels),
        target=tuple(each is other for each in domains for _ in each.places),
        classes=data.classes,
        width=features.shape[1],
        explained=share,
        target_name=chosen.run.recipe().target,
    )


def of_target(chosen: Side, store: Workspace, tell: Telling) -> Images | None:
    """Images of the run's target: of its test split, whose labels are known, or else those without labels; None without
    a target."""
    target = target_of(chosen.run, store, tell)
    if target is None:
        return None
    images = target_images(target)
    places = np.sort(shuffled(len(images), 0)[: LIMIT // 2])
    labels = target.test.labels[torch.from_numpy(places)].tolist() if len(target.test) else [-1] * len(places)
    return Images(choose(images, places), tuple(places.tolist()), tuple(labels))


def features_of(chosen: Side, parts: list[Tensor], tell: Telling) -> Features:
    """The features [N, D] of the images of all parts, prepared as when the file was measured."""
    session = session_of(chosen)
    pixels = Preprocessing.from_json(read_card(chosen)["preprocessing"])
    total, rows, before = sum(map(len, parts)), [], 0
    for images in parts:

        def step(done: int, before: int = before) -> None:
            tell("running the model", before + done, total)

        found = predict(session, images, pixels, EMBEDDING, step, prepared_as_bundled)
        rows.append(flat(found.numpy()))
        before += len(images)
    return np.concatenate(rows)


def session_of(chosen: Side) -> InferenceSession:
    """The point's file with its features as an output."""
    content = read_artifact(chosen.run, chosen.point.artifact or "")
    graph = with_features(onnx.load_from_string(content))
    return open_session(graph.SerializeToString(), chosen.run.recipe().threads)


def kept_path(chosen: Side, plane: str) -> Path:
    """Where the map of a point is kept: the name stands for its file, the images and this format."""
    environment = chosen.run.state().environment
    named = "\n".join((str(FORMAT), kept_at(chosen).name, plane, environment.get("target_version", "")))
    return kept_at(chosen).parent / f"map-{sha256(named.encode()).hexdigest()[:32]}.kept"
