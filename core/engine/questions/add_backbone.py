"""A network of timm beyond the list, as a question."""

from __future__ import annotations

from core.catalog import TIMM
from core.engine.backbones import backbones, find
from core.errors import UserError
from core.jobs import Job
from core.own import added_backbones
from core.questions.add_backbone import AddBackboneRequest, AddedBackbone


def answer(request: AddBackboneRequest, job: Job) -> AddedBackbone:
    """Counted here and kept in the workspace; raises UserError on a name that timm does not know, or that is listed."""
    if not request.name.startswith(TIMM):
        allowed, fix = "timm/<architecture>.<weights>", "Search timm's names: condenser search-backbones mobilenet."
        raise UserError("unknown_backbone", "backbone", request.name, allowed, fix)
    facts = find(request.name).to_json()
    if request.name not in backbones():
        added_backbones.keep(facts, job.workspace / "models")
    return AddedBackbone(facts)
