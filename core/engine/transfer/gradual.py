"""Gradual unfreezing: trains the head first, then unfreezes one group of blocks after another, deepest first."""

from __future__ import annotations

import copy

from core.engine.backbones.blocks import blocks
from core.engine.context import Context
from core.engine.forecast import Workload
from core.engine.method import knob
from core.engine.model import Model
from core.engine.training.loop import ITSELF, Examples, Incumbent
from core.engine.transfer.fine_tune import FineTune
from core.engine.transfer.objective import Objective
from core.engine.transfer.training import Trainable, shared_out
from core.options import Words


class Gradual(FineTune):
    """Gradual unfreezing (Howard & Ruder 2018, ULMFiT, arXiv:1801.06146): frozen parts stay bit-identical."""

    title = Words("Gradual unfreezing", "逐步解冻")
    summary = Words(
        "Trains the head first; then unfreezes the blocks from the end, phase by phase, until all are trained.",
        "先训练分类头；然后从末端起逐阶段解冻各块，直到全部参与训练。",
    )
    source = "https://arxiv.org/abs/1801.06146"

    phases: int = knob(
        4, "Phases", "The first trains only the head, the last everything; epochs are divided evenly.",
        zh=("阶段数", "第一阶段只训练分类头，最后阶段训练全部；训练轮数均分。"), ge=2, le=100, first=True,
    )  # fmt: skip

    def apply(self, model: Model, context: Context) -> Model:
        """Phase after phase, each from the best weights so far, as one curve; raises UserError for empty phases."""
        self._parts()
        start = self.objective(model, Examples.of(context.labelled), context)
        for number in range(self.phases):
            model = self.phase(model, number, start, context)
        return model

    def phase(self, model: Model, number: int, start: Objective, context: Context) -> Model:
        """The model after phase `number`, from 0, which trains the head and that many groups of blocks."""
        done, end = self._parts()[number]
        part = context.part(f"phase-{number}").after(done, self.epochs)
        return self.train(
            model,
            Examples.of(context.labelled),
            part,
            self.thawed(model, number, len(context.labelled)),
            start=start,
            schedule=self.schedule(end - done),
            incumbent=Incumbent(f"the network after phase {number}" if number else ITSELF.name, came_in=False),
        )

    def thawed(self, model: Model, number: int, images: int) -> Trainable:
        """What is trained in phase `number`; sets `requires_grad` of every parameter accordingly."""
        net = model.net
        whole = self.suited(model).trainable(net, images)
        body = blocks(net).body
        count = len(body) * number // (self.phases - 1)
        frozen = body[: len(body) - count]
        asleep = {id(p) for block in frozen for p in block.parameters}
        for parameter in net.parameters():
            parameter.requires_grad_(id(parameter) not in asleep)
        return Trainable(whole.groups[: 1 + count], [*whole.frozen, *(m for block in frozen for m in block.modules)])

    def _parts(self) -> list[tuple[int, int]]:
        return shared_out(self.epochs, self.phases, "phases", self.phases)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """Each phase trains what is unfrozen."""
        work: list[Workload] = []
        images = len(context.labelled)
        for number, (done, end) in enumerate(self._parts()):
            learner = after.with_net(copy.deepcopy(after.net))
            self.thawed(learner, number, images)
            work += self.training(learner, self.schedule(end - done), images, context)
        return tuple(work)
