"""The page Class as the teacher and as a learner get it; pages elsewhere show each one's own corner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.runtime.context import ContextProxy, StreamlitHeaders
from streamlit.testing.v1 import AppTest

from core.classroom.learners import Class, Learner
from core.classroom.limits import Limits, limits, set_limits
from core.classroom.overview import Predicted, everybody
from core.events import RunCancelled, RunFinished
from core.lessons.lesson_files import bundled
from core.lessons.titles import titled
from core.questions.collect import Collected, Refused, Taken
from core.runs import Notes, Run
from core.storage.sealed import seal
from core.text import formatting
from core.workspace import Workspace
from dashboard import i18n
from dashboard.addresses import address_of, page_at
from dashboard.charts import class_points
from dashboard.classroom import collecting, handed_page, results
from dashboard.classroom.seats import HEADER, SHARED
from dashboard.classroom.worded import worded
from dashboard.i18n import known, speaking
from tests.dashboard.test_pages import DEMO, PAGES, make, point, shown, text

LABELS = class_points.Labels("size", "validation", "{learner} {name} {validation} {accuracy} {size}", "bar {bar}")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "w"))
    return Workspace.open_or_create(tmp_path / "w")


def corner(root: Workspace, name: str) -> Workspace:
    return Workspace.open_or_create(root.path / "class" / Class(root.path).join(name).learner.id)


def done(store: Workspace, name: str) -> Run:
    run = make(store, RunFinished())
    run.annotate(Notes(name=name))
    return run


def sit(monkeypatch: pytest.MonkeyPatch, *seats: str) -> None:
    """Whoever looks at a page from now on came by the gate, which told these seats."""
    monkeypatch.setenv(SHARED, "127.0.0.1")
    headers = StreamlitHeaders([(HEADER, one) for one in seats])
    monkeypatch.setattr(ContextProxy, "headers", property(lambda self: headers))


def predict(store: Workspace, run: Run) -> None:
    folder = store.path / "lessons" / "kept"
    folder.mkdir(parents=True)
    kept = {
        "lesson": "pruning",
        "predictions": {"0": {"number": 80.5}, "1": {"choice": 2}},
        "answers": {"0": 1},
        "runs": {"a": run.id},
    }
    (folder / "pruning.json").write_bytes(seal(json.dumps(kept).encode()))


@pytest.mark.thorough
def test_a_learner_sees_the_own_corner_on_every_page(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "<b>Bob</b>")
    theirs = [done(ana, "run of Ana"), done(root, "run of the teacher")]
    done(bob, "run of Bob")
    sit(monkeypatch, bob.path.name)
    for page in ("live", "tradeoffs", "home", "classroom"):
        app = shown(page)
        assert "run of Ana" not in text(app)
        assert "run of the teacher" not in text(app)
        assert "Corner of **\\<b\\>Bob\\<\\/b\\>**" in text(app)
    for run in theirs:
        assert "unknown" in text(shown("live", run=run.id)).lower() or run.id in text(shown("live", run=run.id))
        assert "run of" not in text(shown("live", run=run.id))


@pytest.mark.parametrize(
    "seats",
    [
        (),
        ("../x",),
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in (("",), ("Teacher",), ("0" * 16, "teacher"), ("0" * 15,))
        ),
    ],
)
def test_a_page_without_a_seat_shows_nothing(
    root: Workspace, monkeypatch: pytest.MonkeyPatch, seats: tuple[str, ...]
) -> None:
    done(root, "run of the teacher")
    sit(monkeypatch, *seats)
    from tests.dashboard.test_pages import APP

    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert "run of the teacher" not in text(app)
    assert app.exception, "the server shows it as a sentence (dashboard.server.show_fault)"


def test_the_teacher_sees_everybody_and_visits_a_corner(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    predict(ana, done(ana, "run of Ana"))
    waiting = bob.submit(ana.run(ana.run_ids()[0]).recipe_text)
    sit(monkeypatch, "teacher")
    app = shown("classroom")
    table = app.dataframe[0].value
    assert list(table["Nickname"]) == ["Ana", "Bob"]
    assert list(table["Waiting or running"]) == [0, 1]
    assert list(table["Predictions"]) == [2, 0]
    app.selectbox(key="class_choose").select_index(0).run()
    assert not app.exception
    predictions = app.dataframe[-1].value if len(app.dataframe) > 1 else pd.DataFrame()
    assert set(predictions["Lesson"]) == {titled("pruning", "en")}
    assert list(predictions["Prediction"]) == [
        "Prediction 1: 80.5 %",
        "Prediction 2: Less than twice, but faster",
        "Question 1: Give up on pruning (wrong)",
    ]
    app.selectbox(key="class_choose").select_index(1).run()
    app.button(key="class_stop").click().run()
    assert waiting.state().status.value == "cancelled"


def test_what_no_lesson_here_explains_is_shown_by_its_number() -> None:
    lesson = next(one for one in bundled("en") if one.id == "pruning")
    with i18n.speaking("en"):
        for given in (None, lesson):
            assert worded(Predicted("gone", 9, None, 4, ()), given) == "Prediction 9: answer 4"
            assert worded(Predicted("gone", 9, 7.5, None, ()), given) == "Prediction 9: 7.5"
        assert worded(Predicted("pruning", 1, None, 9, (), is_answer=True), lesson) == "Question 1: answer 9"


def test_a_run_that_two_learners_have_is_pointed_out(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    run = done(ana, "run of Ana")
    done(bob, "run of Bob")
    shutil.copytree(run.folder, bob.path / "runs" / run.id)
    sit(monkeypatch, "teacher")
    app = shown("classroom")
    assert not app.warning
    app.selectbox(key="class_choose").select_index(1).run()
    (told,) = app.warning
    assert "run of Ana" in str(told.value)
    assert "Ana" in str(told.value).partition("also with")[2]
    assert "run of Bob" not in str(told.value)


def test_the_teacher_gives_a_code_to_a_learner_who_lost_their_browser(
    root: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = Class(root.path).join("Ana").learner
    sit(monkeypatch, "teacher")
    app = shown("classroom")
    app.selectbox(key="class_choose").select_index(0).run()
    app.button(key="class_code").click().run()
    (told,) = [str(one.value) for one in app.info]
    code = told.split("`")[1]
    assert Class(root.path).come_back("Ana", code).learner.id == ana.id


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "zh"])
def test_the_teacher_renames_takes_out_and_puts_back_a_learner(
    root: Workspace, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    run = done(ana, "run of Ana")
    predict(ana, run)
    sit(monkeypatch, "teacher")
    app = shown("classroom", language)
    app.selectbox(key="class_choose").select_index(0).run()
    app.text_input(key=f"class_rename_{ana.path.name}").set_value("Bоb")  # a Cyrillic о
    app.button(key="class_rename_do").click().run()
    assert not app.exception
    assert len(app.error) == 1
    app.selectbox(key="class_choose").select_index(0).run()
    app.text_input(key=f"class_rename_{ana.path.name}").set_value("Anna")
    app.button(key="class_rename_do").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value.iloc[:, 0]) == ["Anna", "Bob"]
    assert everybody(root.path)[0].run_ids == {run.id}
    assert len(everybody(root.path)[0].predictions) == 3

    app.selectbox(key="class_choose").select_index(0).run()
    app.button(key="class_visit").click().run()
    app = shown("classroom", language)
    app.selectbox(key="class_choose").select_index(0).run()
    app.toggle(key=f"class_trash_{ana.path.name}").set_value(True)
    app.button(key="class_remove_do").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value.iloc[:, 0]) == ["Bob"]
    assert "Anna" in text(app)
    app.button(key=f"class_back_{ana.path.name}").click().run()
    assert not app.exception
    assert {one.learner.nickname for one in everybody(root.path)} == {"Anna", "Bob"}
    app.selectbox(key="class_choose").select_index(1).run()
    app.button(key="class_remove_do").click().run()
    assert not app.exception
    told = {"en": "Bob (taken out)", "zh": "Bob（已移出）"}[language]
    assert told in app.selectbox(key="class_choose").options, "their runs stay"
    app.selectbox(key="class_choose").select(told).run()
    assert not app.exception
    assert "class_rename_do" not in [button.key for button in app.button]
    assert bob.path.is_dir()


@pytest.mark.thorough
def test_a_corner_that_is_gone_is_visited_no_more(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = corner(root, "Ana")
    sit(monkeypatch, "teacher")
    app = shown("classroom")
    app.selectbox(key="class_choose").select_index(0).run()
    app.button(key="class_visit").click().run()
    assert "Ana" in text(app)
    shutil.rmtree(ana.path)
    app.run()
    assert not app.exception
    assert ana.path.name not in text(app)
    assert not ana.path.exists(), "looking at it does not make it anew"


@pytest.mark.thorough
def test_a_hand_in_is_told_from_the_learner_who_made_it(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = corner(root, "Ana")
    run = done(ana, "run of Ana")
    other = Workspace.open_or_create(root.path / "class" / ("a" * 16))
    shutil.copytree(run.folder, other.path / "runs" / run.id)
    handed = Learner(id="a" * 16, nickname="Ana", secret="", joined=1.0, proof="nobody")
    (other.path / "learner.json").write_bytes(seal(handed.model_dump_json().encode()))
    sit(monkeypatch, "teacher")
    app = shown("classroom")
    assert set(app.selectbox(key="class_choose").options) == {"Ana", "Ana (Handed in, not sealed)"}
    assert "Ana (Handed in, not sealed)" in {str(name) for name in _points(app)["learner"]}
    app.selectbox(key="class_choose").select_index(1).run()
    assert not app.warning, "it is the same learner's"
    assert [one.learner.proof for one in everybody(root.path)] == ["nobody", ""]
    app.selectbox(key="class_choose").select_index(0).run()
    app.button(key="class_discard").click().run()
    assert not app.exception
    assert [one.learner.nickname for one in everybody(root.path)] == ["Ana"]
    assert set(app.selectbox(key="class_choose").options) == {"Ana"}


@pytest.mark.thorough
def test_results_are_compared_on_one_dataset(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    done(ana, "clothes")
    done(ana, "clothes again")
    sit(monkeypatch, "teacher")
    assert "class_dataset" not in {box.key for box in shown("classroom").selectbox}, "there is one"
    make(bob, RunFinished(), recipe=DEMO.replace('dataset = "fashion-mini"', 'dataset = "digits"'))
    app = shown("classroom")
    assert app.selectbox(key="class_dataset").value == "fashion-mini", "that of the most points"
    assert set(_points(app)["learner"]) == {"Ana"}
    app.selectbox(key="class_dataset").select("digits").run()
    assert set(_points(app)["learner"]) == {"Bob"}


def _points(app: AppTest) -> pd.DataFrame:
    """The table beside the chart of the class."""
    app.toggle(key="class_chart_shown").set_value(True).run()
    return next(frame.value for frame in app.dataframe if "learner" in frame.value)


def test_limits_are_kept(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    corner(root, "Ana")
    sit(monkeypatch, "teacher")
    app = shown("classroom", "zh")
    app.number_input(key="class_waiting").set_value(3)
    next(button for button in app.button if button.label == "应用").click().run()
    assert not app.exception
    assert limits(root.path) == Limits(waiting=3)


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "zh"])
def test_learners_see_the_class_only_if_the_teacher_wants_it(
    root: Workspace, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    done(ana, "run of Ana")
    sit(monkeypatch, bob.path.name)
    heading = {"en": "Results of the class", "zh": "全班结果"}[language]
    assert heading not in text(shown("classroom", language))
    set_limits(root.path, Limits(others="read-only"))
    assert heading in text(shown("classroom", language))


def test_learners_do_not_see_who_was_taken_out(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, bob, eve = corner(root, "Ana"), corner(root, "Bob"), corner(root, "Eve")
    for store in (ana, bob):
        done(store, "clothes")
    Class(root.path).remove(ana.path.name, to_trash=False)
    set_limits(root.path, Limits(others="read-only"))
    sit(monkeypatch, eve.path.name)
    assert set(_points(shown("classroom"))["learner"]) == {"Bob"}
    sit(monkeypatch, "teacher")
    assert set(_points(shown("classroom"))["learner"]) == {"Bob", "Ana (taken out)"}


def test_every_page_that_somebody_is_on_has_its_name() -> None:
    with speaking("zh"):
        told = [known(f"frame.{page_at(address_of(name))}", "") for name in (*PAGES, "classroom")]
    assert all(told)
    assert page_at("") == "home"


def test_without_a_class_there_is_no_page(root: Workspace) -> None:
    from dashboard import frame

    assert frame._of_class() == ()
    corner(root, "Ana")
    assert frame._of_class() == ("classroom",)


# the chart


def measured(name: str, validation: float, size: int) -> tuple[str, str, object]:
    return name, "run", point(1).model_copy(update={"validation_accuracy": validation, "bytes": size})


def test_the_smallest_above_the_bar_leads_by_validation() -> None:
    table = class_points.info([measured("Ana", 0.9, 500), measured("Bob", 0.76, 300), measured("Eve", 0.7, 10)])  # type: ignore[list-item]
    first = class_points.leader(table, 0.75)
    assert first is not None
    assert first["learner"] == "Bob", "Eve's is smaller and below the bar"
    assert class_points.leader(table, 0.95) is None
    tie = class_points.info([measured("Ana", 0.8, 300), measured("Bob", 0.81, 300)])  # type: ignore[list-item]
    assert class_points.leader(tie, 0.75)["learner"] == "Bob"  # type: ignore[index]


@pytest.mark.parametrize(("low", "unsure"), [(0.74, True), (0.75, False), (None, False)])
def test_a_leader_that_may_be_above_the_bar_by_chance_is_told_so(low: float | None, unsure: bool) -> None:
    made = point(1).model_copy(update={"validation_accuracy": 0.8, "bytes": 300, "accuracy_low": low})
    with speaking("en"):
        told = results._leads(class_points.info([("Ana", "run", made)]), 0.75)
    assert "Ana** has the smallest file" in told
    assert ("may be chance: the 95 % interval of its test accuracy begins at 74.0 %" in told) == unsure


def test_each_learner_is_named_once_beside_their_own_best() -> None:
    rows = [measured("Ana", 0.9, 500), measured("Ana", 0.8, 300), measured("Bob", 0.6, 20), measured("Bob", 0.7, 90)]
    table = class_points.info(rows)  # type: ignore[arg-type]
    assert list(class_points.named(table, 0.75)) == [1, 3], "the smallest above the bar; else the most accurate"


def test_names_in_the_chart_are_text() -> None:
    table = class_points.info([measured("<b>%{x}$a$", 0.9, 500)])  # type: ignore[list-item]
    drawn = class_points.figure(table, LABELS, 0.75).to_json()
    assert "<b>" not in drawn
    assert "%{x" not in drawn


def test_what_was_not_measured_is_not_drawn() -> None:
    bare = point(1).model_copy(update={"validation_accuracy": None})
    assert class_points.info([("Ana", "run", bare)]).empty


# the page of a hand-in


@pytest.mark.parametrize("spoken", ["en", "zh"])
def test_the_page_of_a_hand_in_holds_the_numbers_and_runs_nothing_of_others(root: Workspace, spoken: str) -> None:
    ana = corner(root, "<script>1</script>")
    run = done(ana, "<img src=http://x>")
    predict(ana, run)
    with i18n.speaking("zh" if spoken == "zh" else "en"):
        page = handed_page.write(ana.path, [run.summary()], dark=False)
    assert "<script>1" not in page
    assert "<img src=http" not in page
    assert "80" in page
    assert "Content-Security-Policy" in page
    assert f"<td>{titled('pruning', spoken)}</td>" in page
    assert "<td>pruning</td>" not in page
    for one in run.summary().points:
        assert f"{(one.accuracy or 0) * 100:.0f}" in page
    size = formatting.size(run.summary().points[-1].bytes)
    assert "± " in page.partition("<h2>")[2].partition("<h2>")[0], "own results"
    assert f"{size}</td>" in page.partition("<h2>")[2].partition("<h2>")[0], "its column promises a size"
    assert {"en": "finished", "zh": "已完成"}[spoken] in page
    assert run.recipe_text.splitlines()[0].replace('"', "&quot;") in page
    assert everybody(root.path)[0].learner.nickname == "<script>1</script>"


def test_a_run_without_points_says_so_on_the_page_of_a_hand_in(root: Workspace) -> None:
    ana = corner(root, "Ana")
    run = make(ana, RunCancelled(), steps=0)
    with i18n.speaking("en"):
        page = handed_page.write(ana.path, [run.summary()], dark=False)
    assert "This run has saved no file that was measured." in page
    assert "cancelled" in page
    assert "<table>" not in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_refused_is_told_with_its_file_and_the_rest_of_the_page_stays(
    root: Workspace, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    codes = ("hand_in_altered", "hand_in_is_here", "not_a_hand_in", "not_a_zip", "unsafe_path")
    refused = tuple(Refused(f"{code}.zip", code, f"<b>{code}", "a hand-in", "Again.") for code in codes)
    found = Collected((Taken("a.zip", "0" * 16, "Ana", 1, 2, "nobody", ()),), refused)
    monkeypatch.setattr(collecting, "recall", lambda key, default: [found] if key == collecting.FOUND else default)
    sit(monkeypatch, "teacher")
    app = shown("classroom", language)
    told = [str(one.value).replace("\\", "").replace("\u2060", "") for one in app.error]
    assert len(told) == len(codes)
    for line, code in zip(told, codes, strict=True):
        assert f"{code}.zip" in line
        assert "{" not in line
    assert app.button(key="class_seen")
    assert app.number_input(key="class_waiting"), "what stands below it"


def test_what_was_collected_is_told_with_the_lessons_titles(root: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Collected((Taken("a.zip", "0" * 16, "Ana", 1, 2, "here", ("pruning", "gone")),), ())
    monkeypatch.setattr(collecting, "recall", lambda key, default: [found] if key == collecting.FOUND else default)
    sit(monkeypatch, "teacher")
    for language in ("en", "zh"):
        told = (
            "\n".join(str(one.value) for one in shown("classroom", language).success)
            .replace("\\", "")
            .replace("\u2060", "")
        )
        assert f"{titled('pruning', language)} · gone" in told
