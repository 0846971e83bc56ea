"""What a step, its fields and its methods are called on a page, in place of their names in a recipe:
`steps.2 (prune.l2)` there is step 3, Prune, here, and `ratio = 0` is “Pruning ratio” = 0."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from core.catalog import STAGES, MethodEntry, load_catalog
from core.errors import UserError
from core.options import Option, Value
from core.points import Point
from core.recipe import Step
from core.recipe_options import RECIPE_OPTIONS
from dashboard import engine_words, faults
from dashboard.i18n import language, say, spoken

NAME = r"[A-Za-z]\w*"
PATH = re.compile(r"steps\.(\d+)(?: \((\w+)\.\w+\))?(?:\.(\w+))?")
ITSELF = ("", "stage", "method")  # names after a step's number that mean the step
TYPED = ("unknown_", "missing_field", "wrong_type")  # mistakes in a recipe as text, whose names are to be written
PATH_AND_VALUE = re.compile(rf"({PATH.pattern})(?P<sign> = | to | 设为 )(?P<value>{NAME})(?!\w|\.\w)")
ANOTHER = re.compile(r"(?:another|其他) ?steps\.(\d+)\.method")
VALUE = rf"(?P<value>-?[\d,]*\.?\d+|\"?{NAME}\"?)"
OF_STAGE = re.compile(rf"(?<![\w.])({'|'.join(STAGES)})\.(\w+)(?![\w(])")
# a field's name: before its value, after a word that asks for a change of it, or one that is no other word
SET = re.compile(rf"(?<![\w.])(?P<name>{NAME})(?P<sign> = ){VALUE}(?!\w|\.\w)")
TO = re.compile(rf"(?:(?<=et )|(?<=or )|(?<=将 ))(?P<name>{NAME})(?P<sign> to | 设为 ){VALUE}(?!\w|\.\w)")
ASKING = ("Set", "set", "or", "raise", "eave", "将", "设置", "省略", "增大", "提高", "减小", "使用", "其他")
BEFORE = "|".join(f"(?<={word} )" for word in ASKING)
BEHIND = "[,.:，。：；]| to | at | below | within | out| higher| 设| 省| 保| 时"
ASKED = re.compile(rf"(?:{BEFORE})(?P<name>{NAME})(?={BEHIND})")
COMPOUND = re.compile(r"(?<![\w./-])(?P<name>[a-z]\w*_\w+)(?![\w/(-]|\.\w)")
# methods, in a list behind a word that recommends them, or before what they were used on
RECOMMENDED = re.compile(
    r"(?:(?<=such as )|(?<=for example with )|(?<=Use )|(?<=Choose )|(?<=例如 )|(?<=例如用 )|(?<=使用 )|(?<=选择 ))"
    r"\w+(?:(?:, | or |、| 或 )\w+)*"
)
FIELD = re.compile(rf"^(?P<name>{NAME})(?=: got | 的输入)", re.MULTILINE)
USED = re.compile(rf"^{NAME}(?= with | as | on | 作为 )")
WHOLE = re.compile(r"\w+")
PIECE = "\x00"  # around what was put in
Told = Callable[[re.Match[str]], str | None]
CHINESE = r"\u3000-\u9fff\uff00-\uffef“”"
BLANKS = re.compile(rf"(?<=[{CHINESE}]) (?={PIECE}[{CHINESE}])|(?<=[{CHINESE}]{PIECE}) (?={PIECE}?[{CHINESE}])")


def step(number: int, stage: str) -> str:
    """`step 3, Prune`; the number is that of the recipe, from 0."""
    return say("design.step", number=number + 1, stage=say(f"design.stage_{stage}"))


def field(path: str, steps: Sequence[Step]) -> str:
    """What a field of a recipe such as `labels` or `steps.2.ratio` is called; one that is not known, as it is."""
    if path == "steps":
        return say("design.steps")
    match = PATH.fullmatch(path)
    return (_called(match, steps) if match else None) or faults.name_of(path)


def in_words(text: str, steps: Sequence[Step], about: int | None = None) -> str:
    """A sentence of the engine in the person's language, with its paths, fields and methods in words; `about` is the
    step that it is about, if it does not say so itself. Of a recipe that is not known `steps` is empty."""
    return _named(engine_words.told(text), steps, _step(steps, _about(text) if about is None else about))


def of_point(text: str, point: Point) -> str:
    """A sentence on the receipt of a point in the person's language; its fields are those of the point's step."""
    return _named(engine_words.told(text), (), Step(point.stage, point.method))


def mistakes(found: Iterable[UserError], steps: Sequence[Step]) -> tuple[UserError, ...]:
    """The same mistakes with their paths in words, but for that of the field, by which it is found."""

    def worded(error: UserError) -> UserError:
        if error.code.startswith(TYPED):
            texts = (engine_words.given(error.given), *map(engine_words.told, (error.allowed, error.fix)))
            given, allowed, fix = (_clean(_put(text, PATH, lambda match: _called(match, steps))) for text in texts)
            return UserError(error.code, error.field, given, allowed, fix, error.choices)
        about = _about(error.field)
        given = _named(engine_words.given(error.given), steps, _step(steps, about))
        allowed, fix = (in_words(text, steps, about) for text in (error.allowed, error.fix))
        return UserError(error.code, error.field, given, allowed, fix, error.choices)

    return tuple(map(worded, found))


def _about(text: str) -> int | None:
    match = PATH.search(text)
    return int(match[1]) if match else None


def _step(steps: Sequence[Step], number: int | None) -> Step | None:
    return steps[number] if number is not None and number < len(steps) else None


def _named(text: str, steps: Sequence[Step], here: Step | None) -> str:
    """The text with every name in words, each found once: what was put in is not looked at again."""
    for pattern, told in _rules(steps, here):
        text = _put(text, pattern, told)
    return _clean(text)


def _clean(text: str) -> str:
    """Without the marks, and in Chinese without blanks beside what was put in."""
    return (BLANKS.sub("", text) if language() == "zh" else text).replace(PIECE, "")


def _rules(steps: Sequence[Step], here: Step | None) -> Iterator[tuple[re.Pattern[str], Told]]:
    """How a name is found in a sentence, and what it is called; the surest first."""

    def value(match: re.Match[str]) -> str | None:
        option = _option(match["name"], match["value"], here, steps)
        return _set_to(_quoted(option), match["sign"], _told(option, match["value"])) if option else None

    def name(match: re.Match[str]) -> str | None:
        if match["name"] == "method":
            return say("design.any_method")
        option = _option(match["name"], "", here, steps)
        return _quoted(option) if option else _method(match["name"], here)

    def methods(match: re.Match[str]) -> str:
        return _put(match[0], WHOLE, lambda word: _method(word[0], here))

    yield ANOTHER, lambda match: _other_method(int(match[1]), steps)
    yield PATH_AND_VALUE, lambda match: _set(match, steps)
    yield PATH, lambda match: _called(match, steps)
    yield OF_STAGE, lambda match: _of_stage(match[1], match[2])
    yield from ((pattern, value) for pattern in (SET, TO))
    yield from ((pattern, methods) for pattern in (RECOMMENDED, USED))
    yield from ((pattern, name) for pattern in (ASKED, FIELD, COMPOUND))


def _put(text: str, pattern: re.Pattern[str], told: Told) -> str:
    """The text with what was found in words, between marks."""

    def put(match: re.Match[str]) -> str:
        words = told(match)
        if words is None or words == match[0]:
            return match[0]
        return words if PIECE in words else f"{PIECE}{words}{PIECE}"

    parts = text.split(PIECE)
    parts[::2] = [pattern.sub(put, part) for part in parts[::2]]
    return PIECE.join(parts)


def _set_to(name: str, sign: str, value: str) -> str:
    return f"{PIECE}{name}{PIECE}{sign}{PIECE}{value}{PIECE}"


def _called(match: re.Match[str], steps: Sequence[Step]) -> str | None:
    number, named, name = int(match[1]), match[2], match[3] or ""
    there = _step(steps, number)
    stage = named if named in STAGES else there.stage if there else None
    if stage is None:
        return say("design.step_alone", number=number + 1) if not steps and name in ITSELF else None
    if name in ITSELF:
        return step(number, stage)
    option = next((option for option in _options(there) if option.name == name), None)
    return say("design.step_field", step=step(number, stage), field=spoken(option.title)) if option else None


def _set(match: re.Match[str], steps: Sequence[Step]) -> str | None:
    """A field or a step's method with its value, where that is a word of its own."""
    path = PATH.fullmatch(match[1])
    there = _step(steps, int(path[1])) if path else None
    name = path[3] if path else ""
    option = next((option for option in _options(there) if option.name == name), None)
    told = _told(option, match["value"]) if option else _method_of(there, name, match["value"])
    called = _called(path, steps) if path and told else None
    return _set_to(called, match["sign"], told) if called and told else None


def _method_of(there: Step | None, name: str, value: str) -> str | None:
    """The title of a method that a step may have."""
    return _of_stage(there.stage, value) if there and name == "method" else None


def _other_method(number: int, steps: Sequence[Step]) -> str | None:
    there = _step(steps, number)
    return say("design.other_method", step=step(number, there.stage)) if there else None


def _of_stage(stage: str, method: str) -> str | None:
    entry = load_catalog().methods.get(stage, {}).get(method)
    return say("design.named", name=spoken(entry.title)) if entry else None


def _options(there: Step | None) -> tuple[Option, ...]:
    entry = load_catalog().methods.get(there.stage, {}).get(there.method) if there else None
    return entry.options if entry else ()


def _option(name: str, value: str, here: Step | None, steps: Sequence[Step]) -> Option | None:
    """The option of that name: of the step that is spoken of, of the recipe, of the other steps, of any method."""
    known = (option for option in _in_turn(here, steps) if option.name == name)
    fits = {"bool"} if value in ("true", "false") else {"int", "float", "str"}
    return next((option for option in known if not value or option.type in fits), None)


def _in_turn(here: Step | None, steps: Sequence[Step]) -> Iterator[Option]:
    yield from _options(here)
    yield from RECIPE_OPTIONS
    for other in steps:
        yield from _options(other)
    yield from _any_options()


@cache
def _any_options() -> tuple[Option, ...]:
    """One of each name."""
    entries = (entry for menu in load_catalog().methods.values() for entry in menu.values())
    return tuple({option.name: option for entry in entries for option in entry.options}.values())


def _method(name: str, here: Step | None) -> str | None:
    entry = _menu(here.stage if here else "").get(name)
    return say("design.named", name=spoken(entry.title)) if entry else None


@cache
def _menu(stage: str) -> dict[str, MethodEntry]:
    """All methods by name; those of the stage before others of the same name."""
    menus = load_catalog().methods
    return {name: entry for each in (*menus, stage) for name, entry in menus.get(each, {}).items()}


def _quoted(option: Option) -> str:
    return say("design.named", name=spoken(option.title))


def _told(option: Option, text: str) -> str:
    """A value as the field shows it; one that is called by itself, as it is."""
    bare = text.strip('"')
    value: Value = bare == "true" if option.type == "bool" else bare
    if option.type == "bool":
        return say("forms.on" if value else "forms.off")
    if option.type in ("int", "float"):
        try:
            value = float(bare.replace(",", ""))
        except ValueError:
            return text
    words = option.name_of(value)
    return text if words is None else spoken(words)
