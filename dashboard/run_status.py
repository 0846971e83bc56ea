"""A run's state in words: its badge, the line above its charts, what is happening in it."""

from __future__ import annotations

import time

from core.catalog import load_catalog
from core.events import Progress
from core.recipe import Recipe
from core.state import RESTED, RunState, Status
from core.text import formatting
from core.text.escaping import UserText
from dashboard.charts.style import MARKS
from dashboard.i18n import control_name, listed, say, spoken
from dashboard.option_words import told_of

ICONS = {
    Status.QUEUED: ":material/schedule:",
    Status.RUNNING: ":material/play_circle:",
    Status.PAUSED: ":material/pause_circle:",
    Status.STALLED: ":material/hourglass_empty:",
    Status.FINISHED: ":material/check_circle:",
    Status.FAILED: ":material/error:",
    Status.CANCELLED: ":material/cancel:",
    Status.INTERRUPTED: ":material/warning:",
}
COLORS = {Status.FINISHED: "green", Status.FAILED: "red", Status.INTERRUPTED: "orange", Status.STALLED: "orange"}


def badge(status: Status) -> str:
    """The state as a coloured word with its icon."""
    return f":{COLORS.get(status, 'gray')}-badge[{ICONS[status]} {say(f'status.{status.value}')}]"


def line(state: RunState, steps: int) -> str:
    """Where the run is: step, epoch, images a second, time left, device, and the node if it is on a cluster."""
    told = state.last_progress
    parts = []
    if state.status.is_over:
        parts.append(_lasted(state))
    elif state.steps:
        now = state.steps[-1] if told is None else next(s for s in state.steps if s.step == told.step)
        mark = MARKS.get(now.stage, "○")
        parts.append(say("status.step", mark=mark, stage=say(f"status.{now.stage}"), step=now.step + 1, steps=steps))
    if told is not None and not state.status.is_over:
        parts += _work(told, moving=state.status is Status.RUNNING)
    if device := state.environment.get("device"):
        parts.append(
            say(
                "status.device",
                device=UserText(device).md(),
                threads=UserText(state.environment.get("threads", "?")).md(),
            )
        )
    if node := state.environment.get("node"):
        parts.append(say("cluster.on", node=UserText(node).md()))
    return " · ".join(parts)


def _lasted(state: RunState) -> str:
    """How long it was worked on; where it rested in between also how long all took."""
    worked, whole = state.durations()
    told = {"points": len(state.points), "time": formatting.duration(None if state.clock_moved else worked)}
    if state.clock_moved or whole - worked < RESTED:
        return say("status.lasted", **told)
    return say("status.lasted_with_rests", whole=formatting.duration(whole), **told)


def _work(told: Progress, *, moving: bool) -> list[str]:
    """What it is at; how fast and for how long yet only while it moves."""
    parts = [say(f"status.what_{told.what}")]
    if told.control:
        parts.insert(0, say("status.control", name=UserText(control_name(told.control)).md()))
    if told.what == "training":
        parts.append(say("status.epoch", epoch=min(told.epoch + 1, told.epochs), epochs=told.epochs))
    elif told.batches > 1:
        parts.append(say("status.images", done=told.batch, total=told.batches))
    if moving and told.samples_per_second:
        parts.append(say("status.speed", speed=f"{told.samples_per_second:,.0f}"))
    if moving and told.eta_seconds and (told.epoch or told.epochs == 1):  # the first epoch's guess is a wild one
        parts.append(say("status.left", time=formatting.duration(told.eta_seconds)))
    return parts


def happening(state: RunState, recipe: Recipe | None) -> str:
    """A sentence on what the engine does now, with this run's own numbers; empty when nothing is going on."""
    told = state.last_progress
    if told is None or state.status not in (Status.RUNNING, Status.STALLED) or recipe is None:
        return ""
    if told.what != "training":
        return say(f"status.why_{told.what}", total=f"{told.batches:,}")
    if told.control:
        return say("status.why_control", name=UserText(control_name(told.control)).md())
    step = recipe.steps[told.step]
    method = load_catalog().method(step.stage, step.method)
    knobs = [f"{spoken(o.title)} {told_of(o, step.options[o.name])}" for o in method.options if o.name in step.options]
    chosen = say("status.chosen", knobs=listed(knobs)) if knobs else say("status.defaults")
    return say("status.why_training", title=spoken(method.title), summary=spoken(method.summary), chosen=chosen)


def over(state: RunState) -> str:
    """What to look at when nothing goes on any more."""
    return say("status.over_finished" if state.status is Status.FINISHED else "status.over_stopped")


def age(since: float | None) -> str:
    """How long ago, in the largest unit that fits."""
    if since is None:
        return formatting.NOT_MEASURED
    seconds = max(time.time() - since, 0.0)
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return say(f"status.{unit}_ago", count=int(seconds // length))
    return say("status.now")
