"""Export: further formats of a recipe's model, each read back and compared with the model it came from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from core.bundle import CARD, described
from core.engine.context import Context
from core.engine.export.parity import Answer, Parity, compare
from core.engine.method import Method, Saved
from core.engine.model import Model
from core.files import make_folder, write_atomic

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
        folder = make_folder(path.parent)
        files = (*self.write(model, context.artifact, folder), *_beside(context.artifact, folder))
        quantized = context.artifact != context.source
        found = compare(model, context.artifact, self.reload(folder, context.threads), context, quantized=quantized)
        found.check(self.title.en)
        receipt = folder / RECEIPT
        write_atomic(receipt, json.dumps(_receipt(self, files, found), ensure_ascii=False, indent=1).encode())
        return Saved(files=(*files, receipt), notes=(found.sentence(self.title.en),))


def _beside(artifact: Path, folder: Path) -> tuple[Path, ...]:
    """labels.json and preprocessing.json, without which the model cannot be used."""
    contents = described(json.loads(artifact.with_name(CARD).read_bytes()))
    for name, data in contents.items():
        write_atomic(folder / name, data)
    return tuple(folder / name for name in contents)


def _receipt(method: Export, files: tuple[Path, ...], found: Parity) -> dict[str, object]:
    sizes = {path.name: path.stat().st_size for path in files}
    return {"format": method.title.en, "files": sizes, "parity": found.to_json()}
