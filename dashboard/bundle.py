"""A model to take away: packed as a zip by a job, unpacked again and compared, and only then offered for download.

Any page can place it next to a point: `button` where the point's other buttons are, `box` below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from core.catalog import load_catalog
from core.errors import UserError, UserErrors
from core.files import remove_tree
from core.jobs import JobProgress
from core.processes.workers import ensure_supervisor
from core.questions.bundle import Bundled, BundleRequest, Compared, Format, formats_of, question
from core.run_files.bundling import ZIP
from core.text import formatting
from core.text.escaping import UserText
from dashboard import faults
from dashboard.i18n import headed, known, say, spoken
from dashboard.job_news import news
from dashboard.session import forget, read_only, recall, remember, widget, workspace

EVERY = 1.0  # seconds between two looks at a job that goes on


@dataclass(frozen=True)
class Asked:
    """What this session asked for: the job that packs it, and what came of it."""

    job: str
    formats: tuple[str, ...] = ()
    found: Bundled | None = None
    error: UserError | UserErrors | None = None
    details: str = ""

    @property
    def over(self) -> bool:
        return self.found is not None or self.error is not None


def button(run: str, step: int, key: str) -> None:
    """Packs the model of a run's step."""
    asked = _asked(run, step)
    st.button(
        say("bundle.start"),
        key=f"{key}_start",
        icon=":material/package_2:",
        type="tertiary",
        disabled=read_only() or (asked is not None and not asked.over),
        help=say("bundle.read_only") if read_only() else say("bundle.help"),
        on_click=_start,
        args=(run, step, asked.formats if asked else ()),
    )


def box(run: str, step: int, key: str) -> None:
    """How far the packing is, how the copy answers, and then the download; nothing before it was asked for."""
    asked = _asked(run, step)
    if asked is not None:
        with st.container(border=True, gap="small", key=f"{key}_box"):
            st.fragment(_live, run_every=None if asked.over else EVERY)(run, step, key, not asked.over)


# asking


def _start(run: str, step: int, formats: Sequence[str]) -> None:
    before = _asked(run, step)
    if before is not None:
        _clear(before)
    try:
        job = workspace().ask(question(workspace().run(run), step, formats))
        ensure_supervisor(workspace())
        _remember(run, step, Asked(job.id, tuple(formats)))
    except (UserError, UserErrors) as error:
        _remember(run, step, Asked("", tuple(formats), error=error))
    except (OSError, RuntimeError) as error:
        _remember(run, step, Asked("", tuple(formats), error=faults.not_done(error), details=str(error)))


def _asked(run: str, step: int) -> Asked | None:
    """What was asked of this point; nothing any more where its zip was tidied away meanwhile."""
    asked: Asked | None = recall(f"bundle.{run}:{step}", None)
    if asked is not None and asked.found is not None and not _zip(asked).exists():
        forget(f"bundle.{run}:{step}")
        return None
    return asked


def _remember(run: str, step: int, asked: Asked) -> None:
    remember(f"bundle.{run}:{step}", asked)


def _zip(asked: Asked) -> Path:
    return workspace().path / "jobs" / asked.job / ZIP


def _clear(asked: Asked) -> None:
    with suppress(UserError, OSError):  # else it is tidied up later
        remove_tree(workspace().job(asked.job).folder)


def _live(run: str, step: int, key: str, polled: bool) -> None:
    """Looks at the job; the whole page is drawn once more when it has ended, and when another one has begun here."""
    asked = _asked(run, step)
    if asked is None:
        return
    if not asked.over and not polled:
        st.rerun()
    if not asked.over:
        told = news(asked.job, BundleRequest)
        asked = replace(asked, found=told.answer, error=told.error, details=told.details)
        _remember(run, step, asked)
        if asked.over:
            st.rerun()
    _show(run, step, asked, key)


# showing


def _show(run: str, step: int, asked: Asked, key: str) -> None:
    if isinstance(asked.error, UserError) and asked.error.code == "cancelled":
        st.caption(say("bundle.stopped"))
    elif asked.error is not None:
        faults.refused(asked.error, asked.details)
    elif asked.found is None:
        _waiting(asked, key)
    else:
        _ready(run, step, asked, asked.found, key)


def _waiting(asked: Asked, key: str) -> None:
    told = _progress(asked)
    what = say("bundle.waiting") if told is None else known(f"bundle.what_{told.what}", say("bundle.what_format"))
    share = told.done / told.total if told is not None and told.total else 0.0
    st.progress(min(share, 1.0), what)
    st.button(
        say("bundle.stop"),
        key=f"{key}_stop",
        icon=":material/stop_circle:",
        type="tertiary",
        on_click=_stop,
        args=(asked.job,),
    )


def _progress(asked: Asked) -> JobProgress | None:
    try:
        return workspace().job(asked.job).progress()
    except UserError:
        return None


def _stop(job: str) -> None:
    with suppress(UserError, OSError):
        workspace().job(job).cancel()


def _ready(run: str, step: int, asked: Asked, found: Bundled, key: str) -> None:
    """How the unpacked copy answers, then the download, and further formats."""
    lines = list(comparison(found))
    st.markdown("  \n".join(lines))
    if not found.agrees:
        st.warning(say("bundle.differs" if found.test or found.samples else "bundle.unchecked"))
    path = _zip(asked)
    st.download_button(
        say("bundle.download", size=formatting.size(found.bytes)),
        path.read_bytes,
        found.name,
        "application/zip",
        key=f"{key}_download",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )
    st.caption(say("bundle.how_to_run"))
    offered = formats_of(workspace().run(run), step)
    menu = load_catalog().methods["export"]
    if offered and not read_only():
        chosen = f"{key}_formats_{asked.job}"
        st.pills(
            say("bundle.formats"),
            offered,
            selection_mode="multi",
            default=list(asked.formats),
            key=chosen,
            format_func=lambda name: spoken(menu[name].title),
            on_change=_again,
            args=(run, step, chosen),
            help="\n\n".join(headed(f"**{spoken(menu[name].title)}**", spoken(menu[name].summary)) for name in offered),
        )


def _again(run: str, step: int, chosen: str) -> None:
    """Packs anew with the formats that are chosen now."""
    formats: Sequence[str] = widget(chosen, ())
    _start(run, step, tuple(formats))


def comparison(found: Bundled) -> list[str]:
    """How the unpacked copy answers, a line each: the test split, the images inside, every further format."""
    lines = [_line(name, one) for name, one in (("test", found.test), ("samples", found.samples)) if one is not None]
    if found.test is None:
        lines.insert(0, say("bundle.test_missing"))
    return [*lines, *map(_format, found.formats)]


def _line(name: str, one: Compared, **more: str) -> str:
    mark = "✓" if one.same == one.images else "✗"
    numbers = {"same": f"{one.same:,}", "images": f"{one.images:,}", "difference": _small(one.difference)}
    return f"{mark} " + say(f"bundle.compared_{name}", **numbers, **more)


def _format(one: Format) -> str:
    title = spoken(load_catalog().methods["export"][one.name].title)
    if one.compared is None:
        reason = one.refused or {}
        allowed, fix = (UserText(reason.get(key, "")).md() for key in ("allowed", "fix"))
        return "✗ " + say("bundle.format_missing", title=title, allowed=allowed, fix=fix)
    return _line("format", one.compared, title=title)


def _small(difference: float) -> str:
    """A difference with two digits; none is 0."""
    return f"{difference:.1e}" if 0 < difference < 0.001 else formatting.two_digits(difference) if difference else "0"
