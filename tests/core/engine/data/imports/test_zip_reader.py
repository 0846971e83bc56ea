"""Bad zips, row by row of the project's table: refused whole, skipped with a reason, or read."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.engine.data.imports.zip_reader import Archive, DamagedEntry
from core.errors import UserError

PNG = b"\x89PNG\r\n\x1a\n" + b"some pixels" * 20
Files = dict[str, bytes]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def with_mode(mode: int, name: str = "cats/link.png") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.create_system = 3
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


def patched(data: bytes, signature: bytes, offset: int, new: bytes) -> bytes:
    """`data` with bytes after its last `signature` changed."""
    at = data.rfind(signature) + offset
    return data[:at] + new + data[at + len(new) :]


def renamed(old: bytes, new: bytes) -> bytes:
    """A zip with a raw name that zipfile would not write."""
    assert len(old) == len(new)
    return zipped({"cats/1.png": PNG, old.decode(): PNG}).replace(old, new)


def twice(name: str) -> bytes:
    return zipped({f"{name}.png": PNG, f"{name}.pnX": PNG}).replace(f"{name}.pnX".encode(), f"{name}.png".encode())


def overlapping() -> bytes:
    """Two directory entries that share one body, as in Fifield's bomb."""
    data = zipped({"cats/1.png": PNG, "cats/2.png": PNG})
    first, second = data.find(b"PK\x01\x02"), data.rfind(b"PK\x01\x02")
    entry = data[first:second]
    return data[:second] + entry.replace(b"1.png", b"1.png") + data[second + len(entry) :]


def overlapping_inside() -> bytes:
    """A whole second entry hidden in the stored bytes of the first."""
    inner = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(b"hi"), 2, 2, 5, 0) + b"b.png" + b"hi"
    outer = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(inner), len(inner), len(inner), 5, 0)
    body = outer + b"a.png" + inner
    directory = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, crc, size, size, 5, 0, 0, 0, 0, 0, at) + name
        for name, crc, size, at in (
            (b"a.png", zlib.crc32(inner), len(inner), 0),
            (b"b.png", zlib.crc32(b"hi"), 2, len(outer) + 5),
        )
    )
    return body + directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(body), 0)


def many(count: int) -> bytes:
    """A zip that has `count` empty entries, without the slowness of zipfile."""
    body, directory = bytearray(), bytearray()
    for number in range(count):
        name = b"c/%06d.png" % number
        at = len(body)
        body += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name
        directory += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 7, len(name), *[0] * 5, at) + name
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return bytes(body + directory) + end64 + locator + end


def zip64_claims(count: int) -> bytes:
    data = many(3)
    at = data.rfind(b"PK\x06\x06")
    return data[: at + 24] + struct.pack("<2Q", count, count) + data[at + 40 :]


def central(offset: int, new: bytes) -> bytes:
    return patched(zipped({"cats/1.png": PNG}), b"PK\x01\x02", offset, new)


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("cats/1.png"))
    return out.getvalue()


REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "climbing": (lambda: zipped({"../x.png": PNG}), "unsafe_path", "leaves its folder"),
    "climbing inside": (lambda: zipped({"cats/../../x.png": PNG}), "unsafe_path", "leaves its folder"),
    "absolute": (lambda: zipped({"/etc/x": PNG}), "unsafe_path", "absolute"),
    "drive": (lambda: zipped({"C:/x.png": PNG}), "unsafe_path", "drive"),
    "backslash": (lambda: renamed(b"cats/a.png", b"cats\\a.png"), "unsafe_path", "backslash"),
    "NUL": (lambda: renamed(b"cats/a.png", b"cats/a\0png"), "unsafe_path", "NUL"),
    "deep": (lambda: zipped({"a/" * 2000 + "x.png": PNG}), "unsafe_path", "2001 folders deep"),
    "symlink": (lambda: with_mode(stat.S_IFLNK | 0o777), "special_entry", "a link"),
    "device": (lambda: with_mode(stat.S_IFCHR | 0o666), "special_entry", "a device"),
    "fifo": (lambda: with_mode(stat.S_IFIFO | 0o666), "special_entry", "a device"),
    "duplicate": (lambda: twice("cats/1"), "duplicate_entry", "cats/1.png"),
    "duplicate by a dot": (lambda: zipped({"cats/1.png": PNG, "./cats/1.png": PNG}), "duplicate_entry", "cats/1.png"),
    "file beside folder": (lambda: zipped({"a": PNG, "a/b.png": PNG}), "file_and_folder", "a is a file"),
    "file and empty folder": (lambda: zipped({"a": PNG, "a/": b""}), "file_and_folder", "a is a file"),
    "bomb": (lambda: zipped({"cats/1.png": bytes(20_000_000)}), "zip_bomb", "20000000"),
    "shared body": (overlapping, "duplicate_entry", "cats/1.png"),
    "nested body": (overlapping_inside, "zip_overlap", "overlaps"),
    "lying size, smaller": (lambda: central(24, struct.pack("<I", 5)), "lying_zip", "differ"),
    "lying size, larger": (lambda: central(24, struct.pack("<I", 5000)), "lying_zip", "differ"),
    "lying packed size": (lambda: central(20, struct.pack("<I", 1)), "lying_zip", "differ"),
    "5 GiB": (lambda: central(24, struct.pack("<I", 0xFFFFFFFE)) + b"", "zip_bomb", "4294967294"),
    "200,000 entries": (lambda: many(200_000), "too_many_entries", "200,000"),
    "absurd zip64 count": (lambda: zip64_claims(2**63), "too_many_entries", "9,223,372,036,854,775,808"),
    "wrong zip64 count": (lambda: zip64_claims(2), "damaged_zip", "directory"),
    "encrypted": (lambda: central(8, b"\x01\x00"), "encrypted_zip", "cats/1.png"),
    "truncated": (lambda: zipped({"cats/1.png": PNG})[:-30], "damaged_zip", "end is missing"),
    "truncated in front": (lambda: zipped({"cats/1.png": PNG})[20:], "damaged_zip", "directory"),
    "split": (lambda: patched(zipped({"a/1.png": PNG}), b"PK\x05\x06", 4, b"\1\0"), "split_zip", "several files"),
    "no entries": (lambda: zipped({}), "empty_zip", "without files"),
    "no bytes": (bytes, "not_a_zip", "an empty file"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(50), "not_a_zip", "a gzip file"),
    "rar": (lambda: b"Rar!\x1a\x07\x01\0" + bytes(50), "not_a_zip", "a RAR file"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(50), "not_a_zip", "a 7-Zip file"),
    "tar": (tarred, "not_a_zip", "a tar file"),
    "png": (lambda: PNG, "not_a_zip", "a PNG file"),
    "text": (lambda: b"hello, I am a zip", "not_a_zip", "a text file"),
    "noise": (lambda: bytes(range(256)), "not_a_zip", "not a zip"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_refused_whole(row: str, tmp_path: Path) -> None:
    make, code, told = REFUSED[row]
    path = tmp_path / "given.zip"
    path.write_bytes(make())
    with pytest.raises(UserError) as caught:
        Archive(path)
    assert (caught.value.code, caught.value.field) == (code, "path")
    assert told in caught.value.given
    assert caught.value.fix


def test_size_that_lies_in_both_headers_is_found_while_reading(tmp_path: Path) -> None:
    for claim in (5, 5000):
        data = central(24, struct.pack("<I", claim))
        path = tmp_path / "given.zip"
        path.write_bytes(patched(data, b"PK\x03\x04", 22, struct.pack("<I", claim)))
        with Archive(path) as archive, pytest.raises(UserError, match="declares") as caught:
            archive.read(archive.entries[0])
        assert caught.value.code == "lying_zip"


def test_total_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.engine.data.imports.zip_reader.MOST_BYTES", 3 * len(PNG) - 1)
    path = tmp_path / "given.zip"
    path.write_bytes(zipped({f"cats/{i}.png": PNG for i in range(3)}))
    with pytest.raises(UserError, match="bytes unpacked"):
        Archive(path)


def test_bad_checksum_spoils_one_file_only(tmp_path: Path) -> None:
    data = bytearray(zipped({"cats/1.png": PNG, "cats/2.png": PNG[::-1]}, zipfile.ZIP_STORED))
    data[data.find(b"pixels")] ^= 1
    path = tmp_path / "given.zip"
    path.write_bytes(data)
    with Archive(path) as archive:
        with pytest.raises(DamagedEntry, match="CRC"):
            archive.read(archive.entries[0])
        assert archive.read(archive.entries[1]) == PNG[::-1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cats/a\nb.png", "control"), ("cats/a\x1bb.png", "control"), (f"cats/{'x' * 260}.png", "longer than 255 bytes")],
)
def test_odd_names_are_skipped(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    path.write_bytes(zipped({name: PNG, "cats/1.png": PNG}))
    with Archive(path) as archive:
        assert [reason in entry.skip for entry in archive.entries] == [True, False]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unknown_compression_is_skipped(method: int, tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    path.write_bytes(zipped({"cats/1.png": PNG}, method))
    with Archive(path) as archive:
        assert f"method {method}" in archive.entries[0].skip


@pytest.mark.parametrize(("name", "encoding"), [("猫咪", "gb18030"), ("é", "cp437"), ("猫", "utf-8"), ("cats", "")])
def test_old_encodings_are_read_and_told(name: str, encoding: str, tmp_path: Path) -> None:
    raw = name.encode(encoding or "ascii")
    path = tmp_path / "given.zip"
    path.write_bytes(zipped({f"{'X' * len(raw)}/1.png": PNG}).replace(b"X" * len(raw), raw))
    with Archive(path) as archive:
        assert [entry.name for entry in archive.entries] == [f"{name}/1.png"]
        assert archive.encoding == encoding
    with Archive(path, encoding="latin-1") as archive:
        assert archive.entries[0].name == f"{raw.decode('latin-1')}/1.png"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abcXYZ09 ", min_size=1, max_size=9), st.binary(max_size=3000), min_size=1, max_size=6))
def test_honest_zips_are_read_as_zipfile_reads_them(tmp_path: Path, files: Files) -> None:
    path = tmp_path / "given.zip"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path.write_bytes(zipped({f"d/{name}.x": data for name, data in files.items()}, method))
        with Archive(path) as archive:
            assert {entry.name: archive.read(entry) for entry in archive.entries} == {
                f"d/{name}.x": data for name, data in files.items()
            }


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072 + 258, 1_000_000])
def test_output_that_waits_inside_the_unpacker_is_not_lost(size: int, tmp_path: Path) -> None:
    """A few packed bytes become many full chunks: the last ones come when no input is left."""
    path = tmp_path / "given.zip"
    path.write_bytes(zipped({"cats/1.bmp": bytes(size)}))
    with Archive(path) as archive:
        assert archive.read(archive.entries[0]) == bytes(size)


def test_large_and_streamed_entries_are_read(tmp_path: Path) -> None:
    """3 MB of text in many chunks, written to a pipe-like sink, so that sizes follow the data."""

    class Sink(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: bytes) -> int:  # type: ignore[override]
            self.data += bytes(piece)
            return len(piece)

    text = b"".join(str(number * number).encode() for number in range(300_000))
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/1.txt", text)
    path = tmp_path / "given.zip"
    path.write_bytes(sink.data)
    with Archive(path) as ours:
        assert ours.read(ours.entries[0]) == text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bytes_end_in_an_answer(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is broken: read right, a UserError, or one damaged entry; never another exception."""
    good = bytearray(zipped({"cats/1.png": PNG, "dogs/2.png": PNG[::-1]}))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "given.zip"
    path.write_bytes(good)
    try:
        with Archive(path) as archive:
            for entry in archive.entries:
                if not entry.skip:
                    assert archive.read(entry) in (PNG, PNG[::-1])
    except (UserError, DamagedEntry):
        pass
