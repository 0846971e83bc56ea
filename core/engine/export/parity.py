"""Whether an exported file gives the same outputs as the model it came from, on real validation images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.engine.measure.runtime import open_session, prepared
from core.engine.model import Model
from core.errors import UserError

COMPARED = 64  # validation images
CLOSE = 1e-3  # relative to the largest logit: float runtimes add in different orders, but differ by less

Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # images [N, C, S, S], prepared → logits [N, classes]


@dataclass(frozen=True)
class Parity:
    """The largest difference of a logit from the network in torch and from the measured file, over `images`; the
    largest logit; the share of images for which the predicted class is the measured file's."""

    images: int
    difference_from_torch: float
    difference_from_file: float
    largest_logit: float
    same_answers: float
    quantized: bool

    def to_json(self) -> dict[str, float | int | bool]:
        return asdict(self)

    def check(self, title: str) -> None:
        """Raises UserError if a float file differs from the network; a quantized file's difference is only reported."""
        if self.quantized or self.difference_from_torch <= CLOSE * max(1.0, self.largest_logit):
            return
        given = f"{title}: logits differ by up to {self.difference_from_torch:.2g} from the network's in torch"
        allowed = f"at most {CLOSE:g} of the largest logit ({self.largest_logit:.2g})"
        raise UserError("export_differs", "method", given, allowed, "Export to ONNX, the format that was measured.")

    def sentence(self, title: str) -> str:
        """For users: how far the file's outputs are from those it should give."""
        of = "the measured file" if self.quantized else "the network in torch"
        far = self.difference_from_file if self.quantized else self.difference_from_torch
        same = f"the same class on {round(self.same_answers * self.images)} of {self.images} validation images"
        return f"{title}, read back: {same}, logits at most {far:.1e} away from those of {of}."


def compare(
    model: Model, artifact: Path, answer: Answer, validation: Tensor, threads: int, *, quantized: bool
) -> Parity:
    """`answer` compared with `model` in torch and with its measured file, on the first `validation` images."""
    (batch,) = prepared(validation[:COMPARED], model.preprocessing, COMPARED)
    session = open_session(artifact, threads)
    theirs: NDArray[np.float32] = session.run(["logits"], {session.get_inputs()[0].name: batch})[0]
    net = model.net.cpu().eval()
    with torch.inference_mode():
        exact = net(torch.from_numpy(batch)).float().numpy()
    mine = answer(batch)
    return Parity(
        images=len(batch),
        difference_from_torch=float(np.abs(mine - exact).max()),
        difference_from_file=float(np.abs(mine - theirs).max()),
        largest_logit=float(np.abs(exact).max()),
        same_answers=float((mine.argmax(1) == theirs.argmax(1)).mean()),
        quantized=quantized,
    )
