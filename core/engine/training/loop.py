"""The training loop, and evaluation. A method supplies the loss; everything else is here, to be read top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from core.comparison.gap import KEPT, KEPT_WITHIN
from core.engine.backbones.features import Observer
from core.engine.context import CancelledError, Context, Figures, Progress
from core.engine.data import Split
from core.engine.measure import evaluate as measure
from core.engine.measure.evaluate import Evaluation
from core.engine.model import Model
from core.engine.output import Output
from core.engine.seeds import counter_seed
from core.engine.threads import ahead, on_threads
from core.engine.training import checkpoints
from core.engine.training.batches import UNLABELLED, Batch, Examples, Feed, view
from core.engine.training.ema import swapped_in, update_average
from core.engine.training.lr_finder import BATCHES, find_learning_rate
from core.engine.training.memory_layout import NAMES, arrange, choose_layout
from core.engine.training.mixup import Mixture
from core.engine.training.operation_threads import operation_threads
from core.engine.training.precision import autocast, choose_precision, name_of
from core.engine.training.schedule import Schedule
from core.engine.training.small_sets import warn_small_dataset
from core.errors import UserError

__all__ = ["UNLABELLED", "Batch", "Evaluation", "Examples", "Loss", "Schedule", "evaluate", "fit", "view"]

REPORT_EVERY = 0.25  # seconds between two reports inside an epoch
FALLBACK_RATE = 1e-3  # if a range test finds no rate at which the loss falls


Loss = Callable[[Output, Batch], Tensor]


@dataclass(frozen=True)
class Incumbent:
    """The trained network that training has to beat on validation; `name` is shown to users.

    It is the incoming network, or `net`, another one of the same shapes. `drop`, a fraction, is how far below its
    accuracy training may end, for training that optimises something other than this accuracy. `came_in`: if it is kept,
    the whole step gave nothing better than the model that came into it.
    """

    name: str = "the network that came in"
    net: nn.Module | None = None
    drop: float = 0.0
    came_in: bool = True


ITSELF = Incumbent()


def fit(
    model: Model,
    examples: Examples,
    loss: Loss,
    schedule: Schedule,
    context: Context,
    *,
    parameters: Sequence[dict[str, object]] | None = None,
    frozen: Sequence[nn.Module] = (),
    features: bool = False,
    extra: nn.Module | None = None,
    incumbent: Incumbent | None = ITSELF,
) -> Model:
    """Trains `model.net` in place on `loss` and returns the model with the weights of its best validation accuracy.

    If no epoch is better than the `incumbent`, its weights are kept and this is reported; it appears as epoch 0. Of
    equal accuracies the lower loss is better. None: the network is untrained, and there is nothing to keep.

    SGD with Nesterov momentum or AdamW at the schedule's rate, one step per batch. `parameters` are optimizer groups,
    each with an optional `lr` of its own, relative if the schedule's is still to be found (default: every parameter
    that requires a gradient); modules in `frozen` stay in evaluation mode; `extra` are layers of the loss that are
    trained with the network, such as a regressor of features or a domain discriminator, and discarded afterwards.
    Bit-identical when resumed: random draws are seeded by (place, epoch, batch), and the end of each epoch is
    checkpointed. Raises CancelledError between batches, UserError `diverged` when the loss stays NaN.
    """
    net = model.net.to(context.device)
    learner = net if extra is None else nn.ModuleDict({"net": net, "extra": extra.to(context.device)})
    layout = choose_layout(learner, context.device)
    feed = Feed(examples, schedule, model, context, layout)
    arrange(learner, layout)
    size, batches = feed.size, feed.batches
    groups: list[dict[str, object]] = list(parameters or [{"params": [p for p in net.parameters() if p.requires_grad]}])
    if extra is not None and (own := [p for p in extra.parameters() if p.requires_grad]):
        groups.append({"params": own})
    optimizer = _optimizer(groups, schedule, context.device)
    restored = checkpoints.restore(context.folder, learner, optimizer)
    state = restored or checkpoints.start(learner, optimizer, averaged=schedule.average > 0)
    precision = state.precision or choose_precision(learner, context)
    threads = operation_threads(net, model.preprocessing, size, context.threads, context.device)
    here = context.device.type != "cpu" or context.threads == threads  # no core is left to make the next batch on
    total = batches * schedule.epochs
    warn_small_dataset(len(examples), schedule, context)
    try:
        with on_threads(threads), Observer(net, features=features) as observe:

            def learn(batch: Batch) -> tuple[Tensor, Output]:
                with autocast(context.device, precision):
                    output = _float(observe(batch.images))
                value = loss(output, batch)
                if math.isfinite(float(value.detach())):
                    optimizer.zero_grad(set_to_none=True)
                    value.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                return value.detach(), output

            if restored is None and incumbent is not None:
                rival = net if incumbent.net is None else incumbent.net.to(context.device)
                evaluation = evaluate(model.with_net(rival), context.data.validation, context, precision)
                best = learner.state_dict() if incumbent.net is None else rival.state_dict()
                bar = (evaluation.accuracy - incumbent.drop, math.inf if incumbent.drop else evaluation.loss)
                state = checkpoints.defend(state, best, evaluation.accuracy, bar)
                start = Figures(validation_loss=evaluation.loss, validation_accuracy=evaluation.accuracy)
                context.report(Progress("training", 0, batches, 0, schedule.epochs, start))
            if restored is None and not schedule.learning_rate:
                _train_mode(learner, frozen)
                fastest = find_learning_rate(feed, learner, optimizer, lambda batch: learn(batch)[0], context)
                state = replace(state, rate=_reported_rate(fastest, context))
            clock = Clock(state.epoch, schedule.epochs, batches, size)
            while state.epoch < schedule.epochs and not _out_of_patience(state, schedule.patience):
                epoch = state.epoch
                average = checkpoints.copied(state.average)
                tally = Tally()
                _train_mode(learner, frozen)
                for step, batch in enumerate(ahead(feed.epoch(epoch), here=here)):
                    context.stop_if_cancelled()
                    torch.manual_seed(counter_seed(*context.place, "dropout", epoch, step))
                    done = epoch * batches + step
                    _set_pace(optimizer, state.rate * schedule.rate(done, total), schedule.momentum(done, total))
                    value, output = learn(batch)
                    tally.add(value, output.logits, batch.target, batch.mixture)
                    if not tally.finite:
                        break
                    if average is not None:
                        update_average(average, learner, schedule.average, done)
                    if clock.due():
                        figures = clock.figures(tally, epoch, step + 1)
                        context.report(Progress("training", step + 1, batches, epoch, schedule.epochs, figures))
                if not tally.finite:
                    state = _roll_back(state, learner, optimizer, schedule, context)
                    continue
                figures = clock.figures(tally, epoch, batches)
                with swapped_in(average, learner):
                    evaluation = evaluate(model, context.data.validation, context, precision)
                if not math.isfinite(evaluation.loss):  # the last step of the epoch broke the weights
                    state = _roll_back(state, learner, optimizer, schedule, context)
                    continue
                found = (evaluation.accuracy, evaluation.loss)
                state = checkpoints.advance(state, learner, optimizer, found, precision, average)
                state = checkpoints.save(context.folder, state, due=state.epoch == schedule.epochs)
                figures = replace(figures, validation_loss=evaluation.loss, validation_accuracy=evaluation.accuracy)
                context.report(Progress("training", 0, batches, state.epoch, schedule.epochs, figures))
    except CancelledError:
        if state.epoch:
            checkpoints.save(context.folder, state, due=True)
        raise
    learner.load_state_dict(state.best)
    arrange(net, torch.contiguous_format)  # later steps compute as they would on a network read from disk
    if incumbent is not None and not state.best_epoch:
        _tell_kept(state, incumbent, context)
    net.eval()
    made = replace(model, net=net, fresh=False)
    return made.having_decided({"precision": name_of(precision), "layout": NAMES[layout], "threads": str(threads)})


@dataclass
class Tally:
    """Loss and correct predictions of the epoch so far; unlabelled images count only in the loss. A prediction on a
    mixed image is correct to the extent of the predicted label's share, as in the mixup paper."""

    loss: float = 0.0
    seen: int = 0
    right: float = 0.0
    labelled: int = 0
    finite: bool = True

    def add(self, value: Tensor, logits: Tensor, target: Tensor, mixture: Mixture | None = None) -> None:
        """One batch: its loss (a mean), logits [N, C] and target [N]."""
        number = float(value.detach())
        self.finite = math.isfinite(number)
        known = target != UNLABELLED
        answers = logits.detach().argmax(1)
        right = (answers == target).double()
        if mixture is not None:
            share = mixture.share.double()
            right = share * right + (1 - share) * (answers == target[mixture.partner]).double()
        self.right += float(right[known].sum())
        self.labelled += int(known.sum())
        self.seen += len(target)
        self.loss += number * len(target)


class Clock:
    """Training speed, and when to report it."""

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
        """Loss and accuracy so far, and speed and remaining time, measured since training began or was resumed."""
        done = (epoch - self.first_epoch) * self.batches + step
        seconds = time.monotonic() - self.began
        left = (self.epochs - self.first_epoch) * self.batches - done
        return Figures(
            loss=tally.loss / tally.seen,
            accuracy=tally.right / tally.labelled if tally.labelled else None,
            samples_per_second=done * self.size / seconds,
            eta_seconds=left * seconds / done,
        )


def evaluate(model: Model, split: Split, context: Context, precision: torch.dtype = torch.float32) -> Evaluation:
    """Loss and accuracy of `model` in evaluation mode on a split, in batches of 256; raises CancelledError."""
    with autocast(context.device, precision):
        return measure.evaluate(
            model.net, split, model.preprocessing, device=context.device, step=lambda done: context.stop_if_cancelled()
        )


def _optimizer(groups: Sequence[dict[str, object]], schedule: Schedule, device: torch.device) -> torch.optim.Optimizer:
    based = [{**g, "base": g.get("lr", schedule.learning_rate or 1.0), "lr": 0.0} for g in groups]
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(based, weight_decay=schedule.weight_decay, fused=device.type != "mps")
    return torch.optim.SGD(
        based, lr=0.0, momentum=0.9, nesterov=True, weight_decay=schedule.weight_decay, fused=device.type != "mps"
    )


def _set_pace(optimizer: torch.optim.Optimizer, rate: float, momentum: float | None) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * rate
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None:
            group["momentum"] = momentum


def _reported_rate(found: float | None, context: Context) -> float:
    """Reports and returns the learning rate that a range test found."""
    if found is None:
        message = (
            f"A range test found no learning rate at which the loss falls; training continues at {FALLBACK_RATE:g}."
        )
        context.warn("no_learning_rate_found", message)
        return FALLBACK_RATE
    where = "".join(f", {part}" for part in context.place[2:])  # a phase, a round, a control
    context.warn("learning_rate_found", f"A range test of up to {BATCHES} batches{where}: learning_rate = {found:g}.")
    return found


def _tell_kept(state: checkpoints.State, incumbent: Incumbent, context: Context) -> None:
    """Reports that training gave nothing better than the incumbent."""
    had = f"{incumbent.name} ({100 * state.best_accuracy:.1f} % on validation)"
    if incumbent.drop:
        points = f"{100 * incumbent.drop:g} percentage points"
        message = f"After every epoch, validation accuracy was more than {points} below {had}: its weights are kept."
    else:
        message = f"Training did not improve on {had}: its weights are kept."
    context.remark(KEPT if incumbent.came_in else KEPT_WITHIN, message)


def _train_mode(net: nn.Module, frozen: Sequence[nn.Module]) -> None:
    net.train()
    for module in frozen:
        module.eval()


def _float(output: Output) -> Output:
    """The output in float32, in which losses are computed whatever the network's precision."""
    embedding = None if output.embedding is None else output.embedding.float()
    return Output(output.logits.float(), [f.float() for f in output.features], embedding)


def _out_of_patience(state: checkpoints.State, patience: int) -> bool:
    return bool(patience) and state.epoch - state.best_epoch >= patience


def _roll_back(
    state: checkpoints.State,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    context: Context,
) -> checkpoints.State:
    """Returns to the end of the last epoch with half the learning rate; the third time in a row it is an error."""
    if state.halvings == 2:
        rate = (schedule.learning_rate or 1.0) * state.rate * 4  # earlier epochs may have halved it already
        raise UserError(
            "diverged",
            "learning_rate",
            f"{rate:g} (NaN loss in epoch {state.epoch + 1}, also at a half and a quarter of it)",
            "a rate at which the loss stays finite",
            f"Set learning_rate to {rate / 10:g} or less.",
        )
    context.warn("nan_loss", f"The loss became NaN in epoch {state.epoch + 1}; trying again at half the learning rate.")
    return checkpoints.roll_back(state, net, optimizer)
