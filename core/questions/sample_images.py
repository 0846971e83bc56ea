"""Request: make a small dataset of drawn images, to try things out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.questions.import_data import Imported
from core.questions.request import Request


@dataclass(frozen=True)
class SampleImagesRequest(Request[Imported]):
    """Makes the dataset `name` of 120 images in 4 classes, drawn by a script."""

    kind: ClassVar[str] = "sample_images"
    overtaken: ClassVar[bool] = True

    name: str
