"""A video becomes a set without labels, of the frames at the asked times; a hostile one is refused, nothing is left."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.engine.data import import_data, load_dataset
from core.engine.data.imports import video_child
from core.engine.data.imports.editing import LOCK, edit_dataset
from core.engine.data.imports.imported import find_home, read_own
from core.engine.data.imports.video import about, container_of, is_video
from core.errors import UserError
from core.own.dataset_edits import AddImages, Revert
from tests.core.engine.data.imports.test_images import pngs, unpacked
from tests.videos import SHADES, clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
def test_one_frame_in_every_so_many_seconds(tmp_path: Path, folder: Path, container: str) -> None:
    video = clip(tmp_path / f"clip.{container}", SHADES, rate=4)  # a shade of grey every quarter of a second
    found = import_data(video, "clip", folder, unlabelled=True, every=0.5)
    assert (found.unlabelled, found.images) == (True, len(SHADES) // 2)
    assert found.warnings == [f"{len(SHADES) // 2} frames of clip.{container}, one in 0.5 seconds"]
    card = read_own(find_home("clip", folder) or Path()).card
    assert [image.name for image in card.images][:3] == [
        "clip 0:00:00.000.jpg",
        "clip 0:00:00.500.jpg",
        "clip 0:00:01.000.jpg",
    ]
    data = load_dataset("clip", 64, folder=folder, unlabelled=True)
    means = data.train.images.float().mean((1, 2, 3)).numpy()
    np.testing.assert_allclose(means, SHADES[::2], atol=4)  # the codec is lossy


def test_a_second_video_joins_a_set_without_labels_and_leaves_it_again(tmp_path: Path, folder: Path) -> None:
    import_data(clip(tmp_path / "clip.mp4", SHADES[:6], rate=4), "clip", folder, unlabelled=True, every=0.5)
    first = read_own(find_home("clip", folder) or Path()).card
    more = clip(tmp_path / "more.avi", SHADES[6:], rate=4)
    edited = edit_dataset("clip", AddImages(path=str(more), unlabelled=True, every=0.25), folder)
    assert (edited.unlabelled, edited.images, edited.before) == (True, 9, first.content_hash())
    assert edited.warnings == ["3 frames of clip.mp4, one in 0.5 seconds", "6 frames of more.avi, one in 0.25 seconds"]
    data = load_dataset("clip", 64, folder=folder, unlabelled=True)
    means = data.train.images.float().mean((1, 2, 3)).numpy()
    np.testing.assert_allclose(means, [*SHADES[:6:2], *SHADES[6:]], atol=4)
    again = edit_dataset("clip", AddImages(path=str(more), unlabelled=True, every=0.25), folder)
    assert again.images == 9, "the same frames are no new images"
    for _ in range(2):
        edit_dataset("clip", Revert(to=first.content_hash()), folder)
        assert read_own(find_home("clip", folder) or Path()).card.content_hash() == first.content_hash()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "video_without_classes"),
        ({"unlabelled": True, "every": 0.0}, "out_of_range"),
        ({"unlabelled": True, "label": "cats"}, "no_folders"),
        ({"unlabelled": True, "merge": True}, "no_folders"),
    ],
)
def test_a_video_that_cannot_be_added_changes_nothing(
    tmp_path: Path, folder: Path, more: dict[str, Any], code: str
) -> None:
    video = clip(tmp_path / "clip.mp4", SHADES, rate=4)
    import_data(video, "clip", folder, unlabelled=True)
    known = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as caught:
        edit_dataset("clip", AddImages(path=str(video), **more), folder)
    assert caught.value.code == code
    with pytest.raises(UserError) as caught:
        edit_dataset("clip", AddImages(path=str(tmp_path), unlabelled=True, every=2.0), folder)
    assert caught.value.code == "no_video"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != LOCK} == {
        path: data for path, data in known.items() if path.name != LOCK
    }


def test_a_set_with_labels_takes_no_video(tmp_path: Path, folder: Path) -> None:
    import_data(unpacked(tmp_path / "photos", {**pngs("cats", 10), **pngs("dogs", 10, 50)}), "pets", folder)
    video = clip(tmp_path / "clip.mp4", SHADES, rate=4)
    for unlabelled in (True, False):
        with pytest.raises(UserError) as caught:
            edit_dataset("pets", AddImages(path=str(video), unlabelled=unlabelled), folder)
        assert caught.value.code == "labelled_set"


def test_a_video_has_no_classes_and_says_what_to_do(tmp_path: Path, folder: Path) -> None:
    video = clip(tmp_path / "clip.mp4", SHADES, rate=4)
    with pytest.raises(UserError) as caught:
        import_data(video, "clip", folder)
    assert caught.value.code == "video_without_classes"
    assert [dict(choice.request) for choice in caught.value.choices] == [{"unlabelled": True}]
    for every in (0.0, -1.0, float("nan"), 1e6):
        with pytest.raises(UserError) as caught:
            import_data(video, "clip", folder, unlabelled=True, every=every)
        assert (caught.value.code, caught.value.field) == ("out_of_range", "every")
    assert not list(folder.iterdir())


def test_what_cannot_be_decoded_is_refused_and_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    whole = clip(tmp_path / "clip.mp4", SHADES, rate=4).read_bytes()
    bad = {
        "cut.mp4": whole[:200],
        "noise.mp4": whole[:40] + bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)),
        "empty.avi": b"RIFF\x10\0\0\0AVI " + b"abc" * 100,
        "text.mkv": b"\x1a\x45\xdf\xa3" + b"file '/etc/passwd'\n" * 30,
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError) as caught:
            import_data(tmp_path / name, "bad", folder, unlabelled=True)
        assert caught.value.code == "unreadable_video", name
        assert not list(folder.iterdir()), name


def test_a_cut_video_says_where_it_ends(tmp_path: Path, folder: Path) -> None:
    whole = clip(tmp_path / "whole.mkv", SHADES * 3, rate=4)
    assert import_data(whole, "whole", folder, unlabelled=True).warnings == ["9 frames of whole.mkv, one in 1 seconds"]
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    _, told = import_data(tmp_path / "cut.mkv", "cut", folder, unlabelled=True, every=0.25).warnings
    assert re.fullmatch(
        r"the frames of cut.mkv end after \d\.\d seconds of the 9.0 that it states: it may be cut off", told
    )


def test_too_few_frames_are_told_as_such(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="fewer seconds between two") as caught:
        import_data(clip(tmp_path / "a.mp4", SHADES, rate=4), "clip", folder, unlabelled=True, every=60)
    assert (caught.value.code, caught.value.field) == ("too_few_images", "every")
    assert not list(folder.iterdir())


def test_damaged_frames_are_left_out_and_counted() -> None:
    """FFmpeg paints over what it cannot decode, and marks the frame."""
    picture = Image.new("RGB", (8, 8))
    shot = [
        SimpleNamespace(width=8, height=8, time=n / 4, is_corrupt=n in (0, 2, 3), rotation=0, to_image=lambda: picture)
        for n in range(8)
    ]
    stream = SimpleNamespace(
        codec_context=SimpleNamespace(width=8, height=8), average_rate=4, duration=8, time_base=0.25
    )
    video = SimpleNamespace(streams=SimpleNamespace(video=[stream]), duration=9e6, decode=lambda stream: iter(shot))
    course = video_child.Course()
    assert [time for time, _ in video_child._taken(video, 0.5, course)] == [0.25, 1.0, 1.5]
    assert course == video_child.Course(3, 2.0, 2.0)
    assert list(about("a.mkv", asdict(course))) == ["damaged frames of a.mkv, which were left out: 3"]
    for frame in shot:
        frame.is_corrupt = True
    with pytest.raises(video_child.Refused, match="broken"):
        list(video_child._taken(video, 0.5, video_child.Course()))


def test_a_stop_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    video = clip(tmp_path / "clip.mp4", SHADES, rate=4)

    def stop(what: str, done: int, total: int | None) -> None:
        if what == "decoding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_data(video, "clip", folder, unlabelled=True, progress=stop)
    assert not list(folder.iterdir())


def test_a_video_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.mp4", "PNG")
    assert not is_video(tmp_path / "picture.mp4")
    assert not is_video(tmp_path)
    assert container_of(b"\0\0\0\x20ftypisom") == "mov"
    for brand in (b"heic", b"heif", b"hevc", b"mif2", b"avif", b"crx ", b"jxl ", b"M4A "):
        assert container_of(b"\0\0\0\x20ftyp" + brand) == "", "other things come in that container too"


def test_a_playlist_is_no_video_and_its_addresses_are_not_asked(tmp_path: Path, folder: Path) -> None:
    """FFmpeg would follow what a playlist names, wherever that is."""
    inside = clip(tmp_path / "inside.mp4", SHADES, rate=4)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{inside.as_uri()}\n#EXT-X-ENDLIST\n"
    for name, start in {"list.mp4": b"", "list.mkv": b"\x1a\x45\xdf\xa3", "list.mov": b"\0\0\0\x08ftypqt  "}.items():
        (tmp_path / name).write_bytes(start + playlist.encode())
        with pytest.raises(UserError) as caught:
            import_data(tmp_path / name, "list", folder, unlabelled=True)
        assert caught.value.code != "video_without_classes"
        assert not list(folder.iterdir()), name
