"""The import of hand-ins, as a question. Each is a stranger's zip: taken whole, or refused in a sentence, and
then it leaves the workspace as it was."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from core.classroom.hand_in import FORMAT, LESSON, LESSONS, MANIFEST, MOST_RUNS, PAGE, RUN, HandIn, Proof
from core.classroom.learners import Class, Learner
from core.classroom.nicknames import readable
from core.classroom.places import CARD, class_of
from core.engine.data.imports.zip_reader import Archive, DamagedEntry, Entry
from core.engine.questions.import_data import Telling
from core.engine.questions.import_run import receive
from core.errors import UserError, shorten
from core.files import make_folder, move, remove_tree, replacing, write_atomic
from core.jobs import Job
from core.lessons.diary import Diary
from core.questions.collect import Collected, CollectRequest, Refused, Taken
from core.run_files.parcel import Packed
from core.storage.sealed import Opened, seal, unseal
from core.workspace import Workspace
from core.workspace_files.uploads import drop

MOST_FILES = 500
MOST_OF_MANIFEST, MOST_OF_LESSON, MOST_OF_PAGE = 2**20, 2**20, 64 * 2**20  # bytes
AGAIN = "Have it handed in again. Nothing of it was kept."


def answer(request: CollectRequest, job: Job) -> Collected:
    """What became of each zip. Raises UserError `no_hand_ins`, CancelledError when asked to stop."""
    path, workspace = Path(request.path), Workspace(job.workspace)
    telling = Telling(job)
    files = sorted(path.glob("*.zip")) if path.is_dir() else [path]
    if not files or len(files) > MOST_FILES:
        fix = "Name the folder that the hand-ins lie in."
        raise UserError("no_hand_ins", "path", f"{len(files)} zips", f"1 to {MOST_FILES} zips", fix)
    taken: list[Taken] = []
    refused: list[Refused] = []
    for done, file in enumerate(files):
        telling("collecting", done, len(files))
        try:
            taken.append(_take(file, workspace, telling))
        except UserError as error:
            refused.append(Refused(file.name, error.code, error.given, error.allowed, error.fix))
        except OSError as error:
            given = shorten(f"{file.name}: {error.strerror}")
            refused.append(Refused(file.name, "unreadable", given, "a file that can be read", AGAIN))
    drop(workspace, path)
    return Collected(tuple(taken), tuple(refused))


def _take(file: Path, workspace: Workspace, telling: Telling) -> Taken:
    """One hand-in as a corner of its own, in its place when all of it holds, else gone."""
    with _opened(file) as archive:
        entries = {entry.name: entry for entry in archive.entries}
        made, manifest = _manifest(archive, entries)
        proof = made.proof(workspace.path)
        if proof is None:
            raise _altered(f"{MANIFEST} is not what this workspace signed", "what was handed in")
        corner = class_of(workspace.path) / sha256(manifest).hexdigest()[:16]
        if corner.exists():
            fix = "It is listed on the page Class."
            raise UserError("hand_in_is_here", "file", file.name, "a hand-in that is not here yet", fix)
        half = corner.with_name(f".new-{corner.name}")
        remove_tree(half)
        try:
            found = _fill(archive, entries, made, make_folder(half), telling)
            learner = _learner(corner.name, made, proof, workspace)
            _sign_in(half, learner, manifest)
            move(half, corner)
        except BaseException:
            remove_tree(half)
            _leave_no_folder(class_of(workspace.path))
            raise
    lessons = tuple(sorted(Path(name).stem for name in made.files if LESSON.fullmatch(name)))
    return Taken(file.name, corner.name, learner.nickname, *found, proof, lessons)


def _leave_no_folder(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _opened(file: Path) -> Archive:
    try:
        return Archive(file)
    except UserError as error:
        raise UserError(error.code, "file", error.given, "a hand-in of Condenser", AGAIN) from None


def _manifest(archive: Archive, entries: dict[str, Entry]) -> tuple[HandIn, bytes]:
    """What the zip says of itself, held against the names that lie in it."""
    entry = entries.get(MANIFEST)
    if entry is None or entry.size > MOST_OF_MANIFEST:
        raise UserError("not_a_hand_in", "file", f"a zip without {MANIFEST}", "a hand-in of Condenser", AGAIN)
    try:
        data = archive.read(entry)
        opened = unseal(data)
        made = HandIn.model_validate_json(opened.body)
        readable(made.nickname)
    except (ValueError, DamagedEntry) as error:
        raise _altered(f"{MANIFEST}: {shorten(error)}", "as it was handed in") from error
    if not opened.sealed or made.format != FORMAT:
        raise _altered(f"{MANIFEST} of format {made.format}", f"format {FORMAT}, sealed")
    if {*made.files, MANIFEST} != set(entries):
        odd = sorted({*made.files, MANIFEST} ^ set(entries))
        raise _altered(f"{odd[0]} is only in the list, or only in the zip", "the files that are listed")
    strange = [name for name in made.files if name != PAGE and not LESSON.fullmatch(name) and not RUN.fullmatch(name)]
    if strange:
        raise _altered(f"a file {strange[0]}", "lessons, runs and a page")
    runs = sum(RUN.fullmatch(name) is not None for name in made.files)
    if runs > MOST_RUNS:
        raise _altered(f"{runs} runs", f"at most {MOST_RUNS}")
    return made, data


def _fill(archive: Archive, entries: dict[str, Entry], made: HandIn, half: Path, telling: Telling) -> tuple[int, int]:
    """Everything of a hand-in into `half`, each file if its hash holds; how many runs and points it has."""
    store = Workspace.open_or_create(half)
    lessons = make_folder(half.joinpath(*LESSONS))
    runs = points = 0
    for name, packed in made.files.items():
        if name == PAGE:
            write_atomic(half / PAGE, _read(archive, entries[name], packed, MOST_OF_PAGE))
        elif LESSON.fullmatch(name):
            data = _read(archive, entries[name], packed, MOST_OF_LESSON)
            _check_lesson(name, data)
            write_atomic(lessons / Path(name).name, data)
        else:
            runs, points = runs + 1, points + _run(archive, entries[name], packed, store, telling)
    return runs, points


def _run(archive: Archive, entry: Entry, packed: Packed, store: Workspace, telling: Telling) -> int:
    """A run out of the parcel in the hand-in; its number of points."""
    parcel = store.path / "parcel.zip"
    _copy(archive, entry, packed, parcel)
    try:
        found = receive(parcel, store, telling)
    except UserError as error:
        raise _altered(f"{entry.name}: {error.given}", error.allowed) from error
    finally:
        parcel.unlink(missing_ok=True)
    if entry.name != f"runs/{found.run}.zip":
        raise _altered(f"{entry.name} holds the run {found.run}", "the run of its name")
    return found.points


def _read(archive: Archive, entry: Entry, packed: Packed, most: int) -> bytes:
    if entry.size > most:
        raise _altered(f"{entry.name} of {entry.size:,} bytes", f"at most {most:,} bytes")
    try:
        data = archive.read(entry)
    except DamagedEntry as error:
        raise _altered(f"{entry.name}: {error}", "as it was handed in") from error
    if len(data) != packed.bytes or sha256(data).hexdigest() != packed.sha256:
        raise _altered(f"{entry.name} is not the file that was handed in", f"sha256 {packed.sha256[:12]}…")
    return data


def _copy(archive: Archive, entry: Entry, packed: Packed, target: Path) -> None:
    with replacing(target) as temporary:
        try:
            found = archive.unpack(entry, temporary)
        except DamagedEntry as error:
            raise _altered(f"{entry.name}: {error}", "as it was handed in") from error
        if found != packed.sha256:
            raise _altered(f"{entry.name} is not the file that was handed in", f"sha256 {packed.sha256[:12]}…")


def _check_lesson(name: str, data: bytes) -> None:
    """What a learner did in a lesson is a sealed document that is whole, and a diary of that lesson."""
    try:
        opened = unseal(data)
        diary = Diary.model_validate_json(opened.body)
    except ValueError:
        opened, diary = Opened(b"", False), Diary(lesson="")
    chosen = [made.choice for made in diary.predictions.values() if made.choice is not None]
    if not opened.sealed or min(chosen, default=0) < 0 or f"lessons/{diary.lesson}.json" != name:
        raise _altered(f"{name} is not what was kept of that lesson", "predictions as they were kept")


def _learner(corner: str, made: HandIn, proof: Proof, workspace: Workspace) -> Learner:
    """The card of a hand-in, which no browser's secret opens. One that this workspace sealed is of a learner here, who
    may have been renamed since."""
    known = {one.id: one.nickname for one in Class(workspace.path).members()} if proof == "here" else {}
    return Learner(
        id=corner,
        nickname=known.get(made.learner, made.nickname),
        secret="",
        joined=made.made,
        proof=proof,
        handed_by=made.learner if proof == "here" else "",
    )


def _sign_in(half: Path, learner: Learner, manifest: bytes) -> None:
    """The card that makes the folder a corner."""
    write_atomic(half / MANIFEST, manifest)
    write_atomic(half / CARD, seal(learner.model_dump_json().encode()))


def _altered(given: str, allowed: str) -> UserError:
    return UserError("hand_in_altered", "file", given, allowed, AGAIN)
