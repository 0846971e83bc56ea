"""Where a teacher's outputs come from: a cache filled once per fixed view, or the teacher run on every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from core.engine.backbones.features import Observer
from core.engine.context import Context, Progress
from core.engine.data.augment import prepare
from core.engine.measure.evaluate import Network, logits_of
from core.engine.measure.runtime import open_session
from core.engine.model import Model
from core.engine.output import Output
from core.engine.training.loop import Batch, Examples, Schedule, view

Teacher = Callable[[Batch], Output]


@contextmanager
def cached_teacher(model: Model, examples: Examples, schedule: Schedule, context: Context) -> Iterator[Teacher]:
    """Returns logits computed once per fixed view, by the teacher's saved file where it runs on the CPU."""
    answers: dict[int, Tensor] = {}

    def answer(batch: Batch) -> Output:
        if batch.view not in answers:
            images = view(examples.images, schedule, context, batch.view)
            answers[batch.view] = _logits(model, images, context, batch.view, schedule.views)
        return Output(answers[batch.view][batch.index].to(context.device))

    yield answer


@contextmanager
def live_teacher(model: Model, examples: Examples, schedule: Schedule, context: Context) -> Iterator[Teacher]:
    """Returns logits, features and embedding, computed for each batch from the images that the student sees."""
    net = model.net.to(context.device).eval()
    with Observer(net, features=True) as observe:

        def answer(batch: Batch) -> Output:
            with torch.no_grad():
                return observe(prepare(batch.raw, model.preprocessing))

        yield answer


def _logits(model: Model, images: Tensor, context: Context, number: int, views: int) -> Tensor:
    def step(done: int) -> None:
        context.stop_if_cancelled()
        context.report(Progress("teacher", done, len(images), number, views))

    network: Network = model.net
    if context.device.type == "cpu" and context.source is not None:
        network = open_session(context.source)
    return logits_of(network, images, model.preprocessing, device=context.device, step=step, cores=context.threads)
