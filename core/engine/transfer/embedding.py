"""Embeddings of a frozen backbone, computed once and cached on disk; and its graph, to which any head can be attached.

Small numbers of images are embedded directly in torch: onnxruntime is about twice as fast, but the graph must be
exported first, which takes several seconds without visible progress.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import onnx
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from core.engine.backbones.heads import head_layer, without_head
from core.engine.context import Context, Progress
from core.engine.data.augment import prepare
from core.engine.export.graph import EMBEDDING, fingerprint, graph_bytes, no_linear_head, with_embedding
from core.engine.measure.runtime import open_session, predict
from core.engine.model import Model
from core.engine.threads import side_by_side
from core.engine.training.memory_layout import arrange, arranged, choose_layout
from core.files import make_folder
from core.storage.sealed import read_kept, write_kept

AT_ONCE = 32  # images per batch in torch: a quarter faster than 64 or 16 with one thread per batch
FEW = 2**26  # input pixels: 16,384 images of 64 px. For EfficientNet-Lite0 they take torch as long as the export


@dataclass(frozen=True)
class Extractor:
    """The embedding of a model's backbone; `key` names the backbone's weights in the cache."""

    model: Model
    key: str

    def embed(self, images: Tensor, context: Context) -> Tensor:
        """Embeddings [N, D] of uint8 images [N, C, H, W]; raises CancelledError between batches."""
        path = context.cache / "embeddings" / f"{self.key}-{_content(images)}.kept"
        if (kept := read_kept(path)) is not None:
            return load(kept)["embedding"]
        found = self._compute(images, context)
        make_folder(path.parent)
        write_kept(path, save({"embedding": found.contiguous()}))
        return found

    def _compute(self, images: Tensor, context: Context) -> Tensor:
        def step(done: int) -> None:
            context.stop_if_cancelled()
            context.report(Progress("features", done, len(images)))

        if context.device.type == "cpu" and len(images) * self.model.preprocessing.size**2 > FEW:
            graph = template(self.model, context)
            session = open_session(graph.SerializeToString())
            return predict(session, images, self.model.preprocessing, EMBEDDING, step, cores=context.threads)
        rows: list[Tensor] = []
        with closing(self._in_torch(images, context)) as found:
            for row in found:
                rows.append(row)
                step(sum(map(len, rows)))
        return torch.cat(rows)

    def _in_torch(self, images: Tensor, context: Context) -> Generator[Tensor, None, None]:
        """The embeddings, batch by batch."""
        net = without_head(self.model.net).to(context.device)
        layout = choose_layout(net, context.device)
        arrange(net, layout)
        preprocessing = self.model.preprocessing

        def embed(block: Tensor) -> Tensor:
            with torch.no_grad():
                pixels = prepare(block.to(context.device), preprocessing)
                found: Tensor = net(arranged(pixels, layout))
            if found.ndim != 2:
                raise no_linear_head(f"a layer on {found.ndim - 1} dimensions")
            return found.float().cpu()

        threads = context.threads if context.device.type == "cpu" else 1
        yield from side_by_side(embed, torch.split(images, AT_ONCE), threads)


def _content(images: Tensor) -> str:
    digest = blake2b(digest_size=16)
    for block in torch.split(images, 1024):
        digest.update(block.contiguous().numpy().data)
    return digest.hexdigest()


def extractor(model: Model) -> Extractor:
    """The extractor of a model's backbone, named by the weights' fingerprint.

    Raises UserError `no_linear_head` if the network does not end in a linear layer on an embedding.
    """
    head = head_layer(model.net)
    if not isinstance(head, nn.Linear):
        raise no_linear_head(type(head).__name__)
    return Extractor(model, fingerprint(model))


def template(model: Model, context: Context) -> onnx.ModelProto:
    """The graph of a model's backbone with the outputs `logits`, from a placeholder head, and `embedding`.

    Exported the first time and then cached: models that differ only in their heads share it byte for byte.
    Raises UserError `no_linear_head` if the network does not end in a linear layer on an embedding.
    """
    path: Path = context.cache / "extractors" / f"{fingerprint(model)}.kept"
    kept = read_kept(path)
    if kept is None:
        context.report(Progress("exporting"))
        make_folder(path.parent)
        kept = graph_bytes(_neutral(model))
        write_kept(path, kept)
    return with_embedding(onnx.load_from_string(kept))


def _neutral(model: Model) -> Model:
    """The model with a head of zeros: the exported graph must not depend on which model came first."""
    net = copy.deepcopy(model.net)
    with torch.no_grad():
        for parameter in head_layer(net).parameters():
            parameter.zero_()
    return model.with_net(net)
