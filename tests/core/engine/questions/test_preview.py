"""A preview says what a run will give: its networks exactly, its files about, its time and memory roughly."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from core.catalog import load_catalog
from core.engine.backbones import find, load_backbone
from core.engine.data import import_images, load_dataset
from core.engine.data.counts import count_dataset
from core.engine.distill import Distill
from core.engine.forecast import FileSize, Workload
from core.engine.measure import further_runtimes
from core.engine.measure.complexity import complexity
from core.engine.measure.further_runtimes import Runtime
from core.engine.method import Method, build
from core.engine.model import Model
from core.engine.prune.structured import prune_channels
from core.engine.questions import estimate
from core.engine.questions.answer import answer
from core.engine.questions.estimate import Stopwatch, cost, parts
from core.engine.questions.preview import _context, preview
from core.errors import UserError, UserErrors
from core.jobs import Job
from core.questions.preview import Preview, Row
from core.recipe import parse_recipe
from core.workspace import Workspace
from tests.core.engine.conftest import MakeContext

DEMO = (Path(__file__).resolve().parents[4] / "assets" / "recipes" / "demo.toml").read_text("utf-8")
SMALL = """
dataset = "{dataset}"
backbone = "resnet8"
image_size = 8
labels = {labels}
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 2
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "BUDGET", 0.02)


def rows(found: Preview) -> dict[int, Row]:
    return {row.step: row for row in found.rows}


# what the demo gives; the finished run's own numbers are in assets/samples and in the README


def test_the_demo_has_a_row_a_point(tmp_path: Path) -> None:
    found = preview(DEMO, tmp_path)
    stages = [(row.step, row.stage) for row in found.rows]
    assert stages == [(0, "transfer"), (1, "distill"), (2, "prune"), (3, "quantize")]
    assert found.image_size == 64
    assert all(row.exact and not row.why for row in found.rows)
    assert 0 < found.seconds_low < found.seconds < found.seconds_high
    assert found.memory_bytes > 200e6


def test_the_students_numbers_are_those_of_a_student_really_pruned(tmp_path: Path) -> None:
    found = rows(preview(DEMO, tmp_path))
    torch.manual_seed(5)
    student = load_backbone("resnet8", 10, "none", 28, channels=1)
    pruned = prune_channels(student, torch.zeros(2, 1, 28, 28), 0.5, "l2")
    for step, net in ((1, student), (2, pruned), (3, pruned)):
        real = complexity(net, (1, 28, 28))
        assert (found[step].params, found[step].macs) == (real.params, real.macs)


def test_the_files_sizes_are_about_those_of_the_finished_demo(tmp_path: Path) -> None:
    found = rows(preview(DEMO, tmp_path))
    for step, size in enumerate((13_470_508, 313_522, 82_408, 37_873)):
        assert found[step].bytes == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("options", ["", "iterations = 3\nround_to = 8", 'augment = "none"\nepochs = 0'])
def test_a_local_cut_is_known_exactly(tmp_path: Path, make_context: MakeContext, options: str) -> None:
    """Against the stage's own `apply`, whose network was trained a little."""
    text = (
        SMALL.format(dataset="digits", labels=0) + f'[[steps]]\nstage = "prune"\nmethod = "l2"\nratio = 0.4\n{options}'
    )
    found = rows(preview(text, tmp_path))[1]
    prune = build("prune", "l2", ratio=0.4, **given(options) | {"epochs": 0})
    net = load_backbone("resnet8", 10, "none", 8)
    model = Model(net, "resnet8", load_dataset("digits", 8).classes, find("resnet8").preprocessing(8))
    real = complexity(prune.apply(model, make_context()).net, (3, 8, 8))
    assert (found.params, found.macs, found.exact) == (real.params, real.macs, True)


def given(options: str) -> dict[str, Any]:
    pairs = [line.split(" = ") for line in options.splitlines()]
    return {name: json.loads(value) for name, value in pairs}


def test_a_global_cut_says_that_it_depends_on_training(tmp_path: Path) -> None:
    text = SMALL.format(dataset="digits", labels=0) + '[[steps]]\nstage = "prune"\nmethod = "l2"\nscope = "global"\n'
    text += '[[steps]]\nstage = "quantize"\nmethod = "weight_only"\n'
    found = rows(preview(text, tmp_path))
    assert [found[step].exact for step in range(3)] == [True, False, False]
    assert "trained weights" in found[1].why
    assert found[2].why == found[1].why


def test_a_global_random_cut_is_known_exactly(tmp_path: Path, make_context: MakeContext) -> None:
    text = SMALL.format(dataset="digits", labels=0)
    text += '[[steps]]\nstage = "prune"\nmethod = "random"\nscope = "global"\nepochs = 0\n'
    found = rows(preview(text, tmp_path))[1]
    model = Model(
        load_backbone("resnet8", 10, "none", 8),
        "resnet8",
        load_dataset("digits", 8).classes,
        find("resnet8").preprocessing(8),
    )
    made = build("prune", "random", scope="global", epochs=0).apply(model, make_context(place=(0, 1)))
    real = complexity(made.net, (3, 8, 8))
    assert (found.params, found.macs, found.exact) == (real.params, real.macs, True)


# datasets


def test_a_set_that_is_not_here_is_guessed_from_the_catalog(tmp_path: Path) -> None:
    found = preview(SMALL.format(dataset="cifar100", labels=0), tmp_path)
    net = load_backbone("resnet8", 100, "none", 32)
    assert found.rows[0].params == sum(p.numel() for p in net.parameters())
    assert any(note.code == "not_here" for note in found.notes)
    assert not (tmp_path / "datasets" / "cifar100").exists()


def test_a_persons_own_set_is_counted(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for shade, label in enumerate(("cats", "dogs", "cows")):
        (pictures / label).mkdir(parents=True)
        for number in range(10):
            color = (shade * 90, number * 20, 7)
            Image.new("RGB", (16, 16), color).save(pictures / label / f"{number}.png")
    workspace = Workspace.open_or_create(tmp_path / "w")
    import_images(pictures, "pets", workspace.datasets)
    counted = count_dataset("pets", 16, workspace.datasets)
    real = load_dataset("pets", 16, folder=workspace.datasets)
    assert counted.exact
    assert [len(counted.data.train), len(counted.data.validation), len(counted.data.test)] == [
        len(real.train),
        len(real.validation),
        len(real.test),
    ]
    assert (counted.data.classes, counted.data.size, counted.data.channels) == (real.classes, real.size, real.channels)
    found = preview(SMALL.format(dataset="pets", labels=0), workspace.path)
    assert found.rows[0].params == sum(p.numel() for p in load_backbone("resnet8", 3, "none", 16).parameters())
    assert not any(note.code in ("not_here", "not_loaded") for note in found.notes)
    with pytest.raises(UserErrors, match="pets has 3 classes"):
        preview(SMALL.format(dataset="pets", labels=2), workspace.path)


@pytest.mark.parametrize("name", ["digits", "glyphs", "fashion-mini"])
def test_bundled_sets_have_their_own_counts(name: str, tmp_path: Path) -> None:
    counted, real = count_dataset(name, 32, tmp_path), load_dataset(name, 32)
    assert counted.exact
    for split in ("train", "validation", "test"):
        assert len(getattr(counted.data, split)) == len(getattr(real, split))
    assert (counted.data.size, counted.data.channels, counted.data.classes) == (real.size, real.channels, real.classes)


# every method, and a new one

KEEP = "keep"  # trains nothing, and refuses a network without trained weights: test_keep


@pytest.mark.parametrize(
    ("stage", "name"), [(s, n) for s, menu in load_catalog().methods.items() for n in menu if n != KEEP]
)
def test_every_method_of_the_catalog_is_foreseen(stage: str, name: str, tmp_path: Path) -> None:
    step = f'[[steps]]\nstage = "{stage}"\nmethod = "{name}"\n'
    first = '[[steps]]\nstage = "transfer"\nmethod = "linear_probe"\n'
    head = SMALL.format(dataset="digits", labels=200).partition("[[steps]]")[0]  # some methods need a pool
    head += 'target = "glyphs"\n' if load_catalog().method(stage, name).needs_target else ""
    recipe = head + (step if stage == "transfer" else first + step)
    try:
        build(stage, name).check_machine()
    except UserError as lacking:  # told before a person starts it, not after
        with pytest.raises(UserError, match=re.escape(str(lacking))):
            preview(recipe, tmp_path)
        return
    found = preview(recipe, tmp_path)
    kind = type(build(stage, name))
    expected = (0 if stage == "transfer" else 1) + kind.makes_point
    assert len(found.rows) == expected
    assert all(row.params > 0 and row.macs > 0 and row.bytes > 0 for row in found.rows)


def test_parts_of_a_curve_are_foreseen_one_by_one(make_context: MakeContext, make_model: Callable[..., Model]) -> None:
    """Gradual unfreezing: less learns at first; a rate that is found costs its batches in each phase."""
    context, model = make_context(), make_model()
    images = len(context.labelled)
    gradual = build("transfer", "gradual", epochs=9, phases=3, batch=50, learning_rate=0.0).workload(
        model, model, context
    )
    trains = [work for work in gradual if work.kind == "train"]
    assert [work.images for work in trains] == [3 * images + 60 * 50] * 3
    learning = [sum(p.numel() for p in w.model.net.parameters() if p.requires_grad) for w in trains]
    assert learning[0] < learning[1] < learning[2] == sum(p.numel() for p in model.net.parameters())
    probed = build("transfer", "lp_ft", epochs=2).workload(model, model, context)
    assert [work.kind for work in probed] == ["answer", "train", "forward"]
    assert all(p.requires_grad for p in model.net.parameters()), "foreseeing changes nothing"


def test_a_target_is_counted_in(tmp_path: Path) -> None:
    text = SMALL.format(dataset="digits", labels=0).replace("fine_tune", "coral")
    recipe = parse_recipe('target = "glyphs"\n' + text)
    context, _, told = _context(recipe, tmp_path)
    assert context.target is not None
    assert len(context.target.images) == 4520
    assert told == 360 + 960, "a point is told on the test images of both"
    preprocessing = find("resnet8").preprocessing(8)
    model = Model(load_backbone("resnet8", 10, "none", 8), "resnet8", context.data.classes, preprocessing)
    seen = {}
    for name in ("coral", "fine_tune"):
        works = build("transfer", name, epochs=2).workload(model, model, context)
        seen[name] = sum(work.images for work in works if work.kind == "train")
    assert seen["coral"] == 2 * seen["fine_tune"], "as many of the target stand beside those of the source"
    settled = build("transfer", "tent", epochs=2, passes=3).workload(model, model, context)
    assert sum(work.images for work in settled if work.kind == "train") == seen["fine_tune"] + 3 * 4520
    assert "controls" in {note.code for note in preview(recipe.to_toml(), tmp_path).notes}


def test_a_method_that_says_nothing_is_foreseen_by_its_stage(make_context: MakeContext) -> None:
    class Silent(Distill):
        title, summary = build("distill", "kd").title, build("distill", "kd").summary
        reads_features = True

        def soft_loss(self, student: Any, teacher: Any, target: Any) -> Any:
            raise AssertionError("nothing is trained")

    context = make_context()
    teacher = Model(
        load_backbone("resnet20", 10, "none", 8), "resnet20", context.data.classes, find("resnet20").preprocessing(8)
    )
    method = Silent(epochs=3)
    student = method.new_student(context)
    train, evaluator, taught = method.workload(teacher, student, context)
    assert (train.kind, train.images) == ("train", 3 * len(context.data.train))
    assert (evaluator.kind, evaluator.images) == ("forward", 4 * len(context.data.validation)), (
        "before the first epoch too"
    )
    assert (taught.kind, taught.images, taught.control) == ("forward", 3 * len(context.data.train), False)
    assert method.file_size() == FileSize()
    assert type(method).file_size is Method.file_size


# time and memory


def test_twice_the_epochs_are_about_twice_the_training(make_context: MakeContext) -> None:
    context = make_context(data=load_dataset("digits", 8))
    model = Model(
        load_backbone("resnet8", 10, "none", 8), "resnet8", context.data.classes, find("resnet8").preprocessing(8)
    )
    watch = Stopwatch(context)
    once, twice = (watch.seconds([Workload("train", model, count, 64)]) for count in (1000, 2000))
    assert twice.likely == pytest.approx(2 * once.likely)
    assert 0 < once.low <= once.likely <= once.high


def test_seeds_multiply_points_and_controls(tmp_path: Path) -> None:
    one = preview(DEMO, tmp_path)
    three = preview("seeds = 3\n" + DEMO, tmp_path)
    without = preview(DEMO.replace("views = 2", "views = 2\ntwin = false"), tmp_path)
    assert any(note.code == "controls" for note in one.notes)
    assert not any(note.code == "controls" for note in without.notes)
    assert three.seconds == pytest.approx(3 * one.seconds, rel=0.05)
    assert without.seconds < 0.95 * one.seconds


def test_measuring_in_a_further_runtime_is_in_the_time_unless_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(further_runtimes, "installed", lambda device: ())
    bare = preview(DEMO, tmp_path)
    monkeypatch.setattr(further_runtimes, "installed", lambda device: (Runtime("openvino", "1"),))
    further, left_out = preview(DEMO, tmp_path), preview('runtimes = "none"\n' + DEMO, tmp_path)
    assert left_out.seconds == bare.seconds
    (note,) = (note for note in further.notes if note.code == "runtimes")
    assert note.values["names"] == "OpenVINO"
    told, (points, controls) = float(note.values["seconds"]), (4, 1)
    assert further.seconds - bare.seconds == pytest.approx(told * (points + controls) / points, rel=0.25, abs=1)
    assert told >= points * estimate.OPENED[0]
    assert not any(note.code == "runtimes" for note in (*bare.notes, *left_out.notes))


def test_a_larger_batch_needs_more_memory(tmp_path: Path) -> None:
    small, large = (
        preview(DEMO.replace("views = 2", f"batch = {b}\nleast_steps = 0"), tmp_path).memory_bytes for b in (32, 4096)
    )
    assert large - small > 4064 * 4 * 2 * 100_000


def test_a_second_preview_builds_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = preview(DEMO, tmp_path)

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("timed again")

    monkeypatch.setattr(estimate, "_timed", refuse)
    warmer = preview(DEMO.replace("temperature = 2.0", "temperature = 6.0"), tmp_path)
    assert warmer.rows == first.rows


@pytest.mark.parametrize("form", ["cast", "dequantize"])
def test_fewer_bits_make_smaller_files(form: str) -> None:
    net = load_backbone("resnet20", 10, "none", 32)
    found = parts(Model(net, "resnet20", tuple("abcdefghij"), find("resnet20").preprocessing(32)))
    sizes = [build("quantize", "weight_only", bits=bits, form=form).file_size().bytes(found) for bits in (2, 4, 8)]
    assert sizes == sorted(sizes)
    assert sizes[-1] < FileSize().bytes(found) / 2


def test_costs_are_the_points_own(make_model: Any) -> None:
    model = make_model()
    assert cost(model) == complexity(model.net, (1, 8, 8))
    assert cost(replace(model, net=make_model(width=4).net)) != cost(model)


# mistakes


def test_every_mistake_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserErrors) as caught:
        preview(DEMO.replace("ratio = 0.5", "ratio = 2.0").replace("bits = 8", "bits = 9"), tmp_path)
    assert {error.field for error in caught.value.errors} == {"steps.2.ratio", "steps.3.bits"}


def test_a_cut_that_leaves_nothing_is_told_at_its_step(tmp_path: Path) -> None:
    text = DEMO.replace('student = "resnet8"', 'student = "resnet8"\nwidth = 4').replace("ratio = 0.5", "ratio = 0.9")
    with pytest.raises(UserError) as caught:
        preview(text, tmp_path)
    assert (caught.value.code, caught.value.field) == ("ratio_leaves_no_channel", "steps.2.ratio")


# the job


def test_it_answers_as_a_job(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path / "w")
    job = workspace.create_job("preview", {"recipe": DEMO})
    answer(job)
    found = job.result()
    assert list(found) == [
        "rows",
        "seconds",
        "seconds_low",
        "seconds_high",
        "memory_bytes",
        "device",
        "image_size",
        "notes",
    ]
    assert isinstance(found["rows"], list)
    first = found["rows"][0]
    assert isinstance(first, dict)
    assert list(first) == ["step", "stage", "method", "name", "params", "macs", "bytes", "exact", "why"]


def test_several_mistakes_fail_the_job_with_all_of_them(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path / "w")
    job: Job = workspace.create_job("preview", {"recipe": DEMO.replace("0.5", "2.0").replace("bits = 8", "bits = 9")})
    answer(job)
    with pytest.raises(UserErrors) as caught:
        job.result()
    assert [error.field for error in caught.value.errors] == ["steps.2.ratio", "steps.3.bits"]
