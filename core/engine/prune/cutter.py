"""What the cut requires of a method that ranks channels, so that neither depends on the other's class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from core.engine.context import Context
from core.engine.forecast import FileSize
from core.engine.model import Model
from core.engine.prune.attention import Score


@dataclass(frozen=True)
class Choice:
    """The ratio and the multiple of a cut; `guessed` where a run would measure them and this did not, `noisy` where
    they rest on timings during which the machine was busy."""

    ratio: float
    round_to: int
    guessed: bool = False
    noisy: bool = False


@runtime_checkable
class Ranker(Protocol):
    """A measure of channel importance."""

    @property
    def reads_images(self) -> bool: ...

    def importance(self, seed: int) -> str | Score: ...

    def refuse(self, net: nn.Module) -> None: ...


class Cutter(Ranker, Protocol):
    """A ranker that also has the options of a cut."""

    @property
    def ratio(self) -> float: ...

    @property
    def round_to(self) -> int: ...

    @property
    def scope(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def limit(self) -> float: ...

    @property
    def ignored(self) -> str: ...

    @property
    def layer_ratios(self) -> str: ...

    def cut(
        self, model: Model, choice: Choice, context: Context, score: Score | None = None
    ) -> Iterator[nn.Module]: ...

    def file_size(self) -> FileSize: ...
