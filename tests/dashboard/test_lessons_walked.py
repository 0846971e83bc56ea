"""Every lesson walked through in a browser, in both languages: predict, act, reveal; numbers as the files have them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.assets import LESSON_RESULTS
from core.lessons.blocks import Chart, Claim, Lesson, Paragraph, Predict, Question
from core.lessons.diary import Diary, Prediction, forget_diary, own_runs, read_diary, write_diary
from core.lessons.lesson_files import bundled
from core.options import Value
from core.recipe import stored_recipe
from core.state import Status
from core.text import formatting
from tests.browser import SLOW, Site, Watched, violations, wait_until_drawn

expect.set_options(timeout=SLOW)
LANGUAGES = ("en", "zh")
IDS = [lesson.id for lesson in bundled("en")]
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PAIR = re.compile(r"(.+?\.[a-z0-9_]+)\s+([-/])\s+(.+)")
PREDICT = "[class*=st-key-learn_predict_button] button"
WARM = 2.0  # seconds a page may take once it was seen
MINUTE, LIVE = 60.0, 240  # seconds: of one run, and before the test gives up


@cache
def folders() -> Mapping[str, Path]:
    """The folder of each kept result by the hash of its recipe, found without the product's own look-up."""
    found = {path: stored_recipe(path.read_text(encoding="utf-8")) for path in LESSON_RESULTS.glob("*/recipe.toml")}
    return {recipe.hash(): path.parent for path, recipe in found.items()}


def of_file(folder: Path, point: str, metric: str) -> float:
    """A figure of one point from the JSON of one result; the training accuracy from its learning curve."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    stage, _, control = point.partition("/")
    known = [one for one in result["controls" if control else "points"] if (one.get("control") or "") == control]
    found = [one for one in known if stage in ("last", one["stage"], str(one["step"]))][-1]
    if metric == "training_accuracy":
        lines = (folder / "curves.jsonl").read_text(encoding="utf-8").splitlines()
        ends = [told for line in lines if "validation_accuracy" in (told := json.loads(line))]
        return float([told["accuracy"] for told in ends if told["step"] == found["step"] and "accuracy" in told][-1])
    ways: dict[str, Callable[[], Any]] = {
        "latency": lambda: found["latency_ms"]["p50"],
        "worst_recall": lambda: found["spread"]["worst_recall"],
        "calibration_error": lambda: found["receipt"]["calibration_error"],
        "agreement": lambda: found["receipt"]["same_answer_as_before"],
        "omitted_recall": lambda: next(iter(found["receipt"]["recall"].values())),
    }
    return float(ways.get(metric, lambda: found[metric])())


def over_seeds(lesson: Lesson, reference: str) -> tuple[str, float]:
    """The metric of `RUN.POINT.METRIC`, and its mean over the seeds."""
    run, point, metric = reference.rsplit(".", 2)
    run = next(key for key in lesson.runs if key == run)
    return metric, mean(of_file(folders()[name], point, metric) for name in lesson.runs[run].hashes)


def written(metric: str, value: float) -> str:
    """A figure as a person reads it."""
    if metric.endswith("bytes"):
        return formatting.size(value)
    if metric in ("params", "macs"):
        return formatting.count(value)
    return f"{formatting.two_digits(value)} ms" if metric == "latency" else f"{100 * value:.1f} %"


def filled(lesson: Lesson, text: str) -> str:
    """A text of a lesson with the figures of the files in its places."""

    def figure(found: re.Match[str]) -> str:
        pair = PAIR.fullmatch(found[1])
        if pair is None:
            return written(*over_seeds(lesson, found[1]))
        (metric, first), (_, second) = over_seeds(lesson, pair[1]), over_seeds(lesson, pair[3])
        if pair[2] == "/":
            return formatting.two_digits(first / second)
        apart = abs(first - second)
        return written(metric, apart) if metric in ("bytes", "params", "macs", "latency") else f"{100 * apart:.1f}"

    return PLACEHOLDER.sub(figure, text)


def texts(lesson: Lesson) -> Iterator[str]:
    """What a person reads once every prediction is made and the question answered, but for what pictures decide."""
    every: list[str] = [*lesson.remember]
    for block in lesson.blocks:
        match block:
            case Paragraph():
                every.append(block.text)
            case Claim():
                every.append(block.sentence)
            case Predict() if block.about is not None and not block.about.is_picture:
                every.append(f"{{{block.about.run}.{block.about.point}.{block.about.metric}}}")
            case Question():
                every += [answer.why for answer in block.answers if answer.right]
            case _:
                pass
    yield from (filled(lesson, text) for text in every if "picture[" not in text)


def plain(text: str) -> str:
    """Without spaces and marks, which a browser may show in another way."""
    return re.sub(r"[\s\u2060]|\*\*", "", text)


def body(page: Page) -> str:
    return plain(page.inner_text("[data-testid=stMain]"))


def walk(page: Page, lesson: Lesson) -> None:
    """Makes every prediction, the first choice or what the slider stands at, and answers the question rightly."""
    for number in range(len(lesson.predictions)):
        ask = page.locator(f".st-key-learn_predict_{number}")
        if lesson.predictions[number].choices:
            ask.get_by_role("radio").first.locator("xpath=ancestor::label").click()
            expect(page.locator(PREDICT)).to_be_enabled()
        page.locator(PREDICT).click()
        expect(page.locator(f".st-key-learn_predict_button_{number}")).to_have_count(0)
        wait_until_drawn(page)
    for number, question in enumerate(lesson.questions):
        right = next(place for place, answer in enumerate(question.answers) if answer.right)
        ask = page.locator(f".st-key-learn_question_{number}")
        ask.get_by_role("radio").nth(right).locator("xpath=ancestor::label").click()
        expect(ask.locator("[data-testid=stAlert]")).to_be_visible()


def planes(lesson: Lesson) -> int:
    """How many charts a lesson draws."""
    return sum(max(1, len(block.points)) for block in lesson.blocks if isinstance(block, Chart))


def shown(page: Page, lesson: Lesson) -> None:
    """Every chart is drawn, every sentence has the figures of the files, and nothing failed."""
    expect(page.locator(".live-plot[data-drawn]")).to_have_count(planes(lesson))
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
    read = body(page)
    missing = [text for text in texts(lesson) if plain(text) not in read]
    assert not missing, missing


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_a_lesson_is_walked_from_prediction_to_answer(site: Site, watched: Watched, name: str) -> None:
    page = watched.page
    for language in LANGUAGES:
        lesson = next(one for one in bundled(language) if one.id == name)
        forget_diary(site.workspace, name)
        page.goto(site.at(f"learn?lang={language}&lesson={name}"))
        expect(page.locator(PREDICT)).to_have_count(1)
        wait_until_drawn(page)
        assert plain(filled(lesson, lesson.remember[0])) not in body(page)
        walk(page, lesson)
        assert len(read_diary(site.workspace, name).predictions) == len(lesson.predictions)
        shown(page, lesson)
        assert violations(page) == []
        if lesson.knob is not None:
            page.locator(f".st-key-learn_knob_{name} button").last.click()
            wait_until_drawn(page)
            shown(page, lesson)
    watched.is_clean()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lesson_that_was_seen_opens_within_two_seconds(site: Site, watched: Watched, language: str) -> None:
    times = {}
    for lesson in bundled(language):
        guesses = [Prediction(choice=0) if one.choices else Prediction(number=50.0) for one in lesson.predictions]
        diary = Diary(lesson=lesson.id)
        for place, guess in enumerate(guesses):
            diary = diary.predicted(place, guess)
        write_diary(site.workspace, diary)
        times[lesson.id] = min(opened(site, watched.page, lesson, language) for _ in range(3))
    print({name: round(seconds, 2) for name, seconds in times.items()})
    assert max(times.values()) <= WARM, times


def opened(site: Site, page: Page, lesson: Lesson, language: str) -> float:
    """Seconds until the whole lesson is there, all its charts drawn."""
    began = time.monotonic()
    page.goto(site.at(f"learn?lang={language}&lesson={lesson.id}"))
    expect(page.locator(".live-plot[data-drawn]")).to_have_count(planes(lesson))
    wait_until_drawn(page)
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("name", IDS)
def test_the_live_part_of_a_lesson_runs_within_a_minute(site: Site, watched: Watched, name: str) -> None:
    """The button is pressed where the knob stands first; of each run the work counts, not the wait for its turn."""
    page, lesson = watched.page, next(one for one in bundled("en") if one.id == name)
    forget_diary(site.workspace, name)
    page.goto(site.at(f"learn?lang=en&lesson={name}"))
    expect(page.locator(PREDICT)).to_have_count(1)
    wait_until_drawn(page)
    walk(page, lesson)
    began = time.monotonic()
    page.locator(".st-key-learn_do button").click()
    expect(page.locator(".st-key-learn_act")).to_contain_text("You have run this value", timeout=1000 * LIVE)
    waited = time.monotonic() - began
    runs = own_runs(site.workspace, read_diary(site.workspace, name))
    worked = {key: run.summary().lasted or 0.0 for key, run in runs.items()}
    each = ", ".join(f"{key} {seconds:.1f}" for key, seconds in worked.items())
    print(f"{name}: {waited:.0f} s from the press to the last result; seconds of work of each run: {each}")
    assert set(worked) == {run.key for run in (*lesson.of_value(start(lesson)), *lesson.others)}
    assert all(run.summary().status is Status.FINISHED for run in runs.values())
    assert max(worked.values()) <= MINUTE, worked
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
    watched.is_clean()


def start(lesson: Lesson) -> Value:
    """Where the knob stands first; a lesson without one has no such runs."""
    return lesson.knob.start if lesson.knob is not None else ""
