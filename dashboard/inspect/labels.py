"""Images whose label is likely wrong, as the point's answers to images that it was not trained on suggest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.own.dataset_edits import Edit, LeaveOut, MoveImages
from core.own.datasets import find_home, names_in
from core.questions.dataset_edit import Edited, EditRequest
from core.questions.pictures import Split
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.inspect import evidence, images
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Answered
from dashboard.session import read_only, widget, workspace

SPLITS: tuple[Split, ...] = ("validation", "test")
MOST = 36  # suspects shown
TILE = 148  # pixels wide


@dataclass(frozen=True)
class Suspect:
    """An image whose label is likely wrong: that label, the class it is taken for, and both probabilities."""

    split: Split
    place: int
    label: int
    believed: int
    own: float
    other: float

    @property
    def key(self) -> str:
        return f"{self.split}_{self.place}"


def show(choice: Choice) -> None:
    """The suspects, the likeliest first; those of a set of one's own can be taken out or labelled anew."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    news()
    found = suspects(pair.own)
    checked = len(pair.own.labels) + len(pair.own.validation_labels)
    st.markdown(say("inspect.labels_about", count=len(found), images=f"{checked:,}"))
    if not found:
        return
    names = own_names(choice)
    st.caption(say("inspect.labels_own" if names else "inspect.labels_shipped"))
    _gallery(choice, pair.own, found[:MOST], ticked=bool(names))
    if len(found) > MOST:
        st.caption(say("inspect.labels_most", most=MOST, count=len(found)))
    if names:
        _actions(choice, pair.own, found[:MOST], names)
    asking.watch(asking.WORK)
    asking.watch(images.SLOT, quiet=True)


def suspects(own: Answered) -> list[Suspect]:
    """Read off the kept answers."""
    shares = (own.validation_probabilities, own.probabilities)
    labels = (own.validation_labels, own.labels)
    found = []
    for which, place, believed in own.suspects.tolist():
        label, row = int(labels[which][place]), shares[which][place]
        found.append(Suspect(SPLITS[which], place, label, believed, float(row[label]), float(row[believed])))
    return found


def own_names(choice: Choice) -> dict[str, list[str]]:
    """The names of the images by split, where the set is a person's own; empty for any other."""
    home = find_home(choice.run.headline().dataset, workspace().datasets)
    if home is None:
        return {}
    version = choice.run.state().environment.get("dataset_version", "")
    found: dict[str, list[str]] = {split: names_in(home, split, version) for split in SPLITS}
    return found if all(found.values()) else {}


def _gallery(choice: Choice, own: Answered, found: list[Suspect], *, ticked: bool) -> None:
    drawn = {
        split: images.pictures(choice, [one.place for one in found if one.split == split], split) for split in SPLITS
    }
    with st.container(horizontal=True, gap="small", key="inspect_labels"):
        for one in found:
            with st.container(width=TILE, gap="xxsmall", border=True):
                if (picture := drawn[one.split].get(one.place)) is not None:
                    alt = say("inspect.label_alt", split=say(f"inspect.split_{one.split}"), place=one.place)
                    st.image(picture, width=TILE - 34, alt=alt)
                st.caption(told(own, one))
                if ticked:
                    st.checkbox(say("inspect.tick"), key=f"inspect_tick_{choice.run.id}_{one.key}")


def told(own: Answered, one: Suspect) -> str:
    """What it is labelled, and what it is taken for."""
    label, believed = (UserText(own.name(place)).md() for place in (one.label, one.believed))
    shares = (formatting.percent(share, 0).replace(" ", images.NARROW) for share in (one.own, one.other))
    return say("inspect.label_told", label=label, believed=believed, own=next(shares), other=next(shares))


def _actions(choice: Choice, own: Answered, found: list[Suspect], names: dict[str, list[str]]) -> None:
    """What to do with the ticked images; each makes a new version of the set, and this run keeps the one it has."""
    ticked = [one for one in found if widget(f"inspect_tick_{choice.run.id}_{one.key}", False)]
    chosen = [names[one.split][one.place] for one in ticked]
    off = not chosen or read_only() or asking.asked(asking.WORK) is not None
    usual = ticked[0].believed if ticked else 0
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_label_actions"):
        st.button(
            say("inspect.exclude", count=len(chosen)),
            key="inspect_exclude",
            icon=":material/block:",
            disabled=off,
            on_click=_ask,
            args=(choice, LeaveOut(images=chosen)),
        )
        to = st.selectbox(
            say("inspect.relabel_as"),
            range(len(own.about.classes)),
            usual,
            key=f"inspect_relabel_as_{usual}",
            format_func=partial(_plain, own),
            width=220,
        )
        st.button(
            say("inspect.relabel", count=len(chosen)),
            key="inspect_relabel",
            icon=":material/label:",
            disabled=off,
            on_click=_ask,
            args=(choice, MoveImages(images=chosen, to=own.name(to or 0))),
        )


def _plain(own: Answered, label: int) -> str:
    return UserText(own.name(label)).plain()


def _ask(choice: Choice, edit: Edit) -> None:
    asking.begin(asking.WORK, EditRequest(choice.run.headline().dataset, edit))


def news() -> None:
    """What became of the change."""
    found = asking.outcome(asking.WORK)
    if found is None:
        return
    if found.error is not None:
        faults.refused(found.error, found.details)
    elif isinstance(found.answer, Edited):
        name = UserText(found.answer.dataset).md()
        st.success(say("inspect.label_changed", name=name, images=f"{found.answer.images:,}"), icon=":material/check:")
        st.page_link(
            "app_pages/data.py",
            label=say("inspect.to_data"),
            icon=":material/photo_library:",
            query_params={"dataset": found.answer.dataset},
        )
