"""Embeddings of a frozen backbone: computed once in onnxruntime, kept on disk, and the graph they came from."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import onnx
import torch
from safetensors.torch import load, save
from torch import Tensor

from core.engine.backbones.features import Observer
from core.engine.bench import Bench
from core.engine.data.augment import prepare
from core.engine.export.graph import EMBEDDING, fingerprint, with_embedding, write_graph
from core.engine.measure.runtime import open_session, predict
from core.engine.model import Model
from core.files import make_folder, write_atomic


@dataclass(frozen=True)
class Extractor:
    """The backbone as an ONNX graph with the outputs `logits` and `embedding`; `key` names it in the cache."""

    model: Model
    key: str
    template: onnx.ModelProto

    def embed(self, images: Tensor, bench: Bench) -> Tensor:
        """Embeddings [N, D] of uint8 images [N, C, H, W]; raises CancelledError between batches."""
        content = blake2b(images.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
        path = bench.cache / "embeddings" / f"{self.key}-{content}.safetensors"
        if path.exists():
            return load(path.read_bytes())["embedding"]
        found = self._compute(images, bench)
        make_folder(path.parent)
        write_atomic(path, save({"embedding": found.contiguous()}))
        return found

    def _compute(self, images: Tensor, bench: Bench) -> Tensor:
        def step(done: int) -> None:
            bench.stop_if_cancelled()
            bench.report("features", 0, 1, done, len(images))

        if bench.device.type == "cpu":  # 2.8× faster than eager torch
            session = open_session(self.template.SerializeToString(), bench.threads)
            return predict(session, images, self.model.preprocessing, EMBEDDING, step)
        rows = []
        net = self.model.net.to(bench.device).eval()
        with torch.no_grad(), Observer(net) as observe:
            for block in torch.split(images, 256):
                embedding = observe(prepare(block.to(bench.device), self.model.preprocessing)).embedding
                assert embedding is not None
                rows.append(embedding.float().cpu())
                step(sum(map(len, rows)))
        return torch.cat(rows)


def extractor(model: Model, bench: Bench) -> Extractor:
    """The extractor of a model's backbone, exported the first time and cached by the weights' fingerprint.

    Raises UserError `no_linear_head` where the network does not end in a linear layer on an embedding.
    """
    key = fingerprint(model)
    path: Path = bench.cache / "extractors" / f"{key}.onnx"
    if not path.exists():
        bench.report("exporting", 0, 1, 0, 1)
        make_folder(path.parent)
        write_graph(model, path)
    return Extractor(model, key, with_embedding(onnx.load(path)))
