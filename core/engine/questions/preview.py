"""Forecasts a recipe before any training: its networks are really built, times come from a few real batches.

Nothing is trained, downloaded or written. Networks have random weights; if the choice of channels depends on trained
weights, the row says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import torch

from core.engine.backbones import Backbone, find, weights_at_hand
from core.engine.context import Context, choose_device, describe_device, silent
from core.engine.data import Unlabelled, datasets, labelled_part
from core.engine.data.counts import Counted, count_dataset
from core.engine.forecast import Forecast, Workload
from core.engine.measure.further_runtimes import Runtime, asked_for
from core.engine.method import Method, build, check_steps
from core.engine.model import Model
from core.engine.pipeline.dry_run import in_recipe, untrained
from core.engine.questions.estimate import (
    CONVERT,
    EXPORT,
    LIBRARIES,
    OPENED,
    POINT,
    THERE,
    Seconds,
    Stopwatch,
    architecture,
    cost,
    held,
    parts,
    pixels,
    resting,
)
from core.engine.threads import one_thread
from core.engine.training.precision import bfloat16_of
from core.jobs import Job
from core.questions.preview import Note, Preview, PreviewRequest, Row
from core.recipe import Recipe, parse_recipe
from core.runtimes import title
from core.workspace import Workspace

REMEMBERED = 12  # forecasts of steps: an unchanged step is not computed again


@lru_cache(4)
def _start(backbone: Backbone, classes: tuple[str, ...], image_size: int, weights: str) -> Model:
    """The initial model, cached by the entry, not by its name: a network can be imported again under an old name."""
    return untrained(backbone.name, classes, image_size, weights)


@dataclass(frozen=True)
class Stage:
    """One step of the chain: the network before and after it, the seconds it took to build the latter here, the work of
    the real step, and that of its controls."""

    number: int
    method: Method
    before: Forecast
    after: Forecast
    context: Context
    seconds: float
    workload: tuple[Workload, ...]
    for_controls: tuple[Workload, ...]


def answer(request: PreviewRequest, job: Job) -> Preview:
    """The forecast of the requested recipe; raises UserErrors or UserError if it holds a mistake."""
    return preview(request.recipe, job.workspace)


def preview(text: str, workspace: Path) -> Preview:
    """The forecast of a recipe's TOML `text`; raises UserErrors or UserError if it holds a mistake."""
    resting()
    store = Workspace(workspace)
    recipe = parse_recipe(text, store.catalog())
    methods = [build(step.stage, step.method, **step.options) for step in recipe.steps]
    for method in methods:
        method.check_machine()
    context, counted, tests = _context(recipe, workspace)
    if counted.exact:
        check_steps(methods, context.data)
    with _as_in_a_run():
        stages = list(_chain(recipe, methods, context))
        points = [stage for stage in stages if stage.method.makes_point]
        asked = asked_for(recipe, context.device)
        chain, for_controls, elsewhere = _times(points, context, tests, recipe.latency_threads, len(asked))
    for_controls = for_controls * recipe.seeds
    notes = _notes(recipe, methods, counted, for_controls, store.datasets, _elsewhere(recipe, asked, elsewhere))
    total = chain * recipe.seeds + for_controls
    return Preview(
        rows=tuple(_row(recipe, stage) for stage in points),
        seconds=round(total.likely, 1),
        seconds_low=round(total.low, 1),
        seconds_high=round(total.high, 1),
        memory_bytes=round(_memory(points, context)),
        device=describe_device(context.device),
        image_size=recipe.image_size or find(recipe.backbone).image_size,
        notes=tuple(notes),
    )


# the chain, without training


def _chain(recipe: Recipe, methods: list[Method], context: Context) -> Iterator[Stage]:
    entry = find(recipe.backbone)
    before = Forecast(_start(entry, context.data.classes, context.image_size, recipe.weights))
    for number, method in enumerate(methods):
        here = replace(context, place=(recipe.seed, number))
        with in_recipe(number, method):
            after, seconds = _outline(_Question(method, before, here, _facts(method, before, here)))
        workload = method.workload(before.model, after.model, here)
        for_controls = method.control_workload(before.model, after.model, here)
        yield Stage(number, method, before, after, here, seconds, workload, for_controls)
        before = after


@dataclass(frozen=True)
class _Question:
    """A cache key: the same method with the same options on a network of the same shapes has the same forecast."""

    method: Method
    before: Forecast
    context: Context
    facts: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question) and self.facts == other.facts

    def __hash__(self) -> int:
        return hash(self.facts)


def _facts(method: Method, before: Forecast, context: Context) -> str:
    data = context.data
    around = [context.place, context.image_size, data.size, data.channels, data.classes, before.why]
    return repr((type(method), method, architecture(before.model), around))


@lru_cache(REMEMBERED)
def _outline(question: _Question) -> tuple[Forecast, float]:
    """The network after the step, and the seconds it took to build it."""
    began = perf_counter()
    made = question.method.forecast(question.before, question.context)
    return made, perf_counter() - began


def _row(recipe: Recipe, stage: Stage) -> Row:
    step, model = recipe.steps[stage.number], stage.after.model
    found = cost(model)
    facts = json.dumps([model.classes, model.preprocessing.to_json()], ensure_ascii=False)
    return Row(
        step=stage.number,
        stage=step.stage,
        method=step.method,
        name=f"{model.name} · {stage.method.title.en}",
        params=found.params,
        macs=found.macs,
        bytes=stage.method.file_size().bytes(parts(model)) + len(facts.encode()),
        exact=not stage.after.why,
        why=stage.after.why,
    )


# the context


def _context(recipe: Recipe, workspace: Path) -> tuple[Context, Counted, int]:
    """The context of a run, with datasets that have counts but no pixels; the counts; and the number of test images per
    point."""
    size = find(recipe.backbone).side(recipe.image_size)
    counted = count_dataset(recipe.dataset, size, workspace / "datasets")
    data = counted.data
    labelled, pool = labelled_part(data.train, recipe.labels, recipe.shots, data.classes, recipe.seed)
    target, tests = None, len(data.test)
    if recipe.target:
        other = count_dataset(recipe.target, size, workspace / "datasets", unlabelled=True).data
        target, tests = Unlabelled(other.train.images, tuple(range(len(data.classes)))), tests + len(other.test)
    if recipe.pool:
        more = count_dataset(recipe.pool, data.size, workspace / "datasets", unlabelled=True).data
        pool = torch.empty(len(pool) + len(more.train), *data.train.images.shape[1:], dtype=torch.uint8)
    device = choose_device(recipe.device)
    context = Context(
        data=data,
        labelled=labelled,
        pool=pool,
        device=device,
        threads=recipe.threads,
        precision=recipe.precision,
        image_size=recipe.image_size,
        weights="none",
        folder=workspace,
        cache=workspace,
        place=(recipe.seed, 0),
        report=silent,
        warn=lambda code, message: None,
        cancelled=lambda: False,
        target=target,
        bfloat16=bfloat16_of(device),
    )
    return context, counted, tests


@contextmanager
def _as_in_a_run() -> Iterator[None]:
    """One thread, whose processor time measures the work, and a run's treatment of denormal numbers."""
    torch.set_flush_denormal(True)
    try:
        with one_thread():
            yield
    finally:
        torch.set_flush_denormal(False)


# time and memory


def _times(
    points: list[Stage], context: Context, tests: int, latency_threads: int, runtimes: int
) -> tuple[Seconds, Seconds, Seconds]:
    """(time of the points of one seed, time of their controls, what measuring the points in so many further `runtimes`
    takes of the former)."""
    watch = Stopwatch(context)
    on_cpu = Stopwatch(replace(context, device=torch.device("cpu")))
    evaluation = len(context.data.validation) + tests
    watch.expect(
        work for stage in points for work in (*stage.workload, Workload("answer", stage.after.model, evaluation))
    )
    there = Stopwatch(replace(on_cpu.context, threads=latency_threads))
    chain, for_controls, elsewhere = Seconds(), Seconds(), Seconds()
    for stage in points:
        answers = [Workload("answer", stage.after.model, evaluation)]
        measured = Seconds(*POINT) + on_cpu.seconds(answers)
        further = (Seconds(*OPENED) + there.seconds(answers) * THERE) * runtimes
        measured, elsewhere = measured + further, elsewhere + further
        written = _writing(stage)
        chain += watch.seconds(stage.workload) + Seconds.about(stage.seconds, 1.5) + written + measured
        for_controls += watch.seconds(stage.for_controls)
        for_controls += (written + measured) * len(stage.method.controls(stage.before.model, stage.context))
    return chain, for_controls, elsewhere


def _writing(stage: Stage) -> Seconds:
    """Time to write the file: from torch if the step changes the network, otherwise from the file before."""
    if type(stage.method).apply is Method.apply:
        return Seconds.about(CONVERT, 2)
    least, each = EXPORT
    return Seconds.about(least + each * parts(stage.after.model).nodes, 1.6)


def _memory(points: list[Stage], context: Context) -> float:
    """Peak memory in bytes: the idle worker, images, exporter, all networks, and the largest piece of work."""
    networks = {architecture(stage.after.model): 4.0 * cost(stage.after.model).params for stage in points}
    evaluation = [Workload("answer", stage.after.model, 1) for stage in points]
    most = max(
        held(work, context) for work in (*(w for stage in points for w in stage.workload if w.images), *evaluation)
    )
    return resting() + pixels(context) + LIBRARIES + sum(networks.values()) + most


def _elsewhere(recipe: Recipe, runtimes: Sequence[Runtime], seconds: Seconds) -> list[Note]:
    """How much of the time measuring in further runtimes takes, if there are any."""
    told = {"names": ", ".join(title(runtime.name) for runtime in runtimes)}
    return [Note("runtimes", told | {"seconds": f"{seconds.likely * recipe.seeds:.0f}"})] if runtimes else []


def _notes(
    recipe: Recipe, methods: list[Method], counted: Counted, controls: Seconds, folder: Path, elsewhere: list[Note]
) -> Iterator[Note]:
    known = datasets(folder)
    facts = known.get(recipe.dataset)
    if not counted.exact and facts is not None:
        yield Note(
            "not_loaded" if facts.at_hand else "not_here", {"dataset": recipe.dataset, "images": f"{facts.images:,}"}
        )
    for name in dict.fromkeys((recipe.target, recipe.pool)):
        if name in known and not known[name].at_hand:
            yield Note("not_here", {"dataset": name, "images": f"{known[name].images:,}"})
    for name in dict.fromkeys([recipe.backbone, *(name for method in methods for name in method.needs())]):
        if recipe.weights == "default" and find(name).fixed and not weights_at_hand(name, folder):
            size = find(name).download_bytes / 1e6
            yield Note("download", {"backbone": name, "megabytes": f"{size:.0f}"})
    if controls.likely:
        yield Note("controls", {"seconds": f"{controls.likely:.0f}"})
    yield from elsewhere
    yield Note("time")
