"""The view Layers: what the file's parts come to, in words, units and charts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.hardware.machine import machine
from core.questions.layers import Filters, Layer, Layers, Spent, Weights
from core.text.escaping import UserText
from dashboard.charts import layer_costs
from dashboard.charts import weights as weights_chart
from dashboard.inspect import layers as view

EDGES = (-1.0, 0.0, 1.0)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def layer(name: str, size: int, **more: Any) -> Layer:
    given: dict[str, Any] = {
        "name": name,
        "op": "Conv",
        "bytes": size,
        "macs": 1000,
        "microseconds": 5.0,
        "bits": 8,
        "shape": (8, 3, 3, 3),
        "channels": 8,
        "channels_before": 16,
        "weights": Weights(EDGES, (3, 1), (-0.5, 0.0, 0.5), 0.25),
        "weights_before": Weights(EDGES, (1, 1), (), 0.0),
        "signal_to_noise": 30.0,
        "sensitivity": None,
    }
    return Layer(**{**given, **more})


def whole(**more: Any) -> Layers:
    held = (layer("stem <b>", 100), layer("head", 300, channels_before=8, signal_to_noise=None, microseconds=None))
    given: dict[str, Any] = {
        "layers": held,
        "bytes": 500,
        "constants": 20,
        "graph": 80,
        "latency": 140.0,
        "n": 30,
        "threads": 1,
        "noisy": False,
        "slowed": 1.5,
        "others": (Spent("Add", 20.0),),
        "between": 30.0,
        "filters": Filters((PNG, PNG), (PNG,), (1,)),
    }
    return Layers(**{**given, **more})


def shown(found: Layers) -> AppTest:
    app = AppTest.from_function(_draw, args=(found,), default_timeout=20)
    app.run()
    assert not app.exception, [one.value for one in app.exception]
    return app


def _draw(found: object) -> None:
    from dashboard.inspect import layers

    layers.draw(found)  # type: ignore[arg-type]


def test_every_layer_stands_in_the_table_with_its_units() -> None:
    app = shown(whole())
    (table,) = (one.value for one in app.dataframe)
    assert list(table["in the file"]) == ["100 B", "300 B"]
    assert list(table["channels"]) == ["16 → 8", "8"]
    assert list(table["time"]) == ["5 µs", ""]
    assert list(table["signal to noise"]) == ["30.0 dB", ""]
    assert "lost in 4 bits, points" not in table, "what was not measured is absent"
    told = "\n".join(one.value for one in app.caption)
    assert "20 B of other numbers, and 80 B" in told
    assert (
        f"One image takes 0.14 ms on this machine ({UserText(machine().processor).md()}): median of 30 runs, 1 thread"
        in told
    )
    assert "Add 20 µs" in told
    assert "Between the operators, for handing over: 30 µs" in told
    assert "1 of 2 filters are gone" in told


def test_operators_beside_each_other_and_a_busy_machine_are_said() -> None:
    told = "\n".join(view_told(whole(between=-12.0, noisy=True, others=())))
    assert "add up to 12 µs more" in told
    assert "busy" in told
    assert "Operators without weights" not in told


def view_told(found: Layers) -> list[str]:
    app = AppTest.from_function(_tell, args=(found,))
    app.run()
    assert not app.exception
    return [one.value for one in app.markdown]


def _tell(found: object) -> None:
    import streamlit as st

    from dashboard.inspect import layers

    for line in layers.told(found):  # type: ignore[arg-type]
        st.markdown(line)


def test_only_what_was_measured_is_offered() -> None:
    table = layer_costs.info(whole().layers)
    assert layer_costs.offered(table) == ["bytes", "microseconds", "macs", "signal_to_noise"]
    known = layer_costs.info([layer("a", 1, sensitivity=0.02)])
    assert layer_costs.offered(known)[-1] == "sensitivity"


def test_the_worst_layer_is_named() -> None:
    table = layer_costs.info([layer("a", 100, signal_to_noise=20.0), layer("b", 300, signal_to_noise=31.0)])
    assert layer_costs.largest(table, "bytes") == ("b", 0.75)
    assert layer_costs.largest(table, "signal_to_noise") == ("a", 20.0)


@pytest.mark.parametrize("measure", layer_costs.MEASURES)
def test_names_in_the_chart_are_escaped(measure: str) -> None:
    found = [layer("<img src=x>", 100, sensitivity=0.1), layer("b", 1, sensitivity=0.0)]
    figure = layer_costs.figure(layer_costs.info(found), measure, layer_costs.Labels("x"))
    assert "<img" not in str(figure.data[0].y)
    assert len(figure.data[0].x) == 2


def test_the_histogram_is_of_shares_and_draws_the_grid() -> None:
    one = layer("a", 1)
    table = weights_chart.info(one)
    assert list(table["after"]) == [0.75, 0.25]
    assert list(table["before"]) == [0.5, 0.5]
    figure = weights_chart.figure(table, one, weights_chart.Labels("x", "y", "before", "now", "grid"))
    assert [trace.name for trace in figure.data] == ["now", "before", "grid"]
    assert list(figure.data[2].x) == [-0.5, 0.0, 0.5]
    assert len(figure.layout.shapes) == 3
    many = layer("a", 1, weights=Weights(EDGES, (3, 1), tuple(n / 100 for n in range(200)), 0.0))
    assert not weights_chart.figure(weights_chart.info(many), many, weights_chart.Labels(*"xybag")).layout.shapes
    floats = layer("a", 1, weights=Weights(EDGES, (3, 1), (), 0.0), weights_before=None)
    assert "before" not in weights_chart.info(floats)


def test_unknown_numbers_are_left_out_of_the_table() -> None:
    table = layer_costs.info([layer("a", 1, macs=None, microseconds=None)])
    assert pd.isna(table["macs"][0])
    assert view.micro(0) == "0 µs"
