"""The feature maps of a lesson: a plane for each point, one below the other, and the way to that of one's own run."""

from __future__ import annotations

import streamlit as st
from plotly.graph_objects import Scatter

from core.catalog import load_catalog
from core.lessons.blocks import LessonRun
from core.lessons.prepared import maps
from core.lessons.references import point_of
from core.questions.feature_map import FeatureMap
from core.runs import RunSummary
from core.text.escaping import UserText
from dashboard.charts import feature_map as chart
from dashboard.i18n import control_name, headed, say, spoken, template
from dashboard.learn.plotted import put
from dashboard.session import dark

HEIGHT = 400  # pixels of one of several


def draw(run: LessonRun, points: tuple[str, ...], own: RunSummary | None, place: int) -> bool:
    """The prepared maps of a run's points, and links to those of one's own; False where none was prepared."""
    known = maps(run.hashes[0])
    there = [known[name] for name in points if name in known]
    for number, name in enumerate(points):
        if name in known:
            _plane(known[name], title(run, name), f"map_{place}_{number}")
    if there and any(there[0].target):
        target = UserText(there[0].target_name).md()
        st.caption(say("learn.map_target", name=target, count=sum(there[0].target)))
    if there and there[0].explained is None:
        st.caption(say("inspect.map_tsne_help"))
    if own is not None:
        _onwards(run, points, own)
    return bool(there)


def title(run: LessonRun, point: str) -> str:
    """What a map is of: the control's name, or that of the step's method."""
    stage, _, control = point.partition("/")
    if control:
        return control_name(control)
    step = run.recipe.steps[int(stage)] if stage.isdecimal() else run.recipe.steps[-1]
    step = next((one for one in reversed(run.recipe.steps) if one.stage == stage), step)
    return spoken(load_catalog().methods[step.stage][step.method].title)


def _plane(found: FeatureMap, title: str, name: str) -> None:
    groups = [found.classes[label] if label >= 0 else "" for label in found.label]
    order = [group for group in (*found.classes, "") if group in groups]
    axis = "inspect.map_component" if found.explained is not None else "inspect.map_axis"
    labels = chart.Labels(
        x=say(axis, number=1),
        y=say(axis, number=2),
        target=template("inspect.map_of_target"),
        hover=template("inspect.map_hover"),
    )
    table = chart.info(found, groups)
    figure = chart.figure(table, order, labels, names={"": say("inspect.map_no_label")}, dark=dark())
    figure.update_layout(height=HEIGHT)
    figure.for_each_trace(_one_entry_a_class)
    st.markdown(f"**{title[:1].upper()}{title[1:]}**")
    alt = say("inspect.map_alt", images=len(found.x), width=found.width, groups=len(order))
    put(figure, table, name, headed(title, alt))


def _one_entry_a_class(trace: Scatter) -> None:
    """Filled and hollow marks of a class share a colour, and its entry of the legend."""
    trace.legendgroup, _, domain = str(trace.uid).rpartition("/")
    trace.showlegend = domain == "source"


def _onwards(run: LessonRun, points: tuple[str, ...], own: RunSummary) -> None:
    for name in points:
        point = point_of(own, name)
        if point is None:
            continue
        place = f"{point.step}:{point.name}" if point.control else str(point.step)
        st.page_link(
            "app_pages/inspect.py",
            label=say("learn.own_map", point=title(run, name)),
            icon=":material/troubleshoot:",
            query_params={"run": own.id, "point": place, "view": "map"},
        )
