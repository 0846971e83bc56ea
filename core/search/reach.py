"""What can be reached at all, before anything is trained: the smallest file and the shortest time, by previews.

The smallest setting is found knob by knob: of each the value that gives the smallest file while the others stay, then
all of them together. Bytes of a preview are estimates, so a bound is refused only where it is missed by a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.catalog import Catalog
from core.errors import UserError, UserErrors
from core.options import Value
from core.questions.preview import Preview
from core.search import space
from core.search.specification import Specification
from core.text import formatting

DOUBT = 1.1  # times; estimates of a file were within 4 % in all previews of the bundled recipes
MOST_PREVIEWS = 24
Ask = Callable[[str], Preview]


@dataclass(frozen=True)
class Reach:
    """The smallest last file in bytes, the values that give it, and the shortest time of one trial in seconds."""

    bytes: int
    values: space.Values
    seconds: float


def reach(specification: Specification, catalog: Catalog, ask: Ask) -> Reach | None:
    """The smallest that the previews show; None where no setting could be previewed."""
    found: list[Reach] = []
    best: dict[str, Value] = {}
    for values in _settings(specification, best):
        made = _previewed(specification, values, catalog, ask)
        if made is not None:
            found.append(made)
            smallest = min(found, key=lambda each: each.bytes)
            best.clear()
            best.update(smallest.values)
        if len(found) >= MOST_PREVIEWS:
            break
    if not found:
        return None
    smallest = min(found, key=lambda each: each.bytes)
    return Reach(smallest.bytes, smallest.values, min(each.seconds for each in found))


def refuse(specification: Specification, found: Reach) -> None:
    """Raises UserError `out_of_reach` where nothing can meet the bound on bytes, or a trial takes longer than all the
    minutes."""
    most = specification.bounds.bytes
    if most is not None and found.bytes > DOUBT * most:
        setting = ", ".join(f"{path}={space.told_value(value)}" for path, value in found.values.items())
        smallest = formatting.size(found.bytes)
        fix = f"The smallest file is about {smallest}, with {setting}. Allow more bytes, or vary further knobs."
        raise UserError("out_of_reach", "--max-bytes", formatting.size(most), f"about {smallest} or more", fix)
    minutes = specification.minutes
    if minutes is not None and found.seconds > 60 * minutes:
        shortest = f"about {found.seconds / 60:.1f} minutes or more"
        fix = "Allow more minutes, or train for fewer epochs."
        raise UserError("out_of_reach", "--minutes", f"{minutes:g} minutes", shortest, fix)


def _settings(specification: Specification, best: dict[str, Value]) -> Iterator[dict[str, Value]]:
    """The recipe as it is, then one knob after the other at its ends, the others as they were smallest."""
    yield {}
    for vary in specification.vary:
        before = dict(best)
        yield from ({**before, vary.path: value} for value in vary.ends())


def _previewed(specification: Specification, values: space.Values, catalog: Catalog, ask: Ask) -> Reach | None:
    """Of one setting; None where its values do not go together, or the engine refuses them."""
    try:
        recipe = space.checked(space.applied(specification.base(), values, catalog), catalog)
        found = ask(recipe.to_toml())
    except (UserError, UserErrors):
        return None
    last = max(found.rows, key=lambda row: row.step, default=None)
    return None if last is None else Reach(last.bytes, values, found.seconds_low)
