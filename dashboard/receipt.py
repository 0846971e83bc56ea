"""The receipt of a point as a person reads it: what was measured and how, what really changed, what was not gained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.comparison.closing import MATTERS
from core.comparison.gap import no_share, verdict_on
from core.points import MACHINE, InRuntime, Latency, Point
from core.runtimes import title
from core.text import formatting
from core.text.escaping import UserText
from dashboard import chance, closing, engine_words, environment_words, step_names, terms
from dashboard.i18n import aside, in_turn, listed, say

Receipt = Mapping[str, Any]
COMPARED = ("first", "before", "fp32")  # what a file was timed in turns with
ZEROS_SHOWN = 0.01  # of all weights; a few are zero by chance


def show(point: Point, heading: str, environment: Mapping[str, str]) -> None:
    """Everything that is known of one point; `environment` is its run's."""
    st.markdown(heading)
    facts = [*measured(point), *measured_on(point, environment)]
    held = {"control": point.control is not None}
    rows = [*facts, *taught(point.receipt), *changed(point.receipt, **held), *comparisons(point.receipt, **held)]
    table = pd.DataFrame(rows, columns=[say("receipt.fact"), say("receipt.value")])
    st.table(table, hide_index=True, border="horizontal", alt=say("receipt.alt", name=UserText(point.name).plain()))
    for sentence in no_gain(point):
        st.info(UserText(sentence).md(), icon=":material/info:")
    for sentence in _sentences(point, "notes"):
        st.caption(UserText(step_names.of_point(sentence, point)).md())
    terms.below(terms.of_text("\n".join(name for name, _ in rows), most=len(rows)))


def no_gain(point: Point) -> list[str]:
    """Why something was not gained, in the person's language; not escaped."""
    return [step_names.of_point(sentence, point) for sentence in _sentences(point, "no_gain")]


def _sentences(point: Point, name: str) -> list[str]:
    found = point.receipt.get(name)
    return [str(sentence) for sentence in found] if isinstance(found, list) else []


def measured(point: Point) -> Iterator[tuple[str, str]]:
    """The numbers of a point; what was not measured is left out."""
    found = {
        "accuracy": formatting.accuracy(point),
        "on_target": formatting.on_target(point),
        "validation": formatting.percent(point.validation_accuracy),
        "bytes": formatting.size(point.bytes),
        "compressed": formatting.size(point.compressed_bytes),
        "packed": formatting.size(point.packed_bytes),
        "params": formatting.count(point.params),
        "macs": formatting.count(point.macs),
    }
    yield from ((say(f"receipt.{name}"), value) for name, value in found.items() if value != formatting.NOT_MEASURED)
    yield from spread(point)
    if point.chance is not None:
        luck = chance.told(point.chance.test, point.chance)
        yield say("receipt.chance"), f"{luck} {chance.badge()}" if point.is_at_chance else luck
    if point.latency_ms is not None:
        yield say("receipt.latency"), timed(point.latency_ms)
    for runtime, there in (point.runtimes or {}).items():
        yield from in_runtime(UserText(title(runtime)).md(), there)


def measured_on(point: Point, of_run: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The machine it was measured on, and what else was not as at the last start of its run."""
    here = point.environment(of_run)
    where = [UserText(here[name]).md() for name in MACHINE if here.get(name)]
    other = [name for name in (*here, *of_run) if name not in MACHINE and here.get(name) != of_run.get(name)]
    if where:
        yield say("receipt.measured_on"), say("receipt.list").join(where)
    if other:
        told = (_unlike(name, here) for name in dict.fromkeys(other))
        yield say("receipt.measured_with"), say("receipt.list").join(told)


def _unlike(name: str, here: Mapping[str, str]) -> str:
    value = environment_words.value_of(here.get(name, formatting.NOT_MEASURED))
    return f"{UserText(environment_words.name_of(name)).md()} {UserText(value).md()}"


def timed(latency: Latency) -> str:
    """A latency with where it was measured and its noise."""
    told = latency.model_dump(include={"threads", "batch", "n"})
    told |= {"runtime": UserText(title(latency.runtime)).md(), "device": UserText(latency.device).md()}
    p50, p95 = formatting.two_digits(latency.p50), formatting.two_digits(latency.p95)
    apart = "" if latency.apart is None else say("receipt.apart", share=formatting.percent(latency.apart))
    return say("receipt.latency_of", p50=p50, p95=p95, **told) + apart + (say("receipt.noisy") if latency.noisy else "")


def in_runtime(name: str, found: InRuntime) -> Iterator[tuple[str, str]]:
    """What a further runtime made of the same file: answers, types, time."""
    accuracy = formatting.with_interval(found.accuracy, found.accuracy_low, found.accuracy_high)
    same = formatting.percent(found.agreement)
    yield say("receipt.answers_in", runtime=name), say("receipt.answers_in_of", accuracy=accuracy, same=same)
    kinds = {name: UserText(getattr(found, name)).md() for name in ("version", "precision", "by_default")}
    layers = listed(f"{count} × {UserText(kind).md()}" for kind, count in found.layers.items())
    told = say("receipt.computes" if found.precision == found.by_default else "receipt.computes_told", **kinds)
    told += say("receipt.computes_layers", layers=layers) if layers else ""
    yield say("receipt.computes_in", runtime=name), told
    if found.times_faster is not None:
        ratio = say("receipt.times_faster", times=formatting.two_digits(found.times_faster))
    else:
        ratio = say(f"receipt.times_{found.withheld}") if found.withheld else ""
    yield say("receipt.latency_in", runtime=name), timed(found.latency_ms) + ratio


def spread(point: Point) -> Iterator[tuple[str, str]]:
    """How the right answers are spread over the classes; nothing of a point from before that was measured."""
    found = point.spread
    if found is None:
        return
    for name in ("balanced_accuracy", "macro_f1", "top5_accuracy"):
        if (share := getattr(found, name)) is not None:
            yield say(f"receipt.{name}"), formatting.percent(share)
    worst = formatting.percent(found.worst_recall)
    yield say("receipt.worst_class"), say("receipt.worst_of", name=UserText(found.worst_class).md(), share=worst)


def taught(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """What a teacher was worth beside the twin without one, and what a student knows of a class it never saw."""
    if gap := receipt.get("gap_recovered"):
        told = {name: formatting.percent(gap[name]) for name in ("twin", "distilled", "teacher")}
        text = say("receipt.gap_numbers", share=share_told(gap), seeds=gap["seeds"], **told)
        if "gain_low" in gap:
            low, high = (f"{100 * gap[name]:+.1f}" for name in ("gain_low", "gain_high"))
            text += say("receipt.gap_interval", low=low, high=high)
        yield say("receipt.gap"), text
    for name, share in receipt.get("recall", {}).items():
        yield say("receipt.recall", name=UserText(name).md()), formatting.percent(share)


def share_told(gap: Receipt) -> str:
    """The share of the teacher's lead that the gain is, or why none is told."""
    why = no_share(gap)
    if why in ("", "no_lead"):
        share = formatting.percent(gap.get("share"), 0)
        return say("receipt.gap_no_lead" if why else "receipt.gap_share", share=share)
    found = verdict_on(gap, why.partition("_")[0])
    points = f"{100 * found.share:.1f}".replace("-", "−")
    return say(f"receipt.gap_{why}", points=points, verdict=closing.verdict(found))


def changed(receipt: Receipt, *, control: bool = False) -> Iterator[tuple[str, str]]:
    """What the step changed in the file, and how the file agrees with what it came from, or a control with its step's
    own model."""
    if layers := receipt.get("layers"):
        yield say("receipt.layers"), say("receipt.of", part=layers["touched"], whole=layers["total"])
        whole = sum(kernel["count"] for kernel in receipt.get("kernels", ()))
        yield say("receipt.int8"), say("receipt.of", part=receipt.get("int8_layers", 0), whole=whole)
    if kernels := receipt.get("kernels"):
        yield say("receipt.kernels"), listed(map(kernel, kernels))
    if file := receipt.get("file"):
        folded = file["folded_params"]
        yield say("receipt.numbers"), say("receipt.numbers_of", numbers=f"{file['numbers']:,}", folded=f"{folded:,}")
        if (empty := file.get("zeros") or 0.0) >= ZEROS_SHOWN:
            yield say("receipt.zeros"), formatting.percent(empty)
    if (parity := receipt.get("parity_with_torch")) is not None:
        yield say("receipt.parity"), f"{parity:.1e}"
    if (same := receipt.get("same_answer_as_before")) is not None:
        yield say("receipt.agreement_subject" if control else "receipt.agreement"), formatting.percent(same)
    if (error := receipt.get("calibration_error")) is not None:
        yield say("receipt.calibration"), formatting.percent(error)
    if found := receipt.get("decided"):
        yield say("receipt.decided"), in_turn(say(f"receipt.decided_{name}", value=v) for name, v in found.items())


def kernel(found: Receipt) -> str:
    """One kind of kernel: how many ran, of which operator and type of numbers."""
    return aside(f"{found['count']} × {UserText(found['op']).md()}", UserText(found["type"]).md())


def comparisons(receipt: Receipt, *, control: bool = False) -> Iterator[tuple[str, str]]:
    """Bytes and milliseconds beside the first point, the step before and the float twin; of a control beside its step's
    own model."""
    for name in COMPARED:
        beside = "subject" if control and name == "before" else name
        if sizes := receipt.get(f"bytes_{name}"):
            ratio = sizes["times_smaller"]
            way, times = ("smaller", ratio) if ratio >= MATTERS else ("larger", 1 / ratio)
            before, after = formatting.size(sizes["before"]), formatting.size(sizes["after"])
            yield (
                say(f"receipt.bytes_{beside}"),
                say(f"receipt.{way}", before=before, after=after, times=formatting.two_digits(times)),
            )
        if latency := receipt.get(f"latency_{name}"):
            yield say(f"receipt.latency_{beside}"), speedup(latency)


def speedup(latency: Receipt) -> str:
    """How many times faster, as measured and as the multiplications alone would have it; withheld inside the noise."""
    before, after = formatting.two_digits(latency["ms"]), formatting.two_digits(latency["ms_now"])
    if "speedup" not in latency:
        why = engine_words.md(latency.get("withheld", ""))
        return say("receipt.withheld", before=before, after=after, why=why)
    predicted = latency.get("predicted_by_macs")
    told = say("receipt.faster", before=before, after=after, times=formatting.two_digits(latency["speedup"]))
    if (ends := formatting.ends(latency.get("low"), latency.get("high"))) is not None:
        told += say("receipt.in_turns", low=ends[0], high=ends[1])
    return told + (say("receipt.predicted", times=formatting.two_digits(predicted)) if predicted else "")
