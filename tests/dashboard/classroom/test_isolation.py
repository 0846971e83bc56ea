"""A table of attempts: the id of anything of Ana's, in every parameter of an address, shows Bob nothing of hers."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.classroom.lent import lend_to_all
from core.classroom.limits import Limits, set_limits
from core.events import RunFinished
from core.lessons import lesson_files
from core.lessons.diary import Prediction, read_diary, write_diary
from core.runs import Notes
from core.search.store import create
from core.workspace import Workspace
from tests.core.lessons.written import LESSON
from tests.core.own.test_models import kept
from tests.dashboard.classroom.test_class_page import corner, sit
from tests.dashboard.test_pages import make, shown, text
from tests.dashboard.test_search_page import asked

SECRET = "sunflower"  # in the name of everything of Ana's


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, dict[str, str]]:
    """Ana with one of everything, and the ids of it by what it is; Bob sits at the page."""
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path / "w"))
    root = Workspace.open_or_create(tmp_path / "w")
    ana, bob = corner(root, "Ana"), corner(root, "Bob")
    run = make(ana, RunFinished())
    run.annotate(Notes(name=SECRET))
    job = ana.create_job("dataset_report", {"dataset": SECRET})
    lesson_files.add(ana, LESSON.replace("A tiny lesson", SECRET).encode())
    write_diary(ana, read_diary(ana, "pruning").predicted(0, Prediction(number=1.0)))
    kept(ana.models, SECRET)
    ids = {
        "run": run.id,
        "job": job.id,
        "lesson": "tiny",
        "search": create(ana, asked()).id,
        "network": f"own/{SECRET}",
        "path": f"../{ana.path.name}/runs/{run.id}",
        "corner": ana.path.name,
        "folder": str(run.folder),
    }
    sit(monkeypatch, bob.path.name)
    return bob, ids


ATTEMPTS = [
    ("live", "run", "{run}"),
    ("live", "run", "{path}"),
    ("live", "run", "{folder}"),
    ("inspect", "run", "{run}"),
    ("inspect", "against", "{run}.0"),
    ("inspect", "point", "{run}.0"),
    ("tradeoffs", "sel", "{run}.0"),
    ("tradeoffs", "pin", "{run}.0"),
    ("tryit", "sel", "{run}.0"),
    ("design", "from", "{run}"),
    ("design", "from", "{path}"),
    ("data", "working", "{job}"),
    ("search", "search", "{search}"),
    ("learn", "lesson", "{lesson}"),
    ("learn", "lesson", "../{corner}/tiny"),
    ("classroom", "corner", "{corner}"),
    ("home", "corner", "{corner}"),
]


@pytest.mark.parametrize(("page", "parameter", "value"), ATTEMPTS)
def test_an_id_of_anothers_in_the_address_opens_nothing(
    two: tuple[Workspace, dict[str, str]], page: str, parameter: str, value: str
) -> None:
    bob, ids = two
    app = shown(page, **{parameter: value.format(**ids)})
    assert SECRET not in text(app)
    assert SECRET not in "".join(str(table.value.to_dict()) for table in app.dataframe)
    assert SECRET not in "".join(str(menu.options) for menu in (*app.selectbox, *app.multiselect))
    assert bob.run_ids() == []
    assert bob.job_ids() == []


@pytest.mark.parametrize(
    ("page", "parameter", "value"), [("live", "run", "{run}"), ("design", "from", "{run}"), ("learn", "lesson", "tiny")]
)
def test_the_same_address_shows_ana_her_own(
    two: tuple[Workspace, dict[str, str]], monkeypatch: pytest.MonkeyPatch, page: str, parameter: str, value: str
) -> None:
    """Else the table would prove nothing."""
    _, ids = two
    sit(monkeypatch, ids["corner"])
    app = shown(page, **{parameter: value.format(**ids)})
    fields = "".join(str(field.value) for field in (*app.text_input, *app.text_area))
    assert SECRET in text(app) + fields + "".join(str(menu.options) for menu in (*app.selectbox, *app.multiselect))


@pytest.mark.thorough
def test_the_teachers_lessons_are_shown_where_the_teacher_lends_them(
    two: tuple[Workspace, dict[str, str]], tmp_path: Path
) -> None:
    root = Workspace(tmp_path / "w")
    lesson_files.add(
        root, LESSON.replace('id = "tiny"', 'id = "lent"').replace("A tiny lesson", "Of the teacher").encode()
    )
    kept(root.models, "teachers")
    assert "Of the teacher" not in text(shown("learn", lesson="lent"))
    set_limits(root.path, Limits(teachers="read-only"))
    lend_to_all(root.path)
    listed = shown("learn")
    assert "learn_open_lent" in [button.key for button in listed.button]
    assert "learn_delete_lent" not in [button.key for button in listed.button], "to use, not to change"
    assert "Of the teacher" in text(shown("learn", lesson="lent"))
    told = text(shown("classroom")).replace("\\", "")
    assert "From your teacher" in told
    assert "Networks: teachers" in told
    assert "Lessons: Of the teacher" in told
    bob, _ = two
    kept(root.models, "both")
    kept(bob.models, "both")
    for page in ("classroom", "learn"):
        assert "both have something called “both”" in text(shown(page)).replace("\\", "")
    set_limits(root.path, Limits())
    assert "Of the teacher" not in text(shown("learn", lesson="lent"))
    assert "From your teacher" not in text(shown("classroom")), "the links are gone with the first page"


def test_a_lesson_that_teacher_and_learner_have_is_the_learners_and_is_told(
    two: tuple[Workspace, dict[str, str]], tmp_path: Path
) -> None:
    root, (bob, _) = Workspace(tmp_path / "w"), two
    lesson_files.add(root, LESSON.replace("A tiny lesson", "Of the teacher").encode())
    lesson_files.add(bob, LESSON.replace("A tiny lesson", "Of Bob").encode())
    set_limits(root.path, Limits(teachers="read-only"))
    listed = shown("learn")
    assert not listed.exception, "two cards of one id"
    assert [button.key for button in listed.button].count("learn_open_tiny") == 1
    assert "both have something called “Of the teacher”" in text(listed).replace("\\", "")
    assert "Of Bob" in text(shown("learn", lesson="tiny"))
