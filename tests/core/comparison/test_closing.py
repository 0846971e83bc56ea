"""The closing sentence of 40 runs, against a second implementation that knows only the runs' JSON, numpy and scipy."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core.catalog import load_catalog
from core.comparison.closing import Closing, Shortfall, closing
from core.comparison.closing_words import ENGLISH, PHRASES, brief, english, lines, reason, sentence
from core.comparison.difference import Paired
from core.comparison.gap import KEPT, KEPT_WITHIN
from core.controls import RANDOM_PRUNING, WITHOUT_TEACHER
from core.events import Measured, RunFailed, RunFinished, RunStarted
from core.points import Latency, Point
from core.runs import Run
from core.state import RunState, Status, fold
from core.statistics.chance import Chance

SAMPLES = sorted((Path(__file__).resolve().parents[3] / "assets" / "samples").iterdir())
MADE = 40 - len(SAMPLES)
STAGES = ("transfer", "distill", "prune", "quantize")
NAMES = {"distill": "Distillation", "prune": "Pruning", "quantize": "Quantization", "transfer": "Transfer"}
TWIN = "twin without a teacher"
Document = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A run: what is folded of it, and how many test images only one of two of its models gets right."""

    state: RunState
    counts: dict[tuple[str, str], Paired] = field(default_factory=dict)

    def pairing(self, one: Point, other: Point) -> Paired | None:
        return self.counts.get((one.name, other.name))

    def closing(self) -> Closing:
        return closing(self.state.points, self.state.controls, self.state.status, self.pairing)


def methods(number: int) -> list[tuple[str, str]]:
    """One of each stage, all of them in turn."""
    menus = {stage: sorted(menu) for stage, menu in load_catalog().methods.items()}
    return [(stage, menus[stage][number % len(menus[stage])]) for stage in STAGES]


def made_up(number: int) -> Told:
    """A run of numbers drawn at random: with seeds, noise, failures, models at chance, steps that kept what came in."""
    draw = random.Random(number)
    seeds = 3 if number % 4 == 1 else 1
    steps = 1 + number % 4 if number % 5 == 2 else 4
    shared = draw.uniform(0.3, 0.9)
    events: list[Any] = [RunStarted(1, {})]
    counts: dict[tuple[str, str], Paired] = {}
    known: dict[int, tuple[int, float]] = {-1: (0, 0.0)} if number % 9 == 4 else {}  # −1: it has a target
    for seed in range(seeds):
        for step, (stage, method) in enumerate(methods(number)[:steps]):
            hit = min(max(shared + draw.gauss(0, 0.04), 0.02), 0.99)
            if seed == 0:
                known[step] = (int(10 ** draw.uniform(3.5, 7.5)), 10 ** draw.uniform(-1, 1))
            point = model(draw, step, stage, method, hit, known, luck=number % 7 == 3 and step == steps - 1)
            events.append(Measured("replica" if seed else "point", seed, point))
        if steps > 1 and number % 3:
            twin = model(draw, 1, "distill", "kd", shared - 0.02 + draw.gauss(0, 0.02), known).model_copy(
                update={"name": TWIN, "control": WITHOUT_TEACHER}
            )
            events.append(Measured("control", seed, twin))
        if steps > 2 and number % 6 == 5:
            cut = model(draw, 2, "prune", "l2", shared, known).model_copy(
                update={"name": "twin cut at random", "control": RANDOM_PRUNING}
            )
            events.append(Measured("control", seed, cut))
    points = [m.point for m in events if isinstance(m, Measured) and m.role == "point"]
    if number % 2 and len(points) > 1:
        counts[points[-1].name, points[0].name] = Paired(draw.randrange(40), draw.randrange(40))
        counts[points[1].name, TWIN] = Paired(draw.randrange(60), draw.randrange(30))
    broken = {"code": "internal", "field": "x", "given": "", "allowed": "", "fix": "", "message": "broke"}
    events += [RunFailed(broken)] if steps < 4 else [RunFinished()] if number % 8 else []
    return Told(fold(events), counts)


def model(
    draw: random.Random,
    step: int,
    stage: str,
    method: str,
    hit: float,
    known: dict[int, tuple[int, float]],
    *,
    luck: bool = False,
) -> Point:
    hit, (size, ms) = 0.1 if luck else hit, known[step]
    receipt: Document = {}
    if step:
        other = known[step - 1]
        receipt["bytes_before"] = {"before": other[0], "after": size, "times_smaller": other[0] / size}
        receipt["latency_before"] = {"ms": other[1], "ms_now": ms} | withheld(draw, other[1] / ms)
        receipt["latency_first"] = {"ms": known[0][1], "ms_now": ms} | withheld(draw, known[0][1] / ms)
        told = [
            "no gain in bytes (1 kB → 2 kB): it stores as many weights in as many bits as before (9 of float, 1 kB)"
        ]
        told += ["no gain in latency (1.000 → 2.000 ms): the network does as many multiplications as before (1.5 M)"]
        receipt["no_gain"] = told
        receipt["remarks"] = [KEPT if step % 2 else KEPT_WITHIN] if draw.random() < 0.1 else []
    latency = Latency(
        runtime="onnxruntime", device="cpu", threads=1, batch=1, n=50, p50=ms, p95=1.1 * ms, noisy=draw.random() < 0.2
    )
    there: Document = {"target_accuracy": hit, "target_accuracy_low": hit - 0.03, "target_accuracy_high": hit + 0.03}
    return Point(
        step=step,
        stage=stage,
        method=method,
        name=f"{method} of step {step}",
        accuracy=hit,
        accuracy_low=hit - 0.02,
        accuracy_high=hit + 0.02,
        validation_accuracy=hit + draw.uniform(-0.02, 0.02),
        bytes=size,
        receipt=receipt,
        latency_ms=latency if draw.random() < 0.9 else None,
        chance=Chance(classes=10, test=0.1, validation=0.1),
        **(there if (-1 in known) else {}),
    )


def withheld(draw: random.Random, ratio: float) -> Document:
    kind = draw.random()
    if kind < 0.15:
        return {"withheld": "the machine was busy"}
    return {"withheld": "the difference is inside the noise"} if kind < 0.3 else {"speedup": ratio}


def stored(folder: Path) -> Told:
    summary = Run(folder).summary()
    every = [Measured("point", 0, p) for p in summary.points] + [Measured("control", 0, c) for c in summary.controls]
    return Told(fold([RunStarted(1, {}), *every, RunFinished()]))


# the second implementation: from JSON alone


def two(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def judged(one: Document, other: Document, counts: Paired | None, prefix: str = "") -> tuple[float, str]:
    """Difference in points, and the words for how it was judged."""
    a, b = ({k.removeprefix(prefix): v for k, v in d.items()} for d in (one, other))
    mean_a, mean_b = (d.get("accuracy_mean", d["accuracy"]) for d in (a, b))
    share = mean_a - mean_b
    seeds = min(one.get("seeds", 1), other.get("seeds", 1))
    if seeds > 1 and one.get("seeds") == other.get("seeds") and (a["accuracy_sd"] or b["accuracy_sd"]):
        error = np.sqrt(a["accuracy_sd"] ** 2 / one["seeds"] + b["accuracy_sd"] ** 2 / other["seeds"])
        if abs(share) > stats.t.ppf(0.975, seeds - 1) * error:
            return share, f" (more than the spread over {seeds} seeds)"
        return share, f" (within the spread over {seeds} seeds: no proven difference)"
    share = a["accuracy"] - b["accuracy"]
    if counts is not None and not prefix:
        p = stats.binomtest(counts.gained, counts.gained + counts.lost).pvalue if sum(counts) else 1.0
        sure = "a proven difference, tested" if p < 0.05 else "no proven difference, tested"
        return share, f" ({sure} on the same images)"
    apart = a["accuracy_low"] > b["accuracy_high"] or b["accuracy_low"] > a["accuracy_high"]
    return share, f" (the 95 % intervals {'do not overlap' if apart else 'overlap: no proven difference'})"


def told_points(share: float) -> str:
    size = f"{abs(100 * share):.1f}"
    size = f"{float(f'{abs(100 * share):.1g}'):f}".rstrip("0") if float(size) == 0 else size
    return f"{size} points"


def way(share: float) -> int:
    return int(np.sign(round(share, 9)))


def second(told: Told) -> Iterator[str]:
    """Every sentence but for the plain wording of models, steps that did not help and unsure times, in their order."""
    points = [p.to_json() for p in told.state.points]
    controls = [c.to_json() for c in told.state.controls]
    over, finished = told.state.status.is_over, told.state.status is Status.FINISHED
    first, last = points[0], points[-1]
    start = "" if finished else f"The run failed with {len(points)} model{'s' * (len(points) > 1)} measured. "
    start = start if over else "So far: "
    if len(points) == 1:
        yield start + "One model: "
        return
    times = first["bytes"] / last["bytes"]
    size = f"{two(times)} times smaller" if times > 1.05 else f"{two(1 / times)} times larger"
    size = "no smaller" if 1 / 1.05 < times < 1.05 else size
    fast, aside = pace(first, last)
    student = points[1]
    learned = student["stage"] == "distill" and student["method"] not in ("mutual", "assistant")
    learned = learned and KEPT not in student["receipt"].get("remarks", [])
    than = "than its teacher" if learned else "than the first model"
    share, verdict = judged(last, first, told.counts.get((last["name"], first["name"])))
    right = {1: f"{told_points(share)} higher", -1: f"{told_points(share)} lower", 0: "the same"}
    head = f"{size}{fast} {than}{aside}; its test accuracy is {right[way(share)]}{verdict}."
    yield start + head[0].upper() + head[1:]
    if last.get("seeds", 1) > 1:
        yield f"Accuracies are means over {last['seeds']} seeds."
    yield from elsewhere(first, last)
    low = [p for p in points if p["accuracy_low"] <= p["chance"]["test"]]
    if low:
        own = "But its last model is not proven better" if last in low else "Not proven better than chance: "
        yield own
    said = {p["step"]: p["receipt"].get("remarks", []) for p in points}
    made = [p["step"] for p in points if p["stage"] in ("prune", "quantize")]  # a cut or rounded model never came in
    kept = [step for step, codes in said.items() if KEPT in codes and step not in made]
    yield from worth(points, controls, kept, told)
    for step in kept:
        yield f"{NAMES[points[step]['stage']]}: training did not improve the incoming model, which was kept."
    for step in (step for step, codes in said.items() if codes and step not in kept):
        yield f"{NAMES[points[step]['stage']]}: training that improved nothing was not kept."


def pace(first: Document, last: Document) -> tuple[str, str]:
    found = last["receipt"].get("latency_first")
    why = {
        "the machine was busy": "the machine was busy",
        "the difference is inside the noise": "the difference is within the noise",
    }
    if found is not None and "withheld" in found:
        return "", f" (speed withheld: {why[found['withheld']]})"
    times = found["speedup"] if found else first["latency_ms"]["p50"] / last["latency_ms"]["p50"]
    if 1 / 1.05 < times < 1.05:
        return " and no faster", ""
    is_smaller = first["bytes"] / last["bytes"] >= 1.05
    joined = "and" if (times > 1) == is_smaller else "but"
    return f" {joined} {two(max(times, 1 / times))} times {'faster' if times > 1 else 'slower'}", ""


def elsewhere(first: Document, last: Document) -> Iterator[str]:
    if "target_accuracy" in first and "target_accuracy" in last:
        share, verdict = judged(last, first, None, "target_")
        much = {1: f"{told_points(share)} higher", -1: f"{told_points(share)} lower", 0: "the same"}
        yield f"On the target its accuracy is {much[way(share)]}{verdict}."


def worth(points: list[Document], controls: list[Document], kept: list[int], told: Told) -> Iterator[str]:
    for control in sorted(controls, key=lambda c: c["name"] != TWIN):
        point = points[control["step"]]
        if point["step"] in kept:
            continue
        counts = told.counts.get((point["name"], control["name"]))
        share, verdict = judged(point, control, counts)
        step, name = NAMES[point["stage"]], f"its control, “{control['name']}”"
        if control["name"] == TWIN:
            share, verdict = by_twins(told.state, point["step"]) or (share, verdict)
            yield {
                1: f"The teacher {help_of(verdict, share)}{verdict}.",
                -1: f"The teacher {harm(verdict)}: without it the student is {told_points(share)} better{verdict}.",
                0: f"The teacher was of no proven worth: without it the student is as accurate{verdict}.",
            }[way(share)]
        else:
            yield beside(step, name, share, verdict)
        if "target_accuracy" in point and "target_accuracy" in control:
            yield "On the target, " + beside(step, name, *judged(point, control, None, "target_"))


def harm(verdict: str) -> str:
    return "was of no proven worth" if "no proven" in verdict else "did harm"


def help_of(verdict: str, share: float) -> str:
    if "no proven" in verdict:
        return f"was of no proven worth: with it the student is {told_points(share)} better"
    return f"was worth {told_points(share)}"


def no_help(verdict: str) -> str:
    return "was of no proven help" if "no proven" in verdict else "did not help"


def beside(step: str, name: str, share: float, verdict: str) -> str:
    better = f"{told_points(share)} better than {name}{verdict}."
    return {
        1: f"{step} was of no proven help: it is {better}" if "no proven" in verdict else f"{step} is {better}",
        -1: f"{step} {no_help(verdict)}: {name}, is {told_points(share)} better{verdict}.",
        0: f"{step} was of no proven help: {name}, is as accurate{verdict}.",
    }[way(share)]


def by_twins(state: RunState, step: int) -> tuple[float, str] | None:
    """Seed by seed, where the student of every seed is one."""
    chosen = [m for m in state.measured if m.point.step == step]
    students = {m.seed: m.point for m in chosen if m.role != "control"}
    twins = {m.seed: m.point.accuracy for m in chosen if m.role == "control" and m.point.name == TWIN}
    gains = [
        p.accuracy - twin
        for seed, p in sorted(students.items())
        if KEPT not in str(p.receipt.get("remarks", ""))
        and p.accuracy is not None
        and (twin := twins.get(seed)) is not None
    ]
    if len(gains) < 2:
        return None
    found = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    kind = "more than" if found.low > 0 or found.high < 0 else "within"
    tail = "" if kind == "more than" else ": no proven difference"
    return float(np.mean(gains)), f" ({kind} the spread over {len(gains)} seeds{tail})"


def deployed(told: Told) -> str:
    """The name of the smallest file near the best on validation."""
    points = [p.to_json() for p in told.state.points]
    fit = [p for p in points if p["accuracy_low"] > p["chance"]["test"]]
    validation = {p["name"]: p.get("validation_accuracy_mean", p["validation_accuracy"]) for p in fit}
    near = [p for p in fit if max(validation.values()) - validation[p["name"]] <= 0.02 + 1e-9]
    return str(min(near, key=lambda p: p["bytes"])["name"]) if near else ""


RUNS = [
    *(pytest.param(stored(path), id=path.name) for path in SAMPLES),
    *(pytest.param(made_up(n), id=f"{n}") for n in range(MADE)),
]


@pytest.mark.parametrize("told", RUNS)
def test_every_sentence_is_what_the_numbers_say(told: Told) -> None:
    found = lines(told.closing())
    expected = list(second(told))
    for given, wanted in zip(found, expected, strict=False):
        assert given.startswith(wanted), (given, wanted)
    assert len(found) >= len(expected)
    rest = " ".join(found[len(expected) :])
    assert not any(word in rest for word in ("teacher", "On the target", "means over", "control"))
    name = deployed(told)
    if len(told.state.points) > 1:
        assert ("The one to deploy" in rest) == bool(name)
        assert name in rest
    assert sentence(told.closing()) == " ".join(found)


@pytest.mark.parametrize("told", RUNS)
def test_what_did_not_help_is_said_and_nothing_else(told: Told) -> None:
    text = sentence(told.closing())
    for point in (p.to_json() for p in told.state.points[1:]):
        name = "fp32" if "latency_fp32" in point["receipt"] else "before"
        sizes, times = point["receipt"][f"bytes_{name}"], point["receipt"][f"latency_{name}"]
        step, why = NAMES[point["stage"]], times.get("withheld", "")
        smaller, faster = sizes["times_smaller"] >= 1.05, times["ms"] / times["ms_now"] >= 1.05
        unsure = "busy" in why or ("noise" in why and faster)
        assert (f"{step} made it smaller, not faster" in text) == (smaller and not faster and not unsure)
        assert (f"{step} made it faster, not smaller" in text) == (faster and not smaller and not unsure)
        assert (f"{step} made it neither" in text) == (not faster and not smaller and not unsure)
        assert (f"{step} made it no smaller" in text) == (not smaller and unsure)
        unsaid = ("made it smaller; whether", "made it smaller; any gain")
        unknown = " ".join(part for part in text.split(". ") if any(each in part for each in unsaid))
        assert (step.lower() in unknown.lower()) >= (smaller and unsure)


def test_all_methods_seeds_failures_noise_and_chance_are_among_them() -> None:
    assert len(RUNS) == 40
    every = [told for param in RUNS if isinstance(told := param.values[0], Told)]
    used = {(p.stage, p.method) for told in every for p in told.state.points}
    menus = load_catalog().methods
    assert {(stage, name) for stage in STAGES for name in menus[stage]} <= used
    texts = [sentence(told.closing()) for told in every]
    for words in (
        "spread over 3 seeds",
        "The run failed",
        "the machine was busy",
        "within the noise",
        "not proven better than chance",
        "which was kept",
        "On the target",
        "So far",
        "did harm",
        "no proven difference",
        "One model",
    ):
        assert any(words in text for text in texts), words


def test_a_run_without_models_says_only_that() -> None:
    assert sentence(closing((), (), Status.RUNNING)) == sentence(closing((), (), Status.FINISHED)) == ""
    assert sentence(closing((), (), Status.FAILED)) == "The run failed before any model was measured."


def test_when_no_model_beats_chance_none_is_recommended() -> None:
    told = made_up(0)
    low = [
        p.model_copy(update={"accuracy": 0.1, "accuracy_low": 0.08, "accuracy_high": 0.12}) for p in told.state.points
    ]
    text = sentence(closing(low, (), Status.FINISHED))
    assert "None of its models is worth deploying" in text
    assert "The one to deploy" not in text


def test_what_was_not_measured_is_not_claimed() -> None:
    bare = [Point(step=n, stage=s, method="x", name=s) for n, s in enumerate(("transfer", "prune"))]
    text = sentence(closing(bare, (), Status.FINISHED))
    assert "its latency was not measured" in text
    assert "its test accuracy was not measured" in text
    assert not any(letter.isdigit() for letter in text)


def test_latencies_of_another_machine_are_not_compared() -> None:
    one, other = made_up(4).state.points[0], made_up(8).state.points[0]
    timed = Latency(runtime="onnxruntime", device="cpu", threads=2, batch=1, n=9, p50=1, p95=2, noisy=False)
    pair = [one, other.model_copy(update={"step": 1, "latency_ms": timed, "receipt": {}})]
    first = pair[0].model_copy(update={"latency_ms": timed.model_copy(update={"threads": 1})})
    assert "timed under different conditions" in sentence(closing([first, pair[1]], (), Status.FINISHED))


@pytest.mark.parametrize("key", [key for key in PHRASES if key.startswith("why_")])
def test_a_receipts_reason_comes_back_word_for_word(key: str) -> None:
    given = {
        "part": "3",
        "whole": "10",
        "before": "1.5 M",
        "after": "36",
        "others": "12",
        "now": "40",
        "time": "0.064",
        "count": "2.36 M",
        "share": "50%",
        "times": "3.0",
    }
    told = english(key, **given)
    assert reason(told) == told
    heard: list[str] = []

    def phrase(name: str, **values: object) -> str:
        heard.append(name)
        return english(name, **values)

    assert reason(told, type(ENGLISH)(phrase)) == told
    assert heard == [key]


def test_a_reason_that_is_not_known_is_quoted() -> None:
    assert reason("something new (1 → 2 kB)") == "something new (1 → 2 kB)"


def test_the_short_form_has_the_teacher_and_no_more() -> None:
    told = brief(stored(SAMPLES[0]).closing())
    assert told.count(".") >= 2
    assert "The teacher was worth" in told
    assert "Quantization" not in told


def a_point(share: float, **more: Any) -> Point:
    told: Document = {"step": 0, "stage": "transfer", "method": "probe", "name": "a", "accuracy": share, **more}
    return Point(**told)


@pytest.mark.parametrize(
    ("stages", "named"),
    [
        (["prune"], "Pruning"),
        (["prune", "quantize"], "Pruning and quantization"),
        (["distill", "prune", "quantize"], "Distillation, pruning and quantization"),
        (["prune", "prune", "quantize"], "Pruning (step 2), pruning (step 3) and quantization"),
    ],
)
def test_several_steps_are_named_in_a_row(stages: list[str], named: str) -> None:
    points = [a_point(0.8), *(a_point(0.8, step=1 + n, stage=stage) for n, stage in enumerate(stages))]
    unsure = tuple(Shortfall(point, bytes=False, latency=True, unsure="noisy") for point in points[1:])
    told = sentence(replace(closing(points, (), Status.FINISHED), shortfalls=unsure))
    assert f"{named} made it smaller; whether also faster is not known" in told


def test_a_mean_over_seeds_is_not_held_against_a_single_model() -> None:
    """A run that ended in its second seed: ± one deviation is no 95 % interval, and the means hold other seeds."""
    mean = a_point(0.80, accuracy_low=0.77, accuracy_high=0.83).with_replicas([a_point(0.60)])
    single = a_point(0.81, step=1, stage="prune", accuracy_low=0.78, accuracy_high=0.84)
    text = sentence(closing([mean, single], (), Status.CANCELLED))
    assert "its test accuracy is 1.0 points higher (the 95 % intervals overlap: no proven difference)" in text
    assert "those are compared by the first seed alone" in text
    assert "means over" not in text


def test_a_proven_difference_below_the_decimals_is_not_called_the_same() -> None:
    one, other = a_point(0.9), a_point(0.9003, step=1, stage="prune")
    text = sentence(closing([one, other], (), Status.FINISHED, lambda a, b: Paired(30, 1)))
    assert "its test accuracy is 0.03 points higher (a proven difference" in text
    assert "is the same" not in text


@pytest.mark.parametrize(
    ("method", "after", "remarks", "of_teacher"),
    [
        ("kd", "prune", [], True),
        ("mutual", "prune", [], False),  # two untrained networks teach each other
        ("assistant", "prune", [], False),  # the assistant taught it
        ("kd", "distill", [], False),  # the second model taught the third
        ("kd", "prune", [KEPT], False),  # the student was worse, and the teacher went on
    ],
)
def test_only_a_student_of_the_first_model_is_measured_by_its_teacher(
    method: str, after: str, remarks: list[str], of_teacher: bool
) -> None:
    student = a_point(0.8, step=1, stage="distill", method=method, receipt={"remarks": remarks})
    chain = [a_point(0.9), student, a_point(0.8, step=2, stage=after, method="kd")]
    assert ("than its teacher" in sentence(closing(chain, (), Status.FINISHED))) == of_teacher


def test_every_right_answer_of_three_images_is_not_called_as_good_as_guessing() -> None:
    luck = Chance(classes=2, test=0.5, validation=0.5)
    tiny = a_point(1.0, accuracy_low=0.438, accuracy_high=1.0, chance=luck)
    text = sentence(closing([tiny, tiny.model_copy(update={"step": 1})], (), Status.FINISHED))
    assert "not proven better than chance" in text
    assert "no better than chance" not in text
