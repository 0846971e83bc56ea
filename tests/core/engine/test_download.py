"""Against a real server on loopback: cut connections, resume, wrong content, refusal, silence."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.engine.download import download, verify
from core.errors import UserError

CONTENT = bytes(i * 7 % 251 for i in range(700_000))
SHA = hashlib.sha256(CONTENT).hexdigest()


class Archive(ThreadingHTTPServer):
    """Serves CONTENT; `cuts` answers break off after that many bytes; `ranges` says whether Range is understood."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.cuts: list[int] = []
        self.ranges = True
        self.status = 200
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file-{SHA[:8]}.pth"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        archive = self.server
        assert isinstance(archive, Archive)
        asked = self.headers.get("Range")
        archive.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-").partition("-")[0]) if asked and archive.ranges else 0
        if archive.status != 200:
            self.send_error(archive.status)
            return
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = CONTENT[start:]
        self.send_response(206 if asked and archive.ranges else 200)
        if asked and archive.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: archive.cuts.pop(0)] if archive.cuts else body)

    def log_message(self, format: str, *args: object) -> None:
        return None


@contextmanager
def serving() -> Iterator[Archive]:
    archive = Archive()
    thread = threading.Thread(target=archive.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield archive
    finally:
        archive.shutdown()
        thread.join()
        archive.server_close()


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as archive:
        yield archive


def test_whole_file_with_progress(archive: Archive, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(
        archive.url,
        tmp_path / "new" / "a.pth",
        sha256_prefix=SHA[:8],
        md5=hashlib.md5(CONTENT).hexdigest(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a.pth"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_file_already_there_is_checked_and_kept(archive: Archive, tmp_path: Path) -> None:
    target = tmp_path / "a.pth"
    target.write_bytes(CONTENT)
    assert download(archive.url, target, sha256_prefix=SHA) == target
    assert archive.asked == []
    target.write_bytes(b"other")
    with pytest.raises(UserError, match="Delete") as caught:
        download(archive.url, target, sha256_prefix=SHA)
    assert caught.value.code == "wrong_checksum"
    assert target.read_bytes() == b"other"  # a person's file is not ours to remove


def test_cuts_are_continued_in_one_call(archive: Archive, tmp_path: Path) -> None:
    archive.cuts = [300_000, 200_000]
    assert download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA).read_bytes() == CONTENT
    assert archive.asked == [None, "bytes=300000-", "bytes=500000-"]


def test_a_cancelled_download_is_continued_by_the_next_call(archive: Archive, tmp_path: Path) -> None:
    def cancel(done: int, total: int | None) -> None:
        if done > 0:
            raise KeyboardInterrupt

    target = tmp_path / "a.pth"
    with pytest.raises(KeyboardInterrupt):
        download(archive.url, target, progress=cancel)
    assert not target.exists()
    kept = (tmp_path / "a.pth.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert download(archive.url, target, sha256_prefix=SHA).read_bytes() == CONTENT
    assert archive.asked == [None, f"bytes={kept}-"]


def test_a_finished_part_needs_no_more_bytes(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "a.pth.part").write_bytes(CONTENT)
    assert download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA).read_bytes() == CONTENT
    assert archive.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_too_long_is_begun_again(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "a.pth.part").write_bytes(CONTENT + b"more")
    assert download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA).read_bytes() == CONTENT


def test_a_server_without_ranges_is_begun_again(archive: Archive, tmp_path: Path) -> None:
    archive.ranges = False
    (tmp_path / "a.pth.part").write_bytes(b"x" * 1000)
    assert download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA).read_bytes() == CONTENT


@pytest.mark.parametrize("hashes", [{"sha256_prefix": "00000000"}, {"md5": "0" * 32}])
def test_wrong_content_is_refused_and_removed(archive: Archive, tmp_path: Path, hashes: dict[str, str]) -> None:
    with pytest.raises(UserError) as caught:
        download(archive.url, tmp_path / "a.pth", **hashes)  # type: ignore[arg-type]
    assert caught.value.code == "wrong_checksum"
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_file_is_refused_and_the_next_try_is_fresh(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "a.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(UserError):
        download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA)
    assert download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA).read_bytes() == CONTENT


def test_refusals_name_the_cause(archive: Archive, tmp_path: Path) -> None:
    archive.status = 404
    with pytest.raises(UserError, match="404") as caught:
        download(archive.url, tmp_path / "a.pth")
    assert caught.value.code == "unreachable"
    assert not (tmp_path / "a.pth").exists()


def test_endless_cuts_end(archive: Archive, tmp_path: Path) -> None:
    archive.cuts = [10, 0, 0, 0, 0, 0, 0]
    with pytest.raises(UserError, match="cut") as caught:
        download(archive.url, tmp_path / "a.pth")
    assert caught.value.code == "unreachable"
    assert len(archive.asked) == 2


def test_nobody_listening(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.pth"
        with pytest.raises(UserError) as caught:
            download(url, tmp_path / "a.pth")
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "a.pth"])
def test_only_web_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="http"):
        download(url, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_share_one_file(archive: Archive, tmp_path: Path) -> None:
    results: list[Path] = []
    threads = [
        threading.Thread(target=lambda: results.append(download(archive.url, tmp_path / "a.pth", sha256_prefix=SHA)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]
    assert verify(results[0], sha256_prefix=SHA).read_bytes() == CONTENT
    assert len(archive.asked) == 1
