"""What each model says to the picture: a column a model, its classes as bars, its milliseconds, and who disagrees."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.errors import UserError
from core.questions.classify import Answer, Answering, Classified, ClassifyRequest
from core.run_files.sides import Side
from core.text import formatting
from core.text.escaping import UserText
from core.workspace_files.uploads import drop, keep_files
from dashboard import bundle, components, engine_words, faults
from dashboard.data import asking
from dashboard.i18n import listed, say
from dashboard.session import forget, read_only, recall, remember, workspace
from dashboard.tryit.given import Given
from dashboard.tryit.models import heading

SLOT, ANSWERED, ASKED = "tryit.classify", "tryit.answered", "tryit.asked"
AT_ONCE = 4.0  # seconds for which the page waits before it is drawn without an answer
MOST_BARS = 5
ROW = 4  # models beside each other
SEEN = 96  # pixels
FIELDS = ("code", "field", "given", "allowed", "fix")


@dataclass(frozen=True)
class Asked:
    """Which picture was put to which models, and the upload it went by."""

    digest: str
    points: tuple[str, ...]
    upload: str = ""


@dataclass(frozen=True)
class Answered:
    """What came of it."""

    asked: Asked
    found: Classified | None = None
    error: Exception | None = None
    details: str = ""


def show(models: Sequence[Side], picture: Given) -> None:
    """The answers to the picture, which is put to the models where it is another one than before."""
    if read_only():
        st.caption(say("tryit.read_only"))
        return
    wanted = Asked(picture.digest, tuple(one.id for one in models))
    _take()
    known: Answered | None = recall(ANSWERED, None)
    if not _same(known.asked if known else None, wanted) and not _same(recall(ASKED, None), wanted):
        _ask(wanted, models, picture)
        asking.wait_for(SLOT, AT_ONCE)
        _take()
        known = recall(ANSWERED, None)
    if known is None or not _same(known.asked, wanted):
        asking.watch(SLOT)
        return
    if isinstance(known.error, UserError):
        faults.refused(known.error, known.details)
    elif known.found is not None:
        draw(models, picture, known.found)


def _same(one: Asked | None, other: Asked) -> bool:
    return one is not None and (one.digest, one.points) == (other.digest, other.points)


def _ask(wanted: Asked, models: Sequence[Side], picture: Given) -> None:
    """Puts the picture where the engine takes it away, and asks."""
    names = tuple(one.id for one in models)
    try:
        upload = str(keep_files(workspace(), "picture", {"picture": picture.data})) if picture.own else ""
    except OSError as error:
        faults.refused(faults.not_done(error), str(error))
        return
    _let_go()
    if asking.begin(SLOT, ClassifyRequest(names, upload, max(picture.sample, 0))):
        remember(ASKED, Asked(wanted.digest, wanted.points, upload))
    else:
        _removed(upload)


def _let_go() -> None:
    """A question that is still open is about a picture that nobody looks at any more."""
    before: Asked | None = recall(ASKED, None)
    now = asking.asked(SLOT)
    if before is None or now is None:
        return
    with suppress(UserError, OSError):
        workspace().job(now.job).cancel()
    _removed(before.upload)


def _take() -> None:
    """What has come, if anything; the picture's copy goes, whether or not the engine got to it."""
    outcome = asking.outcome(SLOT)
    asked: Asked | None = recall(ASKED, None)
    if outcome is None or asked is None:
        return
    forget(ASKED)
    _removed(asked.upload)
    remember(ANSWERED, Answered(asked, outcome.answer, outcome.error, outcome.details))


def _removed(upload: str) -> None:
    if upload:
        with suppress(OSError):  # else it is tidied up later
            drop(workspace(), Path(upload))


# showing


def draw(models: Sequence[Side], picture: Given, found: Classified) -> None:
    """The lamp, and a column a model."""
    (one,) = found.pictures
    if one.reason:
        st.error(say("tryit.no_picture", reason=engine_words.md(one.reason)), icon=":material/broken_image:")
        return
    lamp(picture, found)
    rows = [(m, a, p) for m, a, p in zip(models, found.models, one.answers, strict=True)]
    several = len({model.run.id for model in models}) > 1
    for start in range(0, len(rows), ROW):
        part = rows[start : start + ROW]
        width = len(part) if len(rows) < ROW else ROW
        for column, (model, asked, answer) in zip(st.columns(width), part, strict=False):
            with column:
                _column(model, asked, answer, leading(found, asked.classes), several=several)
    st.caption(say("tryit.how"))


def best(model: Answering, answer: Answer) -> tuple[str, float]:
    """The class that the model takes the picture for, and its probability."""
    share = max(answer.probabilities)
    return model.classes[answer.probabilities.index(share)], share


def leading(found: Classified, classes: Sequence[str]) -> list[str]:
    """Of these classes those that any model with the same ones thinks likeliest, most likely first: the same bars for
    all of them."""
    highest: dict[str, float] = {}
    for model, answer in zip(found.models, found.pictures[0].answers, strict=True):
        if answer is not None and tuple(model.classes) == tuple(classes):
            for name, share in zip(model.classes, answer.probabilities, strict=True):
                highest[name] = max(share, highest.get(name, 0.0))
    return sorted(highest, key=lambda name: -highest[name])[:MOST_BARS]


def lamp(picture: Given, found: Classified) -> None:
    """Whether the models agree; of a test image also what it is."""
    answers = [
        best(model, answer)[0]
        for model, answer in zip(found.models, found.pictures[0].answers, strict=True)
        if answer is not None
    ]
    counts = {name: answers.count(name) for name in dict.fromkeys(answers)}
    if len(counts) > 1:
        said = listed(f"{count} × {UserText(name).md()}" for name, count in counts.items())
        st.warning(_with_truth(say("tryit.disagree", said=said), picture), icon=":material/call_split:")
    elif len(answers) > 1:
        told = say("tryit.agree", count=len(answers), label=UserText(answers[0]).md())
        st.success(_with_truth(told, picture), icon=":material/check:")
    elif picture.truth:
        st.info(_with_truth("", picture), icon=":material/image:")


def _with_truth(told: str, picture: Given) -> str:
    return say("tryit.truth", told=told, label=UserText(picture.truth).md()).strip() if picture.truth else told


def _column(model: Side, asked: Answering, answer: Answer | None, classes: Sequence[str], *, several: bool) -> None:
    key = "tryit_" + re.sub(r"\W", "_", model.id)
    with st.container(border=True, gap="xsmall", key=key):
        st.markdown(heading(model))
        if several:
            st.caption(UserText(model.run.summary().name).md())
        if answer is None:
            _refused(asked)
            return
        label, share = best(asked, answer)
        st.markdown(f"**{UserText(label).md()}** {percent(share)}")
        shares = dict(zip(asked.classes, answer.probabilities, strict=True))
        for name in classes:
            if name in shares:
                st.progress(shares[name], f"{UserText(name).md()} · {percent(shares[name])}")
        st.caption(speed(asked))
        with st.popover(say("tryit.seen"), type="tertiary", icon=":material/visibility:"):
            st.caption(say("tryit.seen_help"))
            png = base64.b64decode(answer.seen)
            st.image(png, width=SEEN, alt=say("tryit.seen_alt"))
        if not model.point.control:
            bundle.button(model.run.id, model.point.step, key)
            bundle.box(model.run.id, model.point.step, key)


def _refused(asked: Answering) -> None:
    """Why this model did not answer; the others did."""
    if asked.refused is not None:
        code, field, given, allowed, fix = (asked.refused.get(name, "") for name in FIELDS)
        components.refused(UserError(code, field, given, allowed, fix))


def speed(asked: Answering) -> str:
    """The milliseconds that were measured just now, and how."""
    if asked.milliseconds is None:
        return ""
    told = say("tryit.speed", ms=formatting.two_digits(asked.milliseconds), n=asked.n, threads=asked.threads)
    return f"{told} {say('tryit.noisy')}" if asked.noisy else told


def percent(share: float) -> str:
    """A probability with one decimal; one that is not quite 0 or 100 % is not shown as if it were."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"
