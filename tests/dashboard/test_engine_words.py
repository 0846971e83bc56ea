"""What the engine says is Chinese on a Chinese page: every sentence of `core` has its words, and keeps its values."""

from __future__ import annotations

import ast
import json
import re
import string
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from core.catalog import load_catalog
from core.comparison.closing_words import PHRASES as CLOSING
from core.rules.preflight import preflight
from core.search.words import PHRASES as ANSWERS
from dashboard import engine_words
from dashboard.i18n import FOLDER, engine_phrases, speaking

ROOT = Path(__file__).resolve().parents[2]
# what speaks to a terminal, to a log or in a file, whose language is English; its refusals are told on pages too
ALOUD = (
    "core/classroom/checks.py",
    "core/cli.py",
    "core/commands/",
    "core/comparison/closing_words.py",
    "core/controls.py",
    "core/engine/catalog_writer.py",
    "core/engine/data/lettering.py",
    "core/engine/measure/calibration.py",
    "core/engine/measure/complexity.py",
    "core/engine/method.py",
    "core/engine/rank.py",
    "core/exchange/event_file.py",
    "core/processes/here.py",
    "core/recipe_options.py",
    "core/run_files/bundle.py",
    "core/storage/recovery.py",
    "core/search/report.py",
    "core/search/words.py",
    "core/workspace_files/cache.py",
    "core/integrity/file_checks.py",
    "core/integrity/verify.py",
)
COMMANDS = ("core/commands/", "core/cli.py")  # whose refusals too are told in a terminal alone
# calls whose texts are told in both languages, or by Python to programmers
QUIET = {
    "ArgumentParser",
    "AssertionError",
    "EOFError",
    "FileNotFoundError",
    "KeyError",
    "Option",
    "OSError",
    "RuntimeError",
    "TypeError",
    "UnicodeError",
    "ValueError",
    "Words",
    "add_argument",
    "compile",
    "debug",
    "filterwarnings",
    "info",
    "knob",
}
PASSED_ON = ("core/lessons/references.py",)  # whose ValueErrors become a part of a refusal
# names and marks, and words that a person or another program says
NAMES = {
    " or ",
    "%Y-%m-%d %H:%M",
    "Ankle boot",
    "Apple GPU ({})",
    "Cannot declare",
    "Cannot mutate",
    "Cannot overwrite",
    "Disk quota exceeded",
    "Extension modules:",
    "No space left on device",
    "Selection({} of {} images)",
    " (family {}, model {})",  # part of a processor's name
    "Unable to allocate",
    "Unset CONDENSER_FAILPOINT; it is there for tests.",
    "allocate memory",
    "as the libraries do",
    "assets/make_glyphs.py, from Debian's font packages",
    "at line (\\d+)",
    "augment beside",
    "camera raw",
    "can't allocate memory",
    "channels last",
    "cpu family",
    "desktop db",
    "desktop df",
    "ersion mismatch",
    "flip and crop",
    "model name",
    "network trash folder",
    "no gain in {}",
    "not enough memory",
    "nothing, or one of {} with a number, such as enospc:3 or eio:1+",
    "onnxruntime on CUDA",
    "onnxruntime's own threads, which spin where there are several",
    "property list",
    "range test",
    "row {}.png",
    "share of 1",
    "system volume information",
    "temporary items",
    "tensor cores",
}
NAMED = re.compile(r"[A-Z][\w.-]*( [A-Z\d][\w.-]*)*( \([A-Z]\w*( [A-Z]\w*)*\))?")  # a licence that is but a name
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACE = re.compile(r"{[^{}]*}")


def bare(text: str) -> str:
    """A template whatever its places are called."""
    return PLACE.sub("{}", text.replace("{{", "{").replace("}}", "}")).strip()


@cache
def known() -> frozenset[str]:
    return frozenset(map(bare, [*engine_phrases(), *CLOSING.values(), *ANSWERS.values()]))


def template(node: ast.AST) -> str | None:
    """A text with a place for what is filled in at run time."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            one, other = template(left), template(right)
            return None if one is None and other is None else f"{one or '{}'}{other or '{}'}"
    return None


def called(node: ast.AST) -> str:
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def silent(tree: ast.AST, quiet: set[str]) -> Iterator[ast.AST]:
    """Docstrings, what is said to programmers, and parts of a text that is looked at as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        elif called(node) in quiet:
            yield from ast.walk(node)
        elif isinstance(node, ast.JoinedStr):
            yield from (part for part in node.values if isinstance(part, ast.Constant))
            specs = (part.format_spec for part in node.values if isinstance(part, ast.FormattedValue))
            yield from (each for spec in specs if spec is not None for each in ast.walk(spec))
        elif isinstance(node, ast.BinOp) and template(node) is not None:
            yield from (node.left, node.right)


def refusals(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts of a UserError, and what is put together for one under the usual names."""
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if called(node) == "UserError" or (isinstance(target, ast.Name) and target.id in ("given", "allowed", "fix")):
            yield from ast.walk(node)


def said(path: str, text: str) -> Iterator[str]:
    """The sentences of a source file that may come to a page."""
    tree = ast.parse(text)
    told = set(refusals(tree)) if path.startswith(ALOUD) else None
    hidden = set(silent(tree, QUIET - {"ValueError"} if path in PASSED_ON else QUIET))
    for node in ast.walk(tree):
        if node not in hidden and (told is None or node in told) and (found := template(node)) and is_sentence(found):
            yield found


def is_sentence(text: str) -> bool:
    """Whether these are two words or more, and no name."""
    words = re.findall(r"[A-Za-z][A-Za-z'’-]+", PLACE.sub("", text))
    return " " in text.strip() and len(words) > 1 and text not in NAMES and not NAMED.fullmatch(text)


@cache
def sources() -> dict[str, str]:
    files = sorted((ROOT / "core").rglob("*.py"))
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return {path: text for path, text in texts.items() if not path.startswith(COMMANDS)}


def is_part(text: str) -> bool:
    """Whether it is a piece of a reason in a receipt, which has its words as a whole."""
    pieces = [piece for piece in bare(text).split("{}") if piece]
    return any(all(piece in bare(whole) for piece in pieces) for name, whole in CLOSING.items() if name[:4] == "why_")


def without_chinese(path: str, text: str) -> list[str]:
    return sorted({each for each in said(path, text) if bare(each) not in known() and not is_part(each)})


@pytest.mark.thorough
@pytest.mark.parametrize("path", sources())
def test_every_sentence_of_the_engine_has_chinese_words(path: str) -> None:
    """Add what is missing to a file of dashboard/text/zh/engine, or to NAMES if no page shows it as words."""
    assert without_chinese(path, sources()[path]) == []


def test_a_new_warning_is_missed() -> None:
    new = "def f(context, n):\n    context.warn('new', f'The network has grown by {n} of its layers.')\n"
    assert without_chinese("core/engine/new.py", new) == ["The network has grown by {} of its layers."]
    refusal = (
        "def f():\n    fix = 'Write it in another way.'\n    raise UserError('x', 'y', 'z', 'a word of it', fix)\n"
    )
    assert without_chinese("core/commands/terminal.py", refusal) == ["Write it in another way.", "a word of it"]


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_a_chinese_form_is_chinese_and_has_every_value() -> None:
    for english, chinese in engine_phrases().items():
        told = places(chinese)
        assert told <= places(english), english
        assert places(english) - told <= {"images", "value"}, english  # one or several, which Chinese does not tell
        words = engine_words.WORD.findall(PLACE.sub("", english))
        assert CHINESE.search(chinese) or len(words) < 2, english


@pytest.mark.thorough
def test_no_form_is_left_over() -> None:
    there = {bare(each) for path, text in sources().items() for each in spoken(text)}
    subjects = ("composed", "earlier", "system")  # put together from several texts, or not said by core as it is now
    composed = {each for subject in subjects for each in engine_phrases_of(subject)}
    assert sorted(each for each in engine_phrases() if bare(each) not in there and each not in composed) == []


def spoken(text: str) -> Iterator[str]:
    return (found for node in ast.walk(ast.parse(text)) if (found := template(node)))


def engine_phrases_of(subject: str) -> dict[str, str]:
    return tomllib.loads((FOLDER / "zh" / "engine" / f"{subject}.toml").read_text(encoding="utf-8"))


SAID = {
    "3 images rotated upright by their EXIF data: a.jpg, b.jpg …": "3 张图片已按 EXIF 信息转正：a.jpg、b.jpg …",
    "classes were taken from the folders cats (3) (inside each of day, night); not taken as classes: x; if that is "
    "wrong, choose the level with --classes-from": "类别取自 day、night 各自之中的文件夹 cats (3)；未作为类别：x；如果不对，请用 --classes-from 选择层级",  # noqa: E501
    "class folders without usable images: cups (empty, or only hidden files); bowls (3 × damaged or cut off)": "没有可用图片的类别文件夹：cups（为空，或只有隐藏文件）；bowls（3 × 损坏或不完整）",  # noqa: E501
    "steps.1: the student resnet56 (853,018 parameters) is larger than its teacher resnet20 (272,474).": "steps.1：学生 resnet56（853,018 个参数）比其教师 resnet20（272,474 个）更大。",  # noqa: E501
    "no gain in latency (0.1 → 0.2 ms): 3 of 10 layers ran integer kernels, and why that is not faster is not known": "延迟没有改善（0.1 → 0.2 ms）：10 层中有 3 层使用整数内核，为何没有更快尚不清楚",  # noqa: E501
    "twin without a teacher: Training did not improve on the network that came in (91.2 % on validation): its weights "
    "are kept.": "无教师的孪生网络：训练没有超过输入的网络（验证集上 91.2 %）：保留其权重。",
    "Adapting on the 3 classes that a and b share. Other classes of a are left out of training and test: x. b does not "
    "have these classes: y.": "在 a 与 b 共有的 3 个类别上进行域适应。a 的其他类别未用于训练和测试：x。b 没有这些类别：y。",  # noqa: E501
    "40 images make fewer than 8 batches of 64: batches of 5, 8 steps an epoch, in which each passes about 2 times.": "40 张图像不足 8 批（每批 64 张）：每批 5 张，每轮 8 步，每张图像约经过 2 次。",  # noqa: E501
    "keep with own/mine: a, b and 1,200 more": "对 own/mine 使用 keep：a、b，另有 1,200 个",
    "class folders without usable images: salt, pepper and oil (empty, or only hidden files)": "没有可用图片的类别文件夹：salt, pepper and oil（为空，或只有隐藏文件）",  # noqa: E501
    "cups.zip: its directory is cut off": "cups.zip：目录不完整",
    "a whole number from 1 to 50": "1 到 50 之间的整数",
    "Did you mean 'kd'?": "是否指 'kd'？",
    "steps.1 (prune.l2) after steps.0 (quantize.static)": "steps.0 (quantize.static) 之后的 steps.1 (prune.l2)",
    "the disk is full: writing /tmp/x needs 3 MB, 1 MB are free. Free at least 2 MB, then resume": "磁盘已满：写入 /tmp/x 需要 3 MB，可用空间为 1 MB。请释放至少 2 MB，然后继续",  # noqa: E501
}


@pytest.mark.parametrize("english", SAID)
def test_what_is_said_keeps_its_values(english: str) -> None:
    with speaking("zh"):
        assert engine_words.told(english) == SAID[english]
    with speaking("en"):
        assert engine_words.told(english) == english


@pytest.mark.parametrize(
    "name", ["cats and dogs", "my cups.zip", "1 of 3 kittens and more", "train", "text", "一张 a file"]
)
def test_what_a_person_wrote_stays_as_it_is(name: str) -> None:
    with speaking("zh"):
        assert engine_words.given(name) == name
        assert name in engine_words.told(
            f"the class {name} consists only of copies of images of x: no model can tell them apart"
        )


def test_what_was_not_known_stays_as_it_is() -> None:
    with speaking("zh"):
        assert engine_words.told("Permission denied by /tmp/x") == "Permission denied by /tmp/x"


def test_licences_and_verdicts_are_told_in_chinese() -> None:
    catalog = load_catalog()
    licences = {str(facts["licence"]) for facts in (*catalog.datasets.values(), *catalog.backbones.values())}
    with speaking("zh"):
        for licence in licences:
            assert NAMED.fullmatch(licence) or CHINESE.search(engine_words.told(licence)), licence
        for reason in {why for found in preflight().values() for why in found["why"].values()}:
            assert CHINESE.search(engine_words.told(reason)), reason


def test_no_page_shows_the_engines_words_as_they_are() -> None:
    raw = re.compile(r"UserText\((?:\w+\.)+(message|reason|why|fix|allowed|refused|silent|withheld|licence)\)")
    pages = {file: file.read_text(encoding="utf-8") for file in (ROOT / "dashboard").rglob("*.py")}
    assert [(file.name, found[0]) for file, text in pages.items() for found in raw.finditer(text)] == []


STORED = [*(ROOT / "assets" / "samples").rglob("*.json*"), *(ROOT / "tests" / "core" / "old_runs").rglob("*.json*")]
SENTENCES = {"message", "notes", "no_gain", "remarks", "withheld", "warnings", "reason", "why", "cause"}


def stored(found: object, name: str = "") -> Iterator[str]:
    """What runs keep of the engine's sentences."""
    if isinstance(found, str):
        yield from [found] if name in SENTENCES else []
    elif isinstance(found, dict):
        yield from (each for key, value in found.items() for each in stored(value, key))
    elif isinstance(found, list):
        yield from (each for value in found for each in stored(value, name))


def documents() -> Iterator[object]:
    for file in STORED:
        text = file.read_text(encoding="utf-8")
        for document in text.splitlines() if file.suffix == ".jsonl" else [text]:
            with suppress(ValueError):  # a line that an old run lost
                yield json.loads(document)


def test_what_older_runs_have_stored_is_told_in_chinese() -> None:
    said = {sentence for document in documents() for sentence in stored(document)}
    assert len(said) > 10
    with speaking("zh"):
        english = [each for each in said if re.search("[A-Za-z]+(?: [a-z]+){2,}", engine_words.told(each))]
    assert english == []


@pytest.mark.parametrize("text", ["a: " * 1000, "x (" * 500 + ")" * 500, "a: b (c). d; e, " * 200, "got 3, " * 500])
def test_a_persons_text_of_many_marks_stays_as_it_is(text: str) -> None:
    """However often it could be taken apart: a text without end must not end a page."""
    with speaking("zh"):
        assert sorted(engine_words.WORD.findall(engine_words.told(text))) == sorted(engine_words.WORD.findall(text))
