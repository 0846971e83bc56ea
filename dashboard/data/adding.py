"""Images on their way in: a folder, a zip, a table of texts, class by class, or a path on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.catalog import Facts
from core.errors import UserError
from core.own.dataset_edits import AddImages
from core.own.datasets import normal_name
from core.questions.dataset_edit import EditRequest
from core.questions.import_data import ImportRequest
from core.questions.request import Request
from core.questions.sample_images import SampleImagesRequest
from core.text.escaping import UserText
from core.text.formatting import size
from core.text.whole_path import whole_path
from core.workspace_files.uploads import LARGEST, MOST_FILES, drop, keep_file, keep_files
from dashboard import faults
from dashboard.data import asking, basket
from dashboard.i18n import aside, listed, say
from dashboard.session import is_learner, read_only, recall, remember, workspace

SOURCES = ("folder", "archive", "classes", "path")
PACKED = ("zip", "csv", "tsv", "mp4", "m4v", "mov", "mkv", "webm", "avi")
LEAST_EVERY, MOST_EVERY = 0.01, 3600.0  # seconds between two frames of a video
SHAPES = ("crop", "pad", "stretch")
ONE_FILE = 200  # megabytes, as dashboard/.streamlit/config.toml has it
NEW = ""  # in the menu of what to add to


@dataclass(frozen=True)
class Given:
    """What a person chose: a name to suggest, how to put it where the engine reads it, and whether it was `collected`
    class by class."""

    suggestion: str
    store: Callable[[str], Path]
    collected: bool = False


@dataclass(frozen=True)
class Options:
    """What can be set before an import; see ImportRequest."""

    merge: bool = False
    splits: bool = True
    encoding: str = ""
    shape: str = "crop"
    group_by: str = ""
    unlabelled: bool = False
    every: float = 1.0


def panel(own: Mapping[str, Facts], *, first: bool) -> None:
    """Choose images, name them, import them. `first`: it is the page's primary action."""
    st.caption(say("data.add_help"))
    unlabelled = st.toggle(say("data.unlabelled"), key=_key("unlabelled"), help=say("data.unlabelled_help"))
    left_out = {*(["classes"] if unlabelled else []), *(["path"] if is_learner() else [])}
    source = st.segmented_control(
        say("data.source"),
        [name for name in SOURCES if name not in left_out],
        default="folder",
        required=True,
        key=f"data_source{'_unlabelled' if unlabelled else ''}",
        format_func=lambda name: say(f"data.source_{name}"),
        label_visibility="collapsed",
    )
    given = _folder(unlabelled=unlabelled) if source == "folder" else CHOOSERS[source]()
    into = _into([name for name, facts in own.items() if facts.get("unlabelled") or not unlabelled])
    name = "" if into else _name(given)
    options = _unlabelled_options(into) if unlabelled else _options(into)
    pressed = st.button(
        say("data.add") if into else say("data.import"),
        type="primary" if first else "secondary",
        icon=":material/upload:",
        key="data_import",
        disabled=read_only() or asking.asked(asking.WORK) is not None,
    )
    if not own:
        st.button(
            say("data.sample"),
            key="data_sample",
            type="tertiary",
            help=say("data.sample_help"),
            on_click=sample_photos,
            disabled=read_only() or asking.asked(asking.WORK) is not None,
        )
    if read_only():
        st.caption(say("data.read_only"))
    if pressed:
        _go(given, into, name, options)


def edition() -> int:
    """Counts the imports that went well: fields of another edition are other, empty fields."""
    return recall("data.edition", 0)


def renew() -> None:
    """Empties the fields: what was chosen is imported."""
    remember("data.edition", edition() + 1)


def _key(name: str) -> str:
    return f"data_{name}_{edition()}"


# what is chosen


def _folder(*, unlabelled: bool) -> Given | None:
    files = st.file_uploader(
        say("data.folder_unlabelled" if unlabelled else "data.folder"),
        accept_multiple_files="directory",
        key=_key("folder"),
        help=None if unlabelled else say("data.folder_help"),
    )
    st.caption(_limits())
    if not files:
        return None
    if not unlabelled and not any(
        "/" in file.name for file in files
    ):  # a dropped folder comes without its folders' names
        st.warning(say("data.flat"), icon=":material/folder_off:")
        return None
    roots = {file.name.partition("/")[0] for file in files if "/" in file.name}
    root = next(iter(roots)) if len(roots) == 1 else ""
    return Given(root, lambda name: keep_files(workspace(), name, _unique(files)))


def _archive() -> Given | None:
    file = st.file_uploader(say("data.archive"), type=PACKED, key=_key("archive"))
    st.caption(say("data.one_file", size=f"{ONE_FILE} MB"))
    if file is None:
        return None
    return Given(Path(file.name).stem, lambda name: keep_file(workspace(), file.name, file.getvalue()))


def _classes() -> Given | None:
    st.caption(say("data.classes_help"))
    label = st.text_input(say("data.class_name"), key="data_class_name", max_chars=120)
    files = st.file_uploader(
        say("data.class_files"), accept_multiple_files=True, key=f"{_key('class_files')}_{len(basket.files())}"
    )
    shot = None
    if st.toggle(say("data.camera"), key="data_camera_on", help=say("data.camera_help")):
        shot = st.camera_input(say("data.camera_shot"), key=f"{_key('camera')}_{len(basket.files())}")
    taken = [*files, *([shot] if shot is not None else [])]
    if taken and st.button(
        say("data.put", count=len(taken)),
        key="data_put",
        icon=":material/add_photo_alternate:",
        disabled=not label.strip(),
        help=None if label.strip() else say("data.put_first"),
    ):
        if not basket.put(label, [(file.name, file.getvalue()) for file in taken]):
            st.error(_limits())
        else:
            st.rerun()
    counts = basket.counts()
    if not counts:
        return None
    with st.container(horizontal=True, vertical_alignment="center", key="data_basket"):
        st.markdown(say("data.basket", classes=counted(counts)), width="content")
        st.button(say("data.basket_empty"), key="data_basket_empty", type="tertiary", on_click=basket.empty)
    return Given("", lambda name: keep_files(workspace(), name, basket.files()), collected=True)


def _path() -> Given | None:
    typed = st.text_input(say("data.path"), key=_key("path"), max_chars=4096, placeholder=say("data.path_example"))
    st.caption(say("data.path_help"))
    if not typed.strip():
        return None
    return Given(Path(typed.strip()).name, lambda name: whole_path(typed, "path"))


CHOOSERS: Mapping[str, Callable[[], Given | None]] = {"archive": _archive, "classes": _classes, "path": _path}


def _unique(files: Sequence[Any]) -> dict[str, bytes]:
    """The uploaded files by their path; a second one of the same path is the same file chosen again."""
    return {file.name: file.getvalue() for file in files}


def _limits() -> str:
    return say("data.limits", one=f"{ONE_FILE} MB", all=size(LARGEST), files=f"{MOST_FILES:,}")


def counted(counts: Mapping[str, int], most: int = 12) -> str:
    """Classes with their images, for Markdown."""
    told = [aside(UserText(name).md(), f"{count}") for name, count in list(counts.items())[:most]]
    return listed(told) + (" …" if len(counts) > most else "")


# what it becomes


def _into(own: Sequence[str]) -> str:
    if not own:
        return NEW
    return st.selectbox(
        say("data.into"),
        (NEW, *own),
        key=_key("into"),
        format_func=lambda name: UserText(name).plain() if name else say("data.into_new"),
    )


def _name(given: Given | None) -> str:
    suggestion = normal_name(given.suggestion)[:80] if given else ""
    typed = st.text_input(
        say("data.name"), key=_key("name"), max_chars=80, placeholder=suggestion or say("data.name_example")
    )
    return typed.strip() or suggestion


def _options(into: str) -> Options:
    """What can be set before the import; the rest is asked for where it turns out to matter."""
    with st.expander(say("data.options"), key="data_options"):
        merge = st.toggle(say("data.merge"), key=_key("merge"), help=say("data.merge_help"))
        splits = st.toggle(say("data.splits"), value=True, key=_key("splits"), help=say("data.splits_help"))
        encoding = st.text_input(say("data.encoding"), key=_key("encoding"), help=say("data.encoding_help"))
        options = Options(merge, splits, encoding.strip())
        if into:
            return options
        shape = _shape()
        group_by = st.text_input(
            say("data.group_by"), key=_key("group_by"), max_chars=8, help=say("data.group_by_help"), placeholder="_"
        )
        return replace(options, shape=shape, group_by=group_by)


def _unlabelled_options(into: str) -> Options:
    """The same for images without labels, and how many frames of a video are taken."""
    with st.expander(say("data.options"), key="data_options"):
        encoding = st.text_input(say("data.encoding"), key=_key("encoding"), help=say("data.encoding_help"))
        every = st.number_input(
            say("data.every"), LEAST_EVERY, MOST_EVERY, 1.0, key=_key("every"), help=say("data.every_help")
        )
        options = Options(encoding=encoding.strip(), unlabelled=True, every=float(every))
        return options if into else replace(options, shape=_shape())


def _shape() -> str:
    return st.segmented_control(
        say("data.shape"),
        SHAPES,
        default="crop",
        required=True,
        key=_key("shape"),
        help=say("data.shape_help"),
        format_func=lambda name: say(f"data.shape_{name}"),
    )


def _go(given: Given | None, into: str, name: str, options: Options) -> None:
    """Puts the files where the engine reads them, and asks for the import."""
    if given is None:
        st.warning(say("data.nothing_chosen"), icon=":material/info:")
        return
    if not into and not name:
        st.warning(say("data.no_name"), icon=":material/info:")
        return
    try:
        with st.spinner(say("data.storing")):
            path = given.store(name or into)
    except UserError as error:
        faults.refused(error)
        return
    except OSError as error:
        faults.refused(faults.not_done(error), str(error))
        return
    if not asking.begin(asking.WORK, _request(path, into, name, options)):
        with suppress(OSError):  # else it is tidied up later
            drop(workspace(), path)
        return
    remember("data.collected", given.collected)
    st.rerun()


def _request(path: Path, into: str, name: str, options: Options) -> Request[Any]:
    """What to ask of the engine."""
    merge, splits, encoding = options.merge, options.splits, options.encoding
    if into:
        edit = AddImages(
            path=str(path),
            merge=merge,
            splits=splits,
            encoding=encoding,
            unlabelled=options.unlabelled,
            every=options.every,
        )
        return EditRequest(into, edit)
    return ImportRequest(
        str(path),
        name,
        splits=splits,
        merge=merge,
        shape=options.shape,
        encoding=encoding,
        group_by=options.group_by,
        unlabelled=options.unlabelled,
        every=options.every,
    )


def sample_photos() -> None:
    """Draws a set for who has none."""
    asking.begin(asking.WORK, SampleImagesRequest(say("data.sample_name")))
