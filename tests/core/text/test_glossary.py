"""The glossary is whole in both languages, leads nowhere that is not there, and its reading forgives nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.recipe_options import RECIPE_OPTIONS
from core.text.glossary import Glossary, load_glossary, read_glossary

LONGEST = {"en": 25, "zh": 60}  # words, characters of a sentence
SENTENCES = 3
CJK = re.compile(r"[\u4e00-\u9fff]")
SOUND = """
[topic]
en = "Words"
zh = "词"
[one]
en = "One"
zh = "一"
text_en = "The first."
text_zh = "第一个。"
see = ["two"]
options = ["distill.*.temperature", "distill.kd"]
words = ["tradeoffs.x"]
[two]
en = "Soft two"
zh = "二"
also_en = ["pair"]
text_en = "The second."
text_zh = "第二个。"
source = "Somebody 1900"
url = "https://example.org"
"""


def made(folder: Path, text: str) -> Glossary:
    (folder / "1-words.toml").write_text(text, encoding="utf-8")
    return read_glossary(folder)


def places() -> set[str]:
    """Every method and knob that there is."""
    found = {f"recipe.{option.name}" for option in RECIPE_OPTIONS}
    for stage, methods in load_catalog().methods.items():
        for name, entry in methods.items():
            found |= {f"{stage}.{name}", *(f"{stage}.{name}.{option.name}" for option in entry.options)}
    return found


def test_a_sound_file_is_read_whole(tmp_path: Path) -> None:
    found = made(tmp_path, SOUND)
    assert list(found.topics) == ["words"]
    one, two = found.terms.values()
    assert (one.id, one.name.zh, one.topic, one.source) == ("one", "一", "words", None)
    assert two.source == ("Somebody 1900", "https://example.org")
    assert two.names("en") == ("Soft two", "pair")
    assert found.of_option("distill.kd.temperature") == found.of_option("distill.kd") == (one,)
    assert found.of_option("distill.new.temperature") == (one,), "a new method needs no second edit"
    assert found.of_option("distill.new") == found.of_option("prune.l2.temperature") == ()
    assert found.of_words(["tradeoffs.x", "no.such", "tradeoffs.x"]) == (one,)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('zh = "一"\n', "", "1-words.toml: one: zh"),
        ('text_zh = "第二个。"\n', "", "1-words.toml: two: text_zh"),
        ('see = ["two"]', 'see = ["three"]', "one: see also three"),
        ('see = ["two"]', 'see = ["one"]', "one: see also one"),
        ('see = ["two"]', 'sea = ["two"]', "1-words.toml: one: sea"),
        ('see = ["two"]', 'see = "two"', "1-words.toml: one: see"),
        ('en = "One"', "en = 1", "1-words.toml: one: en"),
        ('en = "One"', 'en = ""', "1-words.toml: one: en"),
        ('url = "https://example.org"\n', "", "1-words.toml: two: .*a source needs its url"),
        ("https://example", "http://example", "1-words.toml: two: url"),
        ("[two]", "[Two_2]", "1-words.toml: Two_2: an id"),
        ('zh = "词"\n', "", "1-words.toml: topic: zh"),
        ("[two]", "[one]", "1-words.toml"),
    ],
)
def test_anything_else_is_an_error_that_says_where(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert SOUND.count(old)
    with pytest.raises(ValueError, match=told):
        made(tmp_path, SOUND.replace(old, new, 1))


def test_terms_are_found_in_a_text_as_whole_words_and_the_longest_first(tmp_path: Path) -> None:
    found = made(tmp_path, SOUND)
    assert [term.id for term in found.of_text("A pair, ones, and someone.", "en")] == ["two", "one"]
    assert found.of_text("someone, one-sided, pairing", "en") == ()
    assert [term.id for term in found.of_text("SOFT TWO", "en")] == ["two"]
    assert [term.id for term in found.of_text("有一个", "zh")] == ["one"]
    everything = load_glossary()
    assert [t.id for t in everything.of_text("soft labels at test accuracy", "en")] == ["soft-label", "test-set"]
    assert [t.id for t in everything.of_text("软标签与验证准确率", "zh")] == ["soft-label", "validation-set"]
    assert everything.of_text("a step of the recipe", "en") == (), "everyday words are not linked"


def test_it_has_the_terms_of_the_field() -> None:
    expected = (
        "accuracy macro-f1 calibration-error backbone linear-probe fine-tuning frozen-batch-norm "
        "temperature soft-label knowledge-distillation logits pruning structured-pruning "
        "unstructured-pruning channel sensitivity quantization calibration qat per-channel weight-grid "
        "macs latency pareto-front confidence-interval mcnemar chance-level control twin pseudo-label "
        "domain-adaptation coral mmd dann mixup gap-recovered agreement"
    )
    terms = load_glossary().terms
    assert set(expected.split()) <= set(terms)
    assert len(terms) >= 90


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sentences_are_short_and_in_their_language(language: str) -> None:
    for term in load_glossary().terms.values():
        text = term.text.zh if language == "zh" else term.text.en
        assert bool(CJK.search(text)) == (language == "zh"), term.id
        sentences = [part for part in re.split(r"(?<=[.!?])\s+|(?<=[。！？])", text) if part]
        assert len(sentences) <= SENTENCES, term.id
        assert text[-1] in ".。"
        for sentence in sentences:
            assert len(sentence if language == "zh" else sentence.split()) <= LONGEST[language], (term.id, sentence)


def test_no_name_means_two_terms() -> None:
    terms = load_glossary().terms.values()
    for names in ([n.lower() for t in terms for n in t.names("en")], [n.lower() for t in terms for n in t.names("zh")]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_pattern_of_options_matches_a_knob_or_method() -> None:
    every = places()
    for term in load_glossary().terms.values():
        for pattern in term.options:
            one = re.compile(r"\.".join(part.replace("*", r"[^.]*") for part in pattern.split(".")))
            assert any(one.fullmatch(place) for place in every), (term.id, pattern)


def test_every_knob_that_methods_share_has_a_term_and_so_have_most_of_their_own() -> None:
    """A new method may bring a knob that the glossary does not know: then no link is shown."""
    glossary = load_glossary()
    shared = {f"recipe.{option.name}" for option in RECIPE_OPTIONS}
    own: set[str] = set()
    for stage, methods in load_catalog().methods.items():
        for name, entry in methods.items():
            for option in entry.options:
                (own if option.own else shared).add(f"{stage}.{name}.{option.name}")
    assert sorted(place for place in shared if not glossary.of_option(place)) == []
    assert sum(bool(glossary.of_option(place)) for place in own) >= 0.95 * len(own)


def test_most_terms_are_reached_from_another() -> None:
    """Nobody is led into a dead end: what others point to, or a knob or a page names."""
    terms = load_glossary().terms
    reached = {other for term in terms.values() for other in term.see}
    assert [t.id for t in terms.values() if t.id not in reached and not t.options and not t.words] == []
