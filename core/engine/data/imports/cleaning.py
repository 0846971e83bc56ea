"""Converts untrusted pictures into clean ones: each is decoded in a child process and written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.engine.data.imports.decoder_pool import Decoded, Unreadable, decode_all
from core.engine.data.imports.depth import WHITE, Deep, scaling_remark, white_of
from core.engine.data.imports.sources import Found
from core.engine.data.imports.zip_reader import DamagedEntry
from core.engine.data.photos import Progress
from core.errors import shorten


@dataclass(frozen=True)
class Filled:
    """The clean pictures by path, the value of white in 16-bit pictures, and warnings about it."""

    images: dict[str, Decoded]
    white: int = WHITE
    warnings: Sequence[str] = ()


def cleaned(wanted: list[Found], folder: Path, skipped: list[dict[str, str]], report: Progress) -> Filled:
    """The clean images by path, each written once into `folder`; unreadable ones are added to `skipped`.

    Images of 16 bits are read twice, because the value of white is known only after all were seen.
    """
    answers, deep = Decoding(folder, skipped, report), dict[str, Deep]()
    answers.run(wanted, 0, deep)
    white = white_of(list(deep.values()))
    answers.run([found for found in wanted if found.path in deep], white, {})
    ordered = {found.path: answers.clean[found.path] for found in wanted if found.path in answers.clean}
    return Filled(ordered, white, [scaling_remark(list(deep.values()), white)] if deep else [])


@dataclass
class Decoding:
    """The state of decoding: the clean images by path, and the stored file of each by its pixels."""

    folder: Path
    skipped: list[dict[str, str]]
    report: Progress
    clean: dict[str, Decoded] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)

    def run(self, wanted: Sequence[Found], white: int, deep: dict[str, Deep]) -> None:
        """Decodes `wanted`; if `white` is 0, facts about 16-bit images are added to `deep`."""
        for done, (path, answer) in enumerate(decode_all(self._contents(wanted), len(wanted), white), 1):
            self.report("decoding", done, len(wanted))
            if isinstance(answer, Unreadable):
                self.skipped.append(skip(path, answer.reason))
            elif isinstance(answer, Deep):
                deep[path] = answer
            else:
                self._keep(path, answer)

    def _keep(self, path: str, image: Decoded) -> None:
        if image.pixels not in self.stored:
            self.stored[image.pixels] = image.file
            (self.folder / image.file).write_bytes(image.data)
        self.clean[path] = replace(image, file=self.stored[image.pixels], data=b"")

    def _contents(self, wanted: Sequence[Found]) -> Iterator[tuple[str, bytes]]:
        for found in wanted:
            try:
                yield found.path, found.read()
            except DamagedEntry as problem:
                self.skipped.append(skip(found.path, f"damaged: {problem}"))


def skip(path: str, reason: str) -> dict[str, str]:
    """The record of a skipped file."""
    return {"file": shorten(plain_path(path), 300), "reason": reason}


def plain_path(path: str) -> str:
    """The path with undecodable bytes replaced."""
    return path.encode("utf-8", "replace").decode()
