"""What is handed in arrives as it was; what was altered is named, and leaves the workspace byte for byte as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from core.classroom.hand_in import FORMAT, MANIFEST, MOST_RUNS, PAGE, discard, hand_in
from core.classroom.learners import Class, card
from core.classroom.overview import copies, everybody
from core.classroom.places import corners
from core.engine.questions.answers import answer as measure
from core.engine.questions.collect import answer
from core.errors import UserError
from core.events import Measured
from core.integrity.verify import of_whole_run
from core.lessons.titles import titled
from core.questions.answers import AnswersRequest
from core.questions.collect import Collected, CollectRequest
from core.run_files import parcel
from core.run_files.sides import sides
from core.runs import Run
from core.storage.sealed import seal, unseal
from core.workspace import Workspace
from dashboard.classroom.again import check

Files = dict[str, bytes]


def corner(root: Workspace, name: str, run: Run | None) -> Workspace:
    """A learner who made a prediction, and did that run."""
    store = Workspace.open_or_create(root.path / "class" / Class(root.path).join(name).learner.id)
    if run is not None:
        shutil.copytree(run.folder, store.path / "runs" / run.id)
    (store.path / "lessons" / "kept").mkdir(parents=True)
    diary = {"lesson": "soft-labels", "predictions": {"0": {"number": 80.0, "made": 1.0}}}
    (store.path / "lessons" / "kept" / "soft-labels.json").write_bytes(seal(json.dumps(diary).encode()))
    return store


def handed(store: Workspace, path: Path) -> Path:
    hand_in(store.path, [store.run(one) for one in store.run_ids()], "<!doctype html><p>page</p>", path)
    return path


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open_or_create(tmp_path_factory.mktemp("school") / "w")


@pytest.fixture(scope="module")
def packed(school: Workspace, finished: Run) -> Path:
    return handed(corner(school, "Ana", finished), school.path.parent / "ana.zip")


@pytest.fixture
def teacher(school: Workspace, packed: Path, tmp_path: Path) -> Workspace:
    """The teacher's workspace with the key of the class, at home; the key is made when the first hand-in is sealed."""
    store = Workspace.open_or_create(tmp_path / "home")
    (store.path / "class").mkdir()
    shutil.copy(school.path / "class" / "seal.key", store.path / "class" / "seal.key")
    return store


def collect(store: Workspace, path: Path) -> Collected:
    job = store.ask(CollectRequest(str(path)))
    try:
        return answer(CollectRequest(str(path)), job)
    finally:
        shutil.rmtree(job.folder)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_arrives_as_it_was(packed: Path, school: Workspace, teacher: Workspace, finished: Run) -> None:
    found = collect(teacher, packed)
    assert found.refused == ()
    (taken,) = found.taken
    assert (taken.nickname, taken.runs, taken.proof) == ("Ana", 1, "here")
    (place,) = corners(teacher.path)
    there = Workspace(place)
    run = there.run(finished.id)
    assert run.summary().points == finished.summary().points
    assert taken.points == len(finished.summary().points)
    assert taken.lessons == ("soft-labels",)
    assert all(not one.state.is_bad for one in of_whole_run(run))
    assert (place / PAGE).read_text() == "<!doctype html><p>page</p>"
    mine = corners(school.path)[0] / "lessons" / "kept" / "soft-labels.json"
    assert (place / "lessons" / "kept" / "soft-labels.json").read_bytes() == mine.read_bytes()
    kept = card(place)
    assert kept is not None
    assert (kept.nickname, kept.proof) == ("Ana", "here")
    assert Class(teacher.path).with_secret("") is None, "no browser opens it"
    again = collect(teacher, packed)
    assert [one.code for one in again.refused] == ["hand_in_is_here"]


def test_a_hand_in_is_deleted_and_taken_again_and_a_learners_own_corner_is_not(
    packed: Path, teacher: Workspace, school: Workspace
) -> None:
    (taken,) = collect(teacher, packed).taken
    discard(teacher.path / "class" / taken.corner)
    assert corners(teacher.path) == []
    assert len(collect(teacher, packed).taken) == 1
    own = corners(school.path)[0]
    before = content(own)
    for folder in (own, school.path, school.path / "class", own / "runs"):
        with pytest.raises(UserError):
            discard(folder)
    assert content(own) == before


def test_another_workspace_says_that_it_cannot_check(packed: Path, tmp_path: Path) -> None:
    stranger = Workspace.open_or_create(tmp_path / "stranger")
    assert [one.proof for one in collect(stranger, packed).taken] == ["elsewhere"]


def test_a_hand_in_of_a_learner_who_was_renamed_since_is_theirs(finished: Run, tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path / "w")
    ana = corner(store, "Ana", finished)
    path = handed(ana, tmp_path / "ana.zip")
    Class(store.path).rename(ana.path.name, "Anna")
    (taken,) = collect(store, path).taken
    assert (taken.nickname, taken.proof) == ("Anna", "here")
    everyone = everybody(store.path)
    assert len(everyone) == 2
    assert [copies(one, everyone) for one in everyone] == [[], []], "one person's run is no copy"


def test_a_nickname_that_an_earlier_version_allowed_is_no_alteration(
    packed: Path, teacher: Workspace, tmp_path: Path
) -> None:
    def older(files: Files) -> None:
        resealed(files, key="", signature="", nickname="Maxим")

    found = collect(teacher, rewrite(packed, tmp_path / "older.zip", older))
    assert [one.nickname for one in found.taken] == ["Maxим"]


# altered


def rewrite(packed: Path, target: Path, change: Callable[[Files], None]) -> Path:
    with zipfile.ZipFile(packed) as source:
        files = {name: source.read(name) for name in source.namelist()}
    change(files)
    with zipfile.ZipFile(target, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)
    return target


def resealed(files: Files, **changed: object) -> None:
    """Writes the list anew, with right hashes: as somebody would who knows the format."""
    listed = json.loads(unseal(files[MANIFEST]).body)
    listed["files"] = {
        name: {"bytes": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in files.items()
        if name != MANIFEST
    }
    files[MANIFEST] = seal(json.dumps({**listed, **changed}).encode())


def better(data: bytes) -> bytes:
    """The same with a better accuracy somewhere, of the same length."""
    at = data.index(b'"accuracy":0.') + len(b'"accuracy":0.')
    return data[:at] + b"9" + data[at + 1 :]


def run_name(files: Files) -> str:
    return next(name for name in files if name.startswith("runs/"))


def inside(files: Files, change: Callable[[Files], None]) -> None:
    """Changes the parcel of the run in it, and lists its files anew."""
    name = run_name(files)
    work = Path(os.environ["PYTEST_WORK"])
    (work / "in.zip").write_bytes(files[name])

    def both(inner: Files) -> None:
        change(inner)
        listed = json.loads(unseal(inner[parcel.MANIFEST]).body)
        listed["files"] = {
            one: {"bytes": len(data), "sha256": sha256(data).hexdigest()}
            for one, data in inner.items()
            if one != parcel.MANIFEST
        }
        inner[parcel.MANIFEST] = seal(json.dumps(listed).encode())

    files[name] = rewrite(work / "in.zip", work / "out.zip", both).read_bytes()


def edit_log(inner: Files) -> None:
    inner["events.jsonl"] = better(inner["events.jsonl"])


def edit_artifact(inner: Files) -> None:
    name = next(one for one in inner if one.startswith("artifacts/"))
    inner[name] = inner[name][:-1] + bytes([inner[name][-1] ^ 1])


def edit_lesson(files: Files) -> None:
    name = "lessons/soft-labels.json"
    files[name] = files[name].replace(b"80.0", b"99.0")


def other_name(files: Files) -> None:
    resealed(files, nickname="Eve")


def without_signature(files: Files) -> None:
    resealed(files, signature="")


def edited_and_relisted(files: Files) -> None:
    inside(files, edit_log)
    resealed(files, key="", signature="")


def artifact_and_relisted(files: Files) -> None:
    inside(files, edit_artifact)
    resealed(files, key="", signature="")


def lesson_and_relisted(files: Files) -> None:
    edit_lesson(files)
    resealed(files)


def without_run(files: Files) -> None:
    del files[run_name(files)]


def without_list(files: Files) -> None:
    del files[MANIFEST]


def outside_path(files: Files) -> None:
    files["../escape"] = b"x"
    resealed(files)


def a_script(files: Files) -> None:
    files["lessons/x.html"] = b"<script>"
    resealed(files, key="", signature="")


def no_diary(files: Files, document: dict[str, object]) -> None:
    files["lessons/soft-labels.json"] = seal(json.dumps(document).encode())
    resealed(files, key="", signature="")


def run_of_another_name(files: Files) -> None:
    files[f"runs/{'0' * 13}-{'0' * 6}.zip"] = files.pop(run_name(files))
    resealed(files, key="", signature="")


def zip_in_zip(files: Files) -> None:
    work = Path(os.environ["PYTEST_WORK"])
    with zipfile.ZipFile(work / "nested.zip", "w") as out:
        out.writestr("inner.zip", files[run_name(files)])
    files[run_name(files)] = (work / "nested.zip").read_bytes()
    resealed(files, key="", signature="")


def many_runs(files: Files) -> None:
    for number in range(MOST_RUNS + 1):
        files[f"runs/{number:013x}-000000.zip"] = b"x"
    resealed(files, key="", signature="")


ALTERED: dict[str, Callable[[Files], None]] = {
    "a number in the page": lambda files: files.update({PAGE: b"<p>99 %</p>"}),
    "a prediction": edit_lesson,
    "a number in the log": lambda files: inside(files, edit_log),
    "a saved file": lambda files: inside(files, edit_artifact),
    "another's name": other_name,
    "the signature taken off": without_signature,
    "a prediction, listed anew": lesson_and_relisted,
    "the log, all listed anew, without a signature": edited_and_relisted,
    "a saved file, all listed anew, without a signature": artifact_and_relisted,
    "a run left out": without_run,
    "a file more": lambda files: files.update({"more.txt": b"x"}),
    "a path that leads out": outside_path,
    "a page among the lessons": a_script,
    "the list left out": without_list,
    "the list damaged": lambda files: files.update({MANIFEST: files[MANIFEST][:-9] + b"}"}),
    "the list of another format": lambda files: resealed(files, format=FORMAT + 1),
    "a run under another's number": run_of_another_name,
    "a zip in the zip of a run": zip_in_zip,
    "more runs than can be handed in": many_runs,
    "a time that is none": lambda files: resealed(files, key="", signature="", made=float("nan")),
    "a time beyond all": lambda files: resealed(files, key="", signature="", made=float("inf")),
    "a prediction of nobody's": lambda files: no_diary(
        files, {"lesson": "soft-labels", "predictions": {"0": {"number": float("nan")}}}
    ),
    "a place of 5,000 digits": lambda files: no_diary(files, {"lesson": "soft-labels", "answers": {"9" * 5000: 1}}),
    "a place in other digits": lambda files: no_diary(files, {"lesson": "soft-labels", "answers": {"\u0661": 1}}),
    "a choice below the first": lambda files: no_diary(
        files, {"lesson": "soft-labels", "predictions": {"0": {"choice": -7}}}
    ),
    "an answer of 400 digits": lambda files: no_diary(files, {"lesson": "soft-labels", "answers": {"0": 10**400}}),
    "a lesson that is no diary": lambda files: no_diary(files, {"lesson": "soft-labels", "predictions": {"0": "all"}}),
    "a diary of another lesson": lambda files: no_diary(files, {"lesson": "pruning"}),
    "an answer in no place": lambda files: no_diary(files, {"lesson": "soft-labels", "answers": {"first": 1}}),
    "a name nobody can see": lambda files: resealed(files, key="", signature="", nickname="\u3164"),
    "a name of 5,000 characters": lambda files: resealed(files, nickname="x" * 5000),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_named_and_nothing_stays(
    packed: Path, teacher: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("PYTEST_WORK", str(tmp_path))
    bad = rewrite(packed, tmp_path / "bad.zip", ALTERED[what])
    before = content(teacher.path)
    found = collect(teacher, bad)
    assert found.taken == ()
    (refused,) = found.refused
    assert refused.code in ("hand_in_altered", "not_a_hand_in", "unsafe_path"), refused
    assert refused.file == "bad.zip"
    assert refused.given
    assert "Nothing of it was kept." in refused.fix
    assert content(teacher.path) == before


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_one_is_refused(packed: Path, teacher: Workspace, tmp_path: Path, share: float) -> None:
    data = packed.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: int(len(data) * share)])
    before = content(teacher.path)
    found = collect(teacher, tmp_path / "cut.zip")
    assert len(found.refused) == 1
    assert content(teacher.path) == before


def test_what_is_not_ours_is_refused(teacher: Workspace, tmp_path: Path, packed: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.zip").write_bytes(b"not a zip")
    with zipfile.ZipFile(folder / "b.zip", "w") as other:
        other.writestr("homework.docx", b"x")
    (folder / "c.zip").mkdir()
    (folder / "notes.txt").write_text("not looked at")
    shutil.copy(packed, folder / "d.zip")
    found = collect(teacher, folder)
    assert [one.file for one in found.refused] == ["a.zip", "b.zip", "c.zip"]
    assert [one.file for one in found.taken] == ["d.zip"], "the good one is taken all the same"
    with pytest.raises(UserError) as told:
        collect(teacher, tmp_path / "home" / "runs")
    assert told.value.code == "no_hand_ins"


def test_what_a_liar_writes_anew_without_a_signature_is_called_sealed_by_nobody(
    packed: Path, teacher: Workspace, tmp_path: Path
) -> None:
    """Hashes alone cannot tell who wrote them: so it is said, and not called proven."""

    def lie(files: Files) -> None:
        files[PAGE] = b"<p>99 %</p>"
        resealed(files, key="", signature="")

    (taken,) = collect(teacher, rewrite(packed, tmp_path / "lie.zip", lie)).taken
    assert taken.proof == "nobody"


@pytest.mark.slow
def test_thirty_are_taken_and_five_altered_ones_found(
    school: Workspace, teacher: Workspace, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_WORK", str(tmp_path))
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(30):
        handed(corner(school, f"learner {number}", finished), folder / f"{number:02d}.zip")
    changes = list(ALTERED.values())[:5]
    for number, change in enumerate(changes):
        path = folder / f"{number * 6:02d}.zip"
        path.write_bytes(rewrite(path, tmp_path / "bad.zip", change).read_bytes())
    began = time.monotonic()
    found = collect(teacher, folder)
    lasted = time.monotonic() - began
    assert [one.file for one in found.refused] == ["00.zip", "06.zip", "12.zip", "18.zip", "24.zip"]
    assert len(found.taken) == 25
    points = finished.summary().points
    assert all(Workspace(place).run(finished.id).summary().points == points for place in corners(teacher.path))
    assert lasted < 60, "10 s on an idle machine; this one may be busy"


def test_nothing_is_no_hand_in(school: Workspace, tmp_path: Path) -> None:
    empty = Workspace.open_or_create(school.path / "class" / Class(school.path).join("Nobody").learner.id)
    with pytest.raises(UserError) as told:
        hand_in(empty.path, [], "", tmp_path / "x.zip")
    assert told.value.code == "nothing_to_hand_in"
    assert list(tmp_path.iterdir()) == []


def test_a_learner_takes_no_hand_ins(school: Workspace, packed: Path) -> None:
    eve = corner(school, "Eve", None)
    with pytest.raises(UserError) as told:
        eve.ask(CollectRequest(str(packed)))
    assert told.value.code == "path_not_yours"


def forged(store: Workspace, run_id: str) -> Run:
    """The run with better numbers in its log, each line with its right checksum: whole, and a lie."""
    run = store.run(run_id)
    lines = []
    for event in run.scan().events:
        if isinstance(event, Measured) and event.point.accuracy is not None:
            better = min(0.999, event.point.accuracy + 0.05)
            point = event.point.model_copy(update={"accuracy": better, "accuracy_low": None, "accuracy_high": None})
            event = replace(event, point=point)
        lines.append(event.to_line())
    run.events.write_text("\n".join(lines) + "\n")
    run.result.unlink(missing_ok=True)
    return Run(run.folder)


def test_a_lie_in_a_whole_log_is_found_by_measuring_again(school: Workspace, finished: Run) -> None:
    store = corner(school, "Liar", finished)
    honest = [one for one in sides(store.run(finished.id)) if one.point.accuracy is not None]
    request = AnswersRequest(tuple(one.id for one in honest))
    measure(request, store.ask(request))
    checked = [check(one) for one in honest]
    assert [one.off for one in checked if one] == [0] * len(honest)
    lies = [one for one in sides(forged(store, finished.id)) if one.point.accuracy is not None]
    found = [check(one) for one in lies]
    assert all(one is not None and one.off > 0.04 * one.images for one in found if one and one.logged < 0.999)
    assert any(one is not None and one.off > 0 for one in found)


@pytest.mark.slow
def test_the_command_names_what_it_took_and_what_it_refused(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(packed, folder / "ana.zip")
    (folder / "bad.zip").write_bytes(packed.read_bytes()[:-100])
    words = [sys.executable, "-m", "core.cli", "collect", str(folder), "--workspace", str(tmp_path / "home")]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert told.returncode == 2
    assert "ana.zip: Ana, 1 run, " in told.stdout
    assert f"1 lesson (“{titled('soft-labels', 'en')}”)" in told.stdout
    assert titled("soft-labels", "en") != "soft-labels"
    assert "sealed by another workspace" in told.stdout
    assert "bad.zip: refused. " in told.stdout
    assert len(corners(tmp_path / "home")) == 1
