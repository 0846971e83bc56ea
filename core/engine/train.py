"""The one training loop, and evaluation. A method gives it a loss; everything else is here, read top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.engine import checkpoints
from core.engine.backbones.features import Observer
from core.engine.bench import Bench, CancelledError, Figures
from core.engine.data import Split
from core.engine.data.augment import augment, prepare
from core.engine.model import Model
from core.engine.output import Output
from core.engine.precision import autocast, choose_precision
from core.engine.seeds import counter_seed, generator
from core.errors import UserError

UNLABELLED = -1
REPORT_EVERY = 0.25  # seconds between two reports inside an epoch


@dataclass(frozen=True)
class Batch:
    """images [N, C, S, S], prepared for the network; raw [N, c, h, w], the uint8 images they were made of; target [N],
    −1 where there is no label; index [N] into the training images; view: which fixed view of them this is; epoch, from
    0; progress: the share of all batches that is done, from 0 towards 1. With `Examples.beside` images and target hold
    2 N: those of the other domain stand behind the N that raw and index tell of."""

    images: Tensor
    raw: Tensor
    target: Tensor
    index: Tensor
    view: int
    epoch: int = 0
    progress: float = 0.0


Loss = Callable[[Output, Batch], Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. `views` 0 augments anew every epoch; V > 0 cycles through V fixed views, the first
    without augmentation, so that a teacher's outputs can be cached. `batches` fixes the length of an epoch."""

    epochs: int
    batch: int
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = 5e-4
    warmup: float = 0.15
    augment: str = "none"
    views: int = 0
    batches: int = 0
    patience: int = 0


@dataclass(frozen=True)
class Examples:
    """uint8 images [N, C, H, W] and their labels [N], −1 where there is none. `beside`, images of another domain of any
    size, stand unlabelled in every batch behind as many of the others; an epoch is as long as without them."""

    images: Tensor
    target: Tensor
    beside: Tensor | None = None

    @classmethod
    def of(cls, split: Split, pool: Tensor | None = None) -> Examples:
        """The labelled split, followed by unlabelled images if given."""
        if pool is None or not len(pool):
            return cls(split.images, split.labels)
        unlabelled = torch.full((len(pool),), UNLABELLED, dtype=torch.long)
        return cls(torch.cat([split.images, pool]), torch.cat([split.labels, unlabelled]))

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy and share of right answers on `n` images."""

    loss: float
    accuracy: float
    n: int


def fit(
    model: Model,
    examples: Examples,
    loss: Loss,
    schedule: Schedule,
    bench: Bench,
    *,
    parameters: Sequence[dict[str, object]] | None = None,
    frozen: Sequence[nn.Module] = (),
    features: bool = False,
    extra: nn.Module | None = None,
) -> Model:
    """Trains `model.net` in place on `loss` and returns the model with the weights of its best validation accuracy.

    SGD with Nesterov momentum or AdamW, linear warm-up then cosine, one step a batch. `parameters` are optimizer
    groups, each with an optional `lr` of its own (default: every parameter that requires a gradient); modules in
    `frozen` stay in evaluation mode; `extra` are layers of the loss that learn beside the network, such as a regressor
    of features or a domain discriminator, and are left behind. Bit-identical when resumed: draws are seeded by (place,
    epoch, batch), and an epoch's end is checkpointed. Raises CancelledError between batches, UserError `diverged` when
    the loss stays NaN.
    """
    net = model.net.to(bench.device)
    net.to(memory_format=torch.channels_last)  # dense convolutions are 1.3× faster
    learner = net if extra is None else nn.ModuleDict({"net": net, "extra": extra.to(bench.device)})
    size = min(schedule.batch, len(examples))
    batches = schedule.batches or max(1, math.ceil((len(examples) - 1) / size))  # a last batch of one has no variance
    groups = list(parameters or [{"params": [p for p in net.parameters() if p.requires_grad]}])
    if extra is not None and (own := [p for p in extra.parameters() if p.requires_grad]):
        groups.append({"params": own})
    optimizer = _optimizer(groups, schedule, bench.device)
    state = checkpoints.restore(bench.folder, learner, optimizer) or checkpoints.start(learner, optimizer)
    precision = state.precision or choose_precision(model, size, bench)
    clock = Clock(state.epoch, schedule.epochs, batches, size)
    try:
        with Observer(net, features=features) as observe:
            while state.epoch < schedule.epochs and not _out_of_patience(state, schedule.patience):
                epoch = state.epoch
                tally = Tally()
                _train_mode(learner, frozen)
                for step, batch in enumerate(_batches(examples, schedule, model, bench, epoch, size, batches)):
                    bench.stop_if_cancelled()
                    torch.manual_seed(counter_seed(*bench.place, "dropout", epoch, step))
                    rate = state.rate * _rate(epoch * batches + step, batches * schedule.epochs, schedule.warmup)
                    for group in optimizer.param_groups:
                        group["lr"] = group["base"] * rate
                    with autocast(bench.device, precision):
                        output = observe(batch.images)
                    value = loss(_float(output), batch)
                    tally.add(value, output.logits, batch.target)
                    if not tally.finite:
                        break
                    optimizer.zero_grad(set_to_none=True)
                    value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    if clock.due():
                        figures = clock.figures(tally, epoch, step + 1)
                        bench.report("training", epoch, schedule.epochs, step + 1, batches, figures)
                if not tally.finite:
                    state = _roll_back(state, learner, optimizer, schedule, bench)
                    continue
                figures = clock.figures(tally, epoch, batches)
                judged = evaluate(model, bench.data.validation, bench, precision)
                state = checkpoints.advance(state, learner, optimizer, judged.accuracy, precision)
                state = checkpoints.save(bench.folder, state, due=state.epoch == schedule.epochs)
                told = replace(figures, validation_loss=judged.loss, validation_accuracy=judged.accuracy)
                bench.report("training", state.epoch, schedule.epochs, 0, batches, told)
    except CancelledError:
        if state.epoch:
            checkpoints.save(bench.folder, state, due=True)
        raise
    learner.load_state_dict(state.best)
    net.eval()
    return model.with_net(net)


@dataclass
class Tally:
    """Loss and right answers of the epoch so far; unlabelled images count in the loss alone."""

    loss: float = 0.0
    seen: int = 0
    right: int = 0
    labelled: int = 0
    finite: bool = True

    def add(self, value: Tensor, logits: Tensor, target: Tensor) -> None:
        """One batch: its loss (a mean), logits [N, C] and target [N]."""
        number = float(value.detach())
        self.finite = math.isfinite(number)
        known = target != UNLABELLED
        self.right += int((logits.detach().argmax(1) == target)[known].sum())
        self.labelled += int(known.sum())
        self.seen += len(target)
        self.loss += number * len(target)


class Clock:
    """How fast training goes, and when to say so."""

    def __init__(self, first_epoch: int, epochs: int, batches: int, size: int) -> None:
        self.first_epoch, self.epochs, self.batches, self.size = first_epoch, epochs, batches, size
        self.began = self.last = time.monotonic()

    def due(self) -> bool:
        """Whether a report inside the epoch is due."""
        now = time.monotonic()
        if now - self.last < REPORT_EVERY:
            return False
        self.last = now
        return True

    def figures(self, tally: Tally, epoch: int, step: int) -> Figures:
        """Loss and accuracy so far, and speed and time left, measured since training began or was resumed."""
        done = (epoch - self.first_epoch) * self.batches + step
        seconds = time.monotonic() - self.began
        left = (self.epochs - self.first_epoch) * self.batches - done
        return Figures(
            loss=tally.loss / tally.seen,
            accuracy=tally.right / tally.labelled if tally.labelled else None,
            samples_per_second=done * self.size / seconds,
            eta_seconds=left * seconds / done,
        )


def evaluate(model: Model, split: Split, bench: Bench, precision: torch.dtype = torch.float32) -> Evaluation:
    """Loss and accuracy of `model` in evaluation mode on a split, in batches of 256; raises CancelledError."""
    model.net.eval()
    total = right = 0.0
    with torch.inference_mode(), autocast(bench.device, precision):
        for start in range(0, len(split), 256):
            bench.stop_if_cancelled()
            images, labels = split.images[start : start + 256], split.labels[start : start + 256].to(bench.device)
            logits = model.net(prepare(images.to(bench.device), model.preprocessing)).float()
            total += float(F.cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(1) == labels).sum())
    return Evaluation(total / len(split), right / len(split), len(split))


def view(images: Tensor, schedule: Schedule, bench: Bench, number: int) -> Tensor:
    """The fixed view `number` of all training images, uint8; view 0 is the images themselves.

    Drawn in blocks of 1,024 so that any one can be made again without the others.
    """
    if number == 0 or schedule.augment == "none":
        return images
    blocks = [
        augment(block, schedule.augment, generator(*bench.place, "view", number, i))
        for i, block in enumerate(torch.split(images, 1024))
    ]
    return torch.cat(blocks)


def _batches(
    examples: Examples, schedule: Schedule, model: Model, bench: Bench, epoch: int, size: int, batches: int
) -> Iterator[Batch]:
    number = epoch % schedule.views if schedule.views else 0
    images = view(examples.images, schedule, bench, number) if schedule.views else examples.images
    wanted = size * batches if schedule.batches else len(examples)
    order = _order(len(examples), wanted, generator(*bench.place, "shuffle", epoch))
    beside = torch.empty(0)
    if examples.beside is not None:
        beside = _order(len(examples.beside), wanted, generator(*bench.place, "beside", epoch))
    for step, index in enumerate(torch.split(order, size)):
        if step == batches:
            return
        chosen = images[index].to(bench.device)
        if not schedule.views and schedule.augment != "none":
            draw = generator(*bench.place, "augment", epoch, step, device=bench.device)
            chosen = augment(chosen, schedule.augment, draw)
        prepared = prepare(chosen, model.preprocessing)
        target = examples.target[index].to(bench.device)
        if examples.beside is not None:
            others = examples.beside[beside[step * size : step * size + len(index)]].to(bench.device)
            if schedule.augment != "none":
                draw = generator(*bench.place, "augment beside", epoch, step, device=bench.device)
                others = augment(others, schedule.augment, draw)
            prepared = torch.cat([prepared, prepare(others, model.preprocessing)])
            target = torch.cat([target, target.new_full((len(others),), UNLABELLED)])
        progress = (epoch * batches + step) / (batches * schedule.epochs)
        prepared = prepared.contiguous(memory_format=torch.channels_last)
        yield Batch(prepared, chosen, target, index, number, epoch, progress)


def _order(count: int, wanted: int, draw: torch.Generator) -> Tensor:
    """At least `wanted` indices: permutations of all examples, one after the other."""
    return torch.cat([torch.randperm(count, generator=draw) for _ in range(math.ceil(wanted / count))])


def _optimizer(groups: Sequence[dict[str, object]], schedule: Schedule, device: torch.device) -> torch.optim.Optimizer:
    based = [{**g, "base": g.get("lr", schedule.learning_rate), "lr": 0.0} for g in groups]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(based, weight_decay=schedule.weight_decay, fused=device.type != "mps")
    return torch.optim.SGD(
        based, lr=0.0, momentum=0.9, nesterov=True, weight_decay=schedule.weight_decay, fused=device.type != "mps"
    )


def _rate(step: int, total: int, warmup: float) -> float:
    """Linear warm-up over the share `warmup` of all steps, then a cosine to zero; from 0 to 1."""
    rise = max(1.0, warmup * total)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))


def _train_mode(net: nn.Module, frozen: Sequence[nn.Module]) -> None:
    net.train()
    for module in frozen:
        module.eval()


def _float(output: Output) -> Output:
    """Losses are computed in float32, whatever the network computed in."""
    embedding = None if output.embedding is None else output.embedding.float()
    return Output(output.logits.float(), [f.float() for f in output.features], embedding)


def _out_of_patience(state: checkpoints.State, patience: int) -> bool:
    return bool(patience) and state.epoch - state.best_epoch >= patience


def _roll_back(
    state: checkpoints.State,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    bench: Bench,
) -> checkpoints.State:
    """Back to the last epoch's end with half the learning rate; the third time in a row it is an error."""
    if state.halvings == 2:
        raise UserError(
            "diverged",
            "learning_rate",
            f"{schedule.learning_rate:g} (NaN loss in epoch {state.epoch + 1}, also at a half and a quarter of it)",
            "a rate at which the loss stays finite",
            f"Set learning_rate to {schedule.learning_rate / 10:g} or less.",
        )
    bench.warn("nan_loss", f"The loss became NaN in epoch {state.epoch + 1}; trying again at half the learning rate.")
    return checkpoints.roll_back(state, net, optimizer)
