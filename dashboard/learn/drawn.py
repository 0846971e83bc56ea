"""The charts of a lesson: the product's own, of prepared results and of the learner's, with the prediction in them."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from core.catalog import STAGES, load_catalog
from core.lessons.blocks import SEEDS, Chart, LessonRun, Predict
from core.lessons.metrics import METRICS, written
from core.lessons.prepared import curves as prepared_curves
from core.lessons.prepared import of_seed, prepared
from core.lessons.references import Reference, in_runs, run_key
from core.state import RunState
from core.summary import RunSummary
from core.text import formatting
from core.text.escaping import UserText
from dashboard import chance
from dashboard.charts import curves, run_points, style, sweep
from dashboard.charts.chance import Level
from dashboard.charts.style import MARKS
from dashboard.design import effects
from dashboard.i18n import aside, control_name, say, template, together
from dashboard.learn import acting, mapped
from dashboard.learn.book import PICTURE, Book
from dashboard.learn.plotted import put
from dashboard.learn.predicting import figure_of
from dashboard.live.panels import line_name
from dashboard.session import dark

STAGE_OF = {"soft_labels": "distill", "channels": "prune", "levels": "quantize"}


def draw(book: Book, block: Chart, place: int) -> None:
    """The chart of a block, its numbers and its caption."""
    with st.container(key=f"learn_chart_{place}"):
        if block.kind == "sweep":
            _sweep(book, block, place)
        elif block.kind in STAGE_OF:
            _effect(book, block, place)
        elif block.kind == "points":
            _points(book, block, place)
        elif block.kind == "map":
            _map(book, block, place)
        else:
            _curves(book, block, place)
        if block.caption:
            st.caption(book.told(block.caption))


# a figure over the knob's values


def _sweep(book: Book, block: Chart, place: int) -> None:
    knob = book.lesson.knob
    assert knob is not None
    table = sweep.info(list(rows(book, block)))
    metric = block.show[0][1]
    kind = METRICS[metric].kind
    values = [acting.value_name(knob, value) for value in knob.values]
    y = say(f"learn.metric_{metric}")
    labels = sweep.Labels(acting.knob_title(knob), y, say("learn.yours"), say("learn.your_prediction"), kind == "share")
    found = predicted(book, block)
    last = table.iloc[-1] if len(table) else None
    alt = say(
        "learn.sweep_alt",
        figure=y,
        knob=labels.x,
        count=len(table),
        last=written(kind, None if last is None else float(last["figure"])),
    )
    figure = sweep.figure(table, values, labels, found, dark=dark())
    put(figure, table, f"sweep_{place}", alt)
    st.caption(say("learn.prepared_means", count=len(SEEDS)) if book.has_prepared else say("learn.own_only"))


def rows(book: Book, block: Chart) -> Iterator[tuple[object, ...]]:
    """The rows of a sweep: of the prepared results the mean, the least and the greatest; and the learner's own."""
    knob = book.lesson.knob
    assert knob is not None
    looks = [in_runs(of_seed(book.lesson, seed)) for seed in SEEDS]
    for recipe, called in zip(knob.recipes, knob.names, strict=True):
        for point, metric in block.show:
            name = called if len(block.show) == 1 else f"{called} · {point_name(point)}"
            for value in knob.values:
                run = book.lesson.runs[run_key(recipe, value)]
                wanted = Reference(run.key, point, metric)
                text, stage = acting.value_name(knob, value), stage_of(run, point)
                found = [known for look in looks if (known := look(wanted)) is not None]
                if found:
                    yield name, stage, text, sum(found) / len(found), min(found), max(found), False
                own = book.own(wanted)
                if own is not None:
                    yield name, stage, text, own, own, own, True


def stage_of(run: LessonRun, point: str) -> str:
    """The stage of the step that a point comes after."""
    stage = point.partition("/")[0]
    if stage in STAGES:
        return stage
    return run.recipe.steps[int(stage) if stage.isdecimal() else -1].stage


def point_name(point: str) -> str:
    """What a point is called in a legend."""
    stage, _, control = point.partition("/")
    if control:
        return control_name(control)
    return say(f"status.{stage}") if stage in STAGES else say("learn.last_point")


def predicted(book: Book, block: Chart) -> sweep.Predicted | None:
    """The prediction about a figure that the sweep draws."""
    knob = book.lesson.knob
    assert knob is not None
    for place, asked in enumerate(book.lesson.predictions):
        figure = _figure(book, asked, place)
        if figure is None or asked.about is None or asked.about.metric != block.show[0][1]:
            continue
        for number, value in enumerate(knob.values):
            if asked.about.run in {run.key for run in book.lesson.of_value(value)}:
                return sweep.Predicted(number, figure)
    return None


def _figure(book: Book, asked: Predict, place: int) -> float | None:
    made = book.predicted(place)
    return None if made is None else figure_of(asked, made)


# one run


def shown_run(book: Book, block: Chart) -> LessonRun:
    """The run that a chart of one run is of: the one it names, else the first of the knob's value."""
    return book.lesson.runs[block.run] if block.run else book.turned[0]


def _points(book: Book, block: Chart, place: int) -> None:
    run = shown_run(book, block)
    own = book.mine.get(run.key)
    summary = own or prepared(run.hashes[0])
    if summary is None:
        st.caption(say("learn.not_yet"))
        return
    table = run_points.info(summary)
    labels = run_points.Labels(
        x=say("live.size"),
        y=say("live.test_accuracy"),
        stages={s: say(f"status.{s}") for s in STAGES},
        control=template("components.control"),
        hover=template("live.hover"),
        chance=aside("", say("chance.badge")),
    )
    levels = [*_chance(summary, of_test=True), *_level(book, run, "accuracy")]
    figure = run_points.figure(table, labels, levels=levels, dark=dark())
    alt = together([say("live.landing_alt", points=len(table)), *(level.hint for level in levels)])
    put(figure, table, f"points_{place}", alt)
    _whose(run, own is not None, book)


def _curves(book: Book, block: Chart, place: int) -> None:
    run = shown_run(book, block)
    mine = book.runs.get(run.key)
    state = mine.state() if mine is not None else prepared_curves(run.hashes[0])
    if state is None or not any(step.curve for step in state.steps):
        st.caption(say("learn.no_curves") if mine else say("learn.not_yet"))
        return
    table = curves.info(state)
    names = {str(s.step): f"{s.step + 1} {say(f'status.{s.stage}')}" for s in state.steps}
    lines = {str(line): line_name(str(line), names) for line in table["line"].unique()}
    labels = curves.Labels(
        x=say("live.epoch"), accuracy=say("live.accuracy"), loss=say("live.loss"), lines=lines, steps=names
    )
    levels = [*_chance(state, of_test=False), *_level(book, run, "validation_accuracy")]
    figure = curves.figure(table, labels, levels=levels, dark=dark(), training=True)
    last = table.dropna(subset=["validation_accuracy"]).tail(1)
    best = formatting.percent(float(last["validation_accuracy"].iloc[0]) if len(last) else None)
    alt = together([say("live.curves_alt", lines=len(lines), last=best), *(level.hint for level in levels)])
    put(figure, table, f"curves_{place}", alt)
    _whose(run, mine is not None, book)


def _map(book: Book, block: Chart, place: int) -> None:
    run = shown_run(book, block)
    if mapped.draw(run, block.points, book.mine.get(run.key), place):
        st.caption(say("learn.map_prepared", run=_titled(run, book)))
    elif run.key not in book.mine:
        st.caption(say("learn.not_yet"))


def _whose(run: LessonRun, own: bool, book: Book) -> None:
    st.caption(say("learn.shows_own" if own else "learn.shows_prepared", run=_titled(run, book)))


def _titled(run: LessonRun, book: Book) -> str:
    """What a run is called below a chart; it stands as text."""
    knob = book.lesson.knob
    if knob is None or run.value is None:
        return UserText(run.title).md()
    return say("learn.of_value", title=acting.knob_title(knob), value=acting.value_name(knob, run.value))


def _chance(state: RunState | RunSummary, *, of_test: bool) -> list[Level]:
    luck = next((point.chance for point in state.points if point.chance), None)
    return [chance.level(luck.test if of_test else luck.validation, luck)] if luck else []


def _level(book: Book, run: LessonRun, metric: str) -> Iterator[Level]:
    """The prediction about that run as a line."""
    for place, asked in enumerate(book.lesson.predictions):
        figure = _figure(book, asked, place)
        if figure is not None and asked.about and (asked.about.run, asked.about.metric) == (run.key, metric):
            hint = say("learn.predicted", prediction=written("share", figure))
            yield Level(figure, say("learn.your_prediction"), hint)


# what a knob does before any training


def _effect(book: Book, block: Chart, place: int) -> None:
    stage, (run, *_) = STAGE_OF[block.kind], book.turned
    step = next(step for step in run.recipe.steps if step.stage == stage)
    entry = load_catalog().methods[step.stage][step.method]
    value = effects.knob(step, entry)
    if value is None or not effects.drawable(step):
        st.caption(say(f"effects.none_{effects.reason(step, entry)}"))
        return
    if block.kind == "soft_labels":
        effects.choose_image(PICTURE)
    effect = effects.MADE[stage](PICTURE, step, value)
    st.markdown(f":small[{MARKS[stage]}] {effect.sentence}")
    figure = effect.figure()
    for number, asked in enumerate(book.lesson.predictions):
        guess = _figure(book, asked, number)
        if block.kind == "soft_labels" and guess is not None and asked.about is not None and asked.about.is_picture:
            line = {"color": style.look(dark()).ink, "dash": "dash", "width": 1}
            figure.add_hline(guess, line=line, annotation_text=say("learn.your_prediction"))
    put(figure, effect.table, f"effect_{place}", effect.sentence)
    st.caption(say("effects.of"))
