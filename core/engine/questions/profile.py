"""Answers requests for a backbone's complexity."""

from __future__ import annotations

from core.engine.measure.complexity import profile
from core.jobs import Job
from core.questions.profile import Profile, ProfileRequest


def answer(request: ProfileRequest, job: Job) -> Profile:
    """The costs, counted without weights; raises UserError on a wrong name, number of classes or size."""
    return profile(request.backbone, request.classes, request.image_size)
