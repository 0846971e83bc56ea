"""Keep: a network that is trained already, as it is, where its classes are the dataset's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from core.engine.backbones.heads import classes_of, head_layer
from core.engine.backbones.own import is_numbered
from core.engine.context import Context
from core.engine.forecast import Forecast
from core.engine.model import Model
from core.engine.transfer import Transfer
from core.options import Words
from core.rules.keep import nothing_to_keep, other_classes, unnamed_outputs

__all__ = ["Keep"]


class Keep(Transfer):
    """Nothing is trained; where the dataset has the same classes in another order, the head's rows are put into it."""

    title = Words("Keep as it is", "保持原样")
    summary = Words(
        "The network as it is, without training: for one whose classes are the dataset's. Import your own with "
        "condenser import-model, then prune and quantize it.",
        "网络保持原样，不做训练：用于类别与数据集相同的网络。"
        "先用 condenser import-model 导入自己的网络，再剪枝和量化。",
    )

    def apply(self, model: Model, context: Context) -> Model:
        """The network, outputs in the dataset's order; raises UserError `nothing_to_keep` or `other_classes`."""
        _refuse_unknown(model)
        _refuse_other(model, context)
        if model.knows == model.classes:
            if is_numbered(model.name):
                context.remark("classes_numbered", _numbered(model, context))
            return model
        order = [model.knows.index(name) for name in model.classes]
        with torch.no_grad():
            _reorder(head_layer(model.net), order)
        moved = sum(place != old for place, old in enumerate(order))
        context.remark(
            "classes_mapped",
            f"{model.name} has the classes of {context.data.name} in another order: {moved} of {len(order)} outputs "
            "were moved to the dataset's order by their names. No weight changed.",
        )
        return model

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The network itself; raises UserError where it cannot be kept, before any work."""
        model = before.model
        _refuse_unknown(model)
        named = bool(context.data.content_hash)  # of a dataset that is not here yet only the count is certain
        if named or len(model.knows) != len(context.data.classes):
            _refuse_other(model, context)
        return before


def _refuse_unknown(model: Model) -> None:
    if not model.knows:
        raise nothing_to_keep(model.name, "backbone")


def _refuse_other(model: Model, context: Context) -> None:
    classes = context.data.classes
    if set(model.knows) != set(classes) or len(model.knows) != len(classes):
        raise other_classes(model.name, model.knows, context.data.name, classes)
    if model.knows != tuple(classes) and is_numbered(model.name):
        raise unnamed_outputs(model.name, context.data.name)


def _numbered(model: Model, context: Context) -> str:
    return (
        f"{model.name} was imported without class names: its outputs were taken for the classes of {context.data.name} "
        "in their order. If accuracy is near chance, import it again with --labels."
    )


def _reorder(head: nn.Module, order: Sequence[int]) -> None:
    """The head's outputs in another order."""
    assert classes_of(head) == len(order)
    for parameter in head.parameters():
        parameter.copy_(parameter[list(order)].clone())
