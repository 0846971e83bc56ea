"""A lesson file is read strictly: what is wrong is told with its line, and nothing else is believed."""

from __future__ import annotations

import pytest

from core.errors import UserErrors
from core.lessons.blocks import Chart, Claim, Knob, Paragraph, Predict, Question
from core.lessons.parse import parse_lesson
from core.lessons.split import LARGEST
from tests.core.lessons.written import LESSON, line_of

SWEEP = 'kind = "sweep"\nshow = ["prune.accuracy"]'


def refused(text: str | bytes) -> list[tuple[str, int]]:
    """Code and line of every mistake."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(UserErrors) as caught:
        parse_lesson(data)
    return [(error.code, int(error.field.removeprefix("line "))) for error in caught.value.errors]


def test_a_lesson_is_understood_in_the_order_of_the_file() -> None:
    lesson = parse_lesson(LESSON.encode())
    assert [type(block) for block in lesson.blocks] == [Paragraph, Predict, Knob, Chart, Claim, Question]
    assert list(lesson.runs) == ["tiny[0.25]", "tiny[0.5]"]
    assert [run.recipe.steps[1].options["ratio"] for run in lesson.runs.values()] == [0.25, 0.5]
    assert lesson.knob is not None
    assert lesson.knob.option.name == "ratio"
    assert lesson.text == LESSON


def test_a_feature_map_follows_the_knob() -> None:
    text = LESSON.replace(SWEEP, 'kind = "map"\npoints = ["transfer", "prune/random_pruning"]')
    chart = next(block for block in parse_lesson(text.encode()).blocks if isinstance(block, Chart))
    assert (chart.kind, chart.run, chart.points) == ("map", "", ("transfer", "prune/random_pruning"))


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    data = b"\xef\xbb\xbf" + LESSON.replace("\n", "\r\n").encode()
    assert parse_lesson(data) == parse_lesson(LESSON.encode())


@pytest.mark.parametrize(
    ("before", "after", "code", "part"),
    [
        ('title = "A tiny lesson"', 'titel = "A tiny lesson"', "missing", None),
        ("minutes = 5", 'minutes = 5\ncolour = "red"', "unknown_key", "colour"),
        ("minutes = 5", "minutes = 500", "value", "minutes"),
        ("minutes = 5", 'minutes = 5\nterms = ["prunning"]', "value", "terms"),
        ("minutes = 5", 'minutes = "five"', "value", "minutes"),
        ('id = "tiny"', 'id = "../tiny"', "value", "id ="),
        ("https://arxiv.org/abs/1608.08710", "javascript:alert(1)", "value", "url ="),
        ('language = "en"', 'language = "de"', "value", "language"),
        ("A network is cut.", "A <script>alert(1)</script> is cut.", "markup", "<script>"),
        ("A network is cut.", "![a](/etc/passwd) is cut.", "markup", "![a]"),
        ("A network is cut.", "See http://example.org for more.", "markup", "http://"),
        ("```claim", "```shell", "unknown_block", "```shell"),
        ('sentence = "It gets smaller."', 'sentence = "It gets smaller."\nsize = 3', "unknown_key", "size = 3"),
        ('kind = "sweep"', 'kind = "pie"', "value", 'kind = "pie"'),
        ('kind = "sweep"\nshow = ["prune.accuracy"]', 'kind = "levels"', "value", "levels"),
        ('show = ["prune.accuracy"]', 'show = ["prune.beauty"]', "reference", "beauty"),
        (SWEEP, 'kind = "map"', "missing", 'kind = "map"'),
        (SWEEP, 'kind = "map"\npoints = ["prune"]\nshow = ["prune.accuracy"]', "unknown_key", "show ="),
        (SWEEP, 'kind = "map"\npoints = ["prune", "transfer", "last"]', "value", "points ="),
        (SWEEP, 'kind = "map"\npoints = ["distill"]', "reference", "points ="),
        (SWEEP, 'kind = "map"\npoints = ["prune"]\nrun = "other"', "reference", "run ="),
        ("low = 0", "low = 200", "value", "high ="),
        ("{tiny[0.5].prune.accuracy}", "{tiny[0.5].prune.beauty}", "reference", "beauty"),
        ("steps.1.ratio", "steps.1.rate", "value", "steps.1.rate"),
        ("steps.1.ratio", "steps.7.ratio", "value", "steps.7.ratio"),
        ("values = [0.25, 0.5]", "values = [0.25, 0.5, 7.0]", "recipe", "7.0"),
        ("start = 0.5", "start = 0.7", "value", "start = 0.7"),
        ('recipes = ["tiny"]', 'recipes = ["../../etc/passwd"]', "unknown_recipe", "passwd"),
        ("right = false", "right = true", "value", 'question = "What is smaller?"'),
        ('dataset = "digits"', 'dataset = "digit"', "recipe", "dataset ="),
        ("labels = 300", "labels = 300\nseeds = 3", "value", "seeds = 3"),
        ('about = "tiny[0.5].prune.accuracy"', 'about = "prune.accuracy"', "reference", "about ="),
        ("low = 0\n", "low = nan\n", "value", "low = nan"),
        ('question = "How good is it then?"', "question = How good is it then?", "toml", "question = How"),
    ],
)
def test_a_mistake_is_told_with_its_line(before: str, after: str, code: str, part: str | None) -> None:
    assert before in LESSON
    text = LESSON.replace(before, after, 1)
    line = 2 if part is None else line_of(text, part)
    found = refused(text)
    assert (f"lesson_{code}", line) in found, found


@pytest.mark.parametrize(
    ("before", "after", "code", "part", "told"),
    [
        ("```knob", "  ```knob", "block", "  ```knob", "first characters"),
        ("```knob", "~~~knob", "block", "~~~knob", "three backticks"),
        ("```knob", "``knob", "block", "``knob", "three backticks"),
        ("```knob", "‘‘‘knob", "block", "‘‘‘knob", "three backticks"),
        ("```knob", "```Knob", "unknown_block", "```Knob", "'knob'"),
        ("epochs = 0\n```", "epochs = 0\n", "block", "```recipe", "before line 38"),
        ("epochs = 0\n```", "epochs = 0\n  ```", "block", "```recipe", "before line 36"),
        ('"A tiny lesson"', "“A tiny lesson”", "toml", "“A tiny", "straight quotation marks"),
        ('"digits"', "„digits“", "recipe", "„digits“", "straight quotation marks"),
        ("right = true", "right = True", "toml", "True", "small letters"),
        ("ratio = 0.5", "ratio = 50 %", "recipe", "50 %", "without %"),
        ("ratio = 0.5", "ratio = 0,5", "recipe", "0,5", "decimal point"),
        ("[0.25, 0.5]", "[0,25, 0,5]", "value", "[0,25", "decimal point"),
        ("[0.25, 0.5]", "[0.25, 0.25000000001, 0.5]", "value", "values =", "first six digits"),
        ("labels = 300", "labels\u00a0= 300", "recipe", "labels\u00a0", "spaces"),
        ("ratio = 0.5", "ratio = 1.5", "recipe", "ratio = 1.5", "0.95"),
        ("epochs = 0", "epochs = -1", "recipe", "epochs = -1", "0"),
        ("labels = 300", "labels 300", "recipe", "labels 300", "quotes"),
        ('"steps.1.ratio"', '"ratio"', "value", "option =", "steps.1.ratio"),
        ('"steps.1.ratio"', '"steps.0.ratio"', "value", "option =", "steps.1 is prune"),
        ("high = 100", "high = 5000", "value", "high = 5000", "at most 100"),
        ("low = 0", 'low = "0"', "value", "low =", "without quotation marks"),
        ("start = 0.5\n", "", "missing", "recipes =", "start"),
        ('["prune.accuracy"]', '["accuracy"]', "reference", "show =", "prune.accuracy"),
        ('["prune.accuracy"]', '["quantize.accuracy"]', "reference", "show =", "Name one"),
        ("A network is cut.", "- a\n- b", "markup", "- a", "sentence"),
        ("A network is cut.", "Cuts:\n1. a", "markup", "1. a", "sentence"),
        ("A network is cut.", "|a|b|", "markup", "|a|b|", "sentence"),
        ("A network is cut.", "A **network is cut.", "markup", "A **network", "Close it"),
        ("prune.accuracy}", "prune.accuracy", "reference", "A network", "partner"),
        ("A network", "A\u200b network", "encoding", "A\u200b network", "by hand"),
    ],
)
def test_what_a_teacher_gets_wrong_is_one_mistake_at_its_line_with_a_way_out(
    before: str, after: str, code: str, part: str, told: str
) -> None:
    assert before in LESSON
    text = LESSON.replace(before, after, 1)
    with pytest.raises(UserErrors) as caught:
        parse_lesson(text.encode())
    (error,) = caught.value.errors
    assert (error.code, error.field) == (f"lesson_{code}", f"line {line_of(text, part)}")
    assert told in error.fix + error.allowed
    assert "(at line" not in str(error), "a second line number, counted from elsewhere"


def test_two_runs_of_one_name_are_told_at_the_second_name() -> None:
    run = '```run\nname = "other"\nrecipe = "tiny"\ntitle = "other"\n```\n\n'
    text = LESSON.replace("```chart", f"{run}{run}```chart", 1)
    first = line_of(text, 'name = "other"')
    assert refused(text) == [("lesson_twice", first + 6)]


def test_more_runs_than_anybody_waits_for_are_told() -> None:
    runs = [f'```run\nname = "more-{n}"\nrecipe = "tiny"\ntitle = "more"\n```\n\n' for n in range(9)]
    text = LESSON.replace("```chart", "".join(runs) + "```chart", 1)
    assert refused(text) == [("lesson_size", line_of(text, 'name = "more-8"') - 1)]
    fewer = LESSON.replace("```chart", "".join(runs[:8]) + "```chart", 1)
    assert len(parse_lesson(fewer.encode()).others) == 8


def test_every_mistake_of_a_recipe_is_told_and_nothing_that_only_follows() -> None:
    text = LESSON.replace('"digits"', '"digit"').replace("ratio = 0.5", "ratio = 1.5")
    found = refused(text)
    assert found == [("lesson_recipe", line_of(text, '"digit"')), ("lesson_recipe", line_of(text, "ratio = 1.5"))]


def test_line_ends_of_an_old_mac_and_an_emoji_of_parts_are_read() -> None:
    assert parse_lesson(LESSON.replace("\n", "\r").encode()) == parse_lesson(LESSON.encode())
    text = LESSON.replace("A network", "👩\u200d🔬 A\u202fnetwork")
    first = parse_lesson(text.encode()).blocks[0]
    assert isinstance(first, Paragraph)
    assert first.text.startswith("👩\u200d🔬 A network")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tiny[0.5].prune.params <", "tiny[0.9].prune.params <"),
        ("tiny[0.5].prune.params <", "other.prune.params <"),
        ("tiny[0.5].prune.params <", "tiny[0.5].distill.params <"),
        ("tiny[0.5].prune.params <", "tiny[0.5].5.params <"),
    ],
)
def test_a_reference_to_what_is_not_there_is_told_at_its_line(before: str, after: str) -> None:
    text = LESSON.replace(before, after, 1)
    assert refused(text) == [("lesson_reference", line_of(text, "holds ="))]


def test_every_blocks_first_mistake_is_told_at_once() -> None:
    text = LESSON.replace('kind = "sweep"', 'kind = "pie"').replace("low = 0", "low = 500")
    assert [code for code, _ in refused(text)] == ["lesson_value", "lesson_value"]


@pytest.mark.parametrize("block", ["predict", "question"])
def test_a_lesson_without_what_makes_it_one_is_refused(block: str) -> None:
    first = LESSON.index(f"```{block}")
    last = LESSON.index("\n```\n", first) + len("\n```\n")
    assert refused(LESSON[:first] + LESSON[last:]) == [("lesson_missing", 1)]


def test_a_file_that_is_none_is_refused() -> None:
    assert refused(b"") == [("lesson_header", 1)]
    assert refused(LESSON.replace("+++", "---")) == [("lesson_header", 1)]
    assert refused(b"\x89PNG\r\n\x1a\n" + b"\xff" * 90) == [("lesson_encoding", 1)]
    assert refused(LESSON.replace("A network", "A\x00network")) == [("lesson_encoding", line_of(LESSON, "A network"))]
    assert refused(LESSON + "x" * LARGEST) == [("lesson_size", 1)]
    unended = LESSON + "\n```claim\n"
    assert refused(unended) == [("lesson_block", line_of(unended + "#", "#") - 1)]


def test_toml_that_costs_much_is_refused_at_once() -> None:
    deep = LESSON.replace("holds = [", f"deep = {'[' * 40}{']' * 40}\nholds = [")
    assert [code for code, _ in refused(deep)] == ["lesson_toml"]
