"""Every word a person reads is in the catalog, in both languages, and the code writes none of its own."""

from __future__ import annotations

import ast
import json
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.recipe_options import RECIPE_OPTIONS
from dashboard.i18n import FOLDER, aside, headed, in_turn, listed, phrase, speaking, together, vocabulary

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "dashboard").rglob("*.py"))
SPOKEN = {"say", "template", "known"}
# of Streamlit's and plotly's calls: what a person reads
READ = {
    "button",
    "caption",
    "checkbox",
    "download_button",
    "error",
    "expander",
    "header",
    "info",
    "markdown",
    "metric",
    "number_input",
    "page_link",
    "popover",
    "radio",
    "segmented_control",
    "select_slider",
    "selectbox",
    "slider",
    "subheader",
    "success",
    "tabs",
    "text",
    "text_area",
    "text_input",
    "title",
    "toast",
    "toggle",
    "warning",
    "write",
    "multiselect",
    "file_uploader",
    "dialog",
    "pills",
    "link_button",
}
READ_BY_NAME = {"label", "help", "placeholder", "alt", "body"}
LETTERS = re.compile(r"[A-Za-z\u4e00-\u9fff]{2,}")
QUIET = re.compile(r":material/(?:[a-z_]+:)?|:[a-z-]+\[|\bTOML\b|\bCSV\b|\bPNG\b")


def keys(language: str) -> set[str]:
    rooms = vocabulary("zh" if language == "zh" else "en")
    return {f"{room}.{name}" for room, names in rooms.items() for name in names}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def pattern(node: ast.expr) -> str | None:
    """A key as a regular expression; what is filled in at run time stands for anything."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else r".+" for p in node.values)
        return "".join(parts)
    return None


def asked() -> Iterator[tuple[Path, str]]:
    """Every key that the code asks for, as a pattern."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in calls(tree):
            if name_of(call) in SPOKEN and call.args and (found := pattern(call.args[0])) is not None:
                yield path, found


def mentioned() -> Iterator[str]:
    """Those, and every text of the shape `room.name`: a key that goes through a variable."""
    yield from (found for _, found in asked())
    rooms = "|".join(vocabulary("en"))
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                found = pattern(node)
                if found and re.match(rf"(?:{rooms})\\\..", found):
                    yield found


def test_both_languages_have_the_same_phrases() -> None:
    assert keys("en") == keys("zh")
    for file in FOLDER.glob("*/*.toml"):
        assert all(isinstance(v, str) and v for v in tomllib.loads(file.read_text(encoding="utf-8")).values()), file


@pytest.mark.parametrize("key", sorted(keys("en")))
def test_a_phrase_has_the_same_places_in_both(key: str) -> None:
    places = [
        {name for _, name, _, _ in string.Formatter().parse(phrase(key, spoken)) if name} for spoken in ("en", "zh")
    ]
    assert places[0] == places[1]


def test_every_data_set_of_the_catalog_has_a_chinese_name() -> None:
    for name, facts in load_catalog().datasets.items():
        assert facts["title_zh"], name
        assert facts["title_zh"] != facts["title"] or len(facts["title"].split()) <= 2, name


def test_chinese_is_chinese() -> None:
    same = {
        k: re.sub(r"<[^>]*>|{[^}]*}", "", phrase(k, "en")) for k in keys("en") if phrase(k, "zh") == phrase(k, "en")
    }
    assert not {key for key, words in same.items() if LETTERS.search(words) and len(words.split()) > 2}


@pytest.mark.thorough
def test_every_key_asked_for_exists() -> None:
    known = keys("en")
    missing = [(p.name, found) for p, found in asked() if not any(re.fullmatch(found, key) for key in known)]
    assert not missing


@pytest.mark.thorough
def test_no_phrase_is_left_over() -> None:
    patterns = [re.compile(found) for found in mentioned()]
    unused = [key for key in sorted(keys("en")) if not any(p.fullmatch(key) for p in patterns)]
    assert not unused


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT / "dashboard")))
def test_no_words_in_the_code(path: Path) -> None:
    for call in calls(ast.parse(path.read_text(encoding="utf-8"))):
        if name_of(call) not in READ or not isinstance(call.func, ast.Attribute):
            continue
        first = call.args[:1] if name_of(call) != "page_link" else []
        shown = [*first, *(k.value for k in call.keywords if k.arg in READ_BY_NAME)]
        for node in shown:
            for text in literals(node):
                assert not LETTERS.search(QUIET.sub("", text)), f"{path.name}:{call.lineno}: {text!r}"


def literals(node: ast.expr) -> Iterator[str]:
    """The text that stands in the code itself."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from (str(p.value) for p in node.values if isinstance(p, ast.Constant))


def name_of_value(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def test_only_the_session_touches_streamlits_memory() -> None:
    for path in FILES:
        if path.name != "session.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = {"session_state", "query_params"}
                touched = isinstance(node, ast.Attribute) and node.attr in names and name_of_value(node) == "st"
                assert not touched, f"{path.name}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT / "dashboard")))
def test_every_chart_table_and_image_is_described(path: Path) -> None:
    """For those who cannot see it; what is described by its caller takes `alt` from there."""
    drawn = {"table", "dataframe", "image", "plotly_chart", "live_plot", "chart"}
    for call in calls(ast.parse(path.read_text(encoding="utf-8"))):
        ours = isinstance(call.func, ast.Name) and name_of(call) == "live_plot"
        theirs = isinstance(call.func, ast.Attribute) and name_of_value(call.func) in ("st", "blocks")
        if (ours or theirs) and name_of(call) in drawn:
            assert "alt" in {keyword.arg for keyword in call.keywords}, f"{path.name}:{call.lineno}"


# the Chinese of the product


def chinese_texts() -> Iterator[tuple[str, str]]:
    """Every text of pages, lessons, glossary and menus that holds Chinese, with its place."""
    for file in (*FOLDER.glob("zh/**/*.toml"), *(ROOT / "assets" / "glossary").glob("*.toml")):
        found = strings(tomllib.loads(file.read_text(encoding="utf-8")))
        yield from ((str(file.relative_to(ROOT)), text) for text in found)
    for file in (ROOT / "assets" / "lessons" / "zh").glob("*.md"):
        yield from ((file.name, line) for line in file.read_text(encoding="utf-8").splitlines())
    yield from (("catalog", text) for text in strings(json.loads((ROOT / "core" / "catalog.json").read_text())))
    yield from (("options", words.zh) for o in RECIPE_OPTIONS for words in (o.title, o.help))


def strings(found: object) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from strings(each)


ZH = "[\u4e00-\u9fff]"
AGAINST = {
    "您 is the one form of address": r"你",
    "full-width marks between Chinese": rf"{ZH}[,;:!?]|{ZH}\.(?=\s|$)|[,;:!?] ?{ZH}",
    "full-width brackets around Chinese": rf"{ZH} ?\(|\(({ZH})|{ZH}\)",
    "no blank beside a full-width mark": r"[ \t][，。；：、）”]|[，。；：、（“] (?=\S)",
    "a blank between Chinese and Latin or a number": rf"{ZH}[A-Za-z0-9]|[A-Za-z0-9]{ZH}",
    "no blank between Chinese": rf"{ZH} +{ZH}",
    "no mark twice": r"。。|，，|；；|：：",
}
AS_IT_IS = re.compile(r"T恤|:material/[a-z_]+:|(?<=，)\? ")  # a word, an icon, a mark explained


NAMES = {
    "cats",
    "digits",
    "fashion-mini",
    "label",
    "test",
    "text",
    "train",
    "validation",  # of files, folders and columns
    "attention",
    "logits",
    "rollout",
    "softmax",  # beside the Chinese term
    "float",
    "git",
    "idx",
    "mlp",
    "ms",
    "onnxruntime",
    "safetensors",
    "tar",
    "timm",
    "torch",
    "torchvision",
    "zip",
    "zlib",
}
CODE = re.compile(r"{[^{}]*}|`[^`]*`|\]\([^)]*\)|<[^>]*>|:material/[a-z_]+:|:[a-z-]+\[|--\S+|\w+(?:\.\w+)+|\.pth?\b")
COMMAND = re.compile(r"(?:pip|condenser) [^，。；：）]*|\S*[/_=\[\]*]\S*|(?<=写列名：)text,label")
TABLE = re.compile(r"^(?:\w+ = |\s*\").*")  # of a lesson, with the quotation marks of TOML
WORD = re.compile(r"(?<![A-Za-z-])[a-z][a-z-]+(?![A-Za-z\d-])")


def english_words(text: str) -> set[str]:
    """What is no name, no code and no part of a command."""
    return set(WORD.findall(COMMAND.sub("", CODE.sub("", text)))) - NAMES


def test_no_english_word_is_left_in_chinese() -> None:
    """But for what the engine says of options by their names in a recipe, which `step_names` puts into words."""
    engine = str((FOLDER / "zh" / "engine").relative_to(ROOT))
    texts = ((place, text) for place, text in chinese_texts() if re.search(ZH, text) and not place.startswith(engine))
    assert [(place, text) for place, text in texts if english_words(re.sub(r"^\w+ = ", "", text))] == []


def test_chinese_is_quoted_with_its_own_marks_in_pairs() -> None:
    texts = [(place, TABLE.sub("", text)) for place, text in chinese_texts() if re.search(ZH, text)]
    assert [(place, text) for place, text in texts if re.search(rf"{ZH}[\"'‘’]|[\"'‘’]{ZH}", text)] == []
    for pair in ("（）", "“”", "《》", "【】", "()", "[]", "{}"):
        assert [(place, text) for place, text in texts if text.count(pair[0]) != text.count(pair[1])] == [], pair


def test_a_list_on_a_page_has_the_marks_of_its_language() -> None:
    """`", ".join` is English: `i18n.listed`, `in_turn` and `together` know the person's language."""
    header = "guard.py"  # which nobody reads
    english = {", ", "; ", ": "}
    found = [
        f"{path.name}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "join" and path.name != header
        if isinstance(node.value, ast.Constant) and node.value.value in english
    ]
    assert found == []


def test_lists_and_asides_are_written_as_the_language_does() -> None:
    told = {}
    for spoken in ("en", "zh"):
        with speaking("zh" if spoken == "zh" else "en"):
            told[spoken] = [listed("ab"), in_turn("ab"), together("ab"), headed("a", "b"), aside("a", "b")]
    assert told == {"en": ["a, b", "a; b", "a b", "a: b", "a (b)"], "zh": ["a、b", "a；b", "ab", "a：b", "a（b）"]}


@pytest.mark.parametrize("rule", AGAINST)
def test_chinese_is_written_in_one_way(rule: str) -> None:
    texts = ((place, AS_IT_IS.sub("", text)) for place, text in chinese_texts() if re.search(ZH, text))
    assert [(place, text) for place, text in texts if re.search(AGAINST[rule], text)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "dashboard" / "app_pages").glob("*.py")), ids=lambda path: path.stem)
def test_no_bare_expression_is_written_on_a_page(path: Path) -> None:
    """Streamlit writes the value of a statement that is an expression and no call, such as `a() if b else c()`."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Expr)]
    assert [node.lineno for node in nodes if not isinstance(node.value, ast.Call | ast.Constant | ast.Yield)] == []
