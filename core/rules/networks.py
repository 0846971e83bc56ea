"""The networks of a recipe: supported sizes and widths, students and their teachers, several backbones in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.catalog import Catalog, Facts, MethodEntry
from core.errors import UserError, shorten
from core.options import Value
from core.rules.preflight import preflight
from core.rules.shared import Given, attempt, whole

SMALLEST_IMAGE, LARGEST_IMAGE = 8, 1024
WIDE = "resnet8"  # a network of any width
FELLOWS = "with_backbones"  # the option that names backbones to fuse with the recipe's own
MAX_FELLOWS = 7


def size_faults(size: object, facts: Facts, backbone: str, field: str = "image_size") -> Iterator[UserError]:
    """A side in pixels that a network does not support; 0 means its own."""
    smallest, step = max(SMALLEST_IMAGE, whole(facts, "smallest") or 0), whole(facts, "multiple") or 1
    if not isinstance(size, int) or size <= 0:
        return
    if size < smallest:
        allowed = f"0 for its own, or a whole number from {smallest} to {LARGEST_IMAGE} for {backbone}"
        nearest = -(-smallest // step) * step
        yield UserError("out_of_range", field, size, allowed, f"The nearest allowed value is {nearest}.")
    elif size % step:
        allowed = f"0 for its own, or a multiple of {step} for {backbone}"
        nearest = max(step, min(round(size / step) * step, LARGEST_IMAGE // step * step))
        yield UserError("wrong_image_size", field, size, allowed, f"The nearest allowed value is {nearest}.")


def part_size_faults(image_size: int, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """The same for all other networks of the recipe: students, assistants, fused backbones.

    Small networks get images in the data's or their own size, whatever the recipe says.
    """
    for n, (stage, method, given) in enumerate(steps):
        options = {option.name: option.default for option in catalog.method(stage, method).options} | given
        own = options.get("student_size") or 0
        for role in ("student", "assistant"):
            if stage == "distill" and isinstance(name := options.get(role), str) and name in catalog.backbones:
                facts = catalog.backbones[name]
                size = own or (0 if facts.get("small_images") else image_size)
                yield from size_faults(size, facts, name, f"steps.{n}.student_size" if own else "image_size")
        for name in fellows(str(options.get(FELLOWS, "")), ""):
            facts = catalog.backbones.get(name, {"small_images": True})
            yield from size_faults(0 if facts.get("small_images") else image_size, facts, name)


def part_faults(backbone: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Methods that need a part which the network at that place in the chain does not have."""
    network, origin = backbone, "backbone"
    for n, (stage, method, given) in enumerate(steps):
        entry = catalog.method(stage, method)
        options = {option.name: option.default for option in entry.options} | given
        yield from _missing_parts(f"steps.{n}", f"{stage}.{method}", entry, network, origin, catalog)
        if entry.needs_linear_head:
            yield from _headless_fellows(f"steps.{n}.{FELLOWS}", str(options.get(FELLOWS, "")), network, catalog)
        if n == 0 and entry.needs_norms and options.get("epochs") == 0:
            fix = "Set epochs, or put a transfer step before this one."
            yield UserError("nothing_trained", "steps.0.epochs", 0, "at least 1 in the first step of a recipe", fix)
        if stage == "distill" and isinstance(student := options.get("student"), str):
            network, origin = student, f"steps.{n}.student"


def _missing_parts(
    place: str, step: str, entry: MethodEntry, network: str, origin: str, catalog: Catalog
) -> Iterator[UserError]:
    facts = catalog.backbones.get(network, {})
    needs = (
        (entry.needs_norms, "norms", "no_batch_norm", "a network with batch normalisation"),
        (entry.needs_linear_head, "linear_head", "no_linear_head", "a network that ends in a linear layer"),
    )
    for needed, fact, code, allowed in needs:
        if needed and not facts.get(fact, True):
            fix = f"Choose another method, or set {origin} to another network, such as {WIDE}."
            yield UserError(code, f"{place}.method", f"{step} on {network}", allowed, fix)


def _headless_fellows(place: str, named: str, network: str, catalog: Catalog) -> Iterator[UserError]:
    for name in fellows(named, network):
        if not catalog.backbones.get(name, {}).get("linear_head", True):
            yield UserError("no_linear_head", place, name, "networks that end in a linear layer", f"Remove {name}.")


def student_faults(values: Mapping[str, Value], catalog: Catalog, place: str) -> Iterator[UserError]:
    """Unknown students, and widths that a network does not allow; `values` have defaults filled in."""
    for role, wide in (("student", "width"), ("assistant", "assistant_width")):
        network, width = values.get(role), values.get(wide)
        if isinstance(network, str) and network:
            facts = catalog.backbone(network, f"{place}.{role}")
            if width and not _own_width(facts):
                fix = f"Leave {wide} at 0, or choose a network such as {WIDE}."
                yield UserError("conflicting_options", f"{place}.{wide}", f"{width} with {role} {network}", "0", fix)


def fellows(with_backbones: str, backbone: str) -> list[str]:
    """The names in the option `with_backbones`, without duplicates and without the recipe's own `backbone`."""
    names = (name.strip() for name in with_backbones.split(","))
    return [name for name in dict.fromkeys(names) if name and name != backbone]


def fellow_faults(backbone: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Mistakes in backbones to be fused (unknown, none, too many, fused before) and in later steps: the channels of
    fused backbones cannot be pruned."""
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
            faults.append(
                UserError("fellow_count", place, named or "nothing", allowed, f"Name some, such as {WIDE}_fashion.")
            )
        if fused:
            fix = f"Name all backbones in {fused} and remove {here}."
            given_twice = f"{here} after {fused}"
            faults.append(UserError("conflicting_steps", f"steps.{n}.method", given_twice, "fused once", fix))
        yield from faults
        fused = here


def map_faults(backbone: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Distillation of feature maps with a student or teacher that has none."""
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
                fix = f"Set {field} to a network such as {WIDE}, or steps.{n}.method to one on logits, such as kd."
                yield UserError("no_features", field, asked, "a network with feature maps", fix)
        teacher, origin = student, place


def larger_students(backbone: str, steps: Iterable[Given], catalog: Catalog) -> Iterator[str]:
    """One sentence for each student with more parameters than its teacher, as far as the catalog knows them."""
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


def uncut_networks(backbone: str, steps: Iterable[Given], catalog: Catalog) -> Iterator[str]:
    """One sentence for each step that removes channels from a network of which the pre-flight check could remove
    none."""
    network = backbone
    for n, (stage, method, options) in enumerate(steps):
        if stage == "distill" and options.get("student"):
            network = str(options["student"])
        name = str(catalog.backbones.get(network, {}).get("architecture") or network)
        verdict = preflight().get(name, {})
        if stage == "prune" and "round_to" in options and verdict.get("prunable") is False:
            reason = shorten(str(verdict["why"].get("prunable", "")), 200)
            yield (
                f"steps.{n}: channels of {name} could not be removed when this was tried ({reason}), so that the run "
                f"will probably be refused before its first step. Choose another backbone, or a method that removes "
                f"single weights, such as magnitude, instead of {method}."
            )


def _parameters(catalog: Catalog, backbone: str, width: int) -> int | None:
    facts: Facts = catalog.backbones.get(backbone, {})
    parameters, own = whole(facts, "params"), _own_width(facts)
    if parameters and own and width:
        return round(parameters * (width / own) ** (whole(facts, "width_power") or 2))
    return parameters


def _own_width(facts: Facts) -> int:
    """The width that can be changed; 0 if the weights or the architecture fix it."""
    return (whole(facts, "width") or 0) if facts.get("weights") == "none" else 0
