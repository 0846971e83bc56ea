"""Where saved models look in a test image, each by the same method, so that the maps can be compared."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from core.engine.data import prepare_numpy
from core.engine.data.of_run import dataset_of
from core.engine.measure.rollout import Undefined, rollout_map, tokens_of_file
from core.engine.measure.saliency import Map, grad_cam, occlusion, overlap, peak
from core.engine.measure.saved_model import SavedModel, open_model, softmax
from core.engine.model import Preprocessing
from core.engine.model_file import WEIGHTS, load_model
from core.engine.png import as_png, upright
from core.engine.questions.import_data import Telling
from core.engine.threads import one_thread
from core.errors import UserError
from core.jobs import Job
from core.questions.bundle import QUANTIZE
from core.questions.saliency import Look, Method, Saliency, SaliencyRequest, Why
from core.run_files.bundle import PREDICTIONS, SAMPLES
from core.run_files.sides import Side
from core.workspace import Workspace

SHOWN = 224  # pixels: smaller images are enlarged to about so many
DIM, STRONGEST = 0.6, 0.8  # of the image under the map, and of the map where it is highest
HEAT = np.array([(0, 0, 0), (213, 94, 0), (240, 228, 66)], np.float32)  # Okabe and Ito's vermillion and yellow
WITHOUT_ROLLOUT: dict[Undefined, str] = {
    "no_attention": "a network without attention",
    "windows": "a network that attends within windows, whose tokens stand for other places in every layer",
    "other": "a network that mixes attention with other layers between places, or is of a kind not known here",
}

Levels = NDArray[np.uint8]  # [H, W] or [H, W, 3]


def answer(request: SaliencyRequest, job: Job) -> Saliency:
    """Raises UserError where a model or the image is gone, or the method asked for is not possible."""
    store = Workspace(job.workspace)
    models = [open_model(store, name) for name in request.points]
    pixels, label = _image(models[0], request.place, store, Telling(job))
    images = [prepare_numpy(pixels[None], model.preprocessing) for model in models]
    logits = [model.logits(image) for model, image in zip(models, images, strict=True)]
    target = int(logits[0].argmax()) if request.target is None else request.target
    if any(one.classes != models[0].classes for one in models) or not 0 <= target < len(models[0].classes):
        allowed = "models with the same classes, and one of these"
        raise UserError("other_classes", "points", target, allowed, "Choose two models of the same run.")
    with one_thread():
        method, why, found = _maps(request.method, models, images, target)
    maps = [of_whole(one, model.preprocessing) for one, model in zip(found, models, strict=True)]
    shown = upright(pixels)
    looks = tuple(_look(one, target, reasons, shown) for one, reasons in zip(logits, maps, strict=True))
    shared = overlap(*maps[:2]) if len(maps) > 1 else None
    return Saliency(models[0].classes, label, target, as_png(enlarged(shown)), method, why, looks, shared)


def _image(model: SavedModel, place: int, store: Workspace, tell: Telling) -> tuple[Levels, int]:
    """A test image, uint8 [C, H, W], and its class: one of those kept beside the file, else from the dataset. Raises
    UserError where it is in neither."""
    with suppress(UserError):
        images, labels = model.kept(SAMPLES)["images"], model.kept(PREDICTIONS)["test_labels"]
        if 0 <= place < len(images):
            return images[place], int(labels[place])
    test = dataset_of(model.side.run, store, tell).test
    if not 0 <= place < len(test):
        raise UserError("out_of_range", "place", place, f"0 to {len(test) - 1}", "Choose another image.")
    return test.images[place].numpy(), int(test.labels[place])


def _maps(
    wanted: Method | None, models: list[SavedModel], images: list[NDArray[np.float32]], target: int
) -> tuple[Method, Why, list[Map]]:
    """The method that all models allow, why it is that one, and a map a model. Raises UserError where the wanted one is
    not possible."""
    if wanted in (None, "rollout"):
        found, reason = _rollouts(models, images)
        if found:
            return "rollout", "chosen" if wanted else "attention", found
        if wanted:
            raise _no_rollout(reason)
    why: Why = "chosen"
    if wanted != "occlusion":
        found = _grad_cams(models, images, target)
        if found:
            return "grad_cam", "chosen" if wanted else "gradients", found
        if wanted:
            allowed = "networks in floats with feature maps, whose weights are still there"
            raise UserError("no_gradients", "method", wanted, allowed, "Choose occlusion, which needs the file alone.")
        why = "no_maps" if all(has_gradients(model.side) for model in models) else "no_gradients"
    return "occlusion", why, [occlusion(model.batch, x, target) for model, x in zip(models, images, strict=True)]


def _grad_cams(models: list[SavedModel], images: list[NDArray[np.float32]], target: int) -> list[Map]:
    """A map a model; none where a network has no gradients or no feature maps."""
    if not all(has_gradients(model.side) for model in models):
        return []
    found = [grad_cam(_network(model.side), x, target) for model, x in zip(models, images, strict=True)]
    maps = [one for one in found if one is not None]
    return maps if len(maps) == len(models) else []


def _rollouts(models: list[SavedModel], images: list[NDArray[np.float32]]) -> tuple[list[Map], Undefined]:
    """A map a model, from the attention that its file computes; none, and why, where it is not defined for one."""
    maps: list[Map] = []
    for model, image in zip(models, images, strict=True):
        tokens = tokens_of_file(model.session)
        if isinstance(tokens, str):
            return [], tokens
        found = rollout_map(model.data, image, tokens)
        if found is None:
            return [], "other"
        maps.append(found)
    return maps, "other"


def _no_rollout(reason: Undefined) -> UserError:
    fix = "Choose occlusion, which needs the file alone, or the method that all allow."
    return UserError(f"no_rollout_{reason}", "method", WITHOUT_ROLLOUT[reason], "a plain vision transformer", fix)


def of_whole(reasons: Map, pixels: Preprocessing) -> Map:
    """The map [S, S] of what a network is given, as one of the whole image: 0 where the centre crop leaves it out."""
    first = round((pixels.side - pixels.size) / 2)
    return np.pad(reasons, (first, pixels.side - pixels.size - first))


def has_gradients(side: Side) -> bool:
    """Whether the point's network in floats is there: a quantized file has none, and of a control only the file is
    kept."""
    floats = side.point.stage != QUANTIZE and not side.point.control
    return floats and (_home(side) / WEIGHTS).exists()


def _network(side: Side) -> nn.Module:
    return load_model(_home(side)).net


def _home(side: Side) -> Path:
    return side.run.checkpoints / f"seed-{side.run.recipe().seed}" / f"step-{side.point.step}" / "made"


def _look(logits: NDArray[np.float32], target: int, found: Map, shown: Levels) -> Look:
    shares = softmax(logits)
    best = int(shares.argmax())
    return Look(best, float(shares[best]), float(shares[target]), as_png(overlaid(shown, found)), peak(found))


def enlarged(shown: Levels) -> Levels:
    """An image of few pixels, each as a square of its colour."""
    times = max(1, SHOWN // shown.shape[0])
    return shown.repeat(times, axis=0).repeat(times, axis=1)


def overlaid(shown: Levels, reasons: Map) -> Levels:
    """The image in dim greys, [H, W, 3], and over it the map: the stronger the reason, the brighter and less
    transparent."""
    picture = Image.fromarray(enlarged(shown)).convert("L")
    grey = DIM * np.asarray(picture, np.float32)[:, :, None]
    heat = np.asarray(Image.fromarray(reasons).resize(picture.size, Image.Resampling.BILINEAR))
    colour = np.stack([np.interp(heat, (0, 0.5, 1), HEAT[:, channel]) for channel in range(3)], axis=2)
    cover = STRONGEST * heat[:, :, None]
    return (grey * (1 - cover) + colour * cover).round().clip(0, 255).astype(np.uint8)
