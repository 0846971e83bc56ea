"""Sentences of bundled lessons that are no claims: what they say of results, and the numbers in them, hold as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.lessons.blocks import SEEDS, Chart, Lesson, Paragraph, Question
from core.lessons.prepared import of_seed
from core.lessons.references import condition, in_runs
from dashboard.learn.book import all_hold
from tests.core.lessons.test_bundled_lessons import FILES, IDS, PLACEHOLDER, in_chinese, lesson, texts

WORDS = {
    "three": 3,
    "threes": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twenty": 20,
    "thirty": 30,
    "quarter": 4,
    "tenths": 10,
}
SIGNS = {
    "三十二": 32,
    "三十": 30,
    "二十": 20,
    "四分之一": 4,
    "九成": 90,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
}

ALIKE = (
    "adapt-glyphs[1].transfer.validation_accuracy > adapt-glyphs[1].transfer/source_only.validation_accuracy - 0.02",
    "adapt-glyphs[1].transfer.validation_accuracy < adapt-glyphs[1].transfer/source_only.validation_accuracy + 0.02",
)
# What a sentence to remember says of results: the conditions over each seed that make it so. A sentence without any is
# advice, a definition, or arithmetic.
TAKEN_AWAY: dict[str, tuple[tuple[str, ...], ...]] = {
    "shared-representation": (
        (),
        (
            "probe-fashion[20].transfer.accuracy > probe-fashion-random[20].transfer.accuracy + 0.3",
            "probe-fashion[1000].transfer.accuracy < probe-fashion-random[1000].transfer.accuracy + 0.3",
        ),
        ("probe-digits-random[100].transfer.accuracy > probe-digits[100].transfer.accuracy",),
    ),
    "features": (
        ("directions-fashion[8].transfer.accuracy > directions-fashion[32].transfer.accuracy - 0.02",),
        (
            "two.transfer.bytes > 1.5 * one.transfer.bytes",
            "two.transfer.latency > one.transfer.latency",
        ),
        (),
    ),
    "fine-tuning": (
        (
            "tune-digits[0.0003].transfer.accuracy < tune-digits[0.003].transfer.accuracy - 0.02",
            "tune-digits[0.03].transfer.accuracy < probe.transfer.accuracy - 0.3",
        ),
        ("tune-digits-learned[0.003].transfer.accuracy > tune-digits[0.003].transfer.accuracy + 0.02",),
        ("tune-digits[0.003].transfer.accuracy > probe.transfer.accuracy + 0.05",),
    ),
    "soft-labels": ((), (), ()),
    "distillation": (
        ("omitted-digit[20].distill.omitted_recall > 0.5",),
        (),
        (
            "few-labels.distill.accuracy > few-labels.distill/without_teacher.accuracy + 0.05",
            "all-labels.distill.accuracy < all-labels.distill/without_teacher.accuracy + 0.03",
        ),
    ),
    "pruning": (
        ("prune-fashion[0.5].transfer.params > 2 * prune-fashion[0.5].prune.params",),
        (
            "prune-fashion-raw[0.5].prune.accuracy < prune-fashion[0.5].transfer.accuracy - 0.2",
            "prune-fashion[0.5].prune.accuracy > prune-fashion-raw[0.5].prune.accuracy + 0.2",
        ),
        ("prune-fashion[0.5].transfer.latency < 3.5 * prune-fashion[0.5].prune.latency",),
    ),
    "quantization": (
        (),
        (
            "quantize-fashion[4].quantize.accuracy > quantize-fashion[4].transfer.accuracy - 0.03",
            "quantize-fashion[3].quantize.accuracy < quantize-fashion[4].quantize.accuracy - 0.05",
            "quantize-fashion[2].quantize.accuracy < quantize-fashion[3].quantize.accuracy - 0.1",
        ),
        ("quantize-fashion[4].quantize.bytes < quantize-fashion[4].transfer.bytes",),
    ),
    "domain-adaptation": (
        ("adapt-glyphs[1].transfer/source_only.target_accuracy < adapt-glyphs[1].transfer/source_only.accuracy - 0.1",),
        ("adapt-glyphs[1].transfer.target_accuracy > adapt-glyphs[1].transfer/source_only.target_accuracy + 0.02",),
        ("adapt-glyphs[10].transfer.target_accuracy < adapt-glyphs[10].transfer/source_only.target_accuracy",),
    ),
    "overfitting": (
        ("plain-digits[50].transfer.accuracy < plain-digits[50].transfer.training_accuracy - 0.1",),
        (
            "shifted-digits[50].transfer.accuracy > plain-digits[50].transfer.accuracy + 0.03",
            "shifted-digits[50].transfer.accuracy > regularised-digits[50].transfer.accuracy + 0.01",
            "shifted-digits[300].transfer.accuracy < plain-digits[300].transfer.accuracy + 0.03",
        ),
        ("mirrored.transfer.accuracy < shifted-digits[100].transfer.accuracy - 0.01",),
    ),
    "convergence": (
        ("converge-fashion[0.0001].transfer.accuracy < converge-fashion[0.003].transfer.accuracy - 0.1",),
        (),
        (),
    ),
    "measuring": ((), (), ()),
    "whom-does-it-hurt": (
        (),
        (),
        (
            "prune-fashion[0.25].prune.worst_recall > prune-fashion-raw[0.25].prune.worst_recall + 0.2",
            "prune-fashion[0.25].prune.accuracy < prune-fashion-raw[0.25].prune.accuracy + 0.2",
        ),
    ),
}
# The same of sentences with a measured figure and a comparison that stand in no claim, by their beginning.
IN_PASSING: dict[str, tuple[str, ...]] = {
    "The float file is": ("quantize-fashion[4].transfer.bytes > quantize-fashion[4].quantize.bytes",),
    "Where it helps they do not show": (
        "adapt-glyphs[1].transfer.target_accuracy > adapt-glyphs[1].transfer/source_only.target_accuracy + 0.02",
        *ALIKE,
    ),
    "On the source, weight 1 and no alignment look alike": ALIKE,
    "With 50 labels shifts brought": (
        "shifted-digits[50].transfer.accuracy > plain-digits[50].transfer.accuracy + 0.03",
        "plain-digits[300].transfer.accuracy > shifted-digits[50].transfer.accuracy",
    ),
    "Here a class lost": ("prune-fashion[0.5].prune.worst_recall < prune-fashion[0.5].transfer.worst_recall - 0.1",),
    "Recovery brought this network": (
        "prune-fashion[0.5].prune.accuracy > prune-fashion-raw[0.5].prune.accuracy + 0.2",
    ),
    "Only the distances shrink": (),  # on any picture: the claims of that lesson check it on all ten
    "With the hard labels of the same images": (),  # one figure: "same" compares no results
    "Of its worst class the network": (),  # one figure: "worst" is the name of the measure
}
COMPARING = re.compile(
    r"\b(more|less|fewer|better|worse|best|worst|faster|slower|larger|smaller|higher|lower|beats?|gains?|gained|loses?"
    r"|lost|helps?|rises?|falls?|fell|most|least|than|same|alike|as|still|ahead|behind|brings?|brought)\b",
    re.IGNORECASE,
)
# Numbers that no recipe, condition or dataset of the lesson has, and why they may stand there.
ARITHMETIC = {
    "shared-representation": {90},  # a colleague's, in the question
    "quantization": {32, 255},  # bits of a float; 2⁸ − 1 values
    "overfitting": {80},  # in the question
    "distillation": {9},  # the other digits
}


def holds(found: Lesson, conditions: tuple[str, ...]) -> bool:
    looks = [in_runs(of_seed(found, seed)) for seed in SEEDS]
    return all(all_hold(tuple(map(condition, conditions)), look) is True for look in looks)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_what_is_to_be_remembered_was_measured(path: Path) -> None:
    found = lesson(path)
    assert len(TAKEN_AWAY[found.id]) == len(found.remember), "say which conditions make the new sentence true"
    for sentence, conditions in zip(found.remember, TAKEN_AWAY[found.id], strict=True):
        assert holds(found, conditions), sentence


def passing(found: Lesson) -> Iterator[str]:
    """Sentences outside of claims that hold a measured figure and compare."""
    told = [*found.remember]
    for block in found.blocks:
        told += [block.text] if isinstance(block, Paragraph) else [block.caption] if isinstance(block, Chart) else []
        told += [answer.why for answer in block.answers] if isinstance(block, Question) else []
    for sentence in (part for text in told for part in re.split(r"(?<=[.?!])\s+", text)):
        if "{" in sentence and COMPARING.search(PLACEHOLDER.sub("", sentence)):
            yield sentence


def test_what_is_compared_in_passing_was_measured() -> None:
    met = set()
    for path in FILES:
        found = lesson(path)
        for sentence in passing(found):
            known = [begin for begin in IN_PASSING if sentence.startswith(begin)]
            assert known, f"make it a claim, or say which conditions make it true: {sentence}"
            assert holds(found, IN_PASSING[known[0]]), sentence
            met.add(known[0])
    assert met == IN_PASSING.keys()


def numbers(text: str, words: dict[str, int]) -> set[float]:
    """The numbers of a text, in digits and in words, from three on; figures that are filled in are left out."""
    plain = PLACEHOLDER.sub("", text).lower().replace("thirty-two", "32")
    found = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", plain)]
    for word, value in words.items():
        pattern = rf"\b{word}\b" if word.isascii() else word
        found += [float(value)] * len(re.findall(pattern, plain))
        plain = re.sub(pattern, " ", plain)
    return {one for one in found if one not in (0, 1, 2)}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_both_languages_have_the_same_numbers(path: Path) -> None:
    for english, chinese in zip(texts(lesson(path)), texts(in_chinese(path)), strict=True):
        there = numbers(chinese, SIGNS)
        if 90.0 in there:  # 九成 is nine tenths
            there = (there - {90.0}) | {9.0, 10.0}
        assert numbers(english, WORDS) == there or 90.0 in numbers(english, WORDS), (english, chinese)
        assert sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(chinese))


def known_numbers(found: Lesson) -> set[float]:
    """What a number in a lesson may be: an option of its runs, images a class or tenths of it, a bound of its
    conditions in points or times, how many times one setting is another, a count of its runs or its dataset."""
    runs = list(found.runs.values())
    options = [v for run in runs for step in run.recipe.steps for v in step.options.values()]
    plain = {float(v) for v in options if isinstance(v, int | float) and not isinstance(v, bool)}
    labels = {float(run.recipe.labels) for run in runs}
    sets = [load_catalog().datasets[run.recipe.dataset] for run in runs]
    counts = {float(one["classes"]) for one in sets}
    trained_on = {float(one["images"]) * 5 / 8 for one in sets}  # of the bundled part of Fashion-MNIST
    values = {float(v) for v in (found.knob.values if found.knob else ()) if isinstance(v, int | float)}
    ratios = {round(one / other) for group in (values, labels) for one in group for other in group if other}
    sides = [side for claim in found.claims for one in claim.holds for side in (one.left, one.right)]
    sides += [s for p in found.predictions for c in p.choices if c.when for s in (c.when.left, c.when.right)]
    bounds = {abs(round(100 * side.offset, 6)) for side in sides} | {side.factor for side in sides}
    many = {float(one) for one in (len(values), len(SEEDS), len(found.knob.recipes) if found.knob else 0)}
    parts = {one / count for one in labels for count in counts} | {round(10 * one, 6) for one in values if one < 1}
    parts |= {1 / one for one in values if 0 < one < 1}
    return plain | labels | counts | trained_on | values | ratios | bounds | many | parts


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_number_in_prose_is_one_of_the_lessons_own(path: Path) -> None:
    found = lesson(path)
    allowed = known_numbers(found) | {float(one) for one in ARITHMETIC.get(found.id, ())}
    for text in texts(found):
        assert numbers(text, WORDS) <= allowed, (text, numbers(text, WORDS) - allowed)


def counted(text: str, words: dict[str, int], pattern: str) -> set[float]:
    """The numbers that stand where `{}` is in the pattern, in digits or in words."""
    number = "|".join([r"\d+", *map(re.escape, words)])
    found = re.findall(pattern.format(rf"({number})"), PLACEHOLDER.sub("", text).lower())
    return {float(words.get(one, 0) or one) for one in found}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_epochs_and_labels_are_those_of_the_recipes(path: Path) -> None:
    found = lesson(path)
    runs = list(found.runs.values())
    epochs = {float(step.options["epochs"]) for r in runs for step in r.recipe.steps if "epochs" in step.options}
    labels = {float(r.recipe.labels) for r in runs}
    labels |= {5000.0} if 0.0 in labels else set()  # all of them
    for english, chinese in zip(texts(found), texts(in_chinese(path)), strict=True):
        assert counted(english, WORDS, r"\b{} epochs") <= epochs, english
        assert counted(chinese, SIGNS, r"{} ?轮") <= epochs, chinese
        assert counted(english, WORDS, r"\b{} (?:labels|labelled)") <= labels, english
        assert counted(chinese, SIGNS, r"{} ?(?:个标签|张有标签|张带标签)") <= labels, chinese
