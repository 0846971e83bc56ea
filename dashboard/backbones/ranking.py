"""Which backbone suits a person's data: scores and a probe, row by row as they come."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd
import streamlit as st

from core.catalog import Facts
from core.comparison.difference import SURE
from core.errors import UserError
from core.questions.rank_backbones import Ranking, RankRequest, Row
from core.statistics.intervals import around
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults, terms
from dashboard.backbones import view
from dashboard.data import asking
from dashboard.design import cards
from dashboard.i18n import listed, say, together
from dashboard.session import read_only, recall, remember, workspace

RANK, FOUND = "backbones.rank", "backbones.ranking"
LIMIT = 1000  # images, as the command has it
FEW, MOST = 3, 12  # from three on the scores can be compared with the probe
SCORES = ("logme", "h_score", "transrate", "knn_accuracy", "leep", "nce")


def show(names: Sequence[str], here: Collection[str], sets: Mapping[str, Facts]) -> None:
    """The fields, the rows so far, and what they say."""
    take()
    st.caption(together((say("backbones.rank_help"), terms.of_words("backbones.rank_title", "backbones.rank_probe"))))
    dataset = st.selectbox(
        say("backbones.rank_data"),
        list(sets),
        key="backbones_rank_data",
        format_func=lambda name: cards.grouped_title(sets[name]),
    )
    chosen = st.multiselect(
        say("backbones.rank_which"),
        list(names),
        default=[name for name in names if name in here][:FEW],
        key="backbones_rank_which",
        max_selections=MOST,
        help=say("backbones.rank_which_help"),
        placeholder=say("forms.choose"),
    )
    going = asking.asked(RANK) is not None
    st.button(
        say("backbones.rank"),
        key="backbones_rank",
        icon=":material/leaderboard:",
        on_click=begin,
        args=(dataset, tuple(chosen)),
        disabled=going or read_only() or not chosen or dataset is None,
    )
    watch()
    found: Ranking | None = recall(FOUND, None)
    if found is not None and not going:
        rows(found.rows)
        _alike(found.rows)
        _agreement(found)
        _use(found.rows)


def nearness(facts: Facts) -> tuple[int, str]:
    """By which datasets are put in order: one's own, those at hand, those to download."""
    place = cards.where(facts)
    return (0 if place == "own" else 2 if place == "download" else 1), str(facts["title"])


def begin(dataset: str, names: tuple[str, ...]) -> None:
    """Asks the same as `condenser rank`."""
    remember(FOUND, None)
    remember("backbones.rank_wrong", None)
    asking.begin(RANK, RankRequest(dataset, names, LIMIT, 0))


def take() -> None:
    """Takes the answer, once it is there, or the reason why there is none."""
    found = asking.outcome(RANK)
    if found is not None:
        remember(FOUND, found.answer)
        remember("backbones.rank_wrong", None if found.error is None else (found.error, found.details))
    wrong = recall("backbones.rank_wrong", None)
    if wrong is not None:
        error, details = wrong
        if isinstance(error, UserError) and error.code == "cancelled":
            st.caption(say("backbones.rank_cancelled"))
        else:
            faults.refused(error, details)


def watch() -> None:
    """How far it is, and the rows that are there."""
    if asking.asked(RANK) is None:
        return
    asking.watch(RANK)
    st.fragment(_partial, run_every=asking.POLL)()


def _partial() -> None:
    now = asking.asked(RANK)
    try:
        part = workspace().job(now.job).partial() if now is not None else None
    except (UserError, OSError):
        part = None
    if part is not None:
        rows(RankRequest.answer_from_document(part).rows)


def rows(found: Sequence[Row]) -> None:
    """The rows as a table; a score that a backbone cannot have is missing."""
    heads = {name: say(f"backbones.score_{name}") for name in SCORES}
    told = [
        {
            say("backbones.column_name"): _name(row),
            say("backbones.rank_probe"): round(100 * row.probe_accuracy, 1),
            say("backbones.rank_spread"): _spread(row),
            **{heads[name]: None if (value := getattr(row, name)) is None else round(value, 3) for name in SCORES},
        }
        for row in found
    ]
    st.dataframe(pd.DataFrame(told), hide_index=True, key="backbones_rank_rows", alt=say("backbones.rank_alt"))


def _spread(row: Row) -> float | None:
    """± of the probe's accuracy in points of percent; None for an answer that does not have it."""
    if row.probe_low is None or row.probe_high is None:
        return None
    return round(100 * around(row.probe_accuracy, row.probe_low, row.probe_high), 1)


def _alike(found: Sequence[Row]) -> None:
    """Names the backbones that the first one is not shown to be better than."""
    if alike := [_name(row) for row in found[1:] if not (beside := found[0].beside(row)) or not beside.proven]:
        names = listed(UserText(name).md() for name in alike)
        st.caption(say("backbones.rank_alike", first=UserText(_name(found[0])).md(), names=names))


def _name(row: Row) -> str:
    return row.backbone if row.pretrained else say("backbones.rank_random", name=row.backbone)


def _agreement(found: Ranking) -> None:
    best = max((each for each in found.agreement if not each.controls), key=lambda each: each.kendall, default=None)
    if best is None:
        st.caption(say("backbones.rank_few", count=FEW))
        return
    st.markdown(
        say(
            "backbones.rank_agrees",
            score=say(f"backbones.score_{best.score}"),
            count=best.backbones,
            kendall=f"{best.kendall:.2f}",
            spearman=f"{best.spearman:.2f}",
        )
    )
    if best.chance is None or best.chance >= SURE:
        p = formatting.NOT_MEASURED if best.chance is None else formatting.two_digits(best.chance)
        st.caption(say("backbones.rank_chance", p=p))


def _use(found: Sequence[Row]) -> None:
    if found and st.button(
        say("backbones.rank_use", name=found[0].backbone), key="backbones_rank_use", icon=":material/tune:"
    ):
        view.design(found[0].backbone)
