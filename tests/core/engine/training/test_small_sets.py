"""Small sets: an epoch has steps enough, the rest of the world is as it was, and a person is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from core.engine import build
from core.engine.context import Progress
from core.engine.data import Dataset, Split, few_shots
from core.engine.distill import Distill
from core.engine.forecast import Workload
from core.engine.method import STAGES, methods
from core.engine.model import Model
from core.engine.training.batches import Examples, Feed
from core.engine.training.loop import evaluate, fit
from core.engine.training.schedule import SMALLEST_BATCH, TOO_FEW, Schedule
from core.engine.training.small_sets import LEAST_STEPS
from tests.core.engine.conftest import MakeContext
from tests.core.engine.training.test_loop import SHORT, cross_entropy, equal, weights

Maker = Callable[..., Model]


def few(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


# how long an epoch is


@pytest.mark.parametrize("batch", [2, 16, 64, 128, 4096])
def test_an_epoch_has_its_least_steps_and_passes_every_image(batch: int) -> None:
    for images in range(2, 700):
        schedule = Schedule(1, batch, 0.1, least=16)
        size, steps, passing = schedule.size(images), schedule.length(images), schedule.drawn(images)
        assert min(SMALLEST_BATCH, batch, images) <= size <= min(batch, images)
        assert steps >= 16
        assert passing in (images, size * steps)
        assert size * steps >= images - TOO_FEW


@pytest.mark.parametrize(("images", "batch"), [(5000, 128), (4700, 128), (2048, 128), (1100, 64), (300, 16)])
def test_a_set_with_steps_enough_is_trained_as_ever(images: int, batch: int) -> None:
    """The demo's 5,000 images among them: batch size, steps and draws do not depend on the option."""
    ever, now = Schedule(15, batch, 0.1), Schedule(15, batch, 0.1, least=LEAST_STEPS)
    assert now.size(images) == ever.size(images) == batch
    assert now.length(images) == ever.length(images)
    assert now.drawn(images) == ever.drawn(images) == images


def test_and_to_the_same_weights(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    schedule, context = replace(SHORT, epochs=1, batch=32), make_context()
    one, two = (
        fit(
            make_model(),
            Examples.of(digits.train),
            cross_entropy,
            replace(schedule, least=least),
            replace(context, folder=context.folder / str(least)),
        )
        for least in (0, LEAST_STEPS)
    )
    assert equal(weights(one), weights(two))


@pytest.mark.parametrize(("images", "last"), [(35, 32), (33, 32), (36, 4), (40, 8)])
def test_a_last_batch_of_three_images_or_fewer_is_left_out(
    make_context: MakeContext, make_model: Maker, digits: Dataset, images: int, last: int
) -> None:
    """Batch norm's variances over so few would be noise."""
    feed = Feed(Examples.of(few(digits.train, images)), Schedule(1, 32, 0.1), make_model(), make_context())
    assert [len(batch.index) for batch in feed.epoch(0)][-1] == last


@pytest.mark.parametrize("images", [2, 3, 10, 17, 88, 150])
def test_images_pass_alike_often(make_context: MakeContext, make_model: Maker, digits: Dataset, images: int) -> None:
    feed = Feed(Examples.of(few(digits.train, images)), Schedule(1, 128, 0.1, least=16), make_model(), make_context())
    seen = torch.cat([batch.index for batch in feed.epoch(0)])
    counts = torch.bincount(seen, minlength=images)
    assert len(seen) == feed.size * feed.batches
    assert int(counts.max() - counts.min()) <= 1
    assert int(counts.min()) >= 1


# who has the option, and what it does


def test_everything_that_trains_in_epochs_has_the_option() -> None:
    """A method that takes epochs and batches may be given 88 images."""
    found = {
        f"{stage}.{name}": {option.name for option in method.options()}
        for stage in STAGES
        for name, method in methods(stage).items()
    }
    trained = {name for name, options in found.items() if {"epochs", "batch"} <= options}
    assert {"transfer.fine_tune", "transfer.dann", "distill.kd", "prune.l2", "prune.n_m", "quantize.qat"} <= trained
    assert {name for name in trained if "least_steps" not in found[name]} == set()


@pytest.mark.thorough
def test_eighty_eight_images_teach_a_student(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    """With the default schedule; one batch an epoch left it near chance."""
    context = make_context()
    teacher = fit(make_model(), Examples.of(digits.train), cross_entropy, replace(SHORT, epochs=6), context)
    told: list[tuple[str, str]] = []
    reached = []
    for least in (0, LEAST_STEPS):
        small = make_context(
            labelled=few(digits.train, 88),
            folder=context.folder / str(least),
            place=(0, 1),
            note=lambda code, message: told.append((code, message)),
        )
        student = build("distill", "kd", width=8, twin=False, least_steps=least).apply(teacher, small)
        reached.append(evaluate(student, digits.test, small).accuracy)
    assert reached[0] < 0.5
    assert reached[1] > 0.7
    assert told == [
        (
            "few_images",
            "88 images make fewer than 16 batches of 88: batches of 16, 16 steps an epoch, in which each "
            "passes about 2.9 times.",
        )
    ]


def test_the_twin_has_as_many_steps_in_batches_as_large(
    make_context: MakeContext, make_model: Maker, digits: Dataset
) -> None:
    told: dict[str, set[int]] = {}

    def report(progress: Progress) -> None:
        if progress.what == "training":
            told.setdefault(progress.control, set()).add(progress.total)

    context = make_context(labelled=few(digits.train, 60), report=report)
    method = build("distill", "kd", width=4, epochs=1)
    method.apply(make_model(), context)
    for make in method.controls(make_model(), context).values():
        make()
    assert told == {"": {16}, "twin": {16}}


@pytest.mark.parametrize(
    ("stage", "method"), [("transfer", "fine_tune"), ("distill", "kd"), ("prune", "l2"), ("quantize", "qat")]
)
def test_one_image_a_class_is_enough_to_run(
    stage: str, method: str, make_context: MakeContext, make_model: Maker, digits: Dataset
) -> None:
    labelled, _ = few_shots(digits.train, 1, digits.classes, 0)
    assert len(labelled) == 10
    own = {"width": 4, "twin": False} if stage == "distill" else {}
    made = build(stage, method, epochs=1, **own).apply(make_model(), make_context(labelled=labelled))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in made.net.state_dict().values())


def test_the_preview_counts_the_longer_epochs(make_context: MakeContext, make_model: Maker, digits: Dataset) -> None:
    context, method = make_context(labelled=few(digits.train, 88)), build("distill", "kd", epochs=15)
    assert isinstance(method, Distill)
    train = next(work for work in method.workload(make_model(), make_model(), context) if work.kind == "train")
    assert isinstance(train, Workload)
    assert (train.images, train.batch) == (15 * 16 * 16, 16)
