"""Whether everything a lesson refers to is there: runs, points of their recipes, the figures of its charts."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import UserError, UserErrors, nearest
from core.lessons.blocks import Chart, Claim, Lesson, Paragraph, Predict, Question
from core.lessons.places import line_of_text
from core.lessons.references import Measure, Reference, measures
from core.lessons.tables import wrong
from core.recipe import Recipe

CONTROLLED = ("transfer", "distill", "prune")  # stages that have controls


def check_references(lesson: Lesson, remember_line: int) -> None:
    """Raises UserErrors if a reference names a run or a point that is not there."""
    found = [error for line, ref in references(lesson, remember_line) if (error := _fault(lesson, ref, line))]
    if found:
        raise UserErrors(found)


def references(lesson: Lesson, remember_line: int = 1) -> Iterator[tuple[int, Reference]]:
    """Every reference of a lesson with the line of its block."""
    for line, measure in _measured(lesson, remember_line):
        yield from ((line, ref) for ref in measure.references())
    for block in lesson.blocks:
        if isinstance(block, Claim):
            yield from ((block.line, ref) for condition in block.holds for ref in condition.references())
        elif isinstance(block, Predict):
            yield from ((block.line, block.about),) if block.about else ()
            whens = (choice.when for choice in block.choices if choice.when)
            yield from ((block.line, ref) for when in whens for ref in when.references())
        elif isinstance(block, Chart) and block.show:
            assert lesson.knob is not None
            for run in lesson.of_value(lesson.knob.start):
                yield from ((block.line, Reference(run.key, point, metric)) for point, metric in block.show)
        elif isinstance(block, Chart) and block.points:
            runs = [lesson.runs[block.run]] if block.run else lesson.first_of_values
            yield from ((block.line, Reference(run.key, point, "accuracy")) for run in runs for point in block.points)


def _measured(lesson: Lesson, remember_line: int) -> Iterator[tuple[int, Measure]]:
    texts = [(remember_line, text) for text in lesson.remember]
    for block in lesson.blocks:
        match block:
            case Paragraph():
                texts.append((block.line, block.text))
            case Claim():
                texts.append((block.line, block.sentence))
            case Chart():
                texts.append((block.line, block.caption))
            case Question():
                texts += [(block.line, answer.why) for answer in block.answers]
            case _:
                pass
    for line, text in texts:
        try:
            yield from ((line, measure) for measure in measures(text))
        except ValueError as error:
            raise wrong("reference", line, text, "placeholders {REFERENCE}", f"In this text {error}.") from None


def _fault(lesson: Lesson, ref: Reference, line: int) -> UserError | None:
    if ref.is_picture:
        if any(isinstance(block, Chart) and block.kind == "soft_labels" for block in lesson.blocks):
            return None
        return wrong("reference", line, ref.run, "a chart soft_labels in the lesson", "Add that chart.")
    run = lesson.runs.get(ref.run)
    if run is None:
        allowed = "NAME[VALUE] of the knob, or the name of a block run"
        at = line_of_text(lesson.text, line, ref.run)
        return wrong("reference", at, ref.run, allowed, nearest(ref.run, lesson.runs))
    if not _is_point(run.recipe, ref.point):
        known = [f"{step.stage} or {number}" for number, step in enumerate(run.recipe.steps)]
        at = line_of_text(lesson.text, line, f"{ref.point}.{ref.metric}", f'"{ref.point}"')
        return wrong("reference", at, ref.point, f"a point of {ref.run}: {', '.join(known)}, last", "Name one.")
    return None


def _is_point(recipe: Recipe, name: str) -> bool:
    place, slash, control = name.partition("/")
    if slash and not control:
        return False
    stages = [step.stage for step in recipe.steps]
    if place.isdecimal():
        return int(place) < len(stages)
    return place == "last" or (place in stages and (not control or place in CONTROLLED))
