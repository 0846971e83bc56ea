"""Weights from a hub on loopback that may lie, stop, be a mirror, or not be there."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from core.engine.backbones import find, hub, load_backbone, weights_at_hand
from core.engine.backbones.timm import weights_path
from core.errors import UserError

NAME = "timm/test_resnet.r160_in1k"
REPOSITORY, COMMIT = "timm/test_resnet.r160_in1k", "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Served:
    """What the hub does: the bytes it has, the sha256 that it names, after how many bytes it hangs up once."""

    data: bytes = b""
    digest: str = ""
    cut: int = 0
    status: int = 0
    asked: list[str] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    """A hub on loopback, to which HF_ENDPOINT points: the repository's answer is a redirect that names the hash."""
    found = Served()

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return None

        def do_HEAD(self) -> None:
            found.asked.append(f"HEAD {self.path}")
            self.send_response(found.status or 302)
            if not found.status:
                self.send_header("X-Linked-Etag", f'"{found.digest}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Location", "/store/blob")
            self.end_headers()

        def do_GET(self) -> None:
            found.asked.append(f"GET {self.path} {self.headers.get('Range', '')}".strip())
            if "/resolve/" in self.path:
                self.send_response(302)
                self.send_header("Location", "/store/blob")
                self.end_headers()
                return
            start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(found.data) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(found.data) - 1}/{len(found.data)}")
            self.end_headers()
            end = found.cut or len(found.data)
            found.cut = 0
            self.wfile.write(found.data[start:end])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", found.address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(hub, "cached", lambda repository: None)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def publish(served: Served, state: dict[str, Tensor]) -> None:
    served.data = save({key: tensor.contiguous() for key, tensor in state.items()})
    served.digest = hashlib.sha256(served.data).hexdigest()


def theirs() -> torch.nn.Module:
    from timm.models import create_model

    torch.manual_seed(1)
    net: torch.nn.Module = create_model("test_resnet.r160_in1k", pretrained=False).eval()
    return net


def test_weights_come_once_and_are_held_against_their_hash(served: Served, tmp_path: Path) -> None:
    net = theirs()
    publish(served, net.state_dict())
    assert not weights_at_hand(NAME, tmp_path)
    seen: list[tuple[int, int | None]] = []
    ours = load_backbone(NAME, folder=tmp_path, progress=lambda done, total: seen.append((done, total)))
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), net(images))
    assert seen[-1] == (len(served.data), len(served.data))
    assert served.asked[0] == f"HEAD /{REPOSITORY}/resolve/main/model.safetensors"
    assert served.asked[1] == f"GET /{REPOSITORY}/resolve/{COMMIT}/model.safetensors"
    served.asked.clear()
    assert weights_at_hand(NAME, tmp_path)
    assert load_backbone(NAME, 3, folder=tmp_path)(images).shape == (2, 3)
    assert not served.asked, "they are kept"
    kept = weights_path(NAME, tmp_path)
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    kept.write_bytes(damaged)
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "wrong_checksum"
    assert served.digest in refused.value.allowed


def test_wrong_bytes_leave_nothing_and_name_the_hash(served: Served, tmp_path: Path) -> None:
    publish(served, theirs().state_dict())
    named, served.digest = served.digest, "f" * 64
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "wrong_checksum"
    assert "f" * 64 in refused.value.allowed
    assert named in refused.value.given
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    served.digest = named
    assert load_backbone(NAME, folder=tmp_path) is not None


def test_a_cut_or_cancelled_download_goes_on(served: Served, tmp_path: Path) -> None:
    publish(served, theirs().state_dict())

    class Stop(Exception):
        """What a person's Cancel raises."""

    def stop(done: int, total: int | None) -> None:
        if done:
            raise Stop

    with pytest.raises(Stop):
        load_backbone(NAME, folder=tmp_path, progress=stop)
    assert not weights_at_hand(NAME, tmp_path)
    served.cut = len(served.data) - 1000  # and the connection breaks once more
    assert load_backbone(NAME, folder=tmp_path) is not None
    assert [line for line in served.asked if line.startswith("GET /store") and "bytes=" in line]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("status", "code"), [(404, "weights_not_there"), (401, "weights_not_there"), (503, "weights_unreachable")]
)
def test_what_the_hub_refuses(served: Served, tmp_path: Path, status: int, code: str) -> None:
    served.status = status
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == code
    assert str(status) in refused.value.given
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_mirror_that_names_no_hash_is_refused(served: Served, tmp_path: Path) -> None:
    publish(served, theirs().state_dict())
    served.digest = "0123456789"
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "weights_without_hash"
    assert served.address in refused.value.given


def test_an_unreachable_hub_says_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "cached", lambda repository: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(UserError) as refused:
            load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "weights_unreachable"
    for way in ("HF_ENDPOINT", "none", "efficientnet_lite0", str(weights_path(NAME, tmp_path))):
        assert way in refused.value.fix
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        load_backbone(NAME, folder=tmp_path)


def test_a_file_put_there_by_hand_and_the_hub_s_own_cache_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = theirs()
    data = save(net.state_dict())
    path = weights_path(NAME, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert load_backbone(NAME, folder=tmp_path) is not None
    path.unlink()
    blob = tmp_path / hashlib.sha256(data).hexdigest()
    blob.write_bytes(data)
    (tmp_path / "model.safetensors").symlink_to(blob)
    monkeypatch.setattr(hub, "cached", lambda repository: tmp_path / "model.safetensors")
    assert weights_at_hand(NAME, tmp_path)
    assert load_backbone(NAME, folder=tmp_path) is not None
    blob.write_bytes(data[:-1] + b"x")
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "wrong_checksum"


def test_weights_of_another_architecture_are_refused_in_words(served: Served, tmp_path: Path) -> None:
    publish(served, {"something": torch.zeros(3)})
    with pytest.raises(UserError) as refused:
        load_backbone(NAME, folder=tmp_path)
    assert refused.value.code == "weights_do_not_fit"
    assert str(find(NAME).image_size) in refused.value.fix
