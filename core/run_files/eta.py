"""The time left of a run: the estimate made before it, corrected by how long its steps really took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.recipe import Recipe
from core.state import RunState, StepState

POINT = 3.0  # seconds to write, load, evaluate and time a file
FORWARD = 1 / 3  # share of the forward pass in a training step: the cost of computing features
LEAST = 1.0  # second; the least time left of a step in progress
PACES = (0.2, 5.0)  # limits of the factor by which finished steps correct the estimate


@dataclass(frozen=True)
class Plan:
    """Estimated seconds of each step and of all controls, for one of the `seeds`."""

    steps: Mapping[int, float] = field(default_factory=dict)
    controls: float = 0.0
    seeds: int = 1

    @property
    def one_seed(self) -> float:
        """Seconds of all steps and controls for one seed."""
        return sum(self.steps.values()) + self.controls


def plan(recipe: Recipe, seconds: float, controls: float, macs: Mapping[int, int]) -> Plan:
    """Distributes the estimate for a whole run over its steps: POINT for each, the rest in proportion to epochs times
    the multiply-accumulates of the network after the step. `controls` are the seconds of all seeds together."""
    chain = max(seconds - controls, 0.0) / recipe.seeds
    work = {}
    for number, step in enumerate(recipe.resolved().steps):
        epochs = step.options.get("epochs", FORWARD if step.stage == "transfer" else 0.0)
        work[number] = float(epochs) * macs.get(number, 0)
    fixed = min(POINT, chain / max(len(work), 1))
    rest, whole = chain - fixed * len(work), sum(work.values())
    steps = {n: fixed + (rest * share / whole if whole else rest / len(work)) for n, share in work.items()}
    return Plan(steps, controls / recipe.seeds, recipe.seeds)


def remaining(planned: Plan, state: RunState, first_seed: int, now: float) -> float:
    """Seconds until the run ends; `now` in seconds since 1970."""
    latest = state.last_progress
    seed = latest.seed if latest else first_seed
    stretched = pace(planned, state)
    open_steps = {n: s * stretched for n, s in planned.steps.items() if n not in _done(state, seed)}
    current = next((s for s in state.steps if latest and s.step == latest.step and s.step in open_steps), None)
    left = sum(seconds for number, seconds in open_steps.items() if current is None or number != current.step)
    if current is not None:
        left += _left(current, open_steps[current.step], state, now, stretched)
    controls, beside = _controls(planned.controls * stretched, state, seed, now)
    left = max(left, controls) if beside else left + controls
    return left + max(planned.seeds - 1 - (seed - first_seed), 0) * planned.one_seed * stretched


def pace(planned: Plan, state: RunState) -> float:
    """How many times longer than estimated the finished steps took; those taken from the cache do not count."""
    took = [(s.seconds, planned.steps.get(s.step)) for s in state.steps if s.seconds is not None and not s.reused]
    known = [(real, likely) for real, likely in took if real and likely]
    if not known:
        return 1.0
    return min(max(sum(real for real, _ in known) / sum(likely for _, likely in known), PACES[0]), PACES[1])


def _done(state: RunState, seed: int) -> set[int]:
    """The finished steps for this seed; an export has no point, so it counts when its duration is known."""
    measured = {m.point.step for m in state.measured if m.seed == seed and m.role != "control"}
    return measured | {s.step for s in state.steps if s.stage == "export" and s.seconds is not None}


def _left(step: StepState, likely: float, state: RunState, now: float, stretched: float) -> float:
    """Seconds left of the current step: as it reports itself after the first epoch, otherwise by the estimate."""
    latest = state.last_progress
    if latest is not None and latest.what == "training" and latest.epoch and latest.eta_seconds is not None:
        return max(latest.eta_seconds - (now - latest.time), 0.0) + POINT * stretched
    return max(likely - (now - step.started), LEAST)


def _controls(likely: float, state: RunState, seed: int, now: float) -> tuple[float, bool]:
    """Seconds left of the controls of a seed, and whether they have begun, so that steps left go on beside them."""
    told = [p for s in state.steps for p in s.curve if p.control and p.seed == seed]
    if not likely or not told:
        return likely, False
    latest = max(told, key=lambda p: (p.time, p.seq))
    return max(likely - (now - told[0].time), latest.eta_seconds or 0.0, LEAST), True
