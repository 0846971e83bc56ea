"""The picture that is tried: a person's own, held in this session alone, or one of the test images."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from dashboard.session import forget, recall, remember

PICTURE = "tryit.picture"


@dataclass(frozen=True)
class Given:
    """A person's picture `data`, or the test image at `sample` of `run`, of class `truth`."""

    data: bytes = b""
    sample: int = -1
    truth: str = ""
    run: str = ""

    @property
    def own(self) -> bool:
        return bool(self.data)

    @property
    def digest(self) -> str:
        """Names the picture, to see whether it is another one."""
        return sha256(self.data).hexdigest() if self.data else f"{self.run} {self.sample}"


def given(run: str) -> Given | None:
    """What is tried, where models of `run` come first: a test image of another run means nothing to them."""
    found: Given | None = recall(PICTURE, None)
    return found if found is not None and (found.own or found.run == run) else None


def give(picture: Given) -> None:
    remember(PICTURE, picture)


def take_away() -> None:
    forget(PICTURE)
