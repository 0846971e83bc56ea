"""Options of one step that exclude each other; `values` are the step's, with defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from core.errors import UserError
from core.options import Value
from core.rules.layer_patterns import read_ratios
from core.rules.shared import Given


def share_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """Parts of a training share its epochs and need one each: `phases` are parts, `rounds` follow a first part."""
    epochs = values.get("epochs")
    for name, more in (("phases", 0), ("rounds", 1)):
        parts = values.get(name)
        if isinstance(parts, int) and isinstance(epochs, int) and parts + more > epochs:
            fix = f"Set {name} to {max(1, epochs - more)} or less, or epochs to {parts + more} or more."
            allowed = f"at most {epochs - more} with {place}.epochs = {epochs}"
            yield UserError("conflicting_options", f"{place}.{name}", parts, allowed, fix)


def mixing_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """A step with `confidence` learns from pseudo-labels, which must not be mixed."""
    for name in ("mixup", "cutmix") if "confidence" in values else ():
        if values.get(name):
            given = f"{values[name]} with {place}.confidence, which uses pseudo-labels"
            fix = f"Set {name} to 0, or choose another method, such as fine_tune."
            yield UserError("conflicting_options", f"{place}.{name}", given, "0", fix)


def prune_faults(values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """Conflicts of a pruning step that show without the network; names of layers are checked later."""
    try:
        read_ratios(str(values.get("layer_ratios", "")), f"{place}.layer_ratios")
    except UserError as error:
        yield error
    target, limit, n, m = (values.get(name) for name in ("target", "limit", "n", "m"))
    if target is not None and (target == "none") != (limit == 0):
        fix = "Set limit to the largest allowed value." if limit == 0 else "Choose a target, or set limit to 0."
        allowed = "a target with a limit above 0, or neither"
        yield UserError("conflicting_options", f"{place}.limit", f"{limit:g} with target {target}", allowed, fix)
    if target not in (None, "none"):
        yield from _search_faults(str(target), values, place)
    if isinstance(n, int) and isinstance(m, int) and n >= m:
        yield UserError("conflicting_options", f"{place}.n", n, f"fewer than m = {m}", f"Set n to {m // 2}.")


def idle_cuts(steps: Iterable[Given]) -> Iterator[str]:
    """One sentence for each pruning step that removes nothing, which is allowed."""
    for n, (stage, _, values) in enumerate(steps):
        idle = values.get("ratio") == 0 and values.get("target", "none") == "none"
        if stage == "prune" and idle and not values.get("layer_ratios"):
            yield f"steps.{n}: ratio = 0 removes nothing; the step only renews batch-norm statistics and trains."


def _search_faults(target: str, values: Mapping[str, Value], place: str) -> Iterator[UserError]:
    """Conflicts of a pruning target: one ratio, found on the network before pruning, must reach the limit."""
    if values.get("round_to") == 0:
        fix = "Set round_to to 1 or more, or target to none."
        yield UserError("conflicting_options", f"{place}.round_to", f"0 with target {target}", "at least 1", fix)
    if values.get("scope") == "global" and values.get("iterations") != 1:
        given = f"{values.get('iterations')} with target {target} and scope global"
        fix = "Set iterations to 1, or scope to local."
        yield UserError("conflicting_options", f"{place}.iterations", given, "1", fix)
