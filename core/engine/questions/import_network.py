"""Answers requests to import a trained network."""

from __future__ import annotations

from core.engine.backbones.own_import import import_network
from core.engine.questions.import_data import Telling
from core.jobs import Job
from core.questions.import_network import ImportedNetwork, ImportNetworkRequest


def answer(request: ImportNetworkRequest, job: Job) -> ImportedNetwork:
    """The imported network; raises UserError if the file is refused, CancelledError if the job is cancelled."""
    return import_network(request, job.workspace / "models", Telling(job))
