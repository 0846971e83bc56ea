"""Published sets, fetched from a server on loopback that holds small archives of the real forms."""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets as reference
from PIL import Image

from core.engine.data import datasets, load_dataset
from core.engine.data.published.load import Archive, Photos, Published
from core.engine.data.published.readers import EMNIST
from core.engine.data.published.unpack import unpack
from core.engine.data.sets import known_datasets
from core.errors import UserError
from core.integrity.damage import Condition
from core.integrity.verify import of_published

RNG = np.random.default_rng(0)
Served = dict[str, bytes]
Step = tuple[str, int, int | None]


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *ignored: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """(folder served, address, requests so far)."""
    root = tmp_path / "served"
    root.mkdir()
    asked: list[str] = []
    handler = type("Handler", (Quiet,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(root))) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield root, f"http://127.0.0.1:{http.server_port}/", asked
        http.shutdown()
        thread.join()


def serve(name: str, files: list[bytes], server: tuple[Path, str, list[str]], patch: pytest.MonkeyPatch) -> None:
    """Puts `files` where the dataset's archives are looked for, with their own MD5 sums."""
    root, address, _ = server
    published = published_set(name)
    archives = []
    for archive, data in zip(published.archives, files, strict=True):
        (root / archive.file).write_bytes(data)
        archives.append(replace(archive, url=address + archive.file, md5=hashlib.md5(data).hexdigest()))
    patch.setattr(type(published), "archives", tuple(archives))


def published_set(name: str) -> Published:
    known = known_datasets()[name]
    assert isinstance(known, Published)
    return known


def idx(array: np.ndarray) -> bytes:
    kind = {"uint8": 8, "int32": 12}[array.dtype.name]
    shape = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(
        bytes([0, 0, kind, array.ndim]) + shape + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def tarred(files: Served, links: tuple[tuple[str, str], ...] = ()) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return out.getvalue()


def jpeg(shade: int, size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 255 - shade)).save(out, "JPEG", quality=95)
    return out.getvalue()


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def test_mnist_form_with_progress_and_then_offline(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, tests = pixels(200, 28, 28), pixels(50, 28, 28)
    labels, test_labels = (np.arange(n, dtype=np.uint8) % 10 for n in (200, 50))
    serve("kmnist", [idx(images), idx(labels), idx(tests), idx(test_labels)], server, monkeypatch)
    folder, steps = tmp_path / "datasets", list[Step]()
    assert not datasets(folder)["kmnist"].at_hand
    data = load_dataset("kmnist", 64, folder=folder, progress=lambda *step: steps.append(step))
    size = (server[0] / "train-images-idx3-ubyte.gz").stat().st_size
    assert ("downloading train-images-idx3-ubyte.gz", size, size) in steps
    assert [len(part) for part in (data.train, data.validation, data.test)] == [180, 20, 50]
    assert data.validation.labels.bincount().tolist() == [2] * 10
    assert (data.classes[:3], data.size, data.channels) == (("o", "ki", "su"), 28, 1)
    assert np.array_equal(data.test.images[:, 0], tests)
    learned = [*data.train.images[:, 0].numpy(), *data.validation.images[:, 0].numpy()]
    assert sorted(map(bytes, learned)) == sorted(map(bytes, images))
    by_pixels = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        assert by_pixels[image.numpy().tobytes()] == label
    asked = len(server[2])
    again = load_dataset("kmnist", 28, folder=folder)
    assert len(server[2]) == asked
    assert again.content_hash == data.content_hash
    assert (datasets(folder)["kmnist"].at_hand, datasets(folder)["kmnist"].bytes) == (True, 0)
    assert not (folder / "kmnist" / "archives").exists()


def test_cifar10_form(server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = pixels(60, 3, 32, 32), np.arange(60, dtype=np.uint8) % 10
    records = np.concatenate([labels[:, None], images.reshape(60, -1)], axis=1)
    batches = {
        f"cifar-10-batches-bin/data_batch_{i + 1}.bin": records[10 * i : 10 * i + 10].tobytes() for i in range(5)
    }
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    batches["cifar-10-batches-bin/batches.meta.txt"] = ("\n".join(names) + "\n\n").encode()
    batches["cifar-10-batches-bin/test_batch.bin"] = records[50:].tobytes()
    serve("cifar10", [tarred(batches)], server, monkeypatch)
    data = load_dataset("cifar10", 32, folder=tmp_path)
    assert (data.classes, data.size, data.channels) == (tuple(names), 32, 3)
    assert np.array_equal(data.test.images, images[50:])
    assert np.array_equal(data.test.labels, labels[50:])
    assert len(data.train) + len(data.validation) == 50


def test_cifar100_takes_the_fine_label(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pixels(200, 3, 32, 32)
    fine, coarse = np.arange(200, dtype=np.uint8) % 100, np.full(200, 7, np.uint8)
    records = np.concatenate([coarse[:, None], fine[:, None], images.reshape(200, -1)], axis=1).tobytes()
    names = "\n".join(f"thing_{i}" for i in range(100)).encode()
    members = {"train.bin": records, "test.bin": records, "fine_label_names.txt": names, "coarse_label_names.txt": b"x"}
    serve("cifar100", [tarred({f"cifar-100-binary/{k}": v for k, v in members.items()})], server, monkeypatch)
    monkeypatch.setattr("core.engine.data.published.load.VALIDATION", 0.5)
    data = load_dataset("cifar100", 32, folder=tmp_path)
    assert np.array_equal(data.test.labels, fine)
    assert np.array_equal(data.test.images, images)
    assert data.classes[42] == "thing_42"


def test_usps_and_qmnist_and_emnist_forms(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = " ".join(f"{i + 1}:{-1 if i % 2 else 1}" for i in range(256))
    text = "".join(f"{1 + i % 10} {line}\n" for i in range(30))
    serve("usps", [bz2.compress(text.encode())] * 2, server, monkeypatch)
    usps = load_dataset("usps", 16, folder=tmp_path)
    assert usps.test.labels[:10].tolist() == list(range(10))
    assert usps.test.images[0, 0, 0, :4].tolist() == [255, 0, 255, 0]

    labels = np.zeros((20, 8), np.int32)
    labels[:, 0] = np.arange(20) % 10
    labels[:, 1] = 99
    images = pixels(20, 28, 28)
    serve("qmnist", [idx(images), idx(labels)] * 2, server, monkeypatch)
    monkeypatch.setattr("core.engine.data.published.load.VALIDATION", 0.5)
    assert load_dataset("qmnist", 28, folder=tmp_path).test.labels.tolist() == [*range(10), *range(10)]

    lying = pixels(94, 28, 28)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for part in ("train", "test"):
            archive.writestr(f"gzip/emnist-balanced-{part}-images-idx3-ubyte.gz", idx(lying.transpose(0, 2, 1)))
            archive.writestr(
                f"gzip/emnist-balanced-{part}-labels-idx1-ubyte.gz", idx(np.arange(94, dtype=np.uint8) % 47)
            )
    serve("emnist-balanced", [out.getvalue()], server, monkeypatch)
    emnist = load_dataset("emnist-balanced", 28, folder=tmp_path)
    assert np.array_equal(emnist.test.images[:, 0], lying)
    assert emnist.classes[10] == "A"
    assert len(emnist.classes) == 47


def test_photos_with_given_splits(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DTD: photos of any size below a folder a class, and text files that list the splits."""
    files: Served = {}
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for label, name in enumerate(("banded", "dotted")):
        for number, split in enumerate(("train", "train", "val", "test")):
            files[f"dtd/images/{name}/{name}_{number}.jpg"] = jpeg(100 * label + 10 * number, (40 + number, 30))
            lists[split].append(f"{name}/{name}_{number}.jpg")
    files |= {f"dtd/labels/{split}1.txt": "\n".join(names).encode() for split, names in lists.items()}
    serve("dtd", [tarred(files)], server, monkeypatch)
    steps: list[Step] = []
    data = load_dataset("dtd", 24, folder=tmp_path, progress=lambda *step: steps.append(step))
    assert data.classes == ("banded", "dotted")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [4, 2, 2]
    assert data.test.images.shape == (2, 3, 24, 24)
    red = data.test.images[:, 0].float().mean((1, 2)).round().tolist()
    assert red == pytest.approx([30, 130], abs=3)
    assert steps[-1] == ("decoding", 8, 8)
    asked = len(server[2])
    assert load_dataset("dtd", 16, folder=tmp_path).size == 16  # another size: from the unpacked files
    assert len(server[2]) == asked
    a_changed_photo_is_named(tmp_path, "files/dtd/dtd/images/dotted/dotted_3.jpg", files)


def a_changed_photo_is_named(folder: Path, name: str, files: Served) -> None:
    """By verify, and where it is decoded once more; it is a whole photo, only another one."""
    assert not [found for found in of_published(folder / "dtd") if found.state is not Condition.OK]
    assert len(list(of_published(folder / "dtd"))) == len(files) + 3, "their list and a cache of two sizes"
    (folder / "dtd" / name).write_bytes(jpeg(1))
    assert [found.file for found in of_published(folder / "dtd") if found.state is Condition.DAMAGED] == [name]
    with pytest.raises(UserError) as caught:
        load_dataset("dtd", 20, folder=folder)
    assert (caught.value.code, caught.value.given) == ("damaged_image", f"dtd/{name}")
    assert "datasets/dtd " in caught.value.fix
    listed = folder / "dtd" / "files.json"
    listed.write_bytes(listed.read_bytes().replace(b"banded", b"bandit", 1))
    assert next(of_published(folder / "dtd")).state is Condition.DAMAGED
    with pytest.raises(UserError, match=r"files\.json"):
        load_dataset("dtd", 20, folder=folder)
    listed.unlink()
    states = {found.file: found.state for found in of_published(folder / "dtd")}
    assert states.pop("files") is Condition.UNSEALED, "unpacked before there was a list"
    assert load_dataset("dtd", 20, folder=folder).size == 20


def test_photos_without_splits_and_frames_of_one_sign(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GTSRB: validation is drawn by whole tracks; its photos are PPM, its test labels a CSV."""
    train, tests, truth = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(train, "w", zipfile.ZIP_DEFLATED) as archive:
        for label in range(3):
            for track in range(10):
                for frame in range(3):
                    shade = label * 80 + track * 8
                    ppm = b"P6 20 20 255\n" + bytes([shade, 0, 0]) * 400
                    archive.writestr(f"GTSRB/Training/{label:05d}/{track:05d}_{frame:05d}.ppm", ppm)
    with zipfile.ZipFile(tests, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("GTSRB/Final_Test/Images/00000.ppm", b"P6 20 20 255\n" + bytes([9, 9, 9]) * 400)
    with zipfile.ZipFile(truth, "w") as archive:
        archive.writestr("GT-final_test.csv", "Filename;Width;Height;ClassId\n00000.ppm;20;20;2\n")
    serve("gtsrb", [train.getvalue(), tests.getvalue(), truth.getvalue()], server, monkeypatch)
    data = load_dataset("gtsrb", 16, folder=tmp_path)
    seen = [set(part.images[:, 0, 8, 8].tolist()) for part in (data.train, data.validation)]
    assert not seen[0] & seen[1]
    assert len(seen[0] | seen[1]) == 30
    assert data.validation.labels.bincount().tolist() == [3, 3, 3]
    assert data.test.labels.tolist() == [2]


def test_offline_says_so_and_names_what_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive("http://127.0.0.1:1/x.tar.gz", "0" * 32, 1)
    monkeypatch.setattr(type(published_set("cifar10")), "archives", (archive,))
    with pytest.raises(UserError) as caught:
        load_dataset("cifar10", 32, folder=tmp_path)
    assert caught.value.code == "offline"
    assert "fashion-mini" in caught.value.fix


def test_changed_archive_is_refused(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("cifar10", [tarred({"cifar-10-batches-bin/test_batch.bin": bytes(3073)})], server, monkeypatch)
    (server[0] / "cifar-10-binary.tar.gz").write_bytes(b"something else")
    with pytest.raises(UserError) as caught:
        load_dataset("cifar10", 32, folder=tmp_path)
    assert caught.value.code == "wrong_checksum"


def test_archive_without_its_content_is_refused(
    server: tuple[Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("cifar10", [tarred({"cifar-10-batches-bin/data_batch_1.bin": bytes(3073)})], server, monkeypatch)
    with pytest.raises(UserError) as caught:
        load_dataset("cifar10", 32, folder=tmp_path)
    assert caught.value.code == "damaged_file"
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "data",
    [
        tarred({"../climbs": b"x"}),
        tarred({"/absolute": b"x"}),
        tarred({}, (("link", "/etc/passwd"),)),
        tarred({"whole": bytes(100_000)})[:-40],
        b"no tar at all",
    ],
)
def test_bad_tars_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "given.tar.gz").write_bytes(data)
    (tmp_path / "into").mkdir()
    with pytest.raises(UserError):
        unpack(tmp_path / "given.tar.gz", tmp_path / "into")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.tar.gz", "into"]


def test_addresses_and_sums_are_torchvisions() -> None:
    known = {
        "mnist": reference.MNIST.resources,
        "fashion-mnist": reference.FashionMNIST.resources,
        "kmnist": reference.KMNIST.resources,
        "qmnist": [*reference.QMNIST.resources["train"], *reference.QMNIST.resources["test"]],
        "emnist-balanced": [(reference.EMNIST.url, reference.EMNIST.md5)],
        "usps": [(reference.USPS.split_list[s][0], reference.USPS.split_list[s][2]) for s in ("train", "test")],
        "stl10": [(reference.STL10.url, reference.STL10.tgz_md5)],
        "svhn": [(reference.SVHN.split_list[s][0], reference.SVHN.split_list[s][2]) for s in ("train", "test")],
        "flowers102": [
            (reference.Flowers102._download_url_prefix + file, md5)
            for file, md5 in (reference.Flowers102._file_dict[key] for key in ("image", "label", "setid"))
        ],
        "oxford-pets": reference.OxfordIIITPet._RESOURCES,
        "dtd": [(reference.DTD._URL, reference.DTD._MD5)],
        "fgvc-aircraft": [(reference.FGVCAircraft._URL, None)],
        "food101": [(reference.Food101._URL, reference.Food101._MD5)],
        "imagenette": [reference.Imagenette._ARCHIVES["320px"]],
        "country211": [(reference.Country211._URL, reference.Country211._MD5)],
        "rendered-sst2": [(reference.RenderedSST2._URL, reference.RenderedSST2._MD5)],
    }
    for name, resources in known.items():
        for archive, (url, md5) in zip(published_set(name).archives, resources, strict=True):
            assert archive.url.endswith(url), name
            assert archive.md5 == md5, name
    assert reference.EMNIST.classes_split_dict["balanced"] == list(EMNIST)


def test_every_photo_set_has_a_layout() -> None:
    layouts = [known.layout for known in known_datasets().values() if isinstance(known, Photos)]
    assert len(layouts) == 11
    assert all(hasattr(reference, layout.kind) for layout in layouts)
