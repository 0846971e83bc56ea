"""Which weights are on this machine, as a question."""

from __future__ import annotations

from core.engine.backbones import find, weights_at_hand
from core.jobs import Job
from core.questions.weights_here import WeightsHere, WeightsHereRequest


def answer(request: WeightsHereRequest, job: Job) -> WeightsHere:
    """Looked for where runs of this workspace look; raises UserError on an unknown name."""
    folder = job.workspace / "cache" / "weights"
    having = [name for name in request.backbones if find(name).weights != "none"]
    return WeightsHere([name for name in having if weights_at_hand(name, folder)])
