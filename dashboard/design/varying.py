"""What may vary, within which bounds, and the buttons that have the best looked for, or every combination tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from core.catalog import Catalog, load_catalog
from core.errors import UserError, UserErrors
from core.options import Option, Value
from core.processes import here
from core.processes.searches import start_driver
from core.processes.workers import ensure_supervisor
from core.recipe import Recipe, Step
from core.search import space, specification, store
from core.search.bounds import Bounds
from core.search.pruning import PRUNERS, Pruner
from core.search.reading import MOST_KNOBS
from core.search.space import Vary
from core.search.specification import MOST_SWEPT, TRIALS, Specification
from dashboard import components, faults, step_names
from dashboard.forms import menu_of
from dashboard.i18n import say, spoken
from dashboard.option_words import label, told_of
from dashboard.session import read_only, recall, remember, workspace

TIMES = 4  # a range begins at the value by so many, and ends at it times so many
DECADES = 16  # times from end to end, from which on a range is tried in equal ratios
MINUTES = 30.0
SEVERAL = 2


@dataclass(frozen=True)
class Wish:
    """What a person set here, kept while they look at other pages."""

    paths: tuple[str, ...] = ()
    ranges: tuple[tuple[str, Vary], ...] = ()
    kilobytes: float | None = None
    latency: float | None = None
    drop: float | None = 1.0
    trials: int = TRIALS
    minutes: float | None = MINUTES
    slots: int = 1
    pruner: Pruner = "none"

    def vary(self, path: str) -> Vary | None:
        """What that knob was set to vary over."""
        return dict(self.ranges).get(path)


def panel(recipe: Recipe | None, catalog: Catalog) -> None:
    """The fold with all of it; of a recipe with mistakes it says that they come first."""
    with st.expander(say("vary.title"), key="vary", icon=":material/search:"):
        st.caption(say("vary.about"))
        if recipe is None:
            st.caption(say("vary.wrong"))
            return
        wish = recall("design.wish", Wish())
        known = choosable(recipe, catalog)
        paths = _paths(wish, known, recipe.steps)
        ranges = tuple((path, _range(path, known[path], wish, recipe, catalog)) for path in paths)
        wish = _bounds(Wish(tuple(paths), ranges, *_rest(wish)))
        remember("design.wish", wish)
        _buttons(wish, recipe, catalog)


def choosable(recipe: Recipe, catalog: Catalog) -> dict[str, Option | tuple[str, ...]]:
    """What can vary, by path: an option that is no free text, or the methods of a step."""
    found: dict[str, Option | tuple[str, ...]] = {
        f"steps.{place}.method": tuple(catalog.methods[step.stage])
        for place, step in enumerate(recipe.steps)
        if len(catalog.methods[step.stage]) >= SEVERAL
    }
    for path, option in space.knobs(recipe, catalog).items():
        free = option.type == "str" and not option.choices and menu_of(option) is None
        if not free and len(option.choices) != 1:
            found[path] = option
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def name(path: str, steps: Sequence[Step]) -> str:
    """What a knob is called: `Pruning ratio (step 3, Prune)`."""
    place = _parts(path)[0]
    if place < 0:
        return step_names.field(path, steps)
    return say("vary.option", field=field_name(path, steps), step=step_names.step(place, steps[place].stage))


def field_name(path: str, steps: Sequence[Step]) -> str:
    """What a knob is called without its step; one that another method of the step has, too."""
    place, field = _parts(path)
    if field == "method":
        return say("vary.method")
    if place < 0:
        return step_names.field(path, steps)
    stage = load_catalog().methods[steps[place].stage].values()
    found = (option for entry in stage for option in entry.options if option.name == field)
    return next((spoken(option.title) for option in found), field)


def _parts(path: str) -> tuple[int, str]:
    """The step, from 0, and the field; −1 for the recipe's own."""
    parts = path.split(".")
    return (int(parts[1]), parts[2]) if len(parts) == 3 else (-1, path)


def _place(path: str) -> tuple[int, bool]:
    place, field = _parts(path)
    return place, field != "method"


def _rest(wish: Wish) -> tuple[float | None, float | None, float | None, int, float | None, int, Pruner]:
    return wish.kilobytes, wish.latency, wish.drop, wish.trials, wish.minutes, wish.slots, wish.pruner


# what varies


def _paths(wish: Wish, known: Mapping[str, object], steps: Sequence[Step]) -> list[str]:
    return st.multiselect(
        say("vary.knobs"),
        list(known),
        [path for path in wish.paths if path in known],
        format_func=lambda path: name(path, steps),
        key="vary_knobs",
        max_selections=MOST_KNOBS,
        placeholder=say("vary.none"),
        help=say("vary.knobs_help"),
    )


def _range(path: str, option: Option | tuple[str, ...], wish: Wish, recipe: Recipe, catalog: Catalog) -> Vary:
    now = space.current(recipe, path, catalog)
    before = wish.vary(path)
    if isinstance(option, tuple):
        return _choices(path, name(path, recipe.steps), option, before, now, None, catalog)
    if option.type in ("int", "float") and not option.choices:
        return _ends(path, option, before or around(path, option, now), recipe.steps)
    menu = menu_of(option)
    values: tuple[Value, ...] = (
        (False, True) if option.type == "bool" else option.choices or (menu.names if menu else ())
    )
    return _choices(path, name(path, recipe.steps), values, before, now, option, catalog)


def _choices(
    path: str,
    title: str,
    values: Sequence[Value],
    before: Vary | None,
    now: Value | None,
    option: Option | None,
    catalog: Catalog,
) -> Vary:
    stage = catalog.methods
    few = list(values) if len(values) <= 3 else [value for value in values if value == now]
    kept = [value for value in before.choices if value in values] if before else few

    def told(value: Value) -> str:
        if option is not None:
            return told_of(option, value)
        entry = next((menu[str(value)] for menu in stage.values() if str(value) in menu), None)
        return spoken(entry.title) if entry else str(value)

    chosen = st.multiselect(
        title, values, kept, format_func=told, key=f"vary_{path}_choices", placeholder=say("forms.choose")
    )
    return Vary(path, choices=tuple(chosen))


def _ends(path: str, option: Option, before: Vary, steps: Sequence[Step]) -> Vary:
    """Two numbers and whether equal ratios matter."""
    st.markdown(f":small[{name(path, steps)}]", help=label(option, option.default))
    low, high, log = st.columns((2, 2, 2), vertical_alignment="bottom")
    form, whole = ("%d", 1) if option.type == "int" else ("%.6g", None)
    kind = int if option.type == "int" else float
    with low:
        least = st.number_input(
            say("vary.low"), None, None, kind(before.low), whole, form, f"vary_{path}_low", help=say("vary.ends_help")
        )
    with high:
        most = st.number_input(
            say("vary.high"),
            None,
            None,
            kind(before.high),
            whole,
            form,
            f"vary_{path}_high",
            help=say("vary.ends_help"),
        )
    with log:
        ratios = st.toggle(say("vary.log"), before.log, f"vary_{path}_log", say("vary.log_help"))
    return Vary(path, float(least), float(most), ratios, option.type == "int")


def around(path: str, option: Option, now: Value | None) -> Vary:
    """A range to begin with: shares over all of their range, amounts from a quarter of the value to four times it."""
    value = float(now) if isinstance(now, int | float) and now else float(option.usual or option.default or 1)
    least, most = option.minimum, option.maximum
    if least == 0 and most is not None and most <= 1:
        low, high = least, most
    else:
        low, high = value / TIMES, value * TIMES
        low, high = (low if least is None else max(low, least)), (high if most is None else min(high, most))
    if option.type == "int":
        low, high = float(round(low)), float(round(high))
    return Vary(path, low, high, low > 0 and high / low >= DECADES, option.type == "int")


# bounds and buttons


def _bounds(wish: Wish) -> Wish:
    st.markdown(say("vary.bounds"))
    columns = st.columns(3)
    with columns[0]:
        kilobytes = st.number_input(
            say("vary.bytes"), 0.0, None, wish.kilobytes, 1.0, "%.6g", "vary_bytes", help=say("vary.bytes_help")
        )
    with columns[1]:
        latency = st.number_input(
            say("vary.latency"), 0.0, None, wish.latency, 0.1, "%.6g", "vary_latency", help=say("vary.latency_help")
        )
    with columns[2]:
        drop = st.number_input(
            say("vary.drop"), 0.0, 100.0, wish.drop, 0.5, "%.4g", "vary_drop", help=say("vary.drop_help")
        )
    columns = st.columns(3)
    with columns[0]:
        trials = st.number_input(
            say("vary.trials"),
            1,
            specification.MOST_TRIALS,
            wish.trials,
            1,
            key="vary_trials",
            help=say("vary.trials_help"),
        )
    with columns[1]:
        minutes = st.number_input(
            say("vary.minutes"), 0.0, None, wish.minutes, 5.0, "%.6g", "vary_minutes", help=say("vary.minutes_help")
        )
    with columns[2]:
        slots = st.number_input(
            say("vary.slots"), 1, specification.MOST_SLOTS, wish.slots, 1, key="vary_slots", help=say("vary.slots_help")
        )
    pruner: Pruner = st.radio(
        say("vary.pruner"),
        PRUNERS,
        PRUNERS.index(wish.pruner),
        format_func=lambda each: say(f"vary.pruner_{each}"),
        key="vary_pruner",
        horizontal=True,
        help=say("vary.pruner_help"),
    )
    return replace(
        wish,
        kilobytes=kilobytes or None,
        latency=latency or None,
        drop=drop,
        trials=int(trials),
        minutes=minutes or None,
        slots=int(slots),
        pruner=pruner,
    )


def _buttons(wish: Wish, recipe: Recipe, catalog: Catalog) -> None:
    off = read_only() or not wish.paths
    with st.container(horizontal=True, vertical_alignment="center", key="vary_buttons"):
        best = st.button(
            say("vary.find"), icon=":material/search:", key="vary_find", disabled=off, help=say("vary.find_help")
        )
        grid = st.button(
            say("vary.sweep"),
            icon=":material/grid_on:",
            key="vary_sweep",
            help=say("vary.sweep_help"),
            disabled=off or len(wish.paths) > MOST_SWEPT,
        )
    if best or grid:
        _begin(wish, recipe, catalog, grid=grid)


def _begin(wish: Wish, recipe: Recipe, catalog: Catalog, *, grid: bool) -> None:
    """Starts it and goes where it can be watched; says here why it could not be started."""
    try:
        here.refuse(workspace(), recipe)
        asked = specified(wish, recipe, catalog, grid=grid)
    except (UserError, UserErrors) as error:
        found = error.errors if isinstance(error, UserErrors) else (error,)
        components.refused(UserErrors(step_names.mistakes(found, recipe.steps)))
        return
    try:
        ensure_supervisor(workspace())
        made = store.create(workspace(), asked)
        start_driver(workspace(), made)
    except (OSError, RuntimeError) as error:
        faults.refused(UserError("not_started", "workspace", str(error), "", ""), str(error))
    else:
        st.switch_page("app_pages/search.py", query_params={"search": made.id})


def specified(wish: Wish, recipe: Recipe, catalog: Catalog, *, grid: bool) -> Specification:
    """What these fields ask for; raises UserErrors."""
    texts = [vary.to_text() for _, vary in wish.ranges]
    if grid:
        return specification.sweep(recipe, texts, catalog, slots=wish.slots)
    size = None if wish.kilobytes is None else round(1000 * wish.kilobytes)
    bounds = Bounds(size, wish.latency, wish.drop)
    return specification.search(
        recipe, texts, catalog, bounds, trials=wish.trials, minutes=wish.minutes, pruner=wish.pruner, slots=wish.slots
    )
