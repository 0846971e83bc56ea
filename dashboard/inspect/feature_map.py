"""The features of the images in a plane: what the network finds alike lies together; a click shows the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.comparison.flips import flips
from core.errors import UserError, UserErrors
from core.questions.feature_map import FeatureMap, FeatureMapRequest, Plane
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components, faults
from dashboard.charts import feature_map as chart
from dashboard.data import asking
from dashboard.i18n import say, template
from dashboard.inspect import evidence, images
from dashboard.inspect.choice import Choice
from dashboard.inspect.evidence import Pair
from dashboard.live_plot import Picked
from dashboard.session import dark, forget, put_query, raw_query, read_only, recall, remember

SLOT, KEPT, REFUSED = "inspect.feature_map", "inspect.map", "inspect.map_refused"
PLANES: tuple[Plane, ...] = ("pca", "tsne")
IMAGE = "image"  # the parameter that names the image shown
CHANGES = ("kept_right", "kept_wrong", "gained", "lost", "swapped")


def show(choice: Choice) -> None:
    """The plane, coloured as asked for, beside the chosen image."""
    pair = evidence.needed(choice)
    if pair is None:
        return
    st.markdown(say("inspect.map_about"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect_map_menus"):
        plane = st.segmented_control(
            say("inspect.map_plane"),
            PLANES,
            default="pca",
            required=True,
            key="inspect_map_plane",
            format_func=lambda name: say(f"inspect.map_{name}"),
        )
        colours = ("class", "change") if pair.other is not None else ("class",)
        by = st.selectbox(
            say("inspect.map_colour"),
            colours,
            key="inspect_map_colour",
            width=260,
            format_func=lambda name: say(f"inspect.map_by_{name}"),
        )
    found = _known(choice, plane)
    if found is None:
        _ask(choice, plane)
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _drawn(found, pair, by)
    with right:
        _image(choice, pair, found)


# the question


def _known(choice: Choice, plane: Plane) -> FeatureMap | None:
    """The map as far as it came to this session."""
    outcome = asking.outcome(SLOT)
    if outcome is not None and isinstance(outcome.asked.request, FeatureMapRequest):
        key = _key(outcome.asked.request.point, outcome.asked.request.plane)
        if outcome.error is not None:
            remember(REFUSED, (key, outcome.error, outcome.details))
        else:
            remember(key, outcome.answer)
    found: FeatureMap | None = recall(_key(choice.side.id, plane), None)
    return found


def _key(point: str, plane: str) -> str:
    return f"{KEPT}/{plane}/{point}"


def _ask(choice: Choice, plane: Plane) -> None:
    """Principal components are asked for at once, t-SNE by a button."""
    key = _key(choice.side.id, plane)
    refusal: tuple[str, UserError | UserErrors, str] | None = recall(REFUSED, None)
    refused = refusal is not None and refusal[0] == key
    if refusal is not None and refused:
        _told(refusal[1], refusal[2])
    free = asking.asked(SLOT) is None
    if read_only() and free:
        st.info(say("inspect.read_only"), icon=":material/lock:")
        return
    if free and plane == "pca" and not refused and asking.attended():
        asking.begin(SLOT, FeatureMapRequest(choice.side.id, plane))
    elif free:
        st.button(
            say("inspect.map_start"),
            key="inspect_map_start",
            icon=":material/scatter_plot:",
            type="primary",
            on_click=_start,
            args=(choice.side.id, plane),
        )
    asking.watch(SLOT)


def _told(error: UserError | UserErrors, details: str) -> None:
    if isinstance(error, UserError) and error.code == "cancelled":
        st.caption(say("inspect.stopped"))
    else:
        faults.refused(error, details)


def _start(point: str, plane: Plane) -> None:
    forget(REFUSED)
    asking.begin(SLOT, FeatureMapRequest(point, plane))


# the map


def _drawn(found: FeatureMap, pair: Pair, by: str) -> None:
    groups = groups_of(found, pair, by)
    order = [name for name in (CHANGES if by == "change" else found.classes) if name in groups]
    order += [name for name in ("",) if name in groups]
    words = {name: say(f"inspect.map_{name}") for name in CHANGES} if by == "change" else {}
    axis = "inspect.map_component" if found.explained is not None else "inspect.map_axis"
    labels = chart.Labels(
        x=say(axis, number=1),
        y=say(axis, number=2),
        target=template("inspect.map_of_target"),
        hover=template("inspect.map_hover"),
    )
    names = {**words, "": say("inspect.map_no_label")}
    table = chart.info(found, groups)
    figure = chart.figure(table, order, labels, names=names, chosen=raw_query(IMAGE) or "", dark=dark())
    alt = say("inspect.map_alt", images=len(found.x), width=found.width, groups=len(order))
    components.chart(figure, table, key="inspect_map", alt=alt, file="feature-map", on_pick=_picked)
    if found.explained is not None:
        st.caption(say("inspect.map_explained", share=formatting.percent(found.explained, 0), width=found.width))
    else:
        st.caption(say("inspect.map_tsne_help"))
    if any(found.target):
        st.caption(say("inspect.map_target", name=UserText(found.target_name).md(), count=sum(found.target)))


def groups_of(found: FeatureMap, pair: Pair, by: str) -> list[str]:
    """What each image is coloured by: its class, "" without a label; or what became of its answer, "" for images of the
    target, whose answers are not kept."""
    if by == "class" or pair.other is None:
        return [found.classes[label] if label >= 0 else "" for label in found.label]
    return ["" if target else change_of(pair)[place] for place, target in zip(found.place, found.target, strict=True)]


def change_of(pair: Pair) -> Sequence[str]:
    """What became of the answer to each validation image, against the other point."""
    assert pair.other is not None
    labels = pair.own.validation_labels
    now, before = (each.validation_probabilities.argmax(axis=1) for each in (pair.own, pair.other))
    changed = flips(labels.tolist(), before.tolist(), now.tolist())
    named = np.full(len(labels), "kept_right", dtype=object)
    for kind in CHANGES[1:]:
        named[list(getattr(changed, kind))] = kind
    kinds: list[str] = named.tolist()
    return kinds


def _picked(picked: Picked) -> None:
    put_query(IMAGE, picked.ids[0] if picked.ids else None)


# the image


def _image(choice: Choice, pair: Pair, found: FeatureMap) -> None:
    """The chosen image with what it is and what both points answer."""
    chosen = raw_query(IMAGE) or ""
    domain, _, number = chosen.partition("-")
    known = list(zip(found.target, found.place, strict=True))
    wanted = (domain == "target", int(number)) if number.isdecimal() and len(number) < 9 else None
    if wanted not in known or domain not in ("source", "target"):
        st.caption(say("inspect.map_click"))
        return
    if domain == "target":
        _target_image(choice, found, int(number), found.label[known.index(wanted)])
    else:
        _validation_image(choice, pair, int(number))


def _target_image(choice: Choice, found: FeatureMap, place: int, label: int) -> None:
    told = UserText(found.classes[label]).md() if label >= 0 else say("inspect.map_no_label")
    plain = UserText(found.classes[label]).plain() if label >= 0 else say("inspect.map_no_label")
    name = UserText(found.target_name)
    picture = images.pictures(choice, [place], "target").get(place)
    if picture is not None:
        alt = say("inspect.map_target_image", name=name.plain(), place=place, label=plain)
        st.image(picture, width=200, alt=alt)
    st.markdown(say("inspect.map_target_image", name=name.md(), place=place, label=told))
    asking.watch(images.SLOT, quiet=True)


def _validation_image(choice: Choice, pair: Pair, place: int) -> None:
    picture = images.pictures(choice, [place], "validation").get(place)
    label = pair.own.name(int(pair.own.validation_labels[place]))
    if picture is not None:
        st.image(picture, width=200, alt=say("inspect.map_image_alt", place=place, label=UserText(label).plain()))
    st.markdown(f"**{UserText(label).md()}** · {say('inspect.map_validation_image', place=place)}")
    for when, side in (("now", pair.own), ("before", pair.other)):
        if side is not None:
            shares = side.validation_probabilities[place]
            given = int(shares.argmax())
            mark = "✓" if given == int(side.validation_labels[place]) else "✗"
            share = formatting.percent(float(shares[given]), 0)
            st.caption(say(f"inspect.answer_{when}", mark=mark, answer=UserText(side.name(given)).md(), share=share))
    asking.watch(images.SLOT, quiet=True)
