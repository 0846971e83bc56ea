"""The conductor of a run: build every method, then for each step apply, save, measure the saved file, tell.

What a step does is its method's business; nothing here knows any method by name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from core.bundle import CARD, PREDICTIONS, SAMPLES
from core.engine.backbones import find
from core.engine.bench import Bench, choose_device
from core.engine.data import Dataset, Target, labelled_part, load_dataset, matched, own_datasets
from core.engine.environment import environment
from core.engine.measure.size import file_hash
from core.engine.method import Method, Saved, build, check_data
from core.engine.model import Model
from core.engine.plan import load_model, save_model
from core.engine.rehearsal import rehearse
from core.engine.report import Reporter
from core.engine.shelf import Shelf
from core.engine.starting import start
from core.engine.witness import Deed, Product, Witness
from core.events import ArtifactSaved, Measured, Role, RunFinished, RunStarted, StepFinished, StepStarted, Warned
from core.files import make_folder, write_atomic
from core.points import Point
from core.recipe import Recipe, parse_recipe
from core.runs import Run
from core.workspace import Workspace


def conduct(run: Run, pid: int) -> None:
    """Does the run from where it stands and says RunFinished; raises whatever stopped it.

    First the chain for the recipe's seed, so that points land soon; then the controls beside it; then both again for
    each further seed.
    """
    workspace = Workspace(run.folder.parent.parent)
    recipe = parse_recipe(run.recipe_text, known_datasets=tuple(own_datasets(workspace.datasets)))
    methods = [build(step.stage, step.method, **step.options) for step in recipe.steps]
    for method in methods:
        method.check_machine()
    device = choose_device(recipe.device)
    torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)  # the numbers of a dying channel would slow every convolution on a CPU
    run.emit(RunStarted(pid, environment(device, recipe.threads)))
    for message in recipe.warnings():
        run.emit(Warned(None, "recipe", message))
    size = recipe.image_size or find(recipe.backbone).image_size
    data = load_dataset(recipe.dataset, size, folder=workspace.datasets, progress=Reporter(run, 0, recipe.seed).loading)
    check_data(methods, data)
    target = _target(run, recipe, data, size, workspace.datasets)
    shelf = Shelf(workspace.cache / "models", recipe, data, device, target.content_hash if target else "")
    for note in data.notes:
        run.emit(Warned(None, "data", note))
    first = Performance(run, workspace, recipe, methods, data, device, shelf, recipe.seed, target=target)
    first.rehearse()
    first.play()
    first.controls()
    for seed in range(recipe.seed + 1, recipe.seed + recipe.seeds):
        further = Performance(run, workspace, recipe, methods, data, device, shelf, seed, "replica", target)
        further.play()
        further.controls()
    run.emit(RunFinished())


@dataclass(frozen=True)
class Performance:
    """The chain of steps for one seed. The recipe's own seed gives points, further ones replicas of them."""

    run: Run
    workspace: Workspace
    recipe: Recipe
    methods: list[Method]
    data: Dataset
    device: torch.device
    shelf: Shelf
    seed: int
    role: Role = "point"
    target: Target | None = None

    def rehearse(self) -> None:
        """Raises UserError where the recipe asks for what its networks or data cannot give, before any step begins."""
        if not self.run.state().measured:  # a resumed run was asked when it began
            rehearse(self.recipe.backbone, self.methods, self._bench(0, None))

    def play(self) -> None:
        """Every step in turn; a step that was finished before an interruption is taken from disk."""
        before = first = None
        done = {m.point.step: m.point for m in self.run.state().measured if m.role == self.role and m.seed == self.seed}
        for number, method in enumerate(self.methods):
            again = self._finished(number, done[number]) if number in done else None
            before = again or self._step(number, method, before, first)
            first = first or before

    def controls(self) -> None:
        """What stands beside the points: made with the same budget, measured alike."""
        measured = (m for m in self.run.state().measured if m.role == "control" and m.seed == self.seed)
        told = {(m.point.step, m.point.name) for m in measured}
        for number, method in enumerate(self.methods):
            incoming = self._kept(number - 1) if number else None
            if type(method).controls is Method.controls or (number and incoming is None):
                continue
            notes: list[tuple[str, str]] = []
            bench = self._bench(number, incoming, notes)
            model = incoming.model if incoming else start(self.recipe.backbone, bench)
            for name, make in method.controls(model, bench).items():
                if (number, name) not in told:
                    self._control(number, method, name, make, incoming, notes)

    def _step(self, number: int, method: Method, before: Product | None, first: Product | None) -> Product:
        started = time.monotonic()
        notes: list[tuple[str, str]] = []
        step, bench = self.recipe.steps[number], self._bench(number, before, notes)
        key = self.shelf.key(number, self.seed)
        kept = self.shelf.take(key) if _trains(method) else None
        self.run.emit(
            StepStarted(number, step.stage, step.method, method.title.en, _epochs(method), key if kept else None)
        )
        came = before.model if before else start(self.recipe.backbone, bench)
        model = kept or _remarked(lambda: method.apply(came, bench), notes)
        for code, message in kept.remarks if kept else ():
            self._warn(number, code, message)
        if _trains(method) and kept is None:
            self.shelf.put(key, model)
        artifact = make_folder(self._artifacts(number)) / "model.onnx"
        bench.report("exporting", 0, 1, 0, 1)
        saved = _noted(method.save(model, artifact, bench), model)
        for path in saved.files:
            self._tell_file(number, path)
        if not method.makes_point:
            self.run.emit(StepFinished(number, time.monotonic() - started, saved.notes))
            assert before is not None
            return before
        deed = self._deed(number, method, model)
        point, product = self._witness(bench).point(deed, model, artifact, saved, before, first)
        self._keep(number, product)
        _write_card(model, artifact)
        for path in (artifact, artifact.with_name(PREDICTIONS), artifact.with_name(SAMPLES)):
            self._tell_file(number, path)
        self.run.emit(Measured(self.role, self.seed, point))
        self.run.emit(StepFinished(number, time.monotonic() - started))
        return product

    def _control(
        self,
        number: int,
        method: Method,
        name: str,
        make: Callable[[], Model],
        incoming: Product | None,
        notes: list[tuple[str, str]],
    ) -> None:
        key = self.shelf.key(number, self.seed, name)
        kept = self.shelf.take(key)
        model = kept or _remarked(make, notes)
        if kept is None:
            self.shelf.put(key, model)
        bench = self._bench(number, incoming).beside(name)
        artifact = make_folder(self._artifacts(number) / name.replace(" ", "-")) / "model.onnx"
        saved = _noted(method.save(model, artifact, bench), model)
        deed = replace(self._deed(number, method, model), title=name)
        point, _ = self._witness(bench).point(deed, model, artifact, saved, self._kept(number), None)
        _write_card(model, artifact)
        for path in (artifact, artifact.with_name(PREDICTIONS), artifact.with_name(SAMPLES)):
            self._tell_file(number, path)
        self.run.emit(Measured("control", self.seed, point))

    # what a step stands on

    def _warn(self, number: int, code: str, message: str) -> None:
        """Says it once: a step that is resumed, or done for another seed, would repeat itself."""
        if not any((w.step, w.code, w.message) == (number, code, message) for w in self.run.state().warnings):
            self.run.emit(Warned(number, code, message))

    def _bench(self, number: int, before: Product | None, notes: list[tuple[str, str]] | None = None) -> Bench:
        """`notes` are what is remarked on while the step is done."""
        heard: list[tuple[str, str]] = [] if notes is None else notes
        recipe = self.recipe
        labelled, pool = labelled_part(
            self.data.train, recipe.labels, recipe.shots, self.data.classes, self.seed
        )  # fmt: skip
        return Bench(
            data=self.data, labelled=labelled, pool=pool, device=self.device, threads=recipe.threads,
            precision=recipe.precision, image_size=recipe.image_size, weights=recipe.weights,
            folder=self._folder(number), cache=self.workspace.cache, place=(self.seed, number),
            report=Reporter(self.run, number, self.seed),
            warn=lambda code, message: self._warn(number, code, message),
            note=lambda code, message: heard.append((code, message)),
            cancelled=lambda: self.run.cancel_requested() or self.run.pause_requested(),
            source=before.source if before else None, artifact=before.artifact if before else None,
            target=self.target.unlabelled if self.target else None,
            latency_threads=recipe.latency_threads,
        )  # fmt: skip

    def _witness(self, bench: Bench) -> Witness:
        told = self.target.test if self.target else None
        return Witness(bench, self.workspace.cache / "measuring.lock", self.recipe.latency_threads, told)

    def _deed(self, number: int, method: Method, model: Model) -> Deed:
        step = self.recipe.steps[number]
        return Deed(
            number, method, step.stage, step.method, f"{model.backbone} · {method.title.en}", self.run.folder
        )  # fmt: skip

    def _folder(self, number: int) -> Path:
        return self.run.checkpoints / f"seed-{self.seed}" / f"step-{number}"

    def _artifacts(self, number: int) -> Path:
        root = self.run.artifacts if self.role == "point" else self.run.artifacts / f"seed-{self.seed}"
        return root / f"step-{number}"

    # what a step leaves behind

    def _keep(self, number: int, product: Product) -> None:
        folder = make_folder(self._folder(number) / "made")
        save_model(product.model, folder)
        write_atomic(folder / "logits.safetensors", save({"logits": product.logits.contiguous()}))

    def _kept(self, number: int) -> Product | None:
        """The product of the last step up to `number` that made one."""
        while number >= 0 and not self.methods[number].makes_point:
            number -= 1
        artifact = self._artifacts(number) / "model.onnx"
        folder = self._folder(number) / "made"
        if number < 0 or not (folder / "logits.safetensors").exists() or not artifact.exists():
            return None
        source = artifact
        for earlier in range(number, -1, -1):
            made = self.methods[earlier]
            if _trains(made) and made.makes_point and made.writes_float:
                source = self._artifacts(earlier) / "model.onnx"
                break
        logits: Tensor = load((folder / "logits.safetensors").read_bytes())["logits"]
        return Product(load_model(folder), artifact, source, logits)

    def _finished(self, number: int, point: Point) -> Product | None:
        """What a step made before an interruption, if all of it is still there as it was measured."""
        product = self._kept(number)
        return product if product and product.artifact.stat().st_size == point.bytes else None

    def _tell_file(self, number: int, path: Path) -> None:
        relative = path.relative_to(self.run.folder).as_posix()
        self.run.emit(ArtifactSaved(number, relative, path.stat().st_size, file_hash(path)))


def _target(run: Run, recipe: Recipe, data: Dataset, size: int, folder: Path) -> Target | None:
    """The recipe's second domain; raises UserError where it has no class of `data`."""
    if not recipe.target:
        return None
    found = load_dataset(recipe.target, size, folder=folder, progress=Reporter(run, 0, recipe.seed).loading)
    return matched(data, found, lambda code, message: run.emit(Warned(None, code, message)))


def _remarked(make: Callable[[], Model], notes: list[tuple[str, str]]) -> Model:
    """The model that `make` makes, with what was noted on the way."""
    notes.clear()
    return replace(make(), remarks=tuple(dict.fromkeys(notes)))


def _noted(saved: Saved, model: Model) -> Saved:
    """What was written, with what a person should know of how the model was made."""
    return replace(saved, notes=(*(message for _, message in model.remarks), *saved.notes))


def _write_card(model: Model, artifact: Path) -> None:
    """Labels and preprocessing beside the artifact, for those who take it away."""
    card = {"classes": model.classes, "preprocessing": model.preprocessing.to_json(), "backbone": model.backbone}
    write_atomic(artifact.with_name(CARD), json.dumps(card, ensure_ascii=False, indent=1).encode())


def _trains(method: Method) -> bool:
    """Whether the method changes the network itself, not only the form of its file."""
    return type(method).apply is not Method.apply


def _epochs(method: Method) -> int:
    """How long the step's curve will be; 0 for a step without one."""
    epochs = getattr(method, "epochs", 0)
    return epochs if isinstance(epochs, int) else 0
