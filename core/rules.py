"""What a recipe must obey beyond the bounds of each option: known names, the order of steps, the counts of the data.

Every function adds what it finds to a list, so that all mistakes are told at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from core.catalog import Catalog, Facts
from core.errors import UserError, nearest, shorten
from core.knobs import RECIPE_OPTIONS
from core.options import Option, Value
from core.ratios import read_ratios

SCHEMA = 1
MAX_STEPS = 32
MAX_NAME = 200
MAX_UNKNOWN = 20  # unknown fields told of one table
SMALLEST_IMAGE = 8
SMALL_WIDTH = 16  # of the small networks' first stage, see core.engine.backbones.small
FLAT, FLAT_WIDTH = "mlp", 256  # the one whose parameters grow with its width, not with the square of it
WIDE = "resnet8"  # a network of any width
FELLOWS = "with_backbones"  # the option that names backbones beside the recipe's own
MAX_FELLOWS = 7

T = TypeVar("T")
Given = tuple[str, str, dict[str, Value]]  # stage, method, what was set


def check_knobs(data: Mapping[str, object], catalog: Catalog, found: list[UserError]) -> dict[str, Value]:
    """The recipe's own values, defaults filled in."""
    options = {option.name: option for option in RECIPE_OPTIONS}
    _check_unknown(data, ("schema", *options, "steps"), "", found)
    _check_schema(data.get("schema", SCHEMA), found)
    values = _checked(data, options, "", found)
    found.extend(_missing(data, ("dataset", "backbone")))
    if isinstance(name := values.get("name"), str):
        found.extend(_name_faults(name))
    if isinstance(dataset := values.get("dataset"), str):
        _try(found, catalog.dataset, dataset)
    if isinstance(target := values.get("target"), str) and target:
        _try(found, catalog.dataset, target, "target")
    if isinstance(backbone := values.get("backbone"), str):
        facts = _try(found, catalog.backbone, backbone)
        found.extend(_size_faults(values.get("image_size"), facts or {}, backbone))
    return {name: option.default for name, option in options.items() if option.default is not None} | values


def check_steps(steps: object, catalog: Catalog, found: list[UserError]) -> list[Given]:
    """The steps as given, each value in its option's type."""
    if not isinstance(steps, list | tuple) or not all(isinstance(step, Mapping) for step in steps):
        fix = "Begin each step with a line [[steps]]."
        found.append(UserError("wrong_type", "steps", _kind(steps), "a list of tables, one a step", fix))
        return []
    if not 1 <= len(steps) <= MAX_STEPS:
        fix = "Add a [[steps]] table." if not steps else "Remove some steps."
        found.append(UserError("step_count", "steps", f"{len(steps)} steps", f"1 to {MAX_STEPS} steps", fix))
    given = [_check_step(step, f"steps.{n}", catalog, found) for n, step in enumerate(steps[:MAX_STEPS])]
    if steps and all(stage for stage, _, _ in given):
        found.extend(_order_faults([(stage, method) for stage, method, _ in given]))
        found.extend(_export_faults([(stage, method) for stage, method, _ in given], catalog))
    return given


def count_faults(
    dataset: str, labels: int, shots: int, steps: Sequence[Given], catalog: Catalog
) -> Iterator[UserError]:
    """What the data set is too small for; nothing where the catalogue does not know its counts."""
    facts = catalog.dataset(dataset)
    images = _whole(facts, "train") or _whole(facts, "images")  # of all splits, where no one counted train alone
    classes = _whole(facts, "classes")
    allowed = f"0 for all, or {classes or 1} to the number of training images"
    if images and labels > images:
        yield UserError("more_labels_than_data", "labels", labels, allowed, f"{dataset} has {images} images.")
    if classes and 0 < labels < classes:
        yield UserError("fewer_labels_than_classes", "labels", labels, allowed, f"{dataset} has {classes} classes.")
    yield from _shot_faults(dataset, labels, shots, images, classes)
    labels = labels or shots * (classes or 1)
    for n, (stage, method, options) in enumerate(steps):
        if stage == "transfer" and any(o.name == "confidence" for o in catalog.method(stage, method).options):
            yield from _pool_faults(labels, images, method, f"steps.{n}.method")
        learned = images  # a distillation learns from unlabelled images too
        if images and labels and stage == "transfer":
            learned = min(labels, images)
        if labels and options.get("omit") and options.get("pool", True):
            yield _seen_in_the_pool(n, str(options["omit"]), labels)
        batch = options.get("batch")
        if learned and isinstance(batch, int) and batch > learned:
            fix = f"There are {learned} images to learn from: set a smaller batch."
            yield UserError("batch_larger_than_data", f"steps.{n}.batch", batch, f"at most {learned}", fix)
        asked = options.get("calibration_images")
        if images and isinstance(asked, int) and asked > images:
            fix = f"{dataset} has {images} images: set calibration_images to {images} or less."
            place = f"steps.{n}.calibration_images"
            yield UserError("calibration_larger_than_data", place, asked, f"at most {images}", fix)


def target_faults(dataset: str, target: str, steps: Sequence[Given], catalog: Catalog) -> Iterator[UserError]:
    """Adaptation without a target, and a target that cannot be one, as far as the catalogue knows its classes."""
    if not target:
        for n, (stage, method, options) in enumerate(steps):
            entry = catalog.method(stage, method)
            if entry.needs_target:
                yield no_target(f"steps.{n}.method", f"{stage}.{method}")
            for name, values in entry.target_choices.items():
                if options.get(name) in values:
                    yield no_target(f"steps.{n}.{name}", str(options[name]))
        return
    if target == dataset:
        fix = "Leave target out, or name the data set that the model should adapt to."
        yield UserError("target_is_dataset", "target", target, f"another data set than dataset = {dataset}", fix)
        return
    ours, theirs = (catalog.dataset(name).get("class_names") or () for name in (dataset, target))
    if ours and theirs and not set(ours) & set(theirs):
        yield nothing_in_common(dataset, ours, target, theirs)


def no_target(field: str, given: str) -> UserError:
    """The refusal of adaptation, asked for by `field`, in a recipe that names nothing to adapt to."""
    allowed = "with a target, the name of a second data set"
    fix = f'Add a line target = "…" with the data set to adapt to, or choose another {field.rpartition(".")[2]}.'
    return UserError("no_target", field, f"{given} without a target", allowed, fix)


def nothing_in_common(dataset: str, ours: Sequence[str], target: str, theirs: Sequence[str]) -> UserError:
    """The refusal of two data sets of which no class of the one is called as one of the other."""
    both = [f"{name} ({', '.join(names[:4])}{' …' if len(names) > 4 else ''})" for name, names in
            ((target, theirs), (dataset, ours))]  # fmt: skip
    given = f"{both[0]}: no class of dataset = {both[1]}"
    allowed = f"a data set that has classes called as those of dataset = {dataset}"
    fix = "Name another target or another dataset; classes are matched by their names, letter by letter."
    return UserError("nothing_in_common", "target", given, allowed, fix)


def _seen_in_the_pool(step: int, omitted: str, labels: int) -> UserError:
    given = f"{omitted} with pool = true and labels = {labels}: among the unlabelled images nobody knows that class"
    fix = f"Set steps.{step}.pool = false, or labels = 0."
    return UserError("conflicting_options", f"steps.{step}.omit", given, "omit without a pool", fix)


def _check_step(step: Mapping[str, object], place: str, catalog: Catalog, found: list[UserError]) -> Given:
    stage, method = step.get("stage"), step.get("method")
    faults = list(_missing(step, ("stage", "method"), f"{place}."))
    for noun in ("stage", "method"):
        if noun in step and not isinstance(step[noun], str):
            fix = f"Put the {noun}'s name in quotes."
            faults.append(UserError("wrong_type", f"{place}.{noun}", _kind(step[noun]), "text", fix))
    found.extend(faults)
    known_stage = stage if isinstance(stage, str) and stage in catalog.methods else ""
    if faults:
        return known_stage, "", {}
    entry = _try(found, catalog.method, stage, method, f"{place}.stage", f"{place}.method")
    if entry is None:
        return known_stage, str(method), {}
    options = {option.name: option for option in entry.options}
    _check_unknown(step, ("stage", "method", *options), f"{place}.", found)
    values = _checked(step, options, f"{place}.", found)
    defaults = {option.name: option.default for option in entry.options if option.default is not None}
    found.extend(_try(found, lambda: list(_student_faults(defaults | values, catalog, place))) or ())
    if stage == "transfer":
        found.extend(_share_faults(defaults | values, place))
        found.extend(_mixing_faults(defaults | values, place))
    if stage == "prune":
        found.extend(_prune_faults(defaults | values, place))
    return known_stage, str(method), values


def _order_faults(steps: Sequence[tuple[str, str]]) -> Iterator[UserError]:
    names = [f"steps.{n} ({stage}.{method})" for n, (stage, method) in enumerate(steps)]
    stages = [stage for stage, _ in steps]
    if stages[0] != "transfer":
        later = f" {names[stages.index('transfer')]} must come first." if "transfer" in stages else ""
        fix = f"Begin with a transfer: the backbone has no head for your classes yet.{later}"
        yield UserError("conflicting_steps", "steps.0.stage", names[0], "a transfer step first", fix)
    for n, stage in enumerate(stages):
        before = stages[:n]
        if stage != "export" and "export" in before:
            earlier = names[before.index("export")]
            fix = f"Move {earlier} behind {names[n]}."
            yield UserError("conflicting_steps", f"steps.{n}.stage", f"{names[n]} after {earlier}", "export last", fix)
        elif stage != "export" and "quantize" in before:
            earlier = names[before.index("quantize")]
            fix = "Keep one of the two." if stage == "quantize" else f"Move {names[n]} before {earlier}."
            allowed = "one quantize step, after everything that trains"
            yield UserError("conflicting_steps", f"steps.{n}.stage", f"{names[n]} after {earlier}", allowed, fix)


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
            _try(faults, catalog.backbone, name, place)
        if not 1 <= len(others) <= MAX_FELLOWS:
            allowed = f"1 to {MAX_FELLOWS} backbones other than {backbone}, separated by commas"
            faults.append(UserError("fellow_count", place, named or "nothing", allowed, f"Such as {WIDE}_fashion."))
        if fused:
            fix = f"Name all backbones in {fused} and remove {here}."
            given_twice = f"{here} after {fused}"
            faults.append(UserError("conflicting_steps", f"steps.{n}.method", given_twice, "fused once", fix))
        yield from faults
        fused = here


def _export_faults(steps: Sequence[tuple[str, str]], catalog: Catalog) -> Iterator[UserError]:
    """Formats that are made from the network in torch, after a step whose integers are in its ONNX file alone."""
    menu = catalog.methods.get("export", {})
    able = ", ".join(name for name, entry in menu.items() if entry.takes_quantized)
    quantized = ""
    for n, (stage, method) in enumerate(steps):
        name = f"steps.{n} ({stage}.{method})"
        if quantized and stage == "export" and method in menu and not menu[method].takes_quantized:
            allowed = f"after a quantize step one of {able}: its integers are in the ONNX file, this holds floats"
            fix = f"Take it out, or export {method} in a recipe without {quantized}."
            yield UserError("conflicting_steps", f"steps.{n}.method", f"{name} after {quantized}", allowed, fix)
        quantized = quantized or (name if stage == "quantize" else "")


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
    parameters, own = _whole(facts, "params"), _own_width(facts)
    if parameters and own and width:
        return round(parameters * (width / own) ** (1 if backbone == FLAT else 2))
    return parameters


def _own_width(facts: Facts) -> int:
    """The width a person may change; 0 where weights or the architecture fix it."""
    wide = FLAT_WIDTH if facts.get("name") == FLAT else SMALL_WIDTH
    return wide if facts.get("family") == "small" and facts.get("weights") == "none" else 0


def _checked(
    data: Mapping[str, object], options: Mapping[str, Option], prefix: str, found: list[UserError]
) -> dict[str, Value]:
    values = {n: _try(found, options[n].check, data[n], f"{prefix}{n}") for n in options if n in data}
    return {name: value for name, value in values.items() if value is not None}


def _check_unknown(data: Mapping[str, object], known: Sequence[str], prefix: str, found: list[UserError]) -> None:
    for name in islice((name for name in data if name not in known), MAX_UNKNOWN):
        shown = shorten(name, 60)
        allowed = ", ".join(known)
        found.append(UserError("unknown_field", f"{prefix}{shown}", _kind(data[name]), allowed, nearest(shown, known)))


def _check_schema(schema: object, found: list[UserError]) -> None:
    if type(schema) is not int or schema < 1:
        found.append(UserError("wrong_type", "schema", _kind(schema), str(SCHEMA), f"Write schema = {SCHEMA}."))
    elif schema > SCHEMA:
        fix = "This recipe was made by a newer Condenser: update this one."
        found.append(UserError("newer_schema", "schema", schema, f"at most {SCHEMA}", fix))


def _missing(data: Mapping[str, object], names: Iterable[str], prefix: str = "") -> Iterator[UserError]:
    for name in names:
        if name not in data:
            fix = f'Add a line {name} = "…".'
            yield UserError("missing_field", f"{prefix}{name}", "nothing", f"a {name}", fix)


def _size_faults(size: object, facts: Facts, backbone: str) -> Iterator[UserError]:
    smallest = max(SMALLEST_IMAGE, _whole(facts, "smallest") or 0)
    if isinstance(size, int) and 0 < size < smallest:
        allowed = f"0 for its own, or a whole number from {smallest} to 1024 for {backbone}"
        yield UserError("out_of_range", "image_size", size, allowed, f"The nearest allowed value is {smallest}.")


def _student_faults(values: Mapping[str, Value], catalog: Catalog, place: str) -> Iterator[UserError]:
    """`values` are the step's, defaults filled in."""
    for role, wide in (("student", "width"), ("assistant", "assistant_width")):
        network, width = values.get(role), values.get(wide)
        if isinstance(network, str) and network:
            facts = catalog.backbone(network, f"{place}.{role}")
            if width and not _own_width(facts):
                fix = f"Leave {wide} at 0, or choose a network such as {WIDE}."
                yield UserError("conflicting_options", f"{place}.{wide}", f"{width} with {role} {network}", "0", fix)


def _shot_faults(dataset: str, labels: int, shots: int, images: int | None, classes: int | None) -> Iterator[UserError]:
    """A class can give no more images than it has; the smallest has the average at most."""
    if labels and shots:
        fix = "Set one of the two to 0."
        yield UserError("conflicting_options", "shots", f"{shots} with labels = {labels}", "0 with labels", fix)
    elif images and classes and shots > images // classes:
        most = images // classes
        fix = f"The {classes} classes of {dataset} have {images} images: the smallest has at most {most}."
        yield UserError("more_shots_than_images", "shots", shots, f"0 for all, or 1 to {most}", fix)


def _pool_faults(labels: int, images: int | None, method: str, place: str) -> Iterator[UserError]:
    """A step with a `confidence` learns from images without a label: there must be some."""
    if not labels or (images and labels >= images):
        given = labels or "0, so every image has a label"
        fix = f"Set labels to fewer than the training images, or choose another {place}, such as fine_tune."
        yield UserError("no_pool", "labels", given, f"a number, as {place} = {method} needs unlabelled images", fix)


def _share_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """Parts that share the epochs need one each: `phases` are parts, `rounds` come after a first one."""
    epochs = values.get("epochs")
    for name, more in (("phases", 0), ("rounds", 1)):
        parts = values.get(name)
        if isinstance(parts, int) and isinstance(epochs, int) and parts + more > epochs:
            fix = f"Set {name} to {max(1, epochs - more)} or less, or epochs to {parts + more} or more."
            allowed = f"at most {epochs - more} with {place}.epochs = {epochs}"
            yield UserError("conflicting_options", f"{place}.{name}", parts, allowed, fix)


def _mixing_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """A step with a `confidence` learns from labels it guessed: mixing them would teach neither."""
    for name in ("mixup", "cutmix") if "confidence" in values else ():
        if values.get(name):
            given = f"{values[name]} with {place}.confidence, which guesses labels"
            fix = f"Set {name} to 0, or choose another method, such as fine_tune."
            yield UserError("conflicting_options", f"{place}.{name}", given, "0", fix)


def _prune_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """`values` are the step's, defaults filled in. Only what the recipe alone can tell; names need the network."""
    try:
        read_ratios(str(values.get("layer_ratios", "")), f"{place}.layer_ratios")
    except UserError as error:
        yield error
    target, limit, n, m = (values.get(name) for name in ("target", "limit", "n", "m"))
    if target is not None and (target == "none") != (limit == 0):
        fix = "Set limit to what must not be exceeded." if limit == 0 else "Choose a target, or set limit to 0."
        allowed = "a target with a limit above 0, or neither"
        yield UserError("conflicting_options", f"{place}.limit", f"{limit:g} with target {target}", allowed, fix)
    if target not in (None, "none"):
        yield from _search_faults(str(target), values, place)
    if isinstance(n, int) and isinstance(m, int) and n >= m:
        yield UserError("conflicting_options", f"{place}.n", n, f"fewer than m = {m}", f"Set n to {m // 2}.")


def _search_faults(target: str, values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """A bound is met by one ratio, found once on the network before the cut."""
    if values.get("round_to") == 0:
        fix = "Set round_to to 1 or more, or target to none."
        yield UserError("conflicting_options", f"{place}.round_to", f"0 with target {target}", "at least 1", fix)
    if values.get("scope") == "global" and values.get("iterations") != 1:
        given = f"{values.get('iterations')} with target {target} and scope global"
        fix = "Set iterations to 1, or scope to local."
        yield UserError("conflicting_options", f"{place}.iterations", given, "1", fix)


def _name_faults(name: str) -> Iterator[UserError]:
    if len(name) > MAX_NAME:
        given = f"{len(name)} characters"
        yield UserError("too_long", "name", given, f"at most {MAX_NAME} characters", "Shorten the name.")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        yield UserError("control_character", "name", name, "text on one line", "Remove line breaks and the like.")


def _whole(facts: Facts, key: str) -> int | None:
    value = facts.get(key)
    if isinstance(value, list | tuple):
        return len(value)
    return value if isinstance(value, int) else None


def _kind(value: object) -> str:
    return f"{shorten(value, 60)} ({type(value).__name__})"


def _try(found: list[UserError], check: Callable[..., T], *arguments: object) -> T | None:
    try:
        return check(*arguments)
    except UserError as error:
        found.append(error)
        return None
