"""A lesson file read strictly: everything in it is understood and fits together, or the mistakes are told by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeVar, get_args

from core.assets import LESSON_RECIPES
from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors, nearest
from core.lessons import blocks
from core.lessons.blocks import Block, ChartKind, Knob, Lesson, LessonRun, Paper
from core.lessons.check import check_references
from core.lessons.metrics import METRICS
from core.lessons.places import LINE, line_of_field
from core.lessons.references import run_key, value_text
from core.lessons.single import claim, paragraph, predict, question, shown, terms_of, url_of
from core.lessons.split import Piece, cut, decoded
from core.lessons.tables import IN_BLOCK, Table, wrong
from core.options import Option
from core.recipe import Recipe, parse_recipe, with_settings
from core.recipe_options import RECIPE_OPTIONS
from core.text.toml import write_value

T = TypeVar("T")
NAMED = re.compile(r'^\s*name\s*=\s*"([a-z0-9-]{1,40})"', re.MULTILINE)
ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
NAME = re.compile(r"[a-z0-9-]{1,40}")
MOST_RUNS = 8  # to compare with: all are queued at once
KINDS = ("recipe", "knob", "run", "predict", "chart", "claim", "question")
LANGUAGES = ("en", "zh")
OF_RUN = ("points", "curves", "map")  # charts of one run
FOLLOWS = {"soft_labels": ("temperature", "tau"), "channels": ("ratio",), "levels": ("bits",)}


def parse_lesson(data: bytes, catalog: Catalog | None = None) -> Lesson:
    """The lesson in a file's bytes; raises UserErrors with every block's first mistake, each with its line.

    `catalog` is that of the program by default; a workspace's own also knows its datasets and networks.
    """
    text = decoded(data)
    try:
        return _Reader(text, catalog or load_catalog()).read()
    except UserError as error:
        raise UserErrors([error]) from None


class _FollowsError(Exception):
    """A block cannot be read, since it refers to one with a mistake of its own, which is reported already."""


def _collected(mistakes: list[UserError], make: Callable[[], T]) -> T | None:
    """What `make` returns; None where it finds mistakes, which are added to the others."""
    try:
        return make()
    except UserErrors as errors:
        mistakes += errors.errors
    except UserError as error:
        mistakes.append(error)
    except _FollowsError:
        pass
    return None


class _Head(NamedTuple):
    """A lesson without its blocks, and the line of `remember`."""

    lesson: Lesson
    remember: int


def _head(text: str, whole: str) -> _Head:
    """What the header says."""
    known = Table.read("the header", text, 2)
    paper = known.table("paper")
    lesson_id = known.text("id")
    if not ID.fullmatch(lesson_id):
        allowed = "lower-case letters, digits and hyphens, at most 40"
        raise known.wrong("id", lesson_id, allowed, "Write such a name.")
    lesson = Lesson(
        lesson_id,
        known.choice("language", LANGUAGES),
        known.text("title", 80),
        known.text("question", 200),
        known.whole("minutes", 1, 60),
        known.texts("remember", 1, 5),
        Paper(paper.text("authors", 200), paper.whole("year", 1900, 2100), paper.text("title", 300), url_of(paper)),
        (),
        {},
        whole,
        terms_of(known),
    )
    known.done()
    paper.done()
    return _Head(lesson, known.at("remember"))


@dataclass
class _Reader:
    """Reads one file from top to bottom; later blocks may name what earlier ones define."""

    text: str
    catalog: Catalog
    recipes: dict[str, Recipe] = field(default_factory=dict)
    runs: dict[str, LessonRun] = field(default_factory=dict)
    knob: Knob | None = None
    broken: set[str] = field(default_factory=set)  # kinds and names of blocks that have mistakes

    def read(self) -> Lesson:
        parts = cut(self.text)
        mistakes: list[UserError] = []
        found: list[Block] = []
        head = _collected(mistakes, partial(_head, parts.header, self.text))
        for piece in parts.pieces:
            before = len(mistakes)
            block = _collected(mistakes, partial(self._block, piece))
            found += [] if block is None else [block]
            if block is None and (piece.kind != "recipe" or len(mistakes) > before):
                self.broken |= {piece.kind.lower().strip("{}."), *NAMED.findall(piece.text)}
        if mistakes or head is None:
            raise UserErrors(mistakes)
        lesson = replace(head.lesson, blocks=tuple(found), runs=self.runs)
        if not lesson.predictions or not lesson.questions or not self.runs:
            lacks = "predict" if not lesson.predictions else "question" if not lesson.questions else "knob or run"
            raise wrong("missing", 1, f"a lesson without a block {lacks}", f"a block {lacks}", "Add one.")
        check_references(lesson, head.remember)
        return lesson

    def _block(self, piece: Piece) -> Block | None:
        """The block of a piece; None for a recipe, which nobody sees."""
        if not piece.kind:
            return paragraph(piece)
        if piece.kind not in KINDS:
            allowed, fix = f"a block of the kind {', '.join(KINDS)}", nearest(piece.kind, KINDS)
            raise wrong("unknown_block", piece.line - 1, piece.kind or "a block without a kind", allowed, fix)
        if piece.kind == "recipe":
            self._recipe(piece)
            return None
        table = Table.read(f"a block {piece.kind}", piece.text, piece.line)
        read: Mapping[str, Callable[[Table], Block]] = {
            "knob": self._knob,
            "run": self._run,
            "predict": predict,
            "chart": self._chart,
            "claim": claim,
            "question": question,
        }
        block = read[piece.kind](table)
        table.done()
        return block

    def _recipe(self, piece: Piece) -> None:
        recipe = _accepted(partial(parse_recipe, piece.text, self.catalog), partial(line_of_field, piece))
        if not NAME.fullmatch(recipe.name):
            allowed = "a name of lower-case letters, digits and hyphens"
            raise wrong("value", piece.line, f"name = {recipe.name}", allowed, "Give the recipe such a name.")
        if recipe.name in self.recipes:
            raise wrong("twice", piece.line, recipe.name, "a name of its own", "Give the recipe another name.")
        if recipe.seeds != 1:
            raise _several_seeds(recipe.seeds, line_of_field(piece, "seeds"))
        self.recipes[recipe.name] = recipe

    def _known(self, name: str, line: int) -> Recipe:
        """A recipe of the lesson's own or one that is shipped."""
        if name not in self.recipes:
            if name in self.broken:
                raise _FollowsError
            path = LESSON_RECIPES / f"{name}.toml"
            if not NAME.fullmatch(name) or not path.is_file():
                known = [*self.recipes, *(path.stem for path in LESSON_RECIPES.glob("*.toml"))]
                allowed = "a recipe of a block above, or one that is shipped"
                raise wrong("unknown_recipe", line, name, allowed, nearest(name, known))
            self.recipes[name] = _accepted(partial(parse_recipe, path.read_bytes(), self.catalog), lambda _: line)
        return self.recipes[name]

    def _knob(self, table: Table) -> Knob:
        if self.knob is not None:
            raise wrong("twice", table.line - 1, "a second block knob", "one knob", "Make another lesson of it.")
        names = table.texts("recipes", 1, 4, longest=40)
        called = table.texts("names", 1, 4, longest=60)
        if len(called) != len(names):
            raise table.wrong("names", len(called), f"{len(names)} names, one a recipe", "Name each recipe.")
        recipes = [self._known(name, table.at("recipes")) for name in names]
        path, values = table.text("option", 60), table.values("values", 2, 8)
        if len({value_text(value) for value in values}) < len(values):
            raise table.wrong("values", list(values), "values that differ in their first six digits", "Leave one out.")
        option = next(filter(None, (_option(recipe, path, self.catalog) for recipe in recipes)), None)
        if option is None or not all(_option(recipe, path, self.catalog) for recipe in recipes):
            allowed = "an option that every recipe of the knob has, such as labels or steps.1.ratio"
            raise table.wrong("option", path, allowed, self._instead(recipes, path))
        start = table.one_of("start", values)
        title = table.text("title", 60, default="")
        self.knob = Knob(table.line, names, called, path, option, values, start, title)
        for name, own, recipe in zip(names, called, recipes, strict=True):
            for value in values:
                changed = _accepted(
                    partial(with_settings, recipe, [f"{path}={write_value(value)}"], self.catalog),
                    lambda _: table.at("values"),
                )
                self._add(LessonRun(run_key(name, value), f"{own} · {value_text(value)}", changed, value), table)
        return self.knob

    def _instead(self, recipes: Sequence[Recipe], path: str) -> str:
        """What may be written in place of a knob's option that there is not."""
        common = set.intersection(*({place for place, _ in _options(recipe, self.catalog)} for recipe in recipes))
        stem = path.rpartition(".")[0]
        near = {place for place in common if place.rpartition(".")[2] == path.lower()}
        near = near or {place for place in common if place.rpartition(".")[0] == stem}
        stages = ", ".join(f"steps.{number} is {step.stage}" for number, step in enumerate(recipes[0].steps))
        return f"{nearest(path, near or common)} In this recipe {stages}."

    def _run(self, table: Table) -> blocks.RunBlock:
        if sum(run.value is None for run in self.runs.values()) >= MOST_RUNS:
            fix = "Leave this one out: whoever does the lesson runs all of them."
            raise wrong("size", table.line - 1, "one more block run", f"at most {MOST_RUNS} blocks run", fix)
        name = table.text("name", 40)
        if not NAME.fullmatch(name):
            raise table.wrong("name", name, "lower-case letters, digits and hyphens", "Write such a name.")
        recipe = self._known(table.text("recipe", 40), table.at("recipe"))
        change = table.texts("change", 1, 8, default=True)
        changed = _accepted(partial(with_settings, recipe, change, self.catalog), lambda _: table.at("change"))
        title = table.text("title", 80)
        self._add(LessonRun(name, title, changed), table)
        return blocks.RunBlock(table.line, name, title)

    def _add(self, run: LessonRun, table: Table) -> None:
        if run.key in self.runs:
            raise wrong("twice", table.at("name"), run.key, "a name of its own", "Give the run another name.")
        if run.recipe.seeds != 1:
            raise _several_seeds(run.recipe.seeds, table.line)
        self.runs[run.key] = run

    def _chart(self, table: Table) -> blocks.Chart:
        kinds = get_args(ChartKind)
        kind: ChartKind = next(known for known in kinds if known == table.choice("kind", kinds))
        knob, run = self.knob, table.text("run", 40, default="") if kind in OF_RUN else ""
        if ("knob" in self.broken and not run) or run in self.broken:
            raise _FollowsError
        if run and run not in {one.key for one in self.runs.values() if one.value is None}:
            raise table.wrong("run", run, "the name of a block run above", nearest(run, self.runs), code="reference")
        if not run and knob is None:
            raise wrong("missing", table.line, "a chart without a run", "a knob above it, or run", "Add run = …")
        wanted = FOLLOWS.get(kind)
        if wanted and (knob is None or knob.option.name not in wanted):
            allowed = f"a lesson whose knob is {' or '.join(wanted)}"
            raise table.wrong("kind", kind, allowed, "Draw another chart, or turn that knob.")
        show = tuple(shown(table, text) for text in table.texts("show", 1, 4)) if kind == "sweep" else ()
        if len({METRICS[metric].kind for _, metric in show}) > 1:
            raise table.wrong("show", ", ".join(m for _, m in show), "figures of one kind", "Draw two charts.")
        points = table.texts("points", 1, 2, longest=60) if kind == "map" else ()
        return blocks.Chart(table.line, kind, run, show, points, table.text("caption", default=""))


# recipes and their options


def _accepted(make: Callable[[], Recipe], line: Callable[[str], int]) -> Recipe:
    """The recipe; raises UserErrors with each of its mistakes at the line of its field."""
    try:
        return make()
    except UserErrors as error:
        raise UserErrors(_of_recipe(one, line(one.field)) for one in error.errors) from None


def _several_seeds(given: int, line: int) -> UserError:
    fix = "Write seeds = 1; a lesson is prepared with several seeds, one run each."
    return wrong("value", line, f"seeds = {given}", "seeds = 1", fix)


def _of_recipe(error: UserError, line: int) -> UserError:
    """A mistake in a recipe as one of the lesson."""
    name = "change" if error.field == "--set" else error.field
    given = error.given if LINE.fullmatch(error.field) else f"{name} = {error.given}"
    return wrong("recipe", line, given, error.allowed, IN_BLOCK.sub("", error.fix))


def _option(recipe: Recipe, path: str, catalog: Catalog) -> Option | None:
    """The option at a path of a recipe; None if it has none there."""
    return next((option for place, option in _options(recipe, catalog) if place == path), None)


def _options(recipe: Recipe, catalog: Catalog) -> Iterator[tuple[str, Option]]:
    yield from ((option.name, option) for option in RECIPE_OPTIONS if option.name not in ("name", "seed", "seeds"))
    for number, step in enumerate(recipe.steps):
        entry = catalog.methods[step.stage][step.method]
        yield from ((f"steps.{number}.{option.name}", option) for option in entry.options)
