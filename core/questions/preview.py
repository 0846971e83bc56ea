"""Request: forecast the results of a recipe before any training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from core.questions.request import Request


@dataclass(frozen=True)
class Row:
    """The forecast of one point. `params` and `macs` are exact if `exact`; otherwise approximate, and `why` says why in
    a sentence. `bytes` of the saved file is always an estimate: tensors are counted, names and attributes estimated."""

    step: int
    stage: str
    method: str
    name: str
    params: int
    macs: int
    bytes: int
    exact: bool
    why: str


@dataclass(frozen=True)
class Note:
    """A note on the forecast: `code` is not_loaded (the dataset was never read at this size, so published counts are
    used), not_here (it is not on this machine either), download (weights are downloaded first), controls (their share
    of the time), runtimes (the share of measuring in further runtimes) or time (how it was estimated); `values` are
    filled into the displayed text."""

    code: Literal["not_loaded", "not_here", "download", "controls", "runtimes", "time"]
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """The forecast of a run: its points as `rows`; `seconds` of the whole run, further seeds and controls included,
    between `seconds_low` and `seconds_high`; `memory_bytes` of the worker at its peak; `image_size` in pixels a
    side."""

    rows: tuple[Row, ...]
    seconds: float
    seconds_low: float
    seconds_high: float
    memory_bytes: int
    device: str
    image_size: int
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class PreviewRequest(Request[Preview]):
    """Forecasts the results of a recipe, given as TOML."""

    kind: ClassVar[str] = "preview"

    recipe: str
