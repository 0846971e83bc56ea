"""The chosen model's file layer by layer: a table, bars, the weights of a layer, and the filters that were removed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.hardware.machine import machine
from core.questions.layers import Filters, Layer, Layers, LayersRequest
from core.text import formatting
from core.text.escaping import UserText
from dashboard import components
from dashboard.charts import layer_costs, weights
from dashboard.i18n import listed, say
from dashboard.inspect import latest
from dashboard.inspect.choice import Choice
from dashboard.picture_row import Tile, picture_row
from dashboard.session import dark, read_only

SLOT = "inspect.layers"
LAYER = "inspect_layers_layer"
MOST_FILTERS = 64


def show(choice: Choice) -> None:
    """Asked for when the view is opened, and again when another point is looked at."""
    st.caption(say("layers.about"))
    if read_only():
        st.info(say("layers.read_only"), icon=":material/lock:")
        return
    found = latest.answer(SLOT, LayersRequest(choice.side.id, choice.against.id if choice.against is not None else ""))
    if found is not None:
        draw(found)


# showing


def draw(found: Layers) -> None:
    """Bars of a measure, the whole table, where bytes and time went, then one layer from near."""
    table = layer_costs.info(found.layers)
    measures = layer_costs.offered(table)
    measure = st.segmented_control(
        say("layers.measure"),
        measures,
        default=measures[0],
        required=True,
        key="inspect_layers_measure",
        format_func=lambda name: say(f"layers.measure_{name}"),
        label_visibility="collapsed",
    )
    _bars(table, measure or measures[0])
    st.caption("  \n".join(told(found)))
    st.dataframe(
        for_people(table), hide_index=True, key="inspect_layers_table", alt=say("layers.table"), height="content"
    )
    _near(found)
    if found.filters is not None:
        _filters(found.filters)


def _bars(table: pd.DataFrame, measure: str) -> None:
    labels = layer_costs.Labels(say(f"layers.axis_{measure}"))
    name, share = layer_costs.largest(table, measure)
    form = f"layers.alt_{measure}" if measure == "signal_to_noise" else "layers.alt"
    value = f"{share:.1f}" if measure == "signal_to_noise" else f"{100 * share:.0f}"
    alt = say(form, layers=len(table), measure=labels.x, name=UserText(name).plain(), value=value)
    figure = layer_costs.figure(table, measure, labels, dark=dark())
    components.chart(figure, table, key="inspect_layers", alt=alt, file="layers")


def told(found: Layers) -> list[str]:
    """Where the bytes and the time of the file are that no layer has."""
    latency = f"{found.latency / 1000:.3g}"
    lines = [
        say(
            "layers.bytes",
            all=formatting.size(found.bytes),
            graph=formatting.size(found.graph),
            constants=formatting.size(found.constants),
        ),
        say(
            "layers.time",
            ms=latency,
            processor=UserText(machine().processor).md(),
            n=found.n,
            threads=found.threads,
            slowed=formatting.two_digits(found.slowed),
        ),
    ]
    if found.others:
        named = listed(f"{UserText(one.op).md()} {micro(one.microseconds)}" for one in found.others[:6])
        lines.append(say("layers.others", named=named))
    lines.append(say("layers.between" if found.between >= 0 else "layers.beside", time=micro(abs(found.between))))
    if found.noisy:
        lines.append(say("layers.noisy"))
    if any(one.signal_to_noise is not None for one in found.layers):
        lines.append(say("layers.noise"))
    if not any(one.sensitivity is not None for one in found.layers):
        lines.append(say("layers.no_sensitivity"))
    return lines


def micro(microseconds: float) -> str:
    """Microseconds with two digits and the unit."""
    return f"{formatting.two_digits(microseconds)} µs" if microseconds else "0 µs"


def for_people(table: pd.DataFrame) -> pd.DataFrame:
    """The table with units, and without columns of which nothing is known."""
    columns: dict[str, Sequence[object] | pd.Series] = {
        "layer": table["layer"].map(lambda name: UserText(name).plain()),
        "op": table["op"],
        "bytes": table["bytes"].map(formatting.size),
        "microseconds": table["microseconds"].map(lambda one: "" if pd.isna(one) else micro(float(one))),
        "macs": table["macs"].map(lambda one: "" if pd.isna(one) else f"{int(one):,}"),
        "bits": table["bits"],
        "channels": [
            f"{now}" if pd.isna(was) or int(was) == now else f"{int(was)} → {now}"
            for was, now in zip(table["channels_before"], table["channels"], strict=True)
        ],
        "zeros": table["zeros"].map(lambda share: f"{100 * share:.1f} %"),
        "signal_to_noise": table["signal_to_noise"].map(lambda one: "" if pd.isna(one) else f"{one:.1f} dB"),
        "sensitivity": table["sensitivity"].map(lambda one: "" if pd.isna(one) else f"{100 * one:.1f}"),
    }
    known = {name: column for name, column in columns.items() if name not in table or table[name].notna().any()}
    return pd.DataFrame({say(f"layers.column_{name}"): list(column) for name, column in known.items()})


def _near(found: Layers) -> None:
    """The weights of one layer, the largest at first."""
    names = [layer.name for layer in found.layers]
    sizes = [layer.bytes for layer in found.layers]
    chosen = st.selectbox(
        say("layers.layer"),
        names,
        index=sizes.index(max(sizes)),
        key=LAYER,
        format_func=lambda name: UserText(name).plain(),
    )
    layer = next((one for one in found.layers if one.name == chosen), found.layers[0])
    table = weights.info(layer)
    labels = weights.Labels(
        say("layers.weight"), say("layers.share"), say("layers.before"), say("layers.after"), say("layers.grid")
    )
    alt = say("layers.weights_alt", name=UserText(layer.name).plain(), levels=len(layer.weights.values))
    figure = weights.figure(table, layer, labels, dark=dark())
    components.chart(figure, table, key="inspect_layers_weights", alt=alt, file="weights")
    st.caption(grid_words(layer))


def grid_words(layer: Layer) -> str:
    """What the ticks below the histogram are."""
    shape = " × ".join(map(str, layer.shape))
    words = say("layers.shape", shape=shape, zeros=f"{100 * layer.weights.zeros:.1f}")
    if layer.weights.values:
        return f"{words} {say('layers.grid_help', levels=len(layer.weights.values), bits=layer.bits)}"
    return f"{words} {say('layers.floats')}"


def _filters(found: Filters) -> None:
    """The first layer's kernels: those that are gone, then those that are left."""
    st.subheader(say("layers.filters"), anchor=False)
    gone = set(found.removed)
    if not gone:
        st.caption(say("layers.filters_same"))
        return
    st.caption(say("layers.filters_help", gone=len(gone), all=len(found.before)))
    places = sorted(range(len(found.before)), key=lambda n: (n not in gone, n))[:MOST_FILTERS]
    tiles = [
        Tile(str(n), found.before[n], say("layers.filter_gone" if n in gone else "layers.filter_kept", number=n))
        for n in places
    ]
    picture_row(tiles, key="inspect_layers_filters", label=say("layers.filters"), told=True)
