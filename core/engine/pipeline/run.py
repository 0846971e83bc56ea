"""A run: builds the methods, then for each step applies the method, saves the model, and measures the saved file.

Nothing here depends on particular methods.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import onnx
import onnxruntime
import torch
from safetensors.torch import load, save
from torch import Tensor

from core.catalog import load_catalog
from core.controls import english
from core.engine.backbones import find
from core.engine.backbones.own import content, look_in
from core.engine.context import CancelledError, Context, Progress, choose_device
from core.engine.data import Dataset, Target, chance_of, labelled_part, load_dataset, matched, own_names, version_of
from core.engine.data.catalog import SIZES, datasets
from core.engine.data.pool import Pool, pool_of, unlike
from core.engine.data.selection import join
from core.engine.measure.environment import environment
from core.engine.measure.further_runtimes import asked_for
from core.engine.measure.record import TIMINGS
from core.engine.method import Method, Saved, build, check_steps
from core.engine.model import Model
from core.engine.model_file import MANIFEST, WEIGHTS, load_model, save_model
from core.engine.pipeline.beside import Beside, Control
from core.engine.pipeline.code_version import code_of
from core.engine.pipeline.dry_run import dry_run
from core.engine.pipeline.first_model import start
from core.engine.pipeline.measure_step import StepInfo, StepMeasurement, StepOutput
from core.engine.pipeline.point_cache import KeptPoint, PointCache
from core.engine.pipeline.progress import Reporter
from core.engine.pipeline.step_cache import StepCache
from core.engine.training.precision import NONE, bfloat16_of, kind_of
from core.errors import UserError
from core.events import (
    ArtifactSaved,
    DataLoaded,
    Measured,
    Role,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from core.files import make_folder, write_atomic
from core.hardware.alone import Turns
from core.hardware.machine import processor
from core.integrity.damage import RECIPE, of_run
from core.own.datasets import reporting_damage
from core.points import Point
from core.recipe import Recipe, named_backbones, parse_recipe
from core.rules.pool import uses_pool
from core.run_files.artifacts import refuse_damaged
from core.run_files.bundle import CARD, PREDICTIONS, SAMPLES
from core.runs import Run
from core.storage.sealed import DamagedError, file_hash, read_sealed, seal
from core.workspace import Workspace
from core.workspace_files.cache import limit, make_room

LOGITS, HASHES = "logits.safetensors", "files.json"  # in a step's folder `made`
RESUME = "Resume the run: the step is done again, from the cache if possible."


def run_recipe(run: Run, pid: int) -> None:
    """Does the rest of the run, up to the event RunFinished; raises whatever stops it.

    First come the steps for the recipe's own seed, so that points appear early, then the controls, then both again for
    each further seed. If the run may use several cores, a second process makes controls while the steps go on.
    """
    workspace = Workspace(run.folder.parent.parent)
    room = limit(workspace)
    look_in(workspace.models)
    recipe = _recipe(run, workspace)
    methods = [build(step.stage, step.method, **step.options) for step in recipe.steps]
    for method in methods:
        method.check_machine()
    device = choose_device(recipe.device)
    began = run.state().environment  # a resumed run keeps its decisions and its version of the dataset
    bfloat16 = began.get("bfloat16") or bfloat16_of(device)
    versions = {
        key: began.get(key) or version_of(name, workspace.datasets)
        for key, name in (
            ("dataset_version", recipe.dataset),
            ("target_version", recipe.target),
            ("pool_version", recipe.pool),
        )
    }
    known = {key: version for key, version in versions.items() if version}
    run.emit(RunStarted(pid, environment(device, recipe.threads, bfloat16) | known))
    for message in recipe.warnings():
        run.emit(Warned(None, "recipe", message))
    if any(found.what == "recipe_changed" for found in of_run(run, run.state())):
        run.emit(Warned(None, "recipe_changed", f"recipe.toml was changed after the run was launched. {RECIPE}"))
    with closing(Turns.of(workspace.cache)) as turns, turns.at_work(stopping(run)):
        chain = begun_chain(run, turns)
        run.emit(DataLoaded(chance_of(chain.data, chain.target), chain.data.content_hash))
        for note in chain.data.notes:
            run.emit(Warned(None, "data", note))
        chain.dry_run()
        if recipe.threads > 1 and device.type == "cpu":
            with closing(Beside(run)) as beside:
                _in_two_processes(chain, beside)
        else:
            for seed in range(recipe.seed, recipe.seed + recipe.seeds):
                chain.of_seed(seed).run_steps()
                chain.of_seed(seed).controls()
    make_room(workspace, room)
    run.emit(RunFinished())


def begun_chain(run: Run, turns: Turns) -> StepChain:
    """The chain of steps of a run that has begun, for its recipe's own seed; reads the data."""
    workspace = Workspace(run.folder.parent.parent)
    look_in(workspace.models)
    recipe, began = run.recipe(), run.state().environment
    methods = [build(step.stage, step.method, **step.options) for step in recipe.steps]
    device, bfloat16 = choose_device(recipe.device), began["bfloat16"]
    torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)  # denormal numbers would slow down every convolution on a CPU
    size = find(recipe.backbone).side(recipe.image_size)
    loading, version = Reporter(run, 0, recipe.seed).loading, began.get("dataset_version", "")
    data = load_dataset(recipe.dataset, size, folder=workspace.datasets, progress=loading, version=version)
    check_steps(methods, data)
    target = _target(run, recipe, data, size, workspace.datasets, began.get("target_version", ""))
    pool = _pool(run, recipe, data, workspace, began.get("pool_version", ""))
    step_cache = StepCache(
        workspace.cache / "models",
        recipe,
        data,
        device,
        target.content_hash if target else "",
        f"{kind_of(device)}, bfloat16: {bfloat16}",
        content(named_backbones(recipe)),
        tuple(type(method).__module__ for method in methods),
        pool.content_hash if pool else "",
    )
    return StepChain(
        run,
        workspace,
        recipe,
        methods,
        data,
        device,
        step_cache,
        recipe.seed,
        target=target,
        bfloat16=bfloat16,
        points=PointCache(workspace.cache / "points", _conditions(recipe, device)),
        turns=turns,
        pool=pool,
    )


def _in_two_processes(first: StepChain, beside: Beside) -> None:
    """All seeds' steps here, their controls in either process, whichever is free."""
    recipe, run = first.recipe, first.run
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        first.of_seed(seed).run_steps(beside)
        while (control := beside.take()) is not None:
            first.of_seed(control.seed).control(control.step, control.code)
    while beside.wait(stopping(run, first.turns)):
        while (control := beside.take()) is not None:  # given up by the other process
            first.of_seed(control.seed).control(control.step, control.code)
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        first.of_seed(seed).controls()  # none is missing, whatever happened


@dataclass(frozen=True)
class StepChain:
    """The chain of steps for one seed. The recipe's own seed gives points, further seeds give replicas."""

    run: Run
    workspace: Workspace
    recipe: Recipe
    methods: list[Method]
    data: Dataset
    device: torch.device
    step_cache: StepCache
    seed: int
    role: Role = "point"
    target: Target | None = None
    bfloat16: str = NONE
    points: PointCache | None = None
    turns: Turns | None = None
    pool: Pool | None = None

    def of_seed(self, seed: int) -> StepChain:
        """The same chain for another seed of the recipe."""
        return replace(self, seed=seed, role="point" if seed == self.recipe.seed else "replica")

    def dry_run(self) -> None:
        """Raises UserError if the recipe asks for something impossible, before any step begins."""
        if not self.run.state().measured:  # a resumed run was checked when it began
            dry_run(self.recipe.backbone, self.methods, self._context(0, None))

    def run_steps(self, beside: Beside | None = None) -> None:
        """Does all steps in order; steps finished before an interruption are read from disk. Their controls are offered
        to the process `beside` this one, which is started in time."""
        before = first = None
        done = {m.point.step for m in self.run.state().measured if m.role == self.role and m.seed == self.seed}
        for number, method in enumerate(self.methods):
            codes = tuple(self.missing_controls(number)) if beside else ()
            if beside and not all(self._is_cached(number, code) for code in codes):
                beside.start()
                if method.controls_at_once(self._context(number, before)):
                    beside.offer([Control(self.seed, number, code, early=True) for code in codes])
            elif beside and self._needs_another_soon(number + 1):
                beside.start()
            again = self._finished(number) if number in done else None
            before = again or self._step(number, method, before, first)
            first = first or before
            if beside and codes:
                shared = int(before.model.decided.get("threads", 1)) < self.recipe.threads  # a core is left for them
                beside.offer([Control(self.seed, number, code) for code in codes], shared=shared)

    def _needs_another_soon(self, number: int) -> bool:
        """Whether the controls of the step `number` will be made while it goes on: the second process is then started a
        step ahead, so that they need not wait for its imports."""
        if number == len(self.methods) or self.step_cache.holds(self.step_cache.key(number, self.seed)):
            return False
        return self.methods[number].controls_at_once(self._context(number, None))

    def controls(self) -> None:
        """Makes and measures the controls, with the same budget as the steps."""
        for number in range(len(self.methods)):
            for code in self.missing_controls(number):
                self.control(number, code)

    def missing_controls(self, number: int) -> Iterator[str]:
        """The codes of the controls of a step that were not measured before; the step before it is done."""
        if type(self.methods[number]).controls is Method.controls:
            return
        measured = (m for m in self.run.state().measured if m.role == "control" and m.seed == self.seed)
        done = {(m.point.step, m.point.control or m.point.name) for m in measured}
        incoming = self._kept(number - 1)
        if incoming or not number:
            makers = self._makers(number, incoming, self._context(number, incoming))
            yield from (code for code in makers if (number, code) not in done)

    def _makers(self, number: int, incoming: StepOutput | None, context: Context) -> dict[str, Callable[[], Model]]:
        """What makes the controls of a step, by their codes."""
        model = _undecided(incoming.model) if incoming else start(self.recipe.backbone, context)
        return self.methods[number].controls(model, context)

    def _is_cached(self, number: int, code: str) -> bool:
        return self.step_cache.holds(self.step_cache.key(number, self.seed, english(code)))

    def _step(self, number: int, method: Method, before: StepOutput | None, first: StepOutput | None) -> StepOutput:
        started = time.monotonic()
        if before is not None:
            self._refuse_damaged(before)
        notes: list[tuple[str, str]] = []
        step, context = self.recipe.steps[number], self._context(number, before, notes)
        key = self.step_cache.key(number, self.seed)
        kept = self.step_cache.get(key) if _trains(method) else None
        self.run.emit(
            StepStarted(number, step.stage, step.method, method.title.en, _epochs(method), key if kept else None)
        )
        model = kept or self._applied(number, before, context, notes)
        for code, message in kept.remarks if kept else ():
            self._warn(number, code, message)
        if _trains(method) and kept is None:
            self.step_cache.put(key, model)
        known = self._known(number, key) if method.makes_point and (kept or not _trains(method)) else None
        if known is not None:
            return self._again(number, known, model, before, started)
        artifact = make_folder(self._artifacts(number)) / "model.onnx"
        context.report(Progress("exporting"))
        saved = _noted(method.save(model, artifact, context), model)
        for path in saved.files:
            self._record_file(number, path)
        if not method.makes_point:
            self.run.emit(StepFinished(number, time.monotonic() - started, saved.notes))
            assert before is not None
            return before
        step_info = self._step_info(number, method, model)
        point, product = self._measurement(context).point(step_info, model, artifact, saved, before, first)
        self._keep(number, product)
        _write_card(model, artifact, self.data)
        for path in _stored_files(artifact):
            self._record_file(number, path)
        self._keep_point(key, point, saved, artifact, product)
        self.run.emit(Measured(self.role, self.seed, point))
        self.run.emit(StepFinished(number, time.monotonic() - started))
        return product

    def _applied(self, number: int, before: StepOutput | None, context: Context, notes: list[tuple[str, str]]) -> Model:
        came = _undecided(before.model) if before else start(self.recipe.backbone, context)
        step, method = self.recipe.steps[number], self.methods[number]

        def apply() -> Model:
            if uses_pool((step.stage, step.method, dict(step.options)), load_catalog()):
                context.remark_on_pool()
            return method.apply(came, context)

        return _remarked(apply, notes)

    def _known(self, number: int, key: str) -> KeptPoint | None:
        """The point of an earlier run of the same steps, if it is stored intact."""
        if self.points is None:
            return None
        known = self.points.take(key)
        if known is None and self.points.holds(key):
            self._warn(number, "cache_damaged", "A stored point is damaged, so it is measured again.")
        return known

    def _again(
        self, number: int, known: KeptPoint, model: Model, before: StepOutput | None, started: float
    ) -> StepOutput:
        """Finishes the step with the files and the point of an earlier run."""
        artifact = self._artifacts(number) / "model.onnx"
        point = self._put_back(number, known, artifact)
        source = before.source if before is not None and known.quantized else artifact
        product = StepOutput(model, artifact, source, known.logits)
        self._keep(number, product)
        self.run.emit(Measured(self.role, self.seed, point))
        self.run.emit(StepFinished(number, time.monotonic() - started, (known.note,)))
        return product

    def _put_back(self, number: int, known: KeptPoint, artifact: Path) -> Point:
        known.put_into(artifact.parent)
        for name in known.told:
            self._record_file(number, artifact.with_name(name))
        return known.dated(artifact.relative_to(self.run.folder).as_posix())

    def _keep_point(self, key: str, point: Point, saved: Saved, artifact: Path, product: StepOutput) -> None:
        told = (artifact, *saved.files, *_stored_files(artifact))
        if self.points is not None and all(path.parent == artifact.parent for path in told):
            self.points.put(key, KeptPoint.of(point, told, product.logits, quantized=product.quantized))

    def control(self, number: int, code: str) -> None:
        """Makes and measures one control of a step that is done."""
        method, incoming, name = self.methods[number], self._kept(number - 1), english(code)
        notes: list[tuple[str, str]] = []
        subject = self._as_its_subject(number, self._context(number, incoming, notes))
        key = self.step_cache.key(number, self.seed, name)
        kept = self.step_cache.get(key)
        model = kept or self._made(number, code, incoming, subject, notes)
        context = self._context(number, incoming).for_control(name)
        artifact = make_folder(self._artifacts(number) / name.replace(" ", "-")) / "model.onnx"
        known = self._known(number, key) if kept else None
        if known is not None:
            self.run.emit(Measured("control", self.seed, self._put_back(number, known, artifact)))
            return
        saved = _noted(method.save(model, artifact, context), model)
        step_info = replace(self._step_info(number, method, model), title=name, control=code)
        point, product = self._measurement(context).point(step_info, model, artifact, saved, self._kept(number), None)
        _write_card(model, artifact, self.data)
        for path in _stored_files(artifact):
            self._record_file(number, path)
        self._keep_point(key, point, saved, artifact, product)
        self.run.emit(Measured("control", self.seed, point))

    def early_control(self, number: int, code: str) -> None:
        """Makes a control while its step goes on, for `control` to measure; only where `controls_at_once`."""
        incoming, notes = self._kept(number - 1), list[tuple[str, str]]()
        if not self._is_cached(number, code):
            self._made(number, code, incoming, self._context(number, incoming, notes), notes)

    def _made(
        self, number: int, code: str, incoming: StepOutput | None, context: Context, notes: list[tuple[str, str]]
    ) -> Model:
        """The control, which is then in the cache; `context` adds remarks to `notes`."""
        model = _remarked(self._makers(number, incoming, context)[code], notes)
        self.step_cache.put(self.step_cache.key(number, self.seed, english(code)), model)
        return model

    # the input of a step

    def _warn(self, number: int, code: str, message: str) -> None:
        """Records a warning once, even if the step is resumed or repeated for another seed."""
        if not any((w.step, w.code, w.message) == (number, code, message) for w in self.run.state().warnings):
            self.run.emit(Warned(number, code, message))

    def _context(self, number: int, before: StepOutput | None, notes: list[tuple[str, str]] | None = None) -> Context:
        """The context of a step; remarks made during the step are added to `notes`."""
        remarks: list[tuple[str, str]] = [] if notes is None else notes
        recipe = self.recipe
        labelled, pool = labelled_part(self.data.train, recipe.labels, recipe.shots, self.data.classes, self.seed)
        everything = join(pool, self.pool.images) if self.pool else pool
        return Context(
            data=self.data,
            labelled=labelled,
            pool=everything,
            device=self.device,
            threads=recipe.threads,
            precision=recipe.precision,
            image_size=recipe.image_size,
            weights=recipe.weights,
            folder=self._folder(number),
            cache=self.workspace.cache,
            place=(self.seed, number),
            report=Reporter(self.run, number, self.seed),
            warn=lambda code, message: self._warn(number, code, message),
            note=lambda code, message: remarks.append((code, message)),
            cancelled=self._asked_to_stop,
            alone=self._alone,
            source=before.source if before else None,
            artifact=before.artifact if before else None,
            target=self.target.unlabelled if self.target else None,
            latency_threads=recipe.latency_threads,
            bfloat16=self.bfloat16,
            about_pool=self.pool.about(len(pool)) if self.pool else (),
        )

    def _asked_to_stop(self) -> bool:
        """Whether to end now, asked between two batches: the moment to let others measure."""
        if self.turns is not None:
            self.turns.give_way(stopping(self.run))
        return self.run.asked_to_stop()

    def _alone(self) -> AbstractContextManager[bool]:
        return nullcontext(True) if self.turns is None else self.turns.alone(stopping(self.run))

    def _as_its_subject(self, number: int, context: Context) -> Context:
        """The context for the controls of a step: they use the precision that was chosen for the step itself."""
        subject = self._kept(number)
        precision = subject.model.decided.get("precision") if subject else None
        return replace(context, precision=precision) if precision else context

    def _measurement(self, context: Context) -> StepMeasurement:
        target = self.target.test if self.target and len(self.target.test) else None
        return StepMeasurement(context, self.recipe.latency_threads, target, asked_for(self.recipe, self.device))

    def _step_info(self, number: int, method: Method, model: Model) -> StepInfo:
        step = self.recipe.steps[number]
        return StepInfo(number, method, step.stage, step.method, f"{model.name} · {method.title.en}", self.run.folder)

    def _folder(self, number: int) -> Path:
        return self.run.checkpoints / f"seed-{self.seed}" / f"step-{number}"

    def _artifacts(self, number: int) -> Path:
        root = self.run.artifacts if self.role == "point" else self.run.artifacts / f"seed-{self.seed}"
        return root / f"step-{number}"

    # the output of a step

    def _keep(self, number: int, product: StepOutput) -> None:
        folder = make_folder(self._folder(number) / "made")
        save_model(product.model, folder)
        logits = save({"logits": product.logits.contiguous()})
        write_atomic(folder / LOGITS, logits)
        hashes = {name: file_hash(folder / name) for name in (MANIFEST, WEIGHTS, LOGITS)}
        write_atomic(folder / HASHES, seal(json.dumps(hashes, indent=1).encode()))

    def _kept(self, number: int) -> StepOutput | None:
        """The output of the last step up to `number` that has one; raises UserError `damaged_artifact` or
        `missing_artifact` if its files are not as they were measured."""
        while number >= 0 and not self.methods[number].makes_point:
            number -= 1
        artifact = self._artifacts(number) / "model.onnx"
        folder = self._folder(number) / "made"
        if number < 0:
            return None
        source = artifact
        for earlier in range(number, -1, -1):
            made = self.methods[earlier]
            if _trains(made) and made.makes_point and made.writes_float:
                source = self._artifacts(earlier) / "model.onnx"
                break
        self._refuse_damaged_made(number, folder)
        logits: Tensor = load((folder / LOGITS).read_bytes())["logits"]
        product = StepOutput(load_model(folder), artifact, source, logits)
        self._refuse_damaged(product)
        return product

    def _finished(self, number: int) -> StepOutput | None:
        """The output of a step finished before an interruption, if its files are as they were measured; otherwise None,
        with a warning, and the step is done again."""
        try:
            return self._kept(number)
        except UserError as error:
            message = f"A file of steps.{number} is not as it was measured, so the step is done again. {error}"
            self.run.emit(Warned(number, error.code, message))
            return None

    def _refuse_damaged(self, product: StepOutput) -> None:
        """Raises UserError if a file that the next step needs is not as it was measured."""
        for artifact in {product.artifact, product.source}:
            for path in (artifact, artifact.with_name(CARD)):
                refuse_damaged(self.run, path.relative_to(self.run.folder).as_posix(), RESUME)

    def _refuse_damaged_made(self, number: int, folder: Path) -> None:
        try:
            hashes: dict[str, str] = json.loads(read_sealed(folder / HASHES))
            damaged = [name for name, digest in hashes.items() if file_hash(folder / name) != digest]
        except (OSError, DamagedError) as error:
            raise UserError("damaged_artifact", f"steps.{number}", str(error), "its stored files", RESUME) from error
        if not hashes:
            raise UserError("damaged_artifact", f"steps.{number}", f"an empty {HASHES}", "its stored files", RESUME)
        if damaged:
            allowed = "the files as the step wrote them"
            raise UserError("damaged_artifact", f"steps.{number}", ", ".join(damaged), allowed, RESUME)

    def _record_file(self, number: int, path: Path) -> None:
        relative = path.relative_to(self.run.folder).as_posix()
        self.run.emit(ArtifactSaved(number, relative, path.stat().st_size, file_hash(path)))


def _recipe(run: Run, workspace: Workspace) -> Recipe:
    """The run's recipe, checked at the start, because the queue accepts any text. A run that has begun before continues
    as it was launched."""
    if run.state().started is not None:
        return run.recipe()
    with reporting_damage(workspace.datasets):
        return parse_recipe(run.recipe_text, workspace.catalog().with_datasets(own_names(workspace.datasets)))


def _target(run: Run, recipe: Recipe, data: Dataset, size: int, folder: Path, version: str) -> Target | None:
    """The recipe's target; raises UserError if it has no class of `data`."""
    if not recipe.target:
        return None
    loading = Reporter(run, 0, recipe.seed).loading
    found = load_dataset(recipe.target, size, folder=folder, progress=loading, version=version, unlabelled=True)
    if found.unlabelled and (difference := unlike(found, data)):
        run.emit(Warned(None, "unlike_images", difference))
    return matched(data, found, lambda code, message: run.emit(Warned(None, code, message)))


def _pool(run: Run, recipe: Recipe, data: Dataset, workspace: Workspace, version: str) -> Pool | None:
    """The images of the set that the recipe names as pool; raises UserError if no image is left of it."""
    if not recipe.pool:
        return None
    loading, folder = Reporter(run, 0, recipe.seed).loading, workspace.datasets
    side = max(SIZES[0], data.size)
    found = load_dataset(recipe.pool, side, folder=folder, progress=loading, version=version, unlabelled=True)
    sizes = {name: known.size for name, known in datasets(folder).items()}
    return pool_of(found, data, sizes, workspace.cache, loading)


def _remarked(make: Callable[[], Model], notes: list[tuple[str, str]]) -> Model:
    """The model that `make` makes, with the remarks made meanwhile."""
    notes.clear()
    return replace(make(), remarks=tuple(dict.fromkeys(notes)))


def _noted(saved: Saved, model: Model) -> Saved:
    """`saved` with the remarks on the model added to its notes."""
    return replace(saved, notes=(*(message for _, message in model.remarks), *saved.notes))


def _write_card(model: Model, artifact: Path, data: Dataset) -> None:
    """Writes labels and preprocessing next to the artifact, for its bundle, with the conversion of the dataset's
    pictures."""
    card = {"classes": model.classes, "preprocessing": model.preprocessing.to_json(), "backbone": model.backbone}
    if data.cut is not None:
        card["input"] = {"size": data.size, "channels": data.channels, **asdict(data.cut)}
    write_atomic(artifact.with_name(CARD), json.dumps(card, ensure_ascii=False, indent=1).encode())


def _conditions(recipe: Recipe, device: torch.device) -> str:
    """What a measurement depends on besides the file."""
    further = tuple((runtime.name, runtime.version) for runtime in asked_for(recipe, device))
    versions = (onnxruntime.__version__, onnx.__version__, torch.__version__, *further)
    machine = (platform.node(), processor(), os.cpu_count(), recipe.latency_threads)
    return repr((machine, versions, code_of("core.engine.pipeline.measure_step")))


def stopping(run: Run, turns: Turns | None = None) -> Callable[[], None]:
    """A function, called while one waits, that lets others measure and raises CancelledError if a person asked to
    stop."""

    def check() -> None:
        if turns is not None:
            turns.give_way(check_alone)
        check_alone()

    def check_alone() -> None:
        if run.asked_to_stop():
            raise CancelledError

    return check


def _undecided(model: Model) -> Model:
    """The incoming model of a step: without the decisions of the previous steps."""
    return replace(model, decided={})


def _stored_files(artifact: Path) -> tuple[Path, ...]:
    """A measured file and the files stored with it."""
    return artifact, *(artifact.with_name(name) for name in (CARD, PREDICTIONS, SAMPLES, TIMINGS))


def _trains(method: Method) -> bool:
    """Whether the method changes the network itself, not only the format of its file."""
    return type(method).apply is not Method.apply


def _epochs(method: Method) -> int:
    """The number of epochs of the step's curve; 0 if it has none."""
    epochs = getattr(method, "epochs", 0)
    return epochs if isinstance(epochs, int) else 0
