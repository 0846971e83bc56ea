"""A preview of augmentation, as a question: the pixels of the first batch, by the code and the seed of training."""

from __future__ import annotations

import base64

import torch
from PIL import Image
from torch import Tensor, nn

from core.engine import build
from core.engine.backbones import find
from core.engine.context import Context
from core.engine.data import datasets, labelled_part, load_dataset
from core.engine.data.strips import strip
from core.engine.model import Model
from core.engine.questions.import_data import Telling
from core.engine.training.batches import Examples, Feed
from core.engine.transfer.training import TrainedTransfer
from core.errors import UserError
from core.jobs import Job
from core.questions.augmented import Augmented, AugmentedRequest
from core.recipe import Recipe, parse_recipe
from core.workspace import Workspace

SHOWN = 8  # images


def answer(request: AugmentedRequest, job: Job) -> Augmented:
    """Raises UserError on a recipe or step that has none, and on a dataset that is not on this machine."""
    recipe = parse_recipe(request.recipe, Workspace(job.workspace).catalog())
    before, after = first_images(recipe, _method(recipe, request.step), request.step, job)
    return Augmented(len(before), _row(before), _row(after))


def first_images(recipe: Recipe, method: TrainedTransfer, step: int, job: Job) -> tuple[Tensor, Tensor]:
    """The first images of the first batch, uint8 [N, C, H, W]: as they are, and as they are trained on."""
    context = _context(recipe, step, job)
    examples = Examples.of(context.labelled)
    entry = find(recipe.backbone)
    size = recipe.image_size or entry.image_size
    model = Model(nn.Identity(), entry.name, context.data.classes, entry.preprocessing(size))
    batch = next(iter(Feed(examples, method.schedule(), model, context).epoch(0)))
    return examples.images[batch.index[:SHOWN]], batch.raw[:SHOWN]


def _method(recipe: Recipe, step: int) -> TrainedTransfer:
    """The step, where it trains on the labelled images as they come; raises UserError `no_augmentation`."""
    chosen = recipe.steps[step] if 0 <= step < len(recipe.steps) else None
    method = build(chosen.stage, chosen.method, **chosen.options) if chosen else None
    if isinstance(method, TrainedTransfer) and type(method).apply is TrainedTransfer.apply:
        return method
    allowed = "a step that trains on the labelled images, such as fine_tune"
    raise UserError("no_augmentation", "step", step, allowed, "Choose the step that has the option augment.")


def _context(recipe: Recipe, step: int, job: Job) -> Context:
    folder = job.workspace / "datasets"
    known = datasets(folder)
    if recipe.dataset in known and not known[recipe.dataset].at_hand:
        fix = "Download it on the page Data first."
        raise UserError("not_here", "dataset", recipe.dataset, "a dataset on this machine", fix)
    data = load_dataset(
        recipe.dataset, find(recipe.backbone).side(recipe.image_size), folder=folder, progress=Telling(job)
    )
    labelled, pool = labelled_part(data.train, recipe.labels, recipe.shots, data.classes, recipe.seed)
    return Context(
        data=data,
        labelled=labelled,
        pool=pool,
        device=torch.device("cpu"),
        threads=1,
        precision="float32",
        image_size=recipe.image_size,
        weights="none",
        folder=job.folder,
        cache=job.workspace / "cache",
        place=(recipe.seed, step),
        report=lambda progress: None,
        warn=lambda code, message: None,
        cancelled=job.cancel_requested,
    )


def _row(images: Tensor) -> str:
    pictures = [_picture(image) for image in images.round().clamp(0, 255).to(torch.uint8)]
    return base64.b64encode(strip(pictures)).decode("ascii")


def _picture(image: Tensor) -> Image.Image:
    pixels = image.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
