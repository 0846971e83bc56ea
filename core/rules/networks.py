"""The networks of a recipe: sizes and widths they bear, students beside teachers, several backbones in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.catalog import Catalog, Facts
from core.errors import UserError
from core.options import Value
from core.rules.facts import Given, attempt, whole

SMALLEST_IMAGE = 8
SMALL_WIDTH = 16  # of the small networks' first stage, see core.engine.backbones.small
FLAT, FLAT_WIDTH = "mlp", 256  # the one whose parameters grow with its width, not with the square of it
WIDE = "resnet8"  # a network of any width
FELLOWS = "with_backbones"  # the option that names backbones beside the recipe's own
MAX_FELLOWS = 7


def size_faults(size: object, facts: Facts, backbone: str) -> Iterator[UserError]:
    smallest = max(SMALLEST_IMAGE, whole(facts, "smallest") or 0)
    if isinstance(size, int) and 0 < size < smallest:
        allowed = f"0 for its own, or a whole number from {smallest} to 1024 for {backbone}"
        yield UserError("out_of_range", "image_size", size, allowed, f"The nearest allowed value is {smallest}.")


def student_faults(values: Mapping[str, Value], catalog: Catalog, place: str) -> Iterator[UserError]:
    """`values` are the step's, defaults filled in."""
    for role, wide in (("student", "width"), ("assistant", "assistant_width")):
        network, width = values.get(role), values.get(wide)
        if isinstance(network, str) and network:
            facts = catalog.backbone(network, f"{place}.{role}")
            if width and not _own_width(facts):
                fix = f"Leave {wide} at 0, or choose a network such as {WIDE}."
                yield UserError("conflicting_options", f"{place}.{wide}", f"{width} with {role} {network}", "0", fix)


def fellows(with_backbones: str, backbone: str) -> list[str]:
    """The names in an option `with_backbones`, each once and without the recipe's own `backbone`."""
    names = (name.strip() for name in with_backbones.split(","))
    return [name for name in dict.fromkeys(names) if name and name != backbone]


def fellow_faults(backbone: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """What is wrong with backbones that a step puts beside the recipe's own: unknown, none, too many, fused before; or
    with what follows, for channels that are joined with another backbone's cannot be cut."""
    fused = ""
    for n, (stage, method, given) in enumerate(steps):
        options = {option.name: option.default for option in catalog.method(stage, method).options} | given
        if stage == "distill":  # a student is one network again
            fused, backbone = "", str(options.get("student", backbone))
        here = f"steps.{n} ({stage}.{method})"
        if fused and stage == "prune":
            fix = f"Put a distill step between them, or remove {here}."
            allowed = "a network of one backbone to prune"
            yield UserError("conflicting_steps", f"steps.{n}.stage", f"{here} after {fused}", allowed, fix)
        named, place = options.get(FELLOWS), f"steps.{n}.{FELLOWS}"
        if not isinstance(named, str):
            continue
        others = fellows(named, backbone)
        faults: list[UserError] = []
        for name in others:
            attempt(faults, catalog.backbone, name, place)
        if not 1 <= len(others) <= MAX_FELLOWS:
            allowed = f"1 to {MAX_FELLOWS} backbones other than {backbone}, separated by commas"
            faults.append(UserError("fellow_count", place, named or "nothing", allowed, f"Such as {WIDE}_fashion."))
        if fused:
            fix = f"Name all backbones in {fused} and remove {here}."
            given_twice = f"{here} after {fused}"
            faults.append(UserError("conflicting_steps", f"steps.{n}.method", given_twice, "fused once", fix))
        yield from faults
        fused = here


def map_faults(backbone: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Distillation that compares feature maps, of a student or a teacher that has none."""
    teacher, origin = backbone, "backbone"
    for n, (stage, method, given) in enumerate(steps):
        entry, place = catalog.method(stage, method), f"steps.{n}.student"
        options = {option.name: option.default for option in entry.options} | given
        if stage != "distill" or "student" not in options:
            continue
        student = str(options["student"])
        for field, network in ((place, student), (origin, teacher)) if entry.needs_maps else ():
            if not catalog.backbones.get(network, {}).get("maps", True):
                asked = f"{network}, with steps.{n}.method = {method}, which compares feature maps"
                fix = f"Set {field} to a network such as {WIDE}, or steps.{n}.method to one that compares answers: kd."
                yield UserError("no_features", field, asked, "a network with feature maps", fix)
        teacher, origin = student, place


def larger_students(backbone: str, steps: Iterable[Given], catalog: Catalog) -> Iterator[str]:
    """A sentence for each student with more parameters than its teacher, as far as the catalogue counts them."""
    teacher, size = backbone, _parameters(catalog, backbone, 0)
    for n, (stage, _, options) in enumerate(steps):
        for name in fellows(str(options.get(FELLOWS, "")), teacher):
            own = _parameters(catalog, name, 0)
            teacher, size = f"{teacher} + {name}", size + own if size and own else None
        if stage != "distill" or "student" not in options:
            continue
        student, width = str(options["student"]), options.get("width", 0)
        own = _parameters(catalog, student, int(width))
        if own and size and own > size:
            larger = f"the student {student} ({own:,} parameters) is larger than its teacher {teacher} ({size:,})"
            yield f"steps.{n}: {larger}."
        teacher, size = student, own


def _parameters(catalog: Catalog, backbone: str, width: int) -> int | None:
    facts: Facts = catalog.backbones.get(backbone, {})
    parameters, own = whole(facts, "params"), _own_width(facts)
    if parameters and own and width:
        return round(parameters * (width / own) ** (1 if backbone == FLAT else 2))
    return parameters


def _own_width(facts: Facts) -> int:
    """The width a person may change; 0 where weights or the architecture fix it."""
    wide = FLAT_WIDTH if facts.get("name") == FLAT else SMALL_WIDTH
    return wide if facts.get("family") == "small" and facts.get("weights") == "none" else 0
