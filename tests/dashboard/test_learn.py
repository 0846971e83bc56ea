"""Learn: nothing is shown before it was predicted, predictions stay, and every number is that of the runs' files."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.assets import LESSONS
from core.errors import UserError, UserErrors
from core.events import Measured, RunFinished, RunStarted, StepStarted
from core.lessons import lesson_files
from core.lessons.blocks import Choice, Lesson, Predict
from core.lessons.diary import read_diary, write_diary
from core.lessons.parse import KINDS, parse_lesson
from core.lessons.prepared import kept
from core.lessons.references import Look, condition
from core.points import Point
from core.runs import Run
from core.text.escaping import UserText
from core.workspace import Workspace
from dashboard.i18n import speaking
from dashboard.learn import acting, listing, predicting, presenter
from dashboard.session import Language
from tests.core.lessons.written import LESSON
from tests.dashboard.test_pages import shown, text

CUT = "prune-fashion-raw[0.5]"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(acting, "ensure_supervisor", lambda workspace: None)  # nobody does the runs
    return Workspace.open_or_create(tmp_path)


def lesson(language: str = "en", name: str = "pruning") -> Lesson:
    return next(found for found in lesson_files.bundled(language) if found.id == name)


def prepared(found: Lesson, key: str, step: int, figure: str) -> list[float]:
    """A figure of each seed's result, read from its file."""
    files = (kept()[name] / "result.json" for name in found.runs[key].hashes)
    return [json.loads(path.read_text(encoding="utf-8"))["points"][step][figure] for path in files]


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def predicted(app: AppTest, number: float = 60.0) -> AppTest:
    app.slider(key="learn_guess_pruning_0").set_value(number)
    return press(app, "learn_predict_button_0")


def finish(store: Workspace, run_id: str, accuracy: float) -> None:
    """The run's end as a worker would tell it, with such an accuracy after its last step."""
    run = store.run(run_id)
    run.emit(RunStarted(os.getpid(), {}))
    for number, step in enumerate(run.recipe().steps):
        figures: dict[str, Any] = {"accuracy": accuracy if number else 0.9, "bytes": 1000, "params": 100}
        point = Point(step=number, stage=step.stage, method=step.method, name="net", **figures)
        run.emit(StepStarted(number, step.stage, step.method, "net", 1), Measured("point", 0, point))
    run.emit(RunFinished())


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_lesson_is_listed_and_opens_without_an_answer_in_it(store: Workspace, language: str) -> None:
    listed = text(shown("learn", language))
    for found in lesson_files.bundled(language):
        assert found.question.split("，")[0].split(",")[0][:12] in listed.replace("\\", "")
        app = shown("learn", language, lesson=found.id)
        assert len([b for b in app.button if str(b.key).startswith("learn_predict_button")]) == 1
        assert found.remember[0][:20] not in text(app).replace("\\", "")


def test_what_follows_is_shown_once_predicted_and_with_the_files_own_numbers(store: Workspace) -> None:
    found = lesson()
    app = shown("learn", lesson="pruning")
    measured = f"{100 * mean(prepared(found, CUT, 1, 'accuracy')):.1f}"
    assert measured not in text(app)
    app = predicted(app)
    said = text(app).replace("\\", "")
    assert "You predicted **60.0 %**" in said
    assert f"Measured for this lesson: **{measured} %**" in said
    assert f"{abs(float(measured) - 60):.1f} points away" in said
    assert f"falls from {100 * mean(prepared(found, CUT, 0, 'accuracy')):.1f}\u00a0% to {measured}\u00a0%" in said
    assert "holds for 3 of 3 seeds" in said
    assert read_diary(store, "pruning").predictions["0"].number == 60.0


def test_a_prediction_is_there_in_the_next_visit_and_can_be_forgotten(store: Workspace) -> None:
    predicted(shown("learn", lesson="pruning"), 42.0)
    app = shown("learn", lesson="pruning")
    assert "You predicted **42.0 %**" in text(app).replace("\\", "")
    press(app, "learn_again")
    assert "You predicted" not in text(app)
    assert read_diary(store, "pruning").predictions == {}


def test_doing_it_oneself_queues_the_lessons_own_recipes_and_shows_their_results(store: Workspace) -> None:
    found = lesson()
    app = press(predicted(shown("learn", lesson="pruning")), "learn_do")
    runs = read_diary(store, "pruning").runs
    assert set(runs) == {"prune-fashion[0.5]", CUT}
    assert set(store.queued()) == set(runs.values())
    for key, run_id in runs.items():
        assert store.run(run_id).recipe().hash() == found.runs[key].recipe.hash()
    assert not [b for b in app.button if b.key == "learn_do"]  # they are on their way
    finish(store, runs[CUT], 0.333)
    said = text(shown("learn", lesson="pruning")).replace("\\", "")
    assert "On your own runs: **33.3 %**. Your prediction is 26.7 points away" in said
    assert "Measured for this lesson" in said


def test_what_was_queued_before_a_limit_is_started_and_the_rest_is_refused_below_the_button(
    store: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(acting, "ensure_supervisor", lambda workspace: started.append(workspace.path))
    whole = Workspace.submit

    def one(self: Workspace, *told: Any, **more: Any) -> Run:
        if self.queued():
            raise UserError("class_waiting", "run", "1 of your runs wait", "at most 1", "Cancel one.")
        return whole(self, *told, **more)

    monkeypatch.setattr(Workspace, "submit", one)
    app = press(predicted(shown("learn", lesson="pruning")), "learn_do")
    assert started == [store.path], "what is queued does not wait for the next press"
    assert len(store.queued()) == 1
    assert list(read_diary(store, "pruning").runs.values()) == store.queued()
    (box,) = app.error
    assert "1 of your runs wait" in str(box.value).replace("\\", "")
    assert "1 of 2 runs are queued; the others are not." in text(app)
    other = shown("learn", lesson="quantization")
    assert not other.error


def test_a_run_of_another_recipe_is_not_taken_for_ones_own(store: Workspace) -> None:
    other = store.submit(lesson().runs[CUT].recipe.to_toml().replace("labels = 1500", "labels = 900"))
    finish(store, other.id, 0.1)
    predicted(shown("learn", lesson="pruning"))
    write_diary(store, read_diary(store, "pruning").started(CUT, other.id))
    assert "On your own runs" not in text(shown("learn", lesson="pruning"))


@pytest.mark.thorough
def test_feature_maps_follow_the_knob_and_lead_to_those_of_ones_own_run(store: Workspace) -> None:
    found = lesson(name="domain-adaptation")
    app = shown("learn", lesson=found.id)
    app = press(app, "learn_predict_button_0")
    titles = ("**Source only**", "**Adaptation: MK-MMD**")
    assert [text for text in (one.value for one in app.markdown) if text in titles] == list(titles)
    assert "Hollow marks: 250 images of the target digits" in text(app)
    told = "Prepared for this lesson, seed 0: Weight of the alignment 10."
    assert told not in text(app)
    app.button_group(key="learn_knob_domain-adaptation").set_value(10.0).run()
    assert told in text(app)
    assert not app.get("page_link")
    press(app, "learn_do")
    run_id = read_diary(store, found.id).runs["adapt-glyphs[10]"]
    finish(store, run_id, 0.5)
    app = shown("learn", lesson=found.id)
    app.button_group(key="learn_knob_domain-adaptation").set_value(10.0).run()
    (link,) = [one.proto for one in app.get("page_link") if "Feature map of your own run" in one.proto.label]
    assert link.label == "Feature map of your own run: Adaptation: MK-MMD"
    assert f"run={run_id}&point=0&view=map" in str(link)


def test_a_choice_is_decided_by_what_was_measured(store: Workspace) -> None:
    app = predicted(shown("learn", lesson="pruning"))
    app.radio(key="learn_guess_pruning_1").set_value(0).run()
    app = press(app, "learn_predict_button_1")
    found = lesson()
    latency = [
        json.loads((kept()[n] / "result.json").read_text())["points"] for n in found.runs["prune-fashion[0.5]"].hashes
    ]
    before, after = (mean(points[step]["latency_ms"]["p50"] for points in latency) for step in (0, 1))
    times = before / after
    place = 0 if times >= 4 else 1 if times >= 2 else 2 if times >= 1.1 else 3
    said = text(app).replace("\\", "")
    assert f"Measured for this lesson: **{found.predictions[1].choices[place].text}**" in said
    assert ("That is what you predicted" in said) == (place == 0)


def test_seeds_that_answer_differently_are_told(store: Workspace) -> None:
    found = lesson(name="distillation")
    app = press(shown("learn", lesson=found.id), "learn_predict_button_0")
    app.radio(key="learn_guess_distillation_1").set_value(1).run()
    app = press(app, "learn_predict_button_1")
    gains = [
        after - before
        for after, before in zip(
            prepared(found, "all-labels", 1, "accuracy"), _controls(found, "all-labels"), strict=True
        )
    ]
    places = [0 if gain > 0.02 else 1 if gain > -0.02 else 2 for gain in gains]
    assert len(set(places)) > 1, "else another lesson shows it"
    told = next(str(one.value) for one in app.caption if "which differ" in str(one.value)).replace("\\", "")
    for place, choice in enumerate(found.predictions[1].choices):
        assert (f"{choice.text} ({places.count(place)})" in told) == (place in places)
    same = predicted(shown("learn", lesson="pruning"))
    same.radio(key="learn_guess_pruning_1").set_value(0).run()
    assert "which differ" not in text(press(same, "learn_predict_button_1"))


def _controls(found: Lesson, key: str) -> list[float]:
    """The test accuracy of each seed's twin, read from its file."""
    files = (kept()[name] / "result.json" for name in found.runs[key].hashes)
    controls = [json.loads(path.read_text(encoding="utf-8"))["controls"] for path in files]
    return [next(one["accuracy"] for one in many if one["control"] == "without_teacher") for many in controls]


def test_the_check_tells_why(store: Workspace) -> None:
    app = predicted(shown("learn", lesson="pruning"))
    app.radio(key="learn_guess_pruning_1").set_value(0).run()
    app = press(app, "learn_predict_button_1")
    app.radio(key="learn_answer_pruning_0").set_value(1).run()
    assert "Not quite" in app.info[0].value
    app.radio(key="learn_answer_pruning_0").set_value(0).run()
    assert "Right" in app.success[0].value
    assert read_diary(store, "pruning").answers == {"0": 0}


def test_the_knob_goes_to_design(store: Workspace) -> None:
    app = predicted(shown("learn", lesson="pruning"))
    app.button_group(key="learn_knob_pruning").set_value(0.75).run()
    app = press(app, "learn_design")
    drafts = [json.loads(path.read_text())["draft"]["recipe"] for path in (store.path / "drafts").glob("*.json")]
    assert [draft["steps"][1]["ratio"] for draft in drafts] == [0.75]


def test_a_damaged_diary_is_told_and_the_lesson_begins_again(store: Workspace) -> None:
    predicted(shown("learn", lesson="pruning"))
    path = store.path / "lessons" / "kept" / "pruning.json"
    path.write_text(path.read_text().replace("60.0", "30.0"))
    app = shown("learn", lesson="pruning")
    assert "You predicted" not in text(app)
    assert app.error


@pytest.mark.thorough
def test_an_unknown_lesson_leads_to_the_list(store: Workspace) -> None:
    for asked in ("nothing", "../../etc/passwd", "<b>", "x" * 3000):
        assert "not here" in text(shown("learn", lesson=asked))


@pytest.mark.thorough
def test_ones_own_lesson_opens_shows_no_prepared_result_and_is_shared_as_it_came(store: Workspace) -> None:
    lesson_files.add(store, LESSON.encode())
    app = shown("learn")
    assert "A tiny lesson" in str([b.label for b in app.button])
    app = shown("learn", lesson="tiny")
    app.slider(key="learn_guess_tiny_0").set_value(50.0)
    app = press(app, "learn_predict_button_0")
    said = text(app)
    assert "Measured for this lesson" not in said
    assert "Nothing was prepared" in said
    assert "prepared ones" not in said
    assert "It gets smaller. :small[:gray[what the lesson claims; not measured yet]]" in said.replace("\\", "")
    press(app, "learn_do")
    finish(store, read_diary(store, "tiny").runs["tiny[0.5]"], 0.25)
    assert "On your own runs: **25.0 %**" in text(shown("learn", lesson="tiny")).replace("\\", "")


@pytest.mark.thorough
@pytest.mark.parametrize("nasty", [":red[no] :smile:", "$x^2$", "`code` *em*", "-> www.example", "= 1+1"])
def test_text_of_a_lesson_is_shown_as_text(store: Workspace, nasty: str) -> None:
    source = LESSON.replace("A tiny lesson", nasty).replace("A network is cut.", f"{nasty} is cut.")
    lesson_files.add(store, source.encode())
    said = text(shown("learn", lesson="tiny"))
    assert nasty not in said  # it is escaped
    assert said.count(UserText(nasty).md()) == 2


@pytest.mark.parametrize(("language", "line"), [("en", "Line 58: "), ("zh", "第 58 行：")])
def test_a_mistake_is_told_in_both_languages_with_its_line(language: Language, line: str) -> None:
    with pytest.raises(UserErrors) as caught:
        parse_lesson(LESSON.replace("```claim", "```shell").encode())
    with speaking(language):
        told = listing.mistake(caught.value.errors[0])
    assert told.startswith(line)
    assert "shell" in told
    assert "claim" in told
    assert ("Allowed: a block of the kind" in told) is (language == "en")
    assert ("类型的代码块" in told) is (language == "zh")


def test_the_page_gives_the_whole_format_and_an_example_that_can_be_changed(store: Workspace) -> None:
    app = shown("learn")
    offered = {str(getattr(button, "label", "")) for button in app.get("download_button")}
    assert {"Download every block and key, described", "Download an example"} <= offered
    told = (LESSONS / listing.FORMAT).read_text(encoding="utf-8")
    assert all(f"```{kind}" in told for kind in KINDS)
    example = lesson_files.bundled("en")[0].text
    mine = lesson_files.add(store, example.replace('id = "shared-representation"', 'id = "mine"', 1).encode())
    assert mine.id == "mine"


@pytest.mark.thorough
def test_the_presenter_shows_one_part_at_a_time(store: Workspace) -> None:
    parts = presenter.slides(lesson())
    assert sum(len(part) for part in parts) == len(lesson().blocks)
    app = shown("learn", lesson="pruning", present="1")
    assert lesson().question[:20] in text(app).replace("\\", "")
    for _ in range(len(parts) + 1):
        press(app, "presenter_next")
    assert "Remember" in text(app)
    assert app.button(key="presenter_next").disabled
    assert shown("learn", lesson="pruning", present="-3").button(key="presenter_previous").disabled
    assert shown("learn", lesson="pruning", present="9999").button(key="presenter_next").disabled


def test_what_may_be_chance_is_said_where_a_prediction_is_revealed() -> None:
    """Seeds that differ on the prepared results; one seed on a learner's own, where it decides."""
    seeds: list[Look] = [lambda ref, up=up: 0.5 + up for up in (0.1, 0.1, -0.1)]  # type: ignore[misc]
    book = SimpleNamespace(seeds=seeds)
    accurate = Predict(1, "?", choices=(Choice("higher", condition("a.last.accuracy > 0.5")), Choice("lower", None)))
    small = Predict(1, "?", choices=(Choice("small", condition("a.last.bytes < 5")), Choice("large", None)))
    with speaking("en"):
        told = predicting.seeds_told(book, accurate)  # type: ignore[arg-type]
        assert told == "That is the mean of 3 seeds, which differ: higher (2) · lower (1)."
        book.seeds = seeds[:2]
        assert predicting.seeds_told(book, accurate) == ""  # type: ignore[arg-type]
        assert "of one seed" in predicting.own_told(accurate)
        assert predicting.own_told(small) == "", "the size of a file is the same with any seed"


@pytest.mark.thorough
def test_two_tabs_of_a_lesson_do_not_undo_each_other(store: Workspace) -> None:
    first, second = shown("learn", lesson="pruning"), shown("learn", lesson="pruning")
    predicted(first, 42.0)
    predicted(second, 99.0)
    assert read_diary(store, "pruning").predictions["0"].number == 42.0, "the second came after the results were seen"
    assert "You predicted **42.0 %**" in text(second).replace("\\", "")


def test_a_lesson_that_took_anothers_place_does_not_show_what_was_said_to_that(store: Workspace) -> None:
    lesson_files.add(store, LESSON.encode())
    app = shown("learn", lesson="tiny")
    app.slider(key="learn_guess_tiny_0").set_value(42.0)
    press(app, "learn_predict_button_0")
    write_diary(store, read_diary(store, "tiny").answered(0, 4))
    asked = LESSON[LESSON.index("```predict") : LESSON.index("```knob")]
    choices = """```predict
question = "Which is smaller?"

[[choice]]
text = "The first"
when = "tiny[0.5].prune.params < tiny[0.25].prune.params"

[[choice]]
text = "The second"
```

"""
    other = LESSON.replace(asked, "").replace("```chart", f"{choices}```chart", 1)
    lesson_files.add(store, other.encode())
    app = shown("learn", lesson="tiny")
    assert not app.exception, "an answer that is not there any more"
    assert "You predicted" not in text(app)
    app.radio(key="learn_guess_tiny_0").set_value(1).run()
    press(app, "learn_predict_button_0")
    assert "You predicted **The second**" in text(app).replace("\\", "")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, LESSON, "was imported."),
        (LESSON, LESSON, "was here already; nothing was changed"),
        (LESSON, LESSON.replace("A tiny lesson", "Another"), "in place of “A tiny lesson”"),
        (LESSON.replace('language = "en"', 'language = "zh"'), LESSON, "was imported."),
    ],
)
def test_a_lesson_imported_twice_says_what_became_of_the_first(
    store: Workspace, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str, told: str
) -> None:
    if before is not None:
        lesson_files.add(store, before.encode())
    kept_as: dict[str, object] = {}
    monkeypatch.setattr(listing, "widget", lambda key, default: io.BytesIO(after.encode()))
    monkeypatch.setattr(listing, "remember", kept_as.__setitem__)
    with speaking("en"):
        listing._take()
    assert told in str(kept_as[listing.NOTE])


def test_a_lesson_in_chinese_alone_is_a_lesson_on_an_english_page(store: Workspace) -> None:
    lesson_files.add(
        store, LESSON.replace('language = "en"', 'language = "zh"').replace("A tiny lesson", "一节小课").encode()
    )
    assert "一节小课" in "".join(button.label for button in shown("learn").button)
    app = shown("learn", lesson="tiny")
    assert not app.exception
    assert "一节小课" in text(app)


def test_a_lesson_whose_id_a_bundled_one_took_is_told_with_a_way_out(store: Workspace) -> None:
    (store.path / "lessons").mkdir()
    (store.path / "lessons" / "pruning.en.md").write_text(LESSON.replace('id = "tiny"', 'id = "pruning"'))
    app = shown("learn")
    assert not app.exception, "two cards of one id"
    assert "comes with the program" in text(app)
    press(app, "learn_delete_broken_0")
    assert "comes with the program" not in text(app)


def test_a_lesson_whose_dataset_is_gone_is_told(store: Workspace) -> None:
    (store.path / "lessons").mkdir()
    (store.path / "lessons" / "tiny.en.md").write_text(LESSON.replace('dataset = "digits"', 'dataset = "flowers"'))
    app = shown("learn")
    assert not app.exception
    assert "what it refers to is gone" in text(app)
    assert not shown("learn", lesson="tiny").exception
