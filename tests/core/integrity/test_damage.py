"""One flipped, cut, emptied, missing or zero-padded file at a time: named, or made anew, and never believed."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from core.catalog import load_catalog
from core.cli import main
from core.engine.data import load_dataset
from core.engine.data.imports.images import import_images
from core.engine.model_file import load_model
from core.engine.pipeline.run import run_recipe
from core.errors import UserError
from core.events import Event, Measured, RunInterrupted
from core.integrity.damage import Condition, of_run
from core.integrity.verify import of_whole_run, verify
from core.own import added_backbones
from core.own.datasets import imported_datasets
from core.processes.workers import IDENTITY_FILES, identity, read_identity
from core.run_files.bundle import write_bundle
from core.runs import Run
from core.state import Status
from core.storage.tensors import has_whole_content
from core.summary import Notes
from core.workspace import Workspace
from dashboard.tradeoffs import answers

RECIPE = """
name = "two kinds [of stripes]"
dataset = "stripes"
backbone = "resnet8"
image_size = 8
precision = "float32"

[[steps]]
stage = "transfer"
method = "linear_probe"

[[steps]]
stage = "prune"
method = "l2"
ratio = 0.5
epochs = 1

[[steps]]
stage = "quantize"
method = "static"
calibration_images = 16
"""


class Made(NamedTuple):
    """A workspace with all kinds of files in it, a finished run of it and its imported dataset."""

    store: Workspace
    run: Run
    home: Path
    job: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("damage")
    generator = np.random.default_rng(0)
    for label, turn in (("across", 0), ("down", 1)):
        (root / "stripes" / label).mkdir(parents=True)
        for number in range(40):
            pixels = (np.indices((8, 8))[turn] % 2 * 120 + generator.integers(0, 120, (8, 8))).astype(np.uint8)
            Image.fromarray(pixels).save(root / "stripes" / label / f"{number}.png")
    store = Workspace.open_or_create(root / "store")
    import_images(root / "stripes", "stripes", store.datasets)
    run = store.create_run(RECIPE)
    finished_run(run)
    run.annotate(Notes(tags=("kept",), note="why"))
    who = identity(os.getpid())
    assert who is not None
    for path in (run.worker, run.foreground, store.path / "supervisor.json"):
        path.write_text(who.to_json())
    job = store.create_job("profile", {"backbone": "resnet8"})
    job.answer({"params": 1})
    (home,) = store.datasets.glob("own-*")
    return Made(store, run, home, job.folder)


def finished_run(run: Run) -> None:
    run_recipe(run, os.getpid())


# damage


def ways(size: int, flips: int, seed: int) -> Iterator[tuple[str, Callable[[bytes], bytes | None]]]:
    """Names of damages, and what becomes of the content; None removes the file."""
    chance = random.Random(seed)
    for _ in range(flips):
        place, bit = chance.randrange(size), chance.randrange(8)
        yield f"bit {bit} of byte {place} flipped", partial(flipped, place=place, bit=bit)
    cut = chance.randrange(1, size)
    yield f"cut to {cut} bytes", lambda data: data[:cut]
    yield "emptied", lambda data: b""
    yield "zeros at the end", lambda data: data + bytes(2_000_000)
    yield "removed", lambda data: None


def flipped(data: bytes, *, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


@contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes | None], healed: tuple[Path, ...] = ()) -> Iterator[None]:
    """The file with the damage; afterwards it is as it was, and so are those that reading may have written anew."""
    before = {one: one.read_bytes() for one in (path, *healed) if one.exists()}
    content = change(before[path])
    assert content != before[path], "the damage must be one"
    path.unlink() if content is None else path.write_bytes(content)
    try:
        yield
    finally:
        for one, data in before.items():
            one.write_bytes(data)


# what a person can read, and what they are told


def told(reading: Callable[[], object]) -> object:
    """What is read, or the refusal; anything else that is raised fails the test, as a traceback would."""
    try:
        return reading()
    except UserError as error:
        return error if error.fix else "a refusal without a way out"


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def shown(made: Made) -> object:
    """`show`, `runs` and the pages' lists."""
    rest = Run(made.run.folder).summary().model_dump(exclude={"files", "events", "lost"})
    return rest, [row.model_dump(exclude={"files", "events", "lost"}) for row in made.store.runs()] == [rest]


def followed(made: Made) -> object:
    """The Live page."""
    state = Run(made.run.folder).state()
    return state.status, state.points, state.controls, {a.path: a.sha256 for a in state.artifacts}


def launched(made: Made) -> object:
    """What a worker and the pages take for the recipe."""
    return Run(made.run.folder).recipe_text, Run(made.run.folder).headline()


def exported(made: Made, step: int) -> object:
    out = made.store.path.parent / "bundle"
    try:
        names = write_bundle(Run(made.run.folder), step, out)
        return {name: digest((out / name).read_bytes()) for name in names}
    finally:
        shutil.rmtree(out, ignore_errors=True)


def compared(made: Made) -> object:
    """Trade-offs: what a point answered; None is shown as "without answers, or with damaged ones"."""
    answers._read.cache_clear()
    run = Run(made.run.folder)
    found = answers.kept(run, run.summary().points[0])
    return found and (found.classes, found.given.tolist(), found.labels.tolist(), len(answers.pictures(found.folder)))


def network(made: Made) -> object:
    """What sensitivity looks at."""
    model = load_model(made.run.checkpoints / "seed-0" / "step-0" / "made")
    return model.classes, model.preprocessing, [digest(t.numpy().tobytes()) for t in model.net.state_dict().values()]


def loaded(made: Made) -> object:
    """The imported dataset, as a run and the lists get it."""
    data = load_dataset("stripes", 8, folder=made.store.datasets)
    pixels = [digest(split.images.numpy().tobytes()) for split in (data.train, data.validation, data.test)]
    return pixels, data.train.labels.tolist(), data.classes, imported_datasets(made.store.datasets)


def asked(made: Made) -> object:
    job = made.store.job(made.job.name)
    return job.request, job.result()


READINGS: dict[str, Callable[[Made], object]] = {
    "shown": shown,
    "followed": followed,
    "launched": launched,
    "first": lambda made: exported(made, 0),
    "last": lambda made: exported(made, 2),
    "compared": compared,
    "network": network,
    "loaded": loaded,
    "asked": asked,
}
SMALL = ("shown", "followed", "launched", "last")


class Kind(NamedTuple):
    """Files of a kind below the workspace, what is read of them, and whether what is read stays the same (`whole`) or
    is refused; `optional`: a workspace without the file is as good."""

    pattern: str
    readings: tuple[str, ...] = ()
    whole: bool = True
    optional: bool = False


KINDS = [
    Kind("runs/*/events.jsonl", SMALL),
    Kind("runs/*/recipe.toml", SMALL),
    Kind("runs/*/result.json", SMALL),
    Kind("runs/*/notes.json", SMALL),
    *(Kind(f"runs/*/{name}", ("shown",), optional=True) for name in IDENTITY_FILES[:2]),
    Kind("supervisor.json", ("shown",), optional=True),
    Kind("runs/*/artifacts/step-0/model.onnx", ("first",), whole=False),
    Kind("runs/*/artifacts/step-2/model.onnx", ("last",), whole=False),
    Kind("runs/*/artifacts/step-0/card.json", ("first", "compared"), whole=False),
    Kind("runs/*/artifacts/step-0/samples.npz", ("first",), whole=False),
    Kind("runs/*/artifacts/step-0/predictions.npz", ("compared",), whole=False),
    Kind("runs/*/checkpoints/seed-0/step-0/made/logits.safetensors"),
    Kind("runs/*/checkpoints/seed-0/step-0/made/files.json"),
    Kind("runs/*/checkpoints/seed-0/step-0/made/model.json", ("network",), whole=False),
    Kind("runs/*/checkpoints/seed-0/step-0/made/model.safetensors", ("network",), whole=False),
    Kind("runs/*/checkpoints/seed-0/**/epoch-*.json", optional=True),
    Kind("runs/*/checkpoints/seed-0/**/epoch-*.safetensors"),
    Kind("datasets/own-*/dataset.json", ("loaded",), whole=False),
    Kind("datasets/own-*/images/*.png"),
    Kind("datasets/own-*/cache/*.safetensors", ("loaded",), optional=True),
    Kind("cache/models/*/model.json", optional=True),
    Kind("cache/models/*/model.safetensors", optional=True),
    Kind("cache/embeddings/*.kept", optional=True),
    Kind("cache/extractors/*.kept", optional=True),
    Kind("jobs/*/request.json", ("asked",), whole=False, optional=True),
    Kind("jobs/*/result.json", optional=True),
]


def campaign(made: Made, kind: Kind, flips: int, seed: int) -> int:
    """Damages the kind's files in every way, one at a time; the number of damages told or made good."""
    paths = sorted(made.store.path.glob(kind.pattern))
    assert paths, f"the workspace has no {kind.pattern}"
    path = random.Random(seed).choice(paths)
    relative, made_anew = path.relative_to(made.store.path).as_posix(), (made.run.result,)
    clean = {name: READINGS[name](made) for name in kind.readings}
    count = 0
    for what, change in ways(path.stat().st_size, flips, seed):
        with damaged(path, change, made_anew):
            found = {one.file: one.state for one in verify(made.store)}
            if what != "removed" or not kind.optional:
                assert relative in found, (relative, what)
                assert found[relative].is_bad, (relative, what, found[relative])
            bad = {file for file, state in found.items() if state.is_bad}
            assert bad <= {relative}, (relative, what, "other files are not damaged")
            for name in kind.readings:
                got = told(lambda: READINGS[name](made))  # noqa: B023
                if kind.whole:
                    assert got == clean[name], (relative, what, name)
                else:
                    assert got is None or isinstance(got, UserError), (relative, what, name)
        count += 1
    return count


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_no_damage_is_believed(made: Made, kind: Kind) -> None:
    assert campaign(made, kind, flips=2, seed=1) == 6


OTHER_KINDS: tuple[str, ...] = ("[]", "{}", "null", '"text"', "7", '{"a": 1}', "[" * 100_000, '{"a":' + "[" * 100_000)


def put(path: Path, what: str) -> None:
    """At `path`: a folder, a link that leads nowhere or to itself, or a file with this content, whole as JSON but of
    another kind."""
    if what == "a folder":
        path.mkdir()
    elif what.startswith("a link"):
        path.symlink_to(path if what.endswith("itself") else path.parent / "nowhere")
    else:
        path.write_text(what)


@contextmanager
def replaced(path: Path, what: str, aside: Path, healed: tuple[Path, ...]) -> Iterator[None]:
    before = {one: one.read_bytes() for one in healed if one != path}
    shutil.move(path, aside)
    put(path, what)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        shutil.move(aside, path)
        for one, data in before.items():
            one.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_what_is_no_such_file_is_named_and_stops_nothing(made: Made, kind: Kind, tmp_path: Path) -> None:
    """A folder or a link in the place of a file, or JSON of another kind without a seal, as an older version or a hand
    may have left it."""
    path = sorted(made.store.path.glob(kind.pattern))[0]
    relative = path.relative_to(made.store.path).as_posix()
    others = OTHER_KINDS if path.suffix in (".json", ".jsonl") and "jobs" not in path.parts else ()
    if path.name == "notes.json":  # none of them is needed
        others = tuple(what for what in OTHER_KINDS if what not in ("{}", '{"a": 1}'))
    clean = {name: READINGS[name](made) for name in kind.readings}
    for what in ("a folder", "a link to nowhere", "a link to itself", *others):
        with replaced(path, what, tmp_path / "aside", (made.run.result,)):
            named = {one.file for one in verify(made.store) if one.state.is_bad}
            assert relative in named, (relative, what[:20])
            for name in kind.readings:
                got = told(lambda: READINGS[name](made))  # noqa: B023
                whole = got == clean[name] if kind.whole else got is None or isinstance(got, UserError)
                assert whole, (relative, what[:20], name)


def test_a_network_that_was_added_by_name_is_checked(tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "store")
    facts = {**load_catalog().backbones["timm/mobilenetv4_conv_small.e2400_r224_in1k"], "name": "timm/other"}
    added_backbones.keep(facts, store.models)
    (path,) = store.models.glob("added-*.json")
    assert [(one.file, one.state) for one in verify(store)] == [(f"models/{path.name}", Condition.OK)]
    whole = path.read_bytes()
    for content in (whole[:100], b"", b"{}", b"[" * 100_000, whole.replace(b"timm/other", b"timm/othes")):
        path.write_bytes(content)
        (found,) = verify(store)
        assert found.state is Condition.DAMAGED
        assert "condenser add-backbone" in found.fix
        assert added_backbones.added(store.models) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["timings.npz", "predictions.npz"])
def test_every_flipped_bit_of_a_small_archive_is_answered(made: Made, name: str, tmp_path: Path) -> None:
    """A flipped bit may claim that an entry is encrypted, or packed in a way that needs another module."""
    data = (made.run.artifacts / "step-0" / name).read_bytes()
    headers = [place for mark in (b"PK\1\2", b"PK\3\4") for place in found_at(data, mark)]
    copy = tmp_path / name
    for place in {place + offset for place in headers for offset in range(4, 46) if place + offset < len(data)}:
        for bit in range(8):
            copy.write_bytes(flipped(data, place=place, bit=bit))
            assert has_whole_content(copy) in (True, False)


def found_at(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_no_damage_is_believed_at_length(made: Made, kind: Kind, seed: int) -> None:
    flips = 40
    assert campaign(made, kind, flips, seed) == flips + 4


def test_an_undamaged_workspace_is_whole(made: Made) -> None:
    found = verify(made.store)
    assert not [one for one in found if one.state.is_bad]
    unsealed = {Path(one.file).name for one in found if one.state is not Condition.OK}
    assert not unsealed, "everything has a hash"
    assert {"events.jsonl", "model.onnx", "dataset.json", "supervisor.json"} <= {Path(one.file).name for one in found}
    assert of_run(made.run, made.run.state()) == ()


@pytest.mark.thorough
def test_no_file_of_a_run_goes_unnoticed(made: Made, tmp_path: Path) -> None:
    """Each file that it left, removed and emptied; what a process printed, who worked, and checkpoints inside finished
    steps are no results."""
    shutil.copytree(made.store.path, tmp_path / "store")
    store = Workspace(tmp_path / "store")
    folder = store.run(made.run.id).folder
    unimportant = {"log.txt", "run.lock", "worker.json", "foreground.json", "choice.json"}
    everything = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("epoch-")]
    paths = [path for path in everything if path.name not in unimportant]
    assert {"timings.npz", "predictions.npz", "samples.npz", "card.json", "files.json"} <= {path.name for path in paths}
    for path in paths:
        data = path.read_bytes()
        for damage in (path.unlink, lambda path=path: path.write_bytes(b"")):
            damage()
            found = {one.file: one.state for one in verify(store, made.run.id)}
            relative = path.relative_to(store.path).as_posix()
            assert found[relative].is_bad, relative
            path.write_bytes(data)


def test_a_step_whose_network_is_gone_is_noticed(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.store.path, tmp_path / "store")
    run = Workspace(tmp_path / "store").run(made.run.id)
    shutil.rmtree(run.checkpoints / "seed-0" / "step-1")
    bad = [one for one in of_whole_run(run) if one.state.is_bad]
    assert [one.file for one in bad] == ["checkpoints/seed-0/step-1/made/files.json"]
    assert "sensitivity" in bad[0].fix
    shutil.rmtree(run.checkpoints)
    run.checkpoints.mkdir()
    assert not [one for one in of_whole_run(run) if one.state.is_bad], "as in a run received from another workspace"


def test_an_empty_log_is_no_whole_one(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.store.path, tmp_path / "store")
    run = Workspace(tmp_path / "store").run(made.run.id)
    run.result.unlink()
    run.events.write_bytes(b"")
    run = Run(run.folder)
    assert run.state().status is Status.INTERRUPTED, "and not queued"
    assert {one.file: one.state for one in of_whole_run(run)}["events.jsonl"] is Condition.DAMAGED


# a run goes on


def interrupted(made: Made, folder: Path, step: int = 2) -> Run:
    """A copy of the workspace in which the run's worker died before it began the step."""
    shutil.copytree(made.store.path, folder)
    run = Workspace(folder).run(made.run.id)
    lines = run.events.read_bytes().split(b"\n")
    last = next(n for n, line in enumerate(lines) if b'"StepStarted"' in line and f'"step":{step}'.encode() in line)
    run.events.write_bytes(b"\n".join(lines[:last]) + b"\n")
    run.result.unlink()
    run.emit(RunInterrupted("killed"))
    assert run.state().status is Status.INTERRUPTED
    return Run(run.folder)


def flip(path: Path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 4
    path.write_bytes(data)


def hashes(run: Run) -> dict[str, str]:
    found = (saved for saved in run.state().artifacts if not saved.path.endswith("/timings.npz"))
    return {saved.path: saved.sha256 for saved in found}


def accuracies(run: Run) -> list[tuple[float | None, float | None]]:
    return [(point.accuracy, point.validation_accuracy) for point in run.state().points]


def warned(run: Run) -> set[str]:
    return {warning.code for warning in run.state().warnings}


@pytest.mark.thorough
def test_a_resumed_run_does_damaged_steps_again_and_ends_the_same(made: Made, tmp_path: Path) -> None:
    run = interrupted(made, tmp_path / "store")
    flip(run.artifacts / "step-0" / "model.onnx")
    flip(run.checkpoints / "seed-0" / "step-1" / "made" / "logits.safetensors", 0.95)
    for model in (tmp_path / "store" / "cache" / "models").glob("*/model.json"):
        flip(model)
    for kept in (tmp_path / "store" / "cache").rglob("*.kept"):
        flip(kept, 0.7)
    (run.folder / "recipe.toml").write_text(RECIPE.replace("ratio = 0.5", "ratio = 0.25"))
    run.requeue()
    finished_run(run)
    assert run.state().status is Status.FINISHED
    assert hashes(run) == hashes(made.run)
    assert accuracies(run) == accuracies(made.run)
    assert warned(run) >= {"damaged_artifact", "recipe_changed"}


def test_a_point_whose_line_was_damaged_is_named_and_measured_again(made: Made, tmp_path: Path) -> None:
    run = interrupted(made, tmp_path / "store")
    lines = run.events.read_bytes().split(b"\n")
    place = next(n for n, line in enumerate(lines) if b'"Measured"' in line)
    lines[place] = lines[place].replace(b'"accuracy":', b'"accuracy": ')
    run.events.write_bytes(b"\n".join(lines))
    state = Run(run.folder).state()
    assert (state.damaged, state.missing, len(state.points)) == (1, 1, 2), "the summary stands in for the line"
    run = Run(run.folder)
    run.requeue()
    state = run.state()
    assert (state.damaged, state.missing, len(state.points)) == (1, 1, 1)
    (finding,) = of_run(run, state)
    assert (finding.file, finding.state, finding.count) == ("events.jsonl", Condition.DAMAGED, 1)
    finished_run(run)
    assert accuracies(Run(run.folder)) == accuracies(made.run)


@pytest.mark.slow
def test_a_model_damaged_between_two_steps_is_not_built_on(made: Made, tmp_path: Path) -> None:
    run = interrupted(made, tmp_path / "store", step=1)
    run.requeue()
    emit = run.emit

    def spoil(*events: Event) -> None:
        emit(*events)
        if any(isinstance(event, Measured) and event.point.step == 1 for event in events):
            flip(run.artifacts / "step-1" / "model.onnx")

    run.emit = spoil  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"step-1/model\.onnx") as refused:
        finished_run(run)
    assert (refused.value.code, "Resume" in refused.value.fix) == ("damaged_artifact", True)
    again = Run(run.folder)
    again.emit(RunInterrupted("refused"))
    again.requeue()
    finished_run(again)
    assert hashes(again) == hashes(made.run)
    assert "damaged_artifact" in warned(again)


# what is left where the log or the summary alone are left


def test_without_its_log_a_run_is_what_its_summary_says(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.run.folder, tmp_path / "run")
    run = Run(tmp_path / "run")
    run.events.unlink()
    assert (run.state().status, run.state().points) == (Status.FINISHED, made.run.state().points)
    assert [found.what for found in of_run(run, run.state())] == ["log_gone"]
    run.result.unlink()
    left = Run(run.folder)
    assert left.state().status is Status.INTERRUPTED
    assert "missing" in left.summary().cause
    left.requeue()
    assert Run(run.folder).state().status is Status.QUEUED


def test_two_megabytes_of_zeros_are_read_once_and_ended_by_the_next_event(made: Made, tmp_path: Path) -> None:
    run = interrupted(made, tmp_path / "store")
    with run.events.open("ab") as log:
        log.write(bytes(2_000_000))
    run = Run(run.folder)
    whole = run.events.stat().st_size
    assert run.state().damaged == 1
    assert run.scan(whole).events == []
    assert run.read(0)[1] == whole, "nothing is read twice"
    before = run.state().seq
    run.emit(RunInterrupted("again"))
    assert (Run(run.folder).state().seq, Run(run.folder).state().damaged) == (before + 1, 1)


def test_a_run_from_before_the_seals_is_read_and_reported_as_unsealed(made: Made, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(made.store.path, store)
    run = Workspace(store).run(made.run.id)
    for path in (run.result, run.folder / "notes.json", store / "datasets" / made.home.name / "dataset.json"):
        document = json.loads(path.read_bytes())
        del document["seal"]
        path.write_text(json.dumps({k: v for k, v in document.items() if k not in ("files", "events", "lost")}))
    assert shown(made) == shown(Made(Workspace(store), run, made.home, made.job))
    loaded(Made(Workspace(store), run, store / "datasets" / made.home.name, made.job))
    found = {one.file: one.state for one in verify(Workspace(store))}
    assert found[f"runs/{run.id}/result.json"] is Condition.UNSEALED
    assert not [file for file, state in found.items() if state.is_bad]
    document = json.loads(run.result.read_bytes())
    document["points"][0]["accuracy"] = 0.999
    run.result.write_text(json.dumps(document))
    (bad,) = [one.file for one in verify(Workspace(store)) if one.state.is_bad]
    assert bad == f"runs/{run.id}/result.json", "without a seal it is held against the log"


# the commands


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out, err


def tree(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_verify_names_the_file_and_writes_nothing(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--workspace", str(made.store.path))
    assert ran(capsys, "verify", *place)[0] == 0
    (image, *_) = sorted((made.home / "images").iterdir())
    with damaged(image, lambda data: data[:-1]):
        before = tree(made.store.path)
        code, out, _ = ran(capsys, "verify", "stripes", *place, "--json")
        assert code == 2
        bad = [one for one in json.loads(out) if one["state"] != "ok"]
        assert [(one["file"], one["state"]) for one in bad] == [
            (f"datasets/{made.home.name}/images/{image.name}", "damaged")
        ]
        assert "import the images again" in bad[0]["fix"]
        assert all(set(one) == {"file", "state", "fix"} for one in json.loads(out))
        code, out, _ = ran(capsys, "verify", *place)
        assert (code, image.name in out) == (2, True)
        assert ran(capsys, "verify", made.run.id, *place)[0] == 0, "the run is whole"
        assert tree(made.store.path) == before
    assert ran(capsys, "verify", "nobody", *place)[0] == 2
    nowhere = made.store.path.parent / "nowhere"
    assert ran(capsys, "verify", "--workspace", str(nowhere))[0] == 2
    assert not nowhere.exists()


def test_show_names_a_changed_recipe_and_a_damaged_log(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = made.run.folder / "recipe.toml"
    with damaged(recipe, lambda data: data + b"# later"), damaged(made.run.events, lambda data: data[100:]):
        code, out, err = ran(capsys, "show", made.run.id, "--workspace", str(made.store.path), "--json")
        found = {one["file"]: one["state"] for one in json.loads(out)["damaged"]}
        assert (code, found["events.jsonl"]) == (0, "damaged")
        assert "events.jsonl is damaged" in err
    with damaged(recipe, lambda data: data + b"# later"):
        _, _, err = ran(capsys, "show", made.run.id, "--workspace", str(made.store.path))
        assert "recipe.toml is changed" in err


def test_a_recipe_on_damaged_labels_is_refused_for_that_reason(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    place = ("--workspace", str(made.store.path))
    with damaged(made.home / "dataset.json", lambda data: data.replace(b'"label":0', b'"label":1', 1)):
        code, out, _ = ran(capsys, "check", str(tmp_path / "recipe.toml"), *place, "--json")
        (error,) = json.loads(out)["errors"]
        assert (code, error["code"]) == (2, "damaged_dataset")
        assert made.home.name in error["fix"]
        _, out, err = ran(capsys, "list", "datasets", *place)
        assert "stripes" not in out
        assert made.home.name in err, "what is left out of the list is named"
    assert ran(capsys, "check", str(tmp_path / "recipe.toml"), *place)[0] == 0


def test_the_cache_is_shown_and_cleared_and_nothing_depends_on_it(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made.store.path, tmp_path / "store")
    place = ("--workspace", str(tmp_path / "store"), "--json")
    rows = json.loads(ran(capsys, "cache", *place)[1])
    assert {"cache/models", "cache/embeddings"} <= {row["file"] for row in rows}
    assert all(row["state"] == "kept" and row["bytes"] > 0 and row["fix"] for row in rows)
    assert {row["state"] for row in json.loads(ran(capsys, "cache", "--clear", *place)[1])} == {"cleared"}
    assert json.loads(ran(capsys, "cache", *place)[1]) == []
    store = Workspace(tmp_path / "store")
    copied = Made(store, store.run(made.run.id), tmp_path / "store" / "datasets" / made.home.name, made.job)
    assert loaded(copied)[0] == loaded(made)[0]  # type: ignore[index]
    assert not [one for one in verify(store) if one.state.is_bad]


def test_the_cache_of_a_running_run_stays(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = interrupted(made, tmp_path / "store")
    run.requeue()
    with run.hold() as mine:
        assert mine
        code, _, err = ran(capsys, "cache", "--clear", "--workspace", str(tmp_path / "store"))
    assert (code, run.id in err) == (2, True)
    assert list((tmp_path / "store" / "cache" / "models").iterdir())


def test_a_damaged_pid_is_no_process(made: Made) -> None:
    assert read_identity(made.run.worker) is not None
    flip(copy := Path(shutil.copy(made.run.worker, made.store.path.parent / "worker.json")), 0.8)
    assert read_identity(copy) is None
