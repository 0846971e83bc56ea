"""The draft that lies before this session's person: what it is, how it changes, what was refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from core.catalog import Facts
from core.errors import UserError, UserErrors
from core.own.datasets import imported_datasets
from core.recipe import Recipe
from core.run_files.samples import sample
from core.workspace_files.drafts import Document, new_draft_id, newest_draft, read_draft, write_draft
from dashboard.design import draft
from dashboard.design.draft import Draft
from dashboard.design.keeping import from_document, to_document
from dashboard.design.naming import renamed
from dashboard.i18n import say
from dashboard.session import forget, put_query, raw_query, read_only, recall, remember, workspace

ADDRESS = "draft"  # the parameter that names a kept draft


def current() -> Draft:
    """The draft as it is now: that of this session, else the one the address names, else the demo's recipe."""
    kept: Draft | None = recall("design.draft", None)
    asked = raw_query(ADDRESS)
    if asked is not None and asked != recall("design.id", None):
        take_up(asked)
        kept = recall("design.draft", kept)
    put_query(ADDRESS, recall("design.id", None))
    return kept or draft.first(say("design.first_name"))


def edit(change: Callable[[Draft], Draft], edition: int | None = None) -> None:
    """Changes the draft; what was refused before is forgotten.

    `edition` is that of the field or button: one that was drawn before the steps had other places is not heard.
    """
    now = current()
    if edition in (None, now.edition):
        forget("design.refused")
        keep(renamed(now, change(now)))


def started(recipe: Recipe, run_id: str) -> None:
    """What is changed from now on is a variant of this run, and called by its difference to the run's recipe."""
    keep(replace(current(), base=recipe, parent=run_id))


def keep(changed: Draft) -> None:
    """Keeps a draft for this session, and in the workspace for when the page is loaded again.

    A draft that another window has changed since goes on under an id of its own: neither overwrites the other.
    """
    remember("design.draft", changed)
    if read_only():
        return
    name = recall("design.id", "")
    if not name or _changed_elsewhere(name):
        name = new_draft_id()
    document = json.loads(json.dumps(to_document(changed)))
    try:
        write_draft(workspace(), name, document)
    except OSError:
        remember("design.unkept", True)
    else:
        forget("design.unkept")
        remember("design.id", name)
        remember("design.kept", document)
        put_query(ADDRESS, name)  # else the next run would take up the draft that the address still names


def _changed_elsewhere(name: str) -> bool:
    kept: Document | None = recall("design.kept", None)
    try:
        return kept is not None and read_draft(workspace(), name) != kept
    except UserError:  # it was tidied away, or damaged: what lies on the page is written anew
        return False


def take_up(name: str) -> None:
    """Goes on with a draft that was kept; a damaged one is told, and leaves things as they are."""
    try:
        document = read_draft(workspace(), name)
        found = from_document(document)
    except UserError as error:
        remember("design.refused", error)
    except ValueError as error:
        remember("design.refused", UserError("damaged_draft", "draft", str(error), "", ""))
    else:
        forget("design.refused")
        edition = recall("design.draft", found).edition + 1  # other fields than those on the page
        remember("design.draft", replace(found, edition=edition))
        remember("design.id", name)
        remember("design.kept", document)


def unkept() -> bool:
    """Whether the newest change could not be written to the workspace."""
    return recall("design.unkept", False)


def earlier() -> tuple[str, float] | None:
    """The draft changed last in this workspace, and when, for a session that has none of its own yet."""
    if recall("design.draft", None) is not None:
        return None
    return newest_draft(workspace())


def load(text: str | bytes, parent: str = "") -> None:
    """Takes a recipe from outside, or that of the run `parent`; a wrong one is refused and leaves the draft as it
    was."""
    try:
        edit(lambda now: replace(draft.load(now, text, workspace().catalog()), parent=parent))
    except (UserError, UserErrors) as error:
        remember("design.refused", error)


def refused() -> UserError | UserErrors | None:
    """What was wrong with the recipe that was to be loaded last."""
    error: UserError | UserErrors | None = recall("design.refused", None)
    return error


def own_data() -> Mapping[str, Facts]:
    """The datasets a person imported, by name."""
    return imported_datasets(workspace().datasets)


def take_from_address() -> None:
    """Loads the recipe of the run or sample that the address names, once: the parameter is taken out of it."""
    for parameter, read in (("from", _of_run), ("sample", _of_sample)):
        name = raw_query(parameter)
        put_query(parameter, None)
        if name is not None:
            _take(name, read, name if parameter == "from" else "")


def _take(name: str, read: Callable[[str], str], parent: str) -> None:
    try:
        load(read(name), parent)
    except UserError as error:
        remember("design.refused", error)
    except OSError as error:
        given = f"{name} ({error.strerror})"
        remember(
            "design.refused", UserError("unreadable_file", "recipe", given, "a recipe to read", say("design.gone"))
        )


def _of_run(run_id: str) -> str:
    return workspace().run(run_id).recipe_text


def _of_sample(run_id: str) -> str:
    return sample(run_id).recipe_text
