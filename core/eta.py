"""When a run will be over: from an estimate made before it, corrected by what its steps really took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.recipe import Recipe
from core.state import RunState, StepState

POINT = 3.0  # seconds to write, open, judge and time a file
FORWARD = 1 / 3  # of a training step's work is the forward pass: what computing features costs
LEAST = 1.0  # second that is left of what goes on
PACES = (0.2, 5.0)  # an estimate is stretched by what finished steps took, but not without limit


@dataclass(frozen=True)
class Plan:
    """Seconds by step and of all controls, for each of `seeds`."""

    steps: Mapping[int, float] = field(default_factory=dict)
    controls: float = 0.0
    seeds: int = 1

    @property
    def one_seed(self) -> float:
        return sum(self.steps.values()) + self.controls


def plan(recipe: Recipe, seconds: float, controls: float, macs: Mapping[int, int]) -> Plan:
    """Spreads the estimate of a whole run over its steps: POINT for each, the rest by epochs times the
    multiply-accumulates of the network that the step ends with. `controls` are those of all seeds together."""
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
    """Seconds until the run is over; `now` in seconds since 1970."""
    told = state.last_progress
    seed = told.seed if told else first_seed
    stretched = pace(planned, state)
    open_steps = {n: s * stretched for n, s in planned.steps.items() if n not in _done(state, seed)}
    current = next((s for s in state.steps if told and s.step == told.step and s.step in open_steps), None)
    left = sum(seconds for number, seconds in open_steps.items() if current is None or number != current.step)
    if current is not None:
        left += _left(current, open_steps[current.step], state, now, stretched)
    left += _controls(planned.controls * stretched, state, now)
    return left + max(planned.seeds - 1 - (seed - first_seed), 0) * planned.one_seed * stretched


def pace(planned: Plan, state: RunState) -> float:
    """How many times longer the finished steps took than was estimated; those taken from earlier runs do not count."""
    took = [(s.seconds, planned.steps.get(s.step)) for s in state.steps if s.seconds is not None and not s.reused]
    known = [(real, likely) for real, likely in took if real and likely]
    if not known:
        return 1.0
    return min(max(sum(real for real, _ in known) / sum(likely for _, likely in known), PACES[0]), PACES[1])


def _done(state: RunState, seed: int) -> set[int]:
    """The steps that are over under this seed; one without a point says so itself."""
    measured = {m.point.step for m in state.measured if m.seed == seed and m.role != "control"}
    return measured | {s.step for s in state.steps if s.stage == "export" and s.seconds is not None}


def _left(step: StepState, likely: float, state: RunState, now: float, stretched: float) -> float:
    """Of the step that goes on: by its own reckoning once an epoch is over, else by the estimate."""
    told = state.last_progress
    if told is not None and told.what == "training" and told.epoch and told.eta_seconds is not None:
        return max(told.eta_seconds - (now - told.time), 0.0) + POINT * stretched
    return max(likely - (now - step.started), LEAST)


def _controls(likely: float, state: RunState, now: float) -> float:
    told = state.last_progress
    if not likely or told is None or not told.control:
        return likely
    began = min(p.time for s in state.steps for p in s.curve if p.control and p.seed == told.seed)
    return max(likely - (now - began), told.eta_seconds or 0.0, LEAST)
