"""A run's folder is the truth: nothing recorded is lost, and folding it gives what a person should see."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import UserError
from core.events import (
    AnyEvent,
    Measured,
    Progress,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunQueued,
    RunResumed,
    RunStalled,
    RunStarted,
    StepFinished,
    StepStarted,
    Warned,
)
from core.points import Point
from core.runs import Notes, Run, RunState, RunSummary, Status, fold

RECIPE = 'schema = 1\nname = "small"\ndataset = "fashion-mini"\nbackbone = "resnet8"\n'


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return Run(tmp_path)


def step(number: int = 0) -> StepStarted:
    return StepStarted(number, "transfer", "linear_probe", "probe", 3)


def progress(epoch: int, batch: int = 0, loss: float = 1.0, seed: int = 0) -> Progress:
    return Progress(0, seed, "training", epoch, 3, batch, 10, loss=loss)


def point(number: int = 0, accuracy: float = 0.5, name: str = "probe") -> Point:
    return Point(step=number, stage="transfer", method="linear_probe", name=name, accuracy=accuracy)


# the log


def test_events_get_consecutive_numbers_and_times(run: Run) -> None:
    before = time.time()
    for event in (RunQueued(), RunStarted(1, {}), step(), RunFinished()):
        run.emit(event)
    events, _ = run.read()
    assert [e.seq for e in events] == [0, 1, 2, 3]
    assert before <= events[0].time <= events[3].time <= time.time()


def test_reading_on_gives_only_what_is_new(run: Run) -> None:
    run.emit(RunQueued())
    first, offset = run.read()
    assert run.read(offset) == ([], offset)
    run.emit(step())
    second, end = run.read(offset)
    assert [type(e) for e in first + second] == [RunQueued, StepStarted]
    assert end == run.events.stat().st_size


def test_a_torn_last_line_is_ignored_then_ended_by_whoever_writes_next(run: Run) -> None:
    run.emit(RunQueued())
    with run.events.open("ab") as file:
        file.write(step().to_line().encode()[:40])
    assert [type(e) for e in run.read()[0]] == [RunQueued]
    other = Run(run.folder)
    other.emit(RunStarted(1, {}))
    events, _ = run.read()
    assert [(type(e), e.seq) for e in events] == [(RunQueued, 0), (RunStarted, 1)]
    assert run.state().damaged == 1
    assert run.scan().damaged == 1


def test_a_whole_line_without_its_newline_is_kept_and_its_number_not_used_again(run: Run) -> None:
    run.emit(RunQueued())
    run.emit(RunStarted(1, {}))
    run.events.write_bytes(run.events.read_bytes()[:-1])
    Run(run.folder).emit(step())
    assert [(type(e), e.seq) for e in run.read()[0]] == [(RunQueued, 0), (RunStarted, 1), (StepStarted, 2)]


def test_a_flipped_byte_costs_one_event(run: Run) -> None:
    for event in (RunQueued(), RunStarted(1, {}), step()):
        run.emit(event)
    data = bytearray(run.events.read_bytes())
    data[data.index(b"RunStarted") + 3] ^= 1
    run.events.write_bytes(data)
    assert [type(e) for e in run.read()[0]] == [RunQueued, StepStarted]


def test_four_writers_at_once_lose_nothing_and_share_no_number(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from core.runs import Run; from core.events import Warned\n"
        "run = Run(Path(sys.argv[1]))\n"
        "for i in range(50): run.emit(Warned(i, sys.argv[2], ''))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(run.folder), str(n)]) for n in range(4)]
    assert [w.wait() for w in writers] == [0] * 4
    found = run.scan()
    assert [e.seq for e in found.events] == list(range(200))
    assert {(e.step, e.code) for e in found.events if isinstance(e, Warned)} == {
        (i, str(n)) for i in range(50) for n in range(4)
    }
    assert found.damaged == 0


# the fold


def test_a_run_without_events_waits(run: Run) -> None:
    assert run.state().status is Status.QUEUED
    assert run.state().name == "small"


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([RunQueued()], Status.QUEUED),
        ([RunStarted(1, {})], Status.RUNNING),
        ([RunStarted(1, {}), RunPaused("asked")], Status.PAUSED),
        ([RunStarted(1, {}), RunStalled(120.0)], Status.STALLED),
        ([RunStarted(1, {}), step(), RunStalled(120.0), progress(0)], Status.RUNNING),
        ([RunStarted(1, {}), RunStalled(120.0), RunResumed()], Status.RUNNING),
        ([RunStarted(1, {}), RunFinished()], Status.FINISHED),
        ([RunStarted(1, {}), RunCancelled()], Status.CANCELLED),
        ([RunStarted(1, {}), RunFailed({"code": "x"})], Status.FAILED),
        ([RunStarted(1, {}), RunInterrupted("killed")], Status.INTERRUPTED),
        ([RunStarted(1, {}), RunInterrupted("killed"), RunQueued()], Status.QUEUED),
        ([RunStarted(1, {}), RunCancelled(), RunQueued(), RunStarted(2, {})], Status.RUNNING),
    ],
)
def test_status_follows_the_events(events: list[AnyEvent], status: Status) -> None:
    assert fold(events).status is status


def test_over_is_asked_in_one_place() -> None:
    assert {s.value for s in Status if s.is_over} == {"finished", "failed", "cancelled", "interrupted"}


def test_folding_in_parts_equals_folding_at_once() -> None:
    events: list[AnyEvent] = [
        RunQueued(),
        RunStarted(1, {"torch": "2"}),
        step(),
        *(progress(e, b) for e in range(3) for b in range(4)),
        Measured("point", 0, point()),
        StepFinished(0, 2.0),
        step(1),
        RunInterrupted("killed"),
        RunQueued(),
        RunStarted(2, {"torch": "2"}),
        step(1),
        RunFinished(),
    ]
    whole = fold(events)
    for cut in range(len(events)):
        assert fold(events[cut:], fold(events[:cut])) == whole
    assert whole.steps[0].seconds == 2.0
    assert len(whole.curves[0]) == 12


def test_what_a_resumed_run_does_again_replaces_the_curve_it_had() -> None:
    first: list[AnyEvent] = [step(), *(progress(e, b, loss=9.0) for e in range(2) for b in range(3))]
    again: list[AnyEvent] = [step(), *(progress(1, b, loss=5.0) for b in range(3)), progress(2)]
    curve = fold([*first, RunInterrupted("killed"), *again]).curves[0]
    assert [(p.epoch, p.batch) for p in curve] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]
    assert [p.loss for p in curve[3:6]] == [5.0] * 3
    seeds = fold([step(), progress(2, seed=0), progress(0, seed=1)]).curves[0]
    assert len(seeds) == 2, "another seed begins anew without cutting the first"


def test_strikes_count_the_deaths_since_the_run_last_got_further() -> None:
    def live(*epochs: int) -> list[AnyEvent]:
        return [RunStarted(1, {}), step(), *(progress(e) for e in epochs), RunInterrupted("killed"), RunQueued()]

    def strikes(*lives: list[AnyEvent]) -> int:
        return fold([event for life in lives for event in life]).strikes

    assert strikes(live()) == 1
    assert strikes(live(), live(), live()) == 3
    assert strikes(live(0), live(0), live(0)) == 3, "the same epoch again is no progress"
    assert strikes(live(0), live(0), live(0, 1)) == 1
    assert strikes(live(0, 1), live(1), live(1, 2), live(2)) == 2
    assert strikes(live(0, 1, 2), live(0), live(1), live(2)) == 4, "further than ever before, not than the last time"
    alone: list[AnyEvent] = [
        RunStarted(1, {}),
        step(),
        RunInterrupted("the machine restarted", strike=False),
        RunQueued(),
    ]
    assert strikes(*[alone] * 9) == 0
    assert strikes(live(), *[alone] * 9) == 1


def test_points_replicas_and_controls() -> None:
    state = fold(
        [
            Measured("point", 0, point(1, 0.9)),
            Measured("point", 0, point(0, 0.1)),
            Measured("point", 0, point(0, 0.5)),  # measured again after a resume
            Measured("replica", 1, point(0, 0.6)),
            Measured("replica", 1, point(0, 0.6)),
            Measured("replica", 2, point(0, 0.7)),
            Measured("control", 0, point(0, 0.4, "twin")),
            Measured("control", 0, point(0, 0.3, "scratch")),
            Measured("control", 1, point(0, 0.6, "twin")),
        ]
    )
    assert [(p.step, p.accuracy) for p in state.points] == [(0, 0.5), (1, 0.9)]
    assert state.points[0].accuracy_sd == pytest.approx(0.1)
    assert state.points[0].seeds == 3
    assert state.points[1].accuracy_sd is None
    twin, scratch = state.controls
    assert (twin.name, twin.accuracy, twin.seeds, scratch.name, scratch.seeds) == ("twin", 0.4, 2, "scratch", None)
    assert twin.accuracy_sd == pytest.approx(0.2 / 2**0.5)


def test_replicas_tell_the_spread_on_the_target_too() -> None:
    told = ((0, 0.5, 0.6), (1, 0.7, 0.8), (2, 0.6, 0.7))
    measured = []
    for seed, here, there in told:
        both = [point(0, here, name).model_copy(update={"target_accuracy": there}) for name in ("n", "source only")]
        measured += [Measured("replica" if seed else "point", seed, both[0]), Measured("control", seed, both[1])]
    state = fold(measured)
    assert len(state.points) == len(state.controls) == 1
    for found in (*state.points, *state.controls):
        assert (found.target_accuracy, found.seeds) == (0.6, 3)
        assert found.target_accuracy_mean == pytest.approx(0.7)
        assert found.target_accuracy_sd == pytest.approx(0.1)


def test_the_state_is_frozen() -> None:
    with pytest.raises(AttributeError):
        RunState().status = Status.RUNNING  # type: ignore[misc]
    with pytest.raises(TypeError):
        fold([RunStarted(1, {"a": "b"})]).environment["a"] = "c"  # type: ignore[index]


def test_ten_thousand_events_fold_in_time_and_the_next_one_at_once(run: Run) -> None:
    lines = [step().to_line(), *(progress(e, b).to_line() for e in range(100) for b in range(100))]
    run.events.write_text("\n".join(lines) + "\n")
    begun = time.perf_counter()
    assert len(run.state().curves[0]) == 10_000
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    run.state()
    assert time.perf_counter() - begun < first / 5, "only what is new is read"


# what a person asks


def test_cancelling_a_run_nobody_works_on_is_done_at_once(run: Run) -> None:
    run.emit(RunQueued())
    run.cancel()
    assert run.cancel_requested()
    assert run.state().status is Status.CANCELLED
    with run.claim() as mine:
        assert not mine, "a run that is over is not begun"


def test_cancelling_a_held_run_leaves_the_word_to_its_worker(run: Run) -> None:
    run.emit(RunStarted(1, {}))
    with run.claim() as mine:
        assert mine
        Run(run.folder).cancel()
        assert run.cancel_requested()
        assert run.state().status is Status.RUNNING
        with pytest.raises(UserError) as told:
            Run(run.folder).requeue()
        assert told.value.code == "run_is_running"


def test_two_workers_cannot_hold_one_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.PATIENCE", 0.05)
    with run.claim() as first, Run(run.folder).claim() as second:
        assert (first, second) == (True, False)


def test_requeue_clears_the_flags_and_refuses_a_finished_run(run: Run) -> None:
    run.emit(RunQueued())
    run.cancel()
    assert run.result.exists()
    run.requeue()
    assert run.state().status is Status.QUEUED
    assert not run.cancel_requested()
    assert not run.result.exists()
    run.emit(RunFinished())
    with pytest.raises(UserError) as told:
        run.requeue()
    assert told.value.code == "run_is_finished"
    run.cancel()
    assert not run.cancel_requested(), "what is over cannot be cancelled"


def test_the_summary_is_stored_when_over_and_folded_when_missing_or_damaged(run: Run) -> None:
    run.emit(RunQueued())
    assert not run.result.exists()
    for event in (RunStarted(1, {"torch": "2"}), step(), Measured("point", 0, point(0, 0.75)), RunFinished()):
        run.emit(event)
    stored = run.summary()
    assert isinstance(stored, RunSummary)
    assert (stored.name, stored.dataset, stored.status) == ("small", "fashion-mini", Status.FINISHED)
    assert stored.points[0].accuracy == 0.75
    assert "null" not in run.result.read_text()
    for damage in (None, b"", b'{"name":'):
        run.result.unlink() if damage is None else run.result.write_bytes(damage)
        assert run.summary() == stored


def test_a_broken_recipe_is_still_listed(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe = [")
    assert Run(tmp_path).summary().name == tmp_path.name


def test_notes_rename_a_run_and_reach_its_summary(run: Run) -> None:
    run.emit(RunFinished())
    other = Run(run.folder)
    assert other.state().name == "small"
    run.annotate(Notes(name="重命名", tags=("a", "b"), note="why"))
    assert other.state().name == "重命名"
    assert (run.summary().name, run.summary().tags, run.summary().note) == ("重命名", ("a", "b"), "why")
    with pytest.raises(UserError):
        run.annotate(Notes(note="x" * 5000))
    assert run.notes().note == "why"


def test_the_end_of_the_log(run: Run) -> None:
    assert run.log_tail() == ""
    run.log.write_bytes(b"first\n" + b"x" * 20_000 + b"\nsecond\nlast \xff\n")
    assert run.log_tail(2) == "second\nlast �"


def test_a_run_handed_in_without_events_keeps_its_result_when_it_is_renamed(run: Run) -> None:
    run.emit(RunFinished())
    before = run.summary()
    run.events.unlink()
    handed_in = Run(run.folder)
    handed_in.annotate(Notes(name="another name", tags=("kept",)))
    after = Run(run.folder).summary()
    assert (after.name, after.tags, after.status) == ("another name", ("kept",), before.status)
    assert after.points == before.points
