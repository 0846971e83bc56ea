"""Self-training: the network labels the images of which it is confident, and is trained on them as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from core.controls import LABELS_ALONE, english
from core.engine.context import Context
from core.engine.data.selection import choose, join
from core.engine.forecast import Workload
from core.engine.measure.evaluate import AT_ONCE, answers
from core.engine.method import knob
from core.engine.model import Model
from core.engine.training.loop import ITSELF, Examples, Incumbent
from core.engine.training.schedule import Schedule
from core.engine.training.small_sets import warn_small_dataset
from core.engine.transfer.fine_tune import FineTune
from core.engine.transfer.training import shared_out
from core.errors import UserError
from core.options import Words


class PseudoLabels(FineTune):
    """Pseudo-labels (Lee 2013, ICML workshop on representation learning): unlabelled images at or above a confidence
    are added with the class that the network predicts.

    A method rather than an option: it needs a pool, does not permit mixing, and has its own control.
    """

    title = Words("Pseudo-labels", "伪标签")
    summary = Words(
        "Fine-tunes on the labels, lets the network label unlabelled images with high confidence, and continues with "
        "both.",
        "先用标签微调，再让网络为置信度高的无标签图像打标签，然后用两者继续训练。",
    )
    source = "https://api.semanticscholar.org/CorpusID:18507866"

    confidence: float = knob(
        0.95, "Confidence", "Adds an unlabelled image if the probability of its most likely class is at least this.",
        zh=("置信度", "无标签图像最可能类别的概率不低于该值时加入训练。"), ge=0.5, le=1.0, first=True,
    )  # fmt: skip
    rounds: int = knob(
        2, "Rounds", "How often the pool is relabelled; epochs are divided among the rounds and the initial training.",
        zh=("轮次", "重新为无标签图像打标签的次数；训练轮数由各轮及初始训练平分。"), ge=1, le=20,
    )  # fmt: skip
    twin: bool = knob(
        True, "Labels-only control",
        "The same rounds and number of steps without the unlabelled images: shows what they contribute.",
        zh=("仅标签对照", "同样的轮次和步数，不用无标签图像：显示它们的贡献。"),
    )  # fmt: skip

    def apply(self, model: Model, context: Context) -> Model:
        """Round after round, each from the best weights so far, as one curve; raises UserError without a pool, with
        mixed images, or if a round would have no epoch."""
        self._refuse(context)
        return self._learn(model, context, joining=True)

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """The control: same start, same rounds, same number of steps, labels only."""
        alone = context.for_control(english(LABELS_ALONE))
        return {LABELS_ALONE: lambda: self._learn(model, alone, joining=False)} if self.twin else {}

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Epochs as long as if the whole pool had been added, and inference on the pool once per round."""
        images = len(context.labelled) + len(context.pool)
        answered = Workload("forward", after, self.rounds * len(context.pool), AT_ONCE, control=False)
        return (*self.training(after, self._paced(self.epochs, context), images, context), answered)

    def _learn(self, model: Model, context: Context, *, joining: bool) -> Model:
        examples = Examples.of(context.labelled)
        parts = shared_out(self.epochs, self.rounds + 1, "rounds", self.rounds)
        warn_small_dataset(len(context.labelled) + len(context.pool), self._small(self.epochs, context), context)
        start, fresh = self.objective(model, examples, context), model.fresh
        for number, (done, end) in enumerate(parts):
            part = context.part(f"round-{number}").after(done, self.epochs)
            if number and joining:
                examples = self._joined(model, number, part)
            if self.balance:
                start = replace(start, class_weights=self.objective(model, examples, context).class_weights)
            schedule = self._paced(end - done, context)
            name = f"the network before round {number}" if number else ITSELF.name
            known = Incumbent(name, came_in=False)
            what = self.suited(replace(model, fresh=fresh)).trainable(model.net, len(examples))
            model = self.train(model, examples, part, what, start=start, schedule=schedule, incumbent=known)
        return model

    def _paced(self, epochs: int, context: Context) -> Schedule:
        """The same budget for all rounds and the control: epochs as long as if the whole pool had been added."""
        seen = len(context.labelled) + len(context.pool)
        small = self._small(epochs, context)
        return replace(small, batch=small.size(seen), batches=max(small.least, -(-seen // small.size(seen))))

    def _small(self, epochs: int, context: Context) -> Schedule:
        """With batches that the labelled images alone can fill."""
        given = self.schedule(epochs)
        return replace(given, batch=min(given.batch, len(context.labelled)))

    def _joined(self, model: Model, number: int, context: Context) -> Examples:
        """The labelled images and those of the pool on which the model is confident, with its labels."""
        probability, label = answers(model, context.pool, context, "features").softmax(1).max(1)
        sure = probability >= self.confidence
        split, joined, pool = context.labelled, int(sure.sum()), len(context.pool)
        message = f"Round {number}: {joined:,} of {pool:,} unlabelled images joined, with p ≥ {self.confidence:g}."
        context.warn("pseudo_labels", message)
        return Examples(join(split.images, choose(context.pool, sure)), torch.cat([split.labels, label[sure]]))

    def _refuse(self, context: Context) -> None:
        if not len(context.pool):
            fix = "Set labels below the number of training images, the rest is then unlabelled; or name a pool."
            raise UserError(
                "no_pool", "labels", len(context.labelled), "fewer labels than images, with confidence", fix
            )
        for name, given in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if given:
                fix = f"Set {name} to 0: pseudo-labels cannot be combined with mixed images."
                raise UserError("conflicting_options", name, f"{given:g} with confidence", "0 with confidence", fix)
