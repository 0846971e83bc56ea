"""A search over timm's names, as a question."""

from __future__ import annotations

from core.engine.backbones.timm import brief, names
from core.errors import UserError
from core.jobs import Job
from core.questions.search_backbones import FoundBackbones, SearchBackbonesRequest

MOST = 500


def answer(request: SearchBackbonesRequest, job: Job) -> FoundBackbones:
    """The names that hold every word; raises UserError on a limit that is none."""
    if not 1 <= request.limit <= MOST:
        raise UserError("out_of_range", "limit", request.limit, f"a whole number from 1 to {MOST}", "Use 50.")
    words = request.text.lower().replace("timm/", "").split()
    found = [name for name in names() if all(word in name.lower() for word in words)]
    return FoundBackbones(len(found), [brief(name) for name in found[: request.limit]])
