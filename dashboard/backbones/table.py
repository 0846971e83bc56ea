"""Every backbone as a row, and which of them a person wants to see."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.catalog import Facts
from core.hardware.backbone_times import BackboneTime
from dashboard.design.cards import weights_of

FLOAT = 4  # bytes of a weight
IMAGENET = 1000  # classes
VERDICTS = ("prunable", "quantizable", "exportable")
SORTS = ("megabytes", "params", "macs", "accuracy", "milliseconds", "name")
BEST_FIRST = ("accuracy",)
RESTRICTED = ("non-commercial", "noncommercial")
COLUMNS = (
    "name",
    "title",
    "place",
    "params",
    "macs",
    "megabytes",
    "accuracy",
    "accuracy_at",
    "milliseconds",
    "image_size",
    "classes",
    "download_bytes",
    "licence",
    "weights",
    *VERDICTS,
)


@dataclass(frozen=True)
class Wish:
    """What a person wants to see: bounds of 0 are none, `can` are names of VERDICTS."""

    text: str = ""
    megabytes: float = 0.0
    milliseconds: float = 0.0
    can: tuple[str, ...] = ()
    here: bool = False
    free: bool = False
    sort: str = "megabytes"


def info(
    backbones: Mapping[str, Facts],
    verdicts: Mapping[str, Mapping[str, Any]],
    here: Collection[str],
    times: Mapping[str, BackboneTime],
) -> pd.DataFrame:
    """A row a backbone. `megabytes` are those of its weights in float32, `milliseconds` of one image on this machine,
    `accuracy` in percent, on ImageNet: one on ten classes cannot be ranked with it; what is not known is missing."""
    rows = [_row(facts, verdicts.get(name, {}), here, times.get(name)) for name, facts in backbones.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(facts: Facts, verdict: Mapping[str, Any], here: Collection[str], time: BackboneTime | None) -> tuple[Any, ...]:
    timed = time.p50 if time is not None and time.image_size == facts["image_size"] else None
    return (
        facts["name"],
        facts["title"],
        place(facts, here),
        facts["params"],
        facts["macs"],
        facts["params"] * FLOAT / 1e6,
        facts.get("accuracy") if facts["classes"] == IMAGENET else None,
        facts.get("accuracy_at") or facts["image_size"],
        timed,
        facts["image_size"],
        facts["classes"],
        facts.get("download_bytes", 0),
        facts["licence"],
        facts["weights"],
        *(verdict.get(name) for name in VERDICTS),
    )


def place(facts: Facts, here: Collection[str]) -> str:
    """Where the weights are: `own`, `here`, or to `download` (or to install); `none` where there are none."""
    if facts["weights"] in ("own", "none"):
        return str(facts["weights"])
    return "here" if facts["name"] in here or weights_of(facts) in ("bundled", "packaged") else "download"


def wanted(table: pd.DataFrame, wish: Wish) -> pd.DataFrame:
    """The rows that a person wishes for, in their order; what is not known does not fit a bound."""
    keep = pd.Series(True, index=table.index)
    for word in wish.text.lower().split():
        keep &= (table["name"] + " " + table["title"]).str.lower().str.contains(word, regex=False)
    if wish.megabytes:
        keep &= table["megabytes"] <= wish.megabytes
    if wish.milliseconds:
        keep &= table["milliseconds"].astype(float) <= wish.milliseconds
    for verdict in wish.can:
        keep &= table[verdict].eq(True)
    if wish.here:
        keep &= table["place"].isin(["here", "own", "none"])
    if wish.free:
        keep &= ~table["licence"].str.lower().str.contains("|".join(RESTRICTED))
    found = table[keep].sort_values("name", kind="stable")
    return found.sort_values(wish.sort, ascending=wish.sort not in BEST_FIRST, kind="stable", na_position="last")
