"""The images whose answer changed: gained, lost, swapped, and those with the same mistake in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import components
from dashboard.i18n import say
from dashboard.inspect import evidence, images
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair

KINDS = ("lost", "gained", "swapped", "kept_wrong")
ORDERS = ("now", "before", "stored")


def show(choice: Choice) -> None:
    """The images of one kind in an order of choice, and all as a table."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    if pair.other is None or pair.flips is None:
        st.info(say("inspect.changed_alone"), icon=":material/compare_arrows:")
        return
    counts = {kind: len(getattr(pair.flips, kind)) for kind in KINDS}
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_changed"):
        kind = st.segmented_control(
            say("inspect.kind"),
            KINDS,
            default=_first(counts),
            required=True,
            key="inspect_kind",
            format_func=lambda name: say(f"inspect.kind_{name}", count=counts[name]),
        )
        order = st.selectbox(
            say("inspect.order"),
            ORDERS,
            format_func=lambda name: say(f"inspect.order_{name}"),
            key="inspect_order",
            width=260,
        )
    st.caption(say(f"inspect.kind_{kind}_help"))
    places = ordered(pair, getattr(pair.flips, kind or KINDS[0]), order)
    if places:
        images.gallery(choice, pair, places, f"changed_{kind}_{order}")
    else:
        st.caption(say("inspect.none_of_kind"))
    alt = say("inspect.changed_alt", count=pair.flips.changed)
    components.show_data(table(pair), key="inspect_changed_data", alt=alt, file="changed-answers")


def _first(counts: dict[str, int]) -> str:
    return next((kind for kind in KINDS if counts[kind]), KINDS[0])


def ordered(pair: Pair, places: Sequence[int], order: str) -> list[int]:
    """The places with the surest answers first, of the point or of what it is held against, or as they are stored."""
    if order == "stored" or pair.other is None:
        return list(places)
    sure = pair.own.confidences if order == "now" else pair.other.confidences
    return sorted(places, key=lambda place: (-float(sure[place]), place))


def table(pair: Pair) -> pd.DataFrame:
    """A row an image whose answer changed, or is wrong in both: what it is, both answers, both probabilities."""
    other, found = pair.other, pair.flips
    if other is None or found is None:
        return pd.DataFrame()
    names = np.array(pair.own.about.classes, dtype=object)
    rows = []
    for kind in KINDS:
        for place in getattr(found, kind):
            rows.append(
                (
                    kind,
                    place,
                    names[pair.own.labels[place]],
                    names[other.given[place]],
                    float(other.confidences[place]),
                    names[pair.own.given[place]],
                    float(pair.own.confidences[place]),
                )
            )
    columns = ["kind", "image", "truth", "before", "before_probability", "now", "now_probability"]
    return pd.DataFrame(rows, columns=columns)
