"""What the picked points answered on the same test images: class by class, and which answers differ."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.comparison.difference import Difference, Paired
from core.points import Point
from core.run_files.artifacts import read_artifact
from core.run_files.bundle import CARD, PREDICTIONS, SAMPLES
from core.runs import Run
from core.text import formatting
from core.text.escaping import UserText
from dashboard import closing, components
from dashboard.charts import classes
from dashboard.i18n import listed, say, template
from dashboard.session import dark, workspace
from dashboard.tradeoffs import pairs, selection

UNREADABLE = (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)  # a UserError is a ValueError
MOST_IMAGES, TILE = 12, 108  # shown; pixels wide


class Answers(NamedTuple):
    """Of one file: the names of the classes [C], each test image's answer [N] and label [N]; and the folder that also
    holds the first of those images."""

    classes: tuple[str, ...]
    given: NDArray[np.int64]
    labels: NDArray[np.int64]
    folder: Path

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.given, self.labels)


def show(picked: pd.DataFrame) -> None:
    """The right answers of each class, and what the others answer better and worse than the first; nothing for fewer
    than two points."""
    picked = picked.head(selection.MOST_CARDS)
    if len(picked) < 2:
        return
    st.subheader(say("tradeoffs.classes"), anchor=False)
    same = alike(picked)
    if len(same) < 2:
        st.caption(say("tradeoffs.classes_unknown"))
        return
    first = same[1]
    draw(picked, same)
    for number, one in same.items():
        if number > 1:
            st.caption(told(number, one, first))
    if (picked["asked"] != "").any():
        st.caption(say("tradeoffs.classes_own_runtime"))
    elif picked["seeds"].notna().any():
        st.caption(say("tradeoffs.classes_of_files"))
    show_changed(same)
    if missing := [str(number) for number in range(1, len(picked) + 1) if number not in same]:
        st.caption(say("tradeoffs.classes_missing", numbers=listed(missing)))


def alike(picked: pd.DataFrame) -> dict[int, Answers]:
    """The answers of the points, counted from 1, to the same images as the first; empty where the first has none."""
    asked = {number: of(row) for number, (_, row) in enumerate(picked.iterrows(), start=1)}
    found = {number: known for number, known in asked.items() if known is not None}
    first = found.get(1)
    return {n: one for n, one in found.items() if first is not None and np.array_equal(one.labels, first.labels)}


def by_class(picked: pd.DataFrame, same: Mapping[int, Answers]) -> pd.DataFrame:
    """A row a point and class."""
    marked = {
        n: classes.Mark(f"{n} {selection.name(row)}", str(row["stage"]), bool(row["control"]))
        for n, (_, row) in enumerate(picked.iterrows(), start=1)
        if n in same
    }
    return classes.info({marked[n]: (one.classes, one.right, one.labels) for n, one in same.items()})


def figure_of(table: pd.DataFrame, *, dark: bool) -> go.Figure:
    """The classes on which the points differ most."""
    labels = classes.Labels(x=say("tradeoffs.classes_axis"), hover=template("tradeoffs.classes_hover"))
    return classes.figure(classes.most_different(table), labels, dark=dark)


def draw(picked: pd.DataFrame, same: dict[int, Answers]) -> None:
    """A mark a class and point."""
    table = by_class(picked, same)
    figure = figure_of(table, dark=dark())
    worst, change = classes.largest_loss(table)
    alt = say(
        "tradeoffs.classes_alt",
        points=len(same),
        name=UserText(worst).plain(),
        change=selection.signed(change.share),
        verdict=closing.verdict(change),
    )
    components.chart(figure, table, key="tradeoffs_classes", alt=alt, file="classes")
    if (shown := classes.most_different(table)["class"].nunique()) < (count := table["class"].nunique()):
        st.caption(say("tradeoffs.classes_part", shown=shown, count=count))


def told(number: int, one: Answers, first: Answers) -> str:
    """How many test images the one alone gets right, and the first alone: the difference without what both share."""
    images = len(first.labels)
    counts = Paired(int((one.right & ~first.right).sum()), int((first.right & ~one.right).sum()))
    share = (counts.gained - counts.lost) / max(images, 1)
    if np.array_equal(one.given, first.given):
        return say("tradeoffs.classes_same", number=number, images=f"{images:,}")
    return say(
        "tradeoffs.classes_paired",
        number=number,
        gained=counts.gained,
        lost=counts.lost,
        images=f"{images:,}",
        other=int((one.given != first.given).sum()),
        p=probability(counts.chance),
        verdict=closing.verdict(Difference(share, counts.is_proven, "images")),
    )


def probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {formatting.two_digits(p)}"


# the images themselves


def show_changed(same: Mapping[int, Answers]) -> None:
    """Of the first test images, which were kept beside the file, those that the last point answers otherwise than the
    first: what it lost, then what it gained."""
    first, (number, last) = same[1], list(same.items())[-1]
    images = pictures(first.folder)
    count = len(images)
    others = [n for n in range(count) if first.given[n] != last.given[n]]
    if not others:
        return
    st.caption(say("tradeoffs.images", number=number, count=count, others=len(others)))
    order = sorted(others, key=lambda n: (not first.right[n], not last.right[n], n))[:MOST_IMAGES]
    with st.container(horizontal=True, gap="small", key="tradeoffs_images"):
        for place in order:
            words = change(first, last, place)
            with st.container(width=TILE, gap="xxsmall"):
                st.image(images[place], width=TILE - 24, alt=UserText(words).plain())
                st.caption(UserText(words).md())


def change(first: Answers, last: Answers, place: int) -> str:
    """What an image is, and what the two took it for."""
    names = first.classes
    what = "lost" if first.right[place] else "gained" if last.right[place] else "still"
    return say(
        f"tradeoffs.image_{what}",
        label=names[first.labels[place]],
        before=names[first.given[place]],
        after=names[last.given[place]],
    )


def pictures(folder: Path) -> list[NDArray[np.uint8]]:
    """The first test images [H, W] or [H, W, 3]; none where they are not there as they were saved."""
    try:
        with np.load(BytesIO(_content(folder, SAMPLES)), allow_pickle=False) as found:
            images: NDArray[np.uint8] = found["images"]
    except UNREADABLE:
        return []
    return [image[0] if len(image) == 1 else image.transpose(1, 2, 0) for image in images]


def of(row: Any) -> Answers | None:
    """What the point of a row answered; None where it was not kept, as for the samples that come along."""
    point = None if row["sample"] else pairs.point_of(row)
    return None if point is None else kept(workspace().run(row["run"]), point)


def kept(run: Run, point: Point) -> Answers | None:
    """The answers beside the point's file; None where they are gone, or not as they were saved."""
    try:
        return _read(str((run.folder / (point.artifact or "")).parent))
    except UNREADABLE:
        return None


@lru_cache(maxsize=64)
def _read(folder: str) -> Answers:
    card = json.loads(_content(Path(folder), CARD))
    with np.load(BytesIO(_content(Path(folder), PREDICTIONS)), allow_pickle=False) as found:
        return Answers(tuple(map(str, card["classes"])), found["test_answers"], found["test_labels"], Path(folder))


def _content(folder: Path, name: str) -> bytes:
    """A file beside an artifact of a run; raises UserError where it is not what the run saved."""
    root = next((parent.parent for parent in folder.parents if parent.name == "artifacts"), None)
    if root is None:
        raise FileNotFoundError(str(folder))
    return read_artifact(Run(root), (folder / name).relative_to(root).as_posix())
