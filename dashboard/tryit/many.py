"""A folder of pictures at once: a table, and the same as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import streamlit as st

from core.errors import UserError, UserErrors
from core.questions.classify import Classified
from core.questions.classify_many import MOST_PICTURES, ClassifyManyRequest
from core.run_files.sides import Side
from core.text.escaping import UserText
from core.text.formatting import size
from core.workspace_files.uploads import LARGEST, drop, keep_files
from dashboard import components, engine_words, faults
from dashboard.data import asking
from dashboard.i18n import say
from dashboard.session import forget, read_only, recall, remember, workspace
from dashboard.tryit.answers import best
from dashboard.tryit.models import plain

SLOT, TABLE, NAMES, WRONG = "tryit.many", "tryit.many_table", "tryit.many_names", "tryit.many_wrong"


def show(models: Sequence[Side]) -> None:
    """Choose pictures, ask, and see every answer."""
    st.subheader(say("tryit.many"), anchor=False)
    files = st.file_uploader(say("tryit.many_files"), accept_multiple_files="directory", key="tryit_many")
    st.caption(say("tryit.many_help", most=f"{MOST_PICTURES:,}", all=size(LARGEST)))
    _take()
    if st.button(
        say("tryit.many_start", count=len(files)) if files else say("tryit.many_none"),
        key="tryit_many_start",
        icon=":material/table_view:",
        disabled=not files or read_only() or asking.asked(SLOT) is not None,
    ):
        _ask(models, {file.name: file.getvalue() for file in files})
    asking.watch(SLOT)
    wrong: tuple[UserError | UserErrors, str] | None = recall(WRONG, None)
    if wrong is not None:
        faults.refused(*wrong)
    table: pd.DataFrame | None = recall(TABLE, None)
    if table is not None:
        st.dataframe(table, hide_index=True, key="tryit_many_table", alt=say("tryit.many"))
        st.download_button(
            say("components.csv"),
            components.csv(table),
            "answers.csv",
            "text/csv",
            key="tryit_many_csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _ask(models: Sequence[Side], files: dict[str, bytes]) -> None:
    """Numbers instead of names go to the engine: what a person calls a file stays here."""
    forget(TABLE)
    forget(WRONG)
    try:
        upload = keep_files(workspace(), "pictures", {f"{n:06d}": data for n, data in enumerate(files.values())})
    except UserError as error:
        remember(WRONG, (error, ""))
        return
    except OSError as error:
        remember(WRONG, (faults.not_done(error), str(error)))
        return
    if asking.begin(SLOT, ClassifyManyRequest(tuple(one.id for one in models), str(upload))):
        remember(NAMES, (tuple(files), [plain(one) for one in models], upload))
    else:
        _removed(upload)


def _take() -> None:
    outcome = asking.outcome(SLOT)
    kept: tuple[tuple[str, ...], list[str], Path] | None = recall(NAMES, None)
    if outcome is None or kept is None:
        return
    forget(NAMES)
    files, models, upload = kept
    _removed(upload)
    if outcome.error is not None:
        remember(WRONG, (outcome.error, outcome.details))
    elif isinstance(outcome.answer, Classified):
        remember(TABLE, as_table(files, models, outcome.answer))


def _removed(upload: Path) -> None:
    with suppress(OSError):  # else it is tidied up later
        drop(workspace(), upload)


def as_table(files: Sequence[str], models: Sequence[str], found: Classified) -> pd.DataFrame:
    """A row a picture: the file, for each model its class and probability, and why it is no picture."""
    rows = []
    for file, picture in zip(files, found.pictures, strict=True):
        row: dict[str, object] = {say("tryit.column_file"): UserText(file).plain()}
        for number, name in enumerate(models, start=1):
            answer = picture.answers[number - 1] if picture.answers else None
            label, share = best(found.models[number - 1], answer) if answer else ("", None)
            row[f"{number} {name}"] = UserText(label).plain()
            row[f"{number} {say('tryit.column_share')}"] = share
        row[say("tryit.column_fault")] = engine_words.told(picture.reason)
        rows.append(row)
    return pd.DataFrame(rows)
