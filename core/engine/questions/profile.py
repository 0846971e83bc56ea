"""A backbone's complexity, as a question."""

from __future__ import annotations

from core.engine.measure.complexity import profile
from core.jobs import Job
from core.questions.profile import Profile, ProfileRequest


def answer(request: ProfileRequest, job: Job) -> Profile:
    """Counted on the skeleton of the network; raises UserError on a wrong name, number of classes or size."""
    return profile(request.backbone, request.classes, request.image_size)
