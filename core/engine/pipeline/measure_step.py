"""Measures a saved file together with those it is compared with, and makes the point with its receipt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from core.engine.context import Context, Progress
from core.engine.data import Split
from core.engine.measure.complexity import complexity
from core.engine.measure.file import Quality, Share, cut_off, parity, quality, share, size
from core.engine.measure.further_runtimes import (
    OpenFile,
    Runtime,
    UnansweredError,
    measured,
    not_measured,
    open_all,
)
from core.engine.measure.latency import Timing, time_files
from core.engine.measure.receipt import Receipt, Subject, changed_layers
from core.engine.measure.record import write_predictions, write_samples, write_timings
from core.engine.measure.spread import spread
from core.engine.method import Method, Saved
from core.engine.model import Model
from core.hardware.alone import NOT_ALONE
from core.points import InRuntime, Point

COMPARED = 64  # images on which the file's logits are compared with the torch network's


@dataclass(frozen=True)
class StepOutput:
    """The output of a step: the model in torch, its saved file (`artifact`), the float32 file it comes from (`source`),
    and its validation logits [N, C]."""

    model: Model
    artifact: Path
    source: Path
    logits: Tensor

    @property
    def quantized(self) -> bool:
        """Whether the saved file is not its own float32 source."""
        return self.artifact != self.source


@dataclass(frozen=True)
class StepInfo:
    """The step to be measured: its number (from 0), method, stage, names, the folder that artifact paths are relative
    to, and the code of a control."""

    step: int
    method: Method
    stage: str
    name: str
    title: str
    root: Path
    control: str | None = None


@dataclass(frozen=True)
class StepMeasurement:
    """Measures steps: `target` is the test split of the recipe's target, `runtimes` are further ones to measure in."""

    context: Context
    latency_threads: int = 1
    target: Split | None = None
    runtimes: tuple[Runtime, ...] = ()

    def point(
        self,
        step_info: StepInfo,
        model: Model,
        artifact: Path,
        saved: Saved,
        before: StepOutput | None,
        first: StepOutput | None,
    ) -> tuple[Point, StepOutput]:
        """The point with accuracy, size, latency and receipt of `artifact`, and the output for the steps that
        follow."""
        context, shape = self.context, _shape(model)
        source = before.source if before and saved.touched is not None else artifact
        evaluation = quality(artifact, model.preprocessing, context.data, context.threads, self._report)
        cost = complexity(model.net, shape)
        product = StepOutput(model, artifact, source, evaluation.logits)
        timings, alone, elsewhere, notes = self._timed(artifact, product, before, first, evaluation)
        notes += cut_off(artifact, model.preprocessing, context.data.test, evaluation, context.threads)
        saved = replace(saved, notes=(*saved.notes, *(() if alone else (NOT_ALONE,)), *notes))
        write_predictions(artifact, context.data, evaluation.logits, evaluation.test_logits)
        write_samples(artifact, model.preprocessing, context.data, self.latency_threads)
        write_timings(artifact, timings)
        latency = timings["after"].latency()
        images = context.data.validation.images[:COMPARED]
        receipt = Receipt(
            after=Subject(artifact, cost.params, cost.macs, timings["after"]),
            first=_subject(first, "first", timings),
            before=_subject(before, "before", timings),
            twin=Subject(source, cost.params, cost.macs, timings["fp32"]) if product.quantized else None,
            saved=saved,
            touched=_touched(saved, before.model.net if before else None, model.net),
            agreement=_agreement(before.logits, evaluation.logits) if before else None,
            parity=None if product.quantized else parity(model.net, evaluation.logits, images, model.preprocessing),
            calibration_error=evaluation.calibration_error,
            noisy=latency.noisy,
            remarks=tuple(dict.fromkeys(code for code, _ in model.remarks)),
            recall=_recall(step_info.method, evaluation.recall, model.classes),
            decided=model.decided,
        )
        with context.alone():  # reasons are read off profiles, which other work would slow
            told = receipt.to_json()
        stored, there = size(artifact), self._on_target(artifact, model)
        point = Point(
            step=step_info.step,
            stage=step_info.stage,
            method=step_info.name,
            name=step_info.title,
            backbone=model.backbone,
            control=step_info.control,
            accuracy=evaluation.test,
            accuracy_low=evaluation.low,
            accuracy_high=evaluation.high,
            target_accuracy=there.accuracy if there else None,
            target_accuracy_low=there.low if there else None,
            target_accuracy_high=there.high if there else None,
            validation_accuracy=evaluation.validation,
            bytes=stored.bytes,
            compressed_bytes=stored.compressed,
            packed_bytes=saved.packed_bytes,
            params=cost.params,
            macs=cost.macs,
            latency_ms=latency,
            artifact=artifact.relative_to(step_info.root).as_posix(),
            receipt=told,
            spread=spread(evaluation.test_logits, context.data.test.labels, model.classes),
            runtimes=elsewhere or None,
        )
        return point, product

    def _on_target(self, artifact: Path, model: Model) -> Share | None:
        """The accuracy on the target's test split; None without a target."""
        if self.target is None:
            return None
        return share(artifact, model.preprocessing, self.target, self.context.threads, self._report)

    def _timed(
        self,
        artifact: Path,
        product: StepOutput,
        before: StepOutput | None,
        first: StepOutput | None,
        quality: Quality,
    ) -> tuple[dict[str, Timing], bool, dict[str, InRuntime], list[str]]:
        """The timings by what the file is to the point, whether nothing else of this program was at work, what was
        measured in further runtimes, and a sentence for each that the file was not measured in."""
        stop, elsewhere = self.context.stop_if_cancelled, dict[str, InRuntime]()
        with ExitStack() as stack:
            shape = _shape(product.model)
            files, notes = open_all(stack, self.runtimes, artifact, self.latency_threads, shape, stop)
            try:
                timings, alone = self._time(artifact, product, before, first, files)
            except UnansweredError as error:
                notes += [not_measured(file.name, error) for file in files]
                files = []
                timings, alone = self._time(artifact, product, before, first)
            for file in files:
                there, here = timings[file.name], timings["after"]
                try:
                    elsewhere[file.name] = measured(
                        file, there, here, quality, product.model.preprocessing, self.context.data, self._report
                    )
                except UnansweredError as error:
                    notes.append(not_measured(file.name, error))
        return timings, alone, elsewhere, notes

    def _time(
        self,
        artifact: Path,
        product: StepOutput,
        before: StepOutput | None,
        first: StepOutput | None,
        others: Sequence[OpenFile] = (),
    ) -> tuple[dict[str, Timing], bool]:
        """The timings by what the file is to the point, of `others` by their runtimes, and whether nothing else of this
        program was at work."""
        files = {"after": artifact}
        if product.quantized:
            files["fp32"] = product.source
        if before is not None:
            files["before"] = before.artifact
        if first is not None:
            files["first"] = first.artifact
        unique = {str(path): path for path in files.values()}
        elsewhere = {file.name: file for file in others}
        with self.context.alone() as alone:
            found = time_files(unique, self.latency_threads, stop=self.context.stop_if_cancelled, elsewhere=elsewhere)
        names = {name: str(path) for name, path in files.items()} | {name: name for name in elsewhere}
        return {name: replace(found[key], alone=alone) for name, key in names.items()}, alone

    def _report(self, done: int, total: int) -> None:
        self.context.stop_if_cancelled()
        self.context.report(Progress("measuring", done, total))


def _shape(model: Model) -> tuple[int, int, int]:
    p = model.preprocessing
    return (p.channels, p.size, p.size)


def _subject(product: StepOutput | None, name: str, timings: dict[str, Timing]) -> Subject | None:
    if product is None:
        return None
    cost = complexity(product.model.net, _shape(product.model))
    return Subject(product.artifact, cost.params, cost.macs, timings[name])


def _touched(saved: Saved, before: nn.Module | None, after: nn.Module) -> tuple[int, int]:
    if saved.touched is not None and saved.total is not None:
        return saved.touched, saved.total
    return changed_layers(before, after)


def _recall(method: Method, recall: tuple[float | None, ...], classes: tuple[str, ...]) -> dict[str, float]:
    found = zip(classes, recall, strict=True)
    return {name: share for name, share in found if name in method.reported_classes() and share is not None}


def _agreement(before: Tensor, after: Tensor) -> float:
    return float((before.argmax(1) == after.argmax(1)).float().mean())
