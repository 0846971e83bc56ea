"""A zip reader for untrusted files: everything a zip declares is checked before anything is unpacked.

Format: PKWARE APPNOTE 6.3.10 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT). Overlapping files: Fifield,
"A better zip bomb", WOOT 2019. Python's zipfile reads the whole directory before entries can be counted, resolves
duplicate names silently and uses only the central sizes; therefore the directory is parsed here.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from core.engine.data.imports.file_names import Unsafe, check_path, choose_encoding, decode_name, plain, skip_reason
from core.engine.data.imports.file_type import HEAD, kind_of
from core.errors import UserError

MOST_ENTRIES = 100_000
MOST_BYTES = 5 * 2**30  # unpacked, all entries together
MOST_RATIO, RATIO_FROM = 200, 2**20  # unpacked over packed, for entries above 1 MiB
CHUNK = 2**16
STORED, DEFLATED = 0, 8
MARKED = 0x800  # flag: the entry's name is UTF-8
_END, _END64, _LOCATOR, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"


@dataclass(frozen=True)
class Entry:
    """One file in a zip; `skip` is the reason if it is not read, otherwise empty."""

    name: str
    offset: int
    packed: int
    size: int
    crc: int
    method: int
    flags: int
    raw_name: bytes
    skip: str = ""


class DamagedEntry(ValueError):
    """One file of the zip cannot be read; the others can."""


class Archive:
    """An opened, fully checked zip: its `entries` in file order, its `folders` that have an entry of their own, and the
    `encoding` of names without a UTF-8 flag, or empty.

    Raises UserError (field `path`) for a zip that is damaged, too large or unsafe.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path = path
        self.encoding = ""
        self.folders: set[str] = set()
        self._file = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        try:
            self._length = self._file.seek(0, 2)
            start, size, count = self._directory()
            self.entries = tuple(self._parse(start, size, count, encoding))
            self._check_names()
            self._check_sizes()
            self._check_places(start)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, entry: Entry) -> bytes:
        """The entry's content; raises DamagedEntry (bad CRC, bad stream), or UserError if its declared size is
        wrong."""
        data = b"".join(self.chunks(entry))
        if zlib.crc32(data) != entry.crc:
            raise DamagedEntry("its checksum (CRC) does not match")
        return data

    def unpack(self, entry: Entry, target: Path) -> str:
        """Writes the content to a new file block by block; its SHA-256 as hex digits. Raises DamagedEntry."""
        digest = sha256()
        with target.open("xb") as file:
            for piece in self.chunks(entry):
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The unpacked content in blocks, never more than the entry declares."""
        self._file.seek(self._data_start(entry))
        left, total = entry.packed, 0
        unpacker = zlib.decompressobj(-15) if entry.method == DEFLATED else None
        while left and not (unpacker and unpacker.eof):
            piece = self._file.read(min(CHUNK, left))
            if not piece:
                raise DamagedEntry("it ends early")
            left -= len(piece)
            for out in _unpacked(unpacker, piece):
                total += len(out)
                if total > entry.size:
                    self._lying(entry, f"more than the {entry.size} bytes it declares")
                yield out
        if total != entry.size:
            self._lying(entry, f"{total} bytes, but it declares {entry.size}")

    def head(self, entry: Entry) -> bytes:
        """The first bytes of the content; raises DamagedEntry if it cannot be unpacked."""
        return next(self.chunks(entry), b"")[:HEAD]

    def _directory(self) -> tuple[int, int, int]:
        """(start, size, number of entries) of the central directory, checked against the file's length."""
        span = min(self._length, 22 + 65535)
        self._file.seek(self._length - span)
        tail = self._file.read(span)
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            self._not_a_zip()
        disk, first, here, count, size, start, comment = struct.unpack("<4xHHHHIIH", tail[at : at + 22])
        end = self._length - span + at
        if end + 22 + comment != self._length:
            self._truncated("its end record does not end the file")
        if 0xFFFF in (here, count) or 0xFFFFFFFF in (size, start):
            disk, first, here, count, size, start, end = self._directory64(end)
        if disk or first or here != count:
            self._refuse("split_zip", "a zip split over several files", "one whole zip", "Join its parts first.")
        if count > MOST_ENTRIES:
            fix = "Pack fewer files, or import a folder of fewer images."
            self._refuse("too_many_entries", f"{count:,} entries", f"at most {MOST_ENTRIES:,} entries", fix)
        if start + size != end or size < 46 * count:
            self._truncated(f"a directory of {size} bytes at {start} for {count} entries")
        if count == 0:
            self._refuse("empty_zip", "a zip without files", "one folder of images per class", "Add the images first.")
        return start, size, count

    def _directory64(self, end: int) -> tuple[int, int, int, int, int, int, int]:
        locator = self._at(end - 20, 20)
        if locator[:4] != _LOCATOR:
            self._truncated("it announces a zip64 record and has none")
        place = int.from_bytes(locator[8:16], "little")
        record = self._at(place, 56)
        if record[:4] != _END64 or place + 56 > end - 20:
            self._truncated("its zip64 record is missing")
        disk, first, here, count, size, start = struct.unpack("<16xIIQQQQ", record)
        return disk, first, here, count, size, start, place

    def _at(self, place: int, size: int) -> bytes:
        if not 0 <= place <= self._length - size:
            self._truncated(f"a record at byte {place} of {self._length}")
        self._file.seek(place)
        return self._file.read(size)

    def _parse(self, start: int, size: int, count: int, encoding: str | None) -> Iterator[Entry]:
        records = list(self._records(start, size, count))
        unmarked = [raw for fields, raw, _ in records if not fields[2] & MARKED and not raw.isascii()]
        self.encoding = choose_encoding(unmarked, encoding)
        for fields, raw, extra in records:
            made_by, _, flags, method, _, _, crc, packed, full, _, _, _, _, _, mode, offset = fields
            full, packed, offset = self._large(extra, full, packed, offset)
            name = plain(decode_name(raw, "utf-8" if flags & MARKED else self.encoding))
            self._check_kind(name, mode >> 16 if made_by >> 8 in (3, 19) else 0, flags)
            if not name:  # `./`, the folder of all
                continue
            if name.endswith("/"):
                self.folders.add(name.rstrip("/"))
            else:
                yield Entry(name, offset, packed, full, crc, method, flags, raw, self._reason(name, method))

    def _records(self, start: int, size: int, count: int) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
        """(the numeric fields of a directory entry, its raw name, its extra fields)."""
        data, at = self._at(start, size), 0
        for _ in range(count):
            if data[at : at + 4] != _ENTRY or at + 46 > size:
                self._truncated("its directory is cut off")
            fields = struct.unpack("<4xHHHHHHIIIHHHHHII", data[at : at + 46])
            names, extras, notes = fields[9:12]
            middle = at + 46 + names
            yield fields, data[at + 46 : middle], data[middle : middle + extras]
            at = middle + extras + notes
            if at > size:
                self._truncated("its directory is cut off")
        if at != size:
            self._truncated("its directory holds more than its entries")

    def _large(self, extra: bytes, full: int, packed: int, offset: int) -> tuple[int, int, int]:
        """The values of the zip64 field for short values that are marked as too small."""
        values = [full, packed, offset]
        wanted = [i for i, value in enumerate(values) if value == 0xFFFFFFFF]
        at = 0
        while wanted and at + 4 <= len(extra):
            tag, length = struct.unpack_from("<HH", extra, at)
            if tag == 1 and length >= 8 * len(wanted) and at + 4 + length <= len(extra):
                for place, index in enumerate(wanted):
                    values[index] = struct.unpack_from("<Q", extra, at + 4 + 8 * place)[0]
                wanted = []
            at += 4 + length
        if wanted:
            self._truncated("a zip64 size is missing")
        return values[0], values[1], values[2]

    def _reason(self, name: str, method: int) -> str:
        if method not in (STORED, DEFLATED):
            return f"packed with method {method}; only stored and deflated files are supported"
        return skip_reason(name)

    def _check_kind(self, name: str, mode: int, flags: int) -> None:
        kind = stat.S_IFMT(mode)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if kind == stat.S_IFLNK else "a device"
            self._refuse("special_entry", f"{what}: {name}", "regular files and folders", "Pack the files themselves.")
        if flags & 0x2041:  # encrypted, strongly encrypted, or with a masked directory
            self._refuse("encrypted_zip", f"{name} is encrypted", "a zip without a password", "Pack it without one.")
        try:
            check_path(name)
        except Unsafe as problem:
            fix = "Pack the folder again with a common zip program."
            self._refuse("unsafe_path", f"{problem}: {name}", "plain relative names", fix)

    def _check_names(self) -> None:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.name in seen:
                self._refuse("duplicate_entry", entry.name, "every name once", "Pack the folder again.")
            seen.add(entry.name)
        parents = {"/".join(parts[:depth]) for parts in (n.split("/") for n in seen) for depth in range(1, len(parts))}
        for name in sorted(seen & (parents | self.folders)):
            given = f"{name} is a file and a folder"
            self._refuse("file_and_folder", given, "every name once", "Pack the folder again.")

    def _check_sizes(self) -> None:
        total = sum(entry.size for entry in self.entries)
        if total > MOST_BYTES:
            given = f"{total:,} bytes unpacked"
            self._refuse("zip_too_large", given, f"at most {MOST_BYTES:,} bytes", "Import the images in smaller parts.")
        for entry in self.entries:
            if entry.size > RATIO_FROM and entry.size > MOST_RATIO * entry.packed:
                given = f"{entry.name}: {entry.packed} bytes become {entry.size}"
                allowed = f"at most {MOST_RATIO} times the packed size, for files above 1 MiB"
                self._refuse("zip_bomb", given, allowed, "Leave this file out: no photo compresses this well.")
            if entry.method == STORED and entry.size != entry.packed:
                self._lying(entry, f"{entry.packed} bytes stored, but it declares {entry.size}")

    def _check_places(self, directory: int) -> None:
        """Refuses entries that share bytes with others or with the directory."""
        free = 0
        for entry in sorted(self.entries, key=lambda e: e.offset):
            if entry.offset < free:
                self._refuse("zip_overlap", f"{entry.name} overlaps another entry", "every byte used once", _REPACK)
            free = self._data_start(entry) + entry.packed
            if free > directory:
                self._refuse("zip_overlap", f"{entry.name} overlaps the directory", "complete entries", _REPACK)

    def _data_start(self, entry: Entry) -> int:
        """The start of the packed bytes; the local header must agree with the directory."""
        local = self._at(entry.offset, 30)
        if local[:4] != _LOCAL:
            self._truncated(f"{entry.name} is not where the directory says")
        flags, method, crc, packed, size, names, extras = struct.unpack("<6xHH4xIIIHH", local)
        name = self._at(entry.offset + 30, names)
        later = bool(flags & 8)  # sizes follow the data, the local ones may be zero
        same = all(
            here == there or here == 0xFFFFFFFF or (later and here == 0)
            for here, there in ((crc, entry.crc), (packed, entry.packed), (size, entry.size))
        )
        if name != entry.raw_name or method != entry.method or not same:
            self._lying(entry, "its own header and the directory differ")
        start: int = entry.offset + 30 + names + extras
        return start

    def _not_a_zip(self) -> NoReturn:
        self._file.seek(0)
        kind = kind_of(self._file.read(HEAD))
        if kind == "ZIP":
            self._truncated("its end is missing")
        given = {"empty": "an empty file", "unknown": "not a zip", "text": "a text file"}.get(kind, f"a {kind} file")
        self._refuse("not_a_zip", given, "a zip or a folder", "Pack the images as .zip, or give the unpacked folder.")

    def _truncated(self, given: str) -> NoReturn:
        self._refuse("damaged_zip", given, "an intact zip", "Copy or download it again.")

    def _lying(self, entry: Entry, given: str) -> NoReturn:
        self._refuse("lying_zip", f"{entry.name}: {given}", "correct sizes", _REPACK)

    def _refuse(self, code: str, given: str, allowed: str, fix: str) -> NoReturn:
        raise UserError(code, "path", f"{self.path.name}: {given}", allowed, fix)


_REPACK = "Unpack it with a program you trust and pack the folder again."


def _unpacked(unpacker: zlib._Decompress | None, piece: bytes) -> Iterator[bytes]:
    if unpacker is None:
        yield piece
        return
    while True:
        try:
            out = unpacker.decompress(piece, CHUNK)
        except zlib.error as error:
            raise DamagedEntry("it cannot be unpacked") from error
        if out:
            yield out
        piece = unpacker.unconsumed_tail
        if unpacker.eof or (not piece and len(out) < CHUNK):
            return
