"""What a person writes of a knob that is to vary, read and held against the recipe: `steps.1.temperature=1:20:log`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.catalog import Catalog
from core.errors import UserError, UserErrors, nearest
from core.options import Option, Value
from core.recipe import Recipe, check
from core.search.space import FIXED, Vary, applied, knobs, takes

MOST_KNOBS = 12
MOST_CHOICES = 50
MOST_DIGITS = 40  # of a number
FORM = "path=low:high, path=low:high:log or path=a,b,c, such as steps.1.temperature=1:20"


def parse(texts: Iterable[str], recipe: Recipe, catalog: Catalog) -> tuple[Vary, ...]:
    """What the texts of `--vary` mean for this recipe. Raises UserErrors with every mistake."""
    found: list[UserError] = []
    varied: list[Vary] = []
    for text in texts:
        try:
            varied.append(_parsed(text, recipe, catalog))
        except UserError as error:
            found.append(error)
    if not found:
        found.extend(_faults(varied, recipe, catalog))
    if found:
        raise UserErrors(found)
    return tuple(varied)


def _parsed(text: str, recipe: Recipe, catalog: Catalog) -> Vary:
    path, equals, given = (part.strip() for part in text.partition("="))
    if not equals or not path or not given:
        raise UserError("bad_vary", "--vary", text, FORM, "Write the path, =, and what it may be.")
    option = _option(path, recipe, catalog)
    if option is None:
        return _choices(path, None, given, _methods(path, recipe, catalog))
    if option.type in ("int", "float") and ":" in given:
        return _range(path, option, given)
    return _choices(path, option, given, ())


def _option(path: str, recipe: Recipe, catalog: Catalog) -> Option | None:
    """The knob at that path; None for a step's method. One that only another method of the step has counts where that
    method varies too, which `_faults` sees to."""
    known = knobs(recipe, catalog)
    if path in known:
        return known[path]
    if path in FIXED:
        fix = f"Vary something else than {path}; set it with --set {path}=…."
        raise UserError("not_varied", path, path, "a knob that can make a better model", fix)
    parts = path.split(".")
    place = _place(parts)
    if place is not None and place < len(recipe.steps):
        if parts[2] == "method":
            return None
        for entry in catalog.methods[recipe.steps[place].stage].values():
            if found := next((option for option in entry.options if option.name == parts[2]), None):
                return found
    methods = (f"steps.{place}.method" for place in range(len(recipe.steps)))
    raise UserError("unknown_field", path, path, "a knob of the recipe or of a step", nearest(path, [*known, *methods]))


def _place(parts: Sequence[str]) -> int | None:
    """The step that a path like `steps.1.ratio` names; None for any other, such as `steps.01.ratio`."""
    number = parts[1] if len(parts) == 3 and parts[0] == "steps" else ""
    return int(number) if number.isdecimal() and number == str(int(number)) else None


def _methods(path: str, recipe: Recipe, catalog: Catalog) -> tuple[str, ...]:
    return tuple(catalog.methods[recipe.steps[int(path.split(".")[1])].stage])


def _range(path: str, option: Option, given: str) -> Vary:
    parts = [part.strip() for part in given.split(":")]
    log = len(parts) == 3 and parts[2] == "log"
    if len(parts) != 2 and not log:
        raise UserError("bad_vary", path, given, FORM, "Write low:high, or low:high:log.")
    low, high = (_number(path, option, part) for part in parts[:2])
    if low == high:
        raise one_value(path, given)
    if low > high:
        raise UserError("bad_vary", path, given, "the lower end first", f"Write {parts[1]}:{parts[0]}.")
    if log and low <= 0:
        fix = "Begin above zero, or leave :log out."
        raise UserError("bad_vary", path, given, "for :log, a range above zero", fix)
    return Vary(path, low, high, log, option.type == "int")


def _number(path: str, option: Option, text: str) -> float:
    value = option.check(_value(text), path)
    return float(value)


def _choices(path: str, option: Option | None, given: str, allowed: Sequence[str]) -> Vary:
    texts = [part.strip() for part in given.split(",") if part.strip()]
    values = tuple(dict.fromkeys(_choice(path, option, text, allowed) for text in texts))
    if len(values) < 2:
        raise one_value(path, given)
    if len(values) > MOST_CHOICES:
        raise UserError("too_many", path, f"{len(values)} choices", f"at most {MOST_CHOICES}", "Vary it over a range.")
    return Vary(path, choices=values)


def _choice(path: str, option: Option | None, text: str, allowed: Sequence[str]) -> Value:
    if option is not None:
        return option.check(text if option.type == "str" else _value(text), path)
    if text not in allowed:
        raise UserError("unknown_method", path, text, f"one of {', '.join(allowed)}", nearest(text, allowed))
    return text


def one_value(path: str, given: str) -> UserError:
    """That there is nothing to choose between."""
    fix = f"Give {path} two values or more, or set it: --set {path}=…."
    return UserError("one_value", path, given, "two values or more", fix)


def _value(text: str) -> Value:
    """A number, true or false; anything else as it stands, which the option refuses."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text[:MOST_DIGITS])
        except ValueError:
            continue
    return text


# what does not go together


def _faults(varied: Sequence[Vary], recipe: Recipe, catalog: Catalog) -> Iterator[UserError]:
    if not varied:
        yield UserError("nothing_varies", "--vary", "nothing", FORM, "Name a knob to vary.")
    if len(varied) > MOST_KNOBS:
        yield UserError("too_many", "--vary", f"{len(varied)} knobs", f"at most {MOST_KNOBS}", "Vary fewer knobs.")
    paths = [vary.path for vary in varied]
    for path in dict.fromkeys(path for path in paths if paths.count(path) > 1):
        yield UserError("varied_twice", path, f"{paths.count(path)} times", "once", "Leave one of them out.")
    for vary in varied:
        yield from _value_faults(vary, varied, recipe, catalog)


def _value_faults(vary: Vary, varied: Sequence[Vary], recipe: Recipe, catalog: Catalog) -> Iterator[UserError]:
    """Values that are refused whatever the others are set to: with each method that varies beside them."""
    settings = list(_settings(vary, varied, recipe, catalog))
    for value in vary.ends():
        made = [applied(recipe, {**others, vary.path: value}, catalog) for others in settings]
        having = [each for each in made if takes(each, vary.path, catalog)]
        if not having:
            fix = "Vary the method too, with one that has this option."
            yield UserError("unknown_field", vary.path, vary.path, "a knob of the step's method", fix)
            return
        refused = [check(each.to_data(), catalog).errors for each in having]
        if all(refused):
            yield refused[0][0]


def _settings(vary: Vary, varied: Sequence[Vary], recipe: Recipe, catalog: Catalog) -> Iterator[dict[str, Value]]:
    """The recipe as it is, and with every end of every other knob."""
    yield {}
    for other in varied:
        if other.path != vary.path:
            yield from ({other.path: value} for value in other.ends())
