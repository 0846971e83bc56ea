"""Every bundled lesson: whole in both languages, true over three seeds, and readable aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.assets import LESSON_RESULTS, LESSONS
from core.lessons.blocks import SEEDS, Chart, Claim, Lesson, Paragraph, Predict, Question
from core.lessons.parse import parse_lesson
from core.lessons.prepared import kept, maps, of_seed
from core.lessons.references import in_runs
from dashboard.learn.book import all_hold
from dashboard.learn.pictured import picture_look

FILES = sorted((LESSONS / "en").glob("*.md"))
IDS = [path.stem for path in FILES]
MOST_WORDS, MOST_CHARACTERS = 25, 60
PICTURES = 10
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def lesson(path: Path) -> Lesson:
    return parse_lesson(path.read_bytes())


def in_chinese(path: Path) -> Lesson:
    return lesson(LESSONS / "zh" / path.name)


def shape(found: Lesson) -> list[tuple[Any, ...]]:
    """Everything of a lesson's blocks but their words and lines."""
    return [_shape(block) for block in found.blocks]


def _shape(block: Any) -> tuple[Any, ...]:
    match block:
        case Predict():
            return Predict, block.about, block.low, block.high, tuple(choice.when for choice in block.choices)
        case Claim():
            return Claim, block.holds
        case Question():
            return Question, tuple(answer.right for answer in block.answers)
        case Paragraph():
            return Paragraph, block.heading
        case _:
            words = ("line", "names", "title", "caption", "option")
            return type(block), *((k, v) for k, v in vars(block).items() if k not in words)


def texts(found: Lesson) -> Iterator[str]:
    """Every text of a lesson that a person reads."""
    yield from (found.title, found.question, *found.remember)
    for block in found.blocks:
        match block:
            case Paragraph():
                yield block.text
            case Claim():
                yield block.sentence
            case Predict():
                yield from (block.question, *(choice.text for choice in block.choices))
            case Question():
                yield block.question
                yield from (part for answer in block.answers for part in (answer.text, answer.why))
            case _:
                yield getattr(block, "caption", "")


def test_the_languages_have_the_same_lessons() -> None:
    assert {path.name for path in (LESSONS / "zh").glob("*.md")} == {path.name for path in FILES}
    assert len({lesson(path).id for path in FILES}) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_both_languages_have_the_same_blocks(path: Path) -> None:
    here, there = lesson(path), in_chinese(path)
    assert (here.language, there.language) == ("en", "zh")
    assert shape(here) == shape(there)
    assert (here.id, here.minutes, here.terms, here.paper) == (there.id, there.minutes, there.terms, there.paper)
    assert {key: run.recipe for key, run in here.runs.items()} == {key: r.recipe for key, r in there.runs.items()}
    assert 10 <= here.minutes <= 15


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_run_was_prepared_with_three_seeds(path: Path) -> None:
    found = lesson(path)
    for seed in SEEDS:
        missing = found.runs.keys() - of_seed(found, seed).keys()
        assert not missing, f"python assets/make_lessons.py WORKSPACE {found.id}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_feature_map_was_prepared(path: Path) -> None:
    found = lesson(path)
    for block in found.blocks:
        if not isinstance(block, Chart) or block.kind != "map":
            continue
        for run in [found.runs[block.run]] if block.run else found.first_of_values:
            known = maps(run.hashes[0])
            assert set(known) == set(block.points), run.key
            for each in known.values():
                assert len(each.x) == len(each.y) == len(each.label) == len(each.target) > 100


def test_a_recipe_without_maps_has_none() -> None:
    assert maps("0" * 64) == {}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_claim_holds_with_every_seed(path: Path) -> None:
    found = lesson(path)
    assert found.claims
    for claim in found.claims:
        if any(ref.is_picture for condition in claim.holds for ref in condition.references()):
            looks = [picture_look(image) for image in range(PICTURES)]
        else:
            looks = [in_runs(of_seed(found, seed)) for seed in SEEDS]
        for place, look in enumerate(looks):
            assert all_hold(claim.holds, look) is True, (claim.sentence, place)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_prediction_is_decided_by_what_was_measured(path: Path) -> None:
    found = lesson(path)
    look = in_runs(of_seed(found, SEEDS[0]))
    for block in found.predictions:
        if block.about is not None and not block.about.is_picture:
            assert look(block.about) is not None
        assert all(choice.when is None or choice.when.holds(look) is not None for choice in block.choices)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_measured_number_is_typed(path: Path) -> None:
    for found in (lesson(path), in_chinese(path)):
        for text in texts(found):
            assert not re.search(r"\d\s*(%|％|kB|MB|ms|毫秒)|\d\.\d+ (times|倍)", PLACEHOLDER.sub("", text)) or (
                text in {answer for q in found.questions for answer in (q.question, *(a.text for a in q.answers))}
            ), text


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_no_sentence_is_longer_than_a_breath(path: Path) -> None:
    for text in texts(lesson(path)):
        for sentence in re.split(r"(?<=[.?!:])\s+", PLACEHOLDER.sub("7", text)):
            assert len(sentence.split()) <= MOST_WORDS, sentence
    for text in texts(in_chinese(path)):
        for sentence in re.split(r"[。？！：]", PLACEHOLDER.sub("7", text)):
            assert len(sentence) <= MOST_CHARACTERS, sentence


def test_prepared_results_are_small_and_each_belongs_to_a_lesson() -> None:
    files = [path for path in LESSON_RESULTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    wanted = {name for path in FILES for run in lesson(path).runs.values() for name in run.hashes}
    assert set(kept()) == wanted
    assert {path.parent for path in files} == set(kept().values())


def test_a_run_takes_less_than_a_minute() -> None:
    """On the machine that prepared the lessons; of the three seeds the fastest, which other work disturbed least."""
    for path in FILES:
        seeds = [of_seed(lesson(path), seed) for seed in SEEDS]
        for key in seeds[0]:
            times = [summaries[key].lasted for summaries in seeds]
            assert min(time for time in times if time is not None) <= 60, (path.name, key, times)
