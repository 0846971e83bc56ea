"""Builds a recipe's networks one after another, without training, to report impossible options before any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from core.engine.backbones import find, load_backbone
from core.engine.context import Context
from core.engine.forecast import Forecast
from core.engine.method import Method
from core.engine.model import Model
from core.engine.pipeline.first_model import as_model
from core.errors import UserError


def dry_run(backbone: str, methods: Sequence[Method], context: Context) -> None:
    """Raises UserError, with its place in the recipe, if an option asks for the impossible.

    It continues as long as the shapes are known exactly without training, up to the last step that checks them. No
    weights are read or downloaded, even if `context` names pretrained ones.
    """
    last = max((n for n, method in enumerate(methods) if _has_forecast(method)), default=-1)
    if last < 0:
        return
    before = Forecast(untrained(backbone, context.data.classes, context.image_size, context.weights))
    for number, method in enumerate(methods[: last + 1]):
        here = replace(context, weights="none", place=(context.place[0], number))
        with in_recipe(number, method):
            after = method.quick_forecast(before, here)
        if after is None or after.why:
            return
        before = after


def untrained(backbone: str, classes: tuple[str, ...], image_size: int, weights: str = "default") -> Model:
    """The backbone with random weights, nothing is downloaded; `fresh` and `knows` are as they would be with
    `weights`."""
    info = find(backbone)
    size = image_size or info.image_size
    fresh = weights == "none" or not info.fixed
    return as_model(load_backbone(backbone, len(classes), "none", size), info, classes, size, fresh=fresh)


@contextmanager
def in_recipe(number: int, method: Method) -> Iterator[None]:
    """Adds the place in the recipe to UserErrors about an option of `method`."""
    try:
        yield
    except UserError as error:
        if error.field not in type(method).model_fields:
            raise
        raise UserError(error.code, f"steps.{number}.{error.field}", error.given, error.allowed, error.fix) from error


def _has_forecast(method: Method) -> bool:
    """Whether the method overrides a forecast, and so may refuse the incoming network."""
    kind = type(method)
    return kind.forecast is not Method.forecast or kind.quick_forecast is not Method.quick_forecast
