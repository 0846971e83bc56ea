"""What a recipe will give, before any training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from core.questions.request import Request


@dataclass(frozen=True)
class Row:
    """One point to come. `params` and `macs` are the finished point's where `exact`, else about right, `why` says in a
    sentence; `bytes` of the saved file is always an estimate: tensors counted, names and attributes about."""

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
    """What a person should know in addition to the numbers: `code` is one of not_loaded (the dataset was never read at
    this size: its published counts are used), not_here (nor is it on this machine), download (the weights come first),
    controls (their share of the time), time (how it was found); `values` fill in the words of whoever shows it."""

    code: Literal["not_loaded", "not_here", "download", "controls", "time"]
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """The points to come; `seconds` of the whole run, further seeds and controls with it, between `seconds_low` and
    `seconds_high`; `memory_bytes` of the worker at its height; `notes` what a person should know."""

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
    """The preview of a recipe, given as TOML."""

    kind: ClassVar[str] = "preview"

    recipe: str
