"""Export: further formats of a recipe's model, each read back and compared with the model it came from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from core.engine.context import Context
from core.engine.export.parity import Answer, Parity, compare
from core.engine.method import Method, Saved
from core.engine.model import Model
from core.files import make_folder, write_atomic
from core.run_files.bundle import CARD, described

RECEIPT = "export.json"  # next to the files of a format: what they are and how their outputs compare


class Export(Method, ABC):
    """A format to write; adds files to the last step's artifact, but no point.

    A format that is created from the network in torch cannot follow a quantize step, whose integers exist only in its
    ONNX file: it leaves `takes_quantized` False, and such a recipe is rejected before it runs.
    """

    makes_point: ClassVar[bool] = False
    takes_quantized: ClassVar[bool] = False

    @abstractmethod
    def write(self, model: Model, artifact: Path, folder: Path) -> tuple[Path, ...]:
        """Writes `model`, whose measured ONNX file is `artifact`, into `folder` and returns the files.

        Raises UserError `not_exportable` with the reason.
        """

    @abstractmethod
    def reload(self, folder: Path, threads: int) -> Answer:
        """The outputs of the files in `folder`, read back in their own runtime."""

    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """The files of this format in the folder of `path`, with labels, preprocessing and `export.json`.

        Raises UserError `export_differs` if a float file's outputs differ from those of the network in torch.
        """
        assert context.artifact is not None
        files, found = self.deliver(
            model,
            context.artifact,
            path.parent,
            context.data.validation.images,
            context.threads,
            quantized=context.artifact != context.source,
        )
        return Saved(files=files, notes=(found.sentence(self.title.en),))

    def deliver(
        self, model: Model, artifact: Path, folder: Path, validation: Tensor, threads: int, *, quantized: bool
    ) -> tuple[tuple[Path, ...], Parity]:
        """The files of this format in `folder`, with labels, preprocessing and `export.json`, and how they answer on
        the first `validation` images [N, C, H, W]. Raises UserError as `save` does."""
        make_folder(folder)
        files = (*self.write(model, artifact, folder), *_beside(artifact, folder))
        found = compare(model, artifact, self.reload(folder, threads), validation, threads, quantized=quantized)
        found.check(self.title.en)
        receipt = folder / RECEIPT
        write_atomic(receipt, json.dumps(_receipt(self, files, found), ensure_ascii=False, indent=1).encode())
        return (*files, receipt), found


def _beside(artifact: Path, folder: Path) -> tuple[Path, ...]:
    """labels.json and preprocessing.json, without which the model cannot be used."""
    contents = described(json.loads(artifact.with_name(CARD).read_bytes()))
    for name, data in contents.items():
        write_atomic(folder / name, data)
    return tuple(folder / name for name in contents)


def _receipt(method: Export, files: tuple[Path, ...], found: Parity) -> dict[str, object]:
    sizes = {path.name: path.stat().st_size for path in files}
    return {"format": method.title.en, "files": sizes, "parity": found.to_json()}
