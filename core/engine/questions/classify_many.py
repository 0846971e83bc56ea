"""Saved models answer to many pictures, one after the other."""

from __future__ import annotations

from core.engine.data.imports.decoder_pool import Unreadable
from core.engine.data.imports.picture import Opened
from core.engine.questions.classify import DECODER, Networks, answered, described, open_all, taken
from core.engine.questions.import_data import Telling
from core.errors import UserError
from core.jobs import Job
from core.questions.classify import Answer, Classified, Picture
from core.questions.classify_many import MOST_PICTURES, ClassifyManyRequest
from core.workspace import Workspace


def answer(request: ClassifyManyRequest, job: Job) -> Classified:
    """Probabilities of each model that can be opened; what is no picture says why. Raises UserError, and CancelledError
    between two pictures."""
    store, tell = Workspace(job.workspace), Telling(job)
    contents = taken(store, request.upload)
    if len(contents) > MOST_PICTURES:
        allowed = f"at most {MOST_PICTURES:,} pictures at once"
        raise UserError("out_of_range", "pictures", len(contents), allowed, "Give them in several parts.")
    networks = open_all(store, request.points)
    pictures = []
    for done, data in enumerate(contents):
        tell("classifying", done, len(contents))
        pictures.append(_picture(Opened(data, DECODER), networks))
    return Classified(tuple(map(described, networks)), tuple(pictures))


def _picture(picture: Opened, networks: Networks) -> Picture:
    answers: list[Answer | None] = []
    for network in networks:
        if isinstance(network, UserError):
            answers.append(None)
            continue
        image = picture.prepared(network.pixels)
        if isinstance(image, Unreadable):
            return Picture(reason=image.reason)
        answers.append(answered(network, image))
    return Picture(tuple(answers))
