"""The method keep: its network must be trained, know the dataset's classes, and be the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.catalog import Catalog
from core.errors import UserError
from core.rules.shared import Given, whole

KEEP = ("transfer", "keep")
SHOWN = 8  # class names


def keep_faults(
    dataset: str, backbone: str, weights: str, steps: Sequence[Given], catalog: Catalog
) -> Iterator[UserError]:
    """Reasons against `keep`, as far as the catalog knows the classes of network and dataset."""
    for n, (stage, method, _) in enumerate(steps):
        if (stage, method) != KEEP:
            continue
        if n:
            fix = f"Remove steps.{n}: the model before it is kept anyway."
            yield UserError("conflicting_steps", f"steps.{n}.method", "keep", "keep as the first step", fix)
            continue
        facts, data = catalog.backbone(backbone), catalog.dataset(dataset)
        if weights == "none" or facts.get("weights") == "none":
            yield nothing_to_keep(backbone, "weights" if weights == "none" else "backbone")
            continue
        known, names = facts.get("class_names") or (), data.get("class_names") or ()
        if known and names and (set(known) != set(names) or len(known) != len(names)):
            yield other_classes(backbone, known, dataset, names)
        elif known and names and facts.get("named") is False and list(known) != list(names):
            yield unnamed_outputs(backbone, dataset)
        elif not (known and names):
            yield from _other_counts(backbone, whole(facts, "classes"), dataset, whole(data, "classes"))


def _other_counts(backbone: str, ours: int | None, dataset: str, theirs: int | None) -> Iterator[UserError]:
    """Compares the numbers of classes if not all names are known."""
    if ours and theirs and ours != theirs:
        given, allowed = f"keep with {backbone}, which has {ours} classes", f"a network for {theirs}, as {dataset} has"
        yield UserError("other_classes", "steps.0.method", given, allowed, _ways(backbone))


def nothing_to_keep(backbone: str, field: str) -> UserError:
    """The error for a network without trained weights."""
    fix = (
        "Import a network that you trained (condenser import-model) and set backbone to it, or begin with another "
        "transfer method, such as linear_probe or fine_tune."
    )
    allowed = "a backbone with trained weights and named classes"
    return UserError("nothing_to_keep", field, f"{backbone} with random weights", allowed, fix)


def other_classes(backbone: str, known: Sequence[str], dataset: str, names: Sequence[str]) -> UserError:
    """The error for a network whose classes are not the dataset's; it names both lists."""
    missing = [name for name in names if name not in set(known)]
    surplus = [name for name in known if name not in set(names)]
    differ = [
        *([f"{backbone} does not know {_listed(missing)}"] if missing else []),
        *([f"{dataset} has no {_listed(surplus)}"] if surplus else []),
    ]
    fix = f"{'; '.join(differ)}. {_ways(backbone)}" if differ else _ways(backbone)
    given = f"keep with {backbone}: {_listed(known)}"
    return UserError("other_classes", "steps.0.method", given, f"the classes of {dataset}: {_listed(names)}", fix)


def unnamed_outputs(backbone: str, dataset: str) -> UserError:
    """The error for a network whose outputs only have numbers, where the dataset has these numbers in another order:
    names that nobody gave say nothing about which output is which class."""
    given = f"keep with {backbone}, which was imported without class names"
    fix = (
        "Import it again with --labels, in the order of its outputs. torchvision's ImageFolder, for one, sorts folders "
        "as texts: 0, 1, 10, 11, 2."
    )
    allowed = f"a network whose outputs have names, as {dataset} has its classes in another order than 0, 1, 2 …"
    return UserError("unnamed_outputs", "steps.0.method", given, allowed, fix)


def _ways(backbone: str) -> str:
    named = " If only the names differ, import it again with --labels." if backbone.startswith("own/") else ""
    return f"Choose a dataset with its classes, or linear_probe or fine_tune, which learn new classes.{named}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
