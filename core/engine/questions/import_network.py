"""The import of a network that a person trained, as a question."""

from __future__ import annotations

from core.engine.backbones.own_import import import_network
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.import_network import ImportedNetwork, ImportNetworkRequest


def answer(request: ImportNetworkRequest, job: Job) -> ImportedNetwork:
    """What became of the file. Raises UserError where it is refused, CancelledError when asked to stop."""
    return import_network(request, job.workspace / "models", Telling(job))
