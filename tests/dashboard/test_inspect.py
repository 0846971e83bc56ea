"""The page Inspect on answers made by hand: what it says is counted again; what is missing is asked for or told."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import JsonValue
from streamlit.testing.v1 import AppTest

from core.errors import UserError
from core.events import ArtifactSaved, Measured, RunFinished, RunStarted
from core.own.datasets import CARD, home_of
from core.questions.dataset_edit import Edited
from core.questions.robustness import LIMIT, Corrupted
from core.run_files.answers import About, Bin, Calibration, Scaling, kept_at
from core.run_files.sides import side, sides
from core.runs import Run
from core.statistics.confusion import confusion
from core.storage.sealed import seal, write_kept
from core.workspace import Workspace
from dashboard.charts import class_intervals, robustness
from dashboard.charts import confusion as matrix_chart
from dashboard.charts.classes import Mark
from dashboard.inspect.views import VIEWS
from tests.dashboard.test_pages import DEMO, point, primary, shown, text

CLASSES = ("cat [x](y)", "dog", "owl")
LABELS = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2)
PARENT = (0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 0, 0)
CHILD = (0, 0, 1, 0, 1, 1, 2, 2, 2, 2, 1, 0)  # lost 2, 6, 7; gained 3; swapped 10; the same mistake 11


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CONDENSER_WORKSPACE", str(tmp_path))
    for module in ("data.asking", "inspect.robustness"):
        monkeypatch.setattr(f"dashboard.{module}.ensure_supervisor", lambda workspace: None)
    return Workspace.open_or_create(tmp_path)


def measured(
    workspace: Workspace, steps: int = 2, answers: bool = True, labels: tuple[int, ...] = LABELS, recipe: str = DEMO
) -> Run:
    """A finished run whose points have files, and answers beside them."""
    run = workspace.create_run(recipe)
    run.emit(RunStarted(1, {}))
    for step in range(steps):
        path = run.artifacts / f"step-{step}" / "model.onnx"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"model %d" % step)
        name = path.relative_to(run.folder).as_posix()
        run.emit(ArtifactSaved(step, name, 7, sha256(path.read_bytes()).hexdigest()))
        run.emit(Measured("point", 0, point(step).model_copy(update={"artifact": name})))
    run.emit(RunFinished())
    if answers:
        for one, given in zip(sides(run), (PARENT, CHILD), strict=False):
            keep(kept_at(one), given, labels)
    return run


def keep(path: Path, given: tuple[int, ...], labels: tuple[int, ...]) -> None:
    """Answers that are the surer the later the image comes."""
    sure = np.linspace(0.5, 0.9, len(given), dtype=np.float32)
    shares = np.repeat(((1 - sure) / 2)[:, None], 3, axis=1)
    shares[np.arange(len(given)), given] = sure
    calibration = Calibration(0.125, 0.5, (Bin(0.4, 0.8, 0.6, 0.5, 8), Bin(0.8, 1.0, 0.9, 0.75, 4)))
    about = About(CLASSES, "hash", 0, calibration, calibration, Scaling(1.5, 0.6, 0.4))
    found: dict[str, Any] = {f"{name}_probabilities": shares for name in ("test", "validation")}
    found |= {f"{name}_labels": np.array(labels) for name in ("test", "validation")}
    found["suspects"] = np.array([[1, 2, 1], [0, 7, 2], [1, 6, 2]])
    file = io.BytesIO()
    np.savez(file, about=np.array(json.dumps(asdict(about))), **found)
    path.parent.mkdir(exist_ok=True)
    write_kept(path, file.getvalue())


@pytest.fixture(autouse=True)
def nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers is not here; the page is drawn at once."""
    monkeypatch.setattr("dashboard.inspect.latest.AT_ONCE", 0.0)


def inspect(run: Run, language: str = "en", **query: str) -> AppTest:
    return shown("inspect", language, run=run.id, **query)


def test_it_opens_on_the_last_point_beside_its_parent(workspace: Workspace) -> None:
    told = text(inspect(measured(workspace)))
    assert "80.0 ± 2.0 %" in told
    assert "worst class dog 50 %" in told, "of cat, dog and owl 3, 2 and 2 of 4 are right; the first of equal ones"
    assert f"on average {100 * np.linspace(0.5, 0.9, 12).mean():.0f} % sure, right in 58 %" in told
    assert "1 answer turned right, 3 turned wrong: chance alone may explain that" in told
    assert "p = 0.62" in told


@pytest.mark.thorough
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_view_is_drawn(workspace: Workspace, view: str, language: str) -> None:
    run = measured(workspace)
    for against in ("", "none"):
        app = inspect(run, language, view=view, **({"against": against} if against else {}))
        assert not app.error
        assert app.segmented_control(key=f"inspect_view_{view}").value == view


@pytest.mark.parametrize("cell", ["", "x", "0,9", "-1,0", "1", "1,2,3", "٣,٣"])
def test_a_cell_that_is_none_shows_the_surest_mistakes(workspace: Workspace, cell: str) -> None:
    told = text(inspect(measured(workspace), cell=cell))
    assert "5 mistakes" in told


def test_a_cell_shows_its_images_with_both_answers(workspace: Workspace) -> None:
    told = text(inspect(measured(workspace), cell="1,2"))
    assert "**dog** taken for **owl**: 2 images" in told
    sure = np.linspace(0.5, 0.9, 12)
    lines = [line for line in told.splitlines() if "✗ owl" in line]
    assert [line.split("owl")[1].strip() for line in lines] == [f"{100 * sure[place]:.0f}\xa0%" for place in (7, 6)]
    assert told.count("before: ✓ dog") == 2


def test_names_of_classes_are_text(workspace: Workspace) -> None:
    told = text(inspect(measured(workspace), cell="0,1"))
    assert "](y)" not in told.replace("\\]\\(y\\)", "")


@pytest.mark.parametrize(("kind", "count"), [("lost", 3), ("gained", 1), ("swapped", 1), ("kept_wrong", 1)])
def test_what_changed_is_counted_and_shown(workspace: Workspace, kind: str, count: int) -> None:
    app = inspect(measured(workspace), view="changed")
    control = app.segmented_control(key="inspect_kind")
    assert f"{count}" in control.options[["lost", "gained", "swapped", "kept_wrong"].index(kind)]
    told = text(control.set_value(kind).run())
    assert told.count("before: ") == count


def test_the_order_is_by_confidence(workspace: Workspace) -> None:
    app = inspect(measured(workspace), view="changed")
    shares = [line.rsplit(" ", 1)[-1] for line in text(app).splitlines() if line.startswith("✗")]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 3


def test_points_on_other_images_are_not_compared(workspace: Workspace) -> None:
    other = measured(workspace, labels=tuple(reversed(LABELS)))
    told = text(inspect(measured(workspace), against=f"{other.id}:0"))
    assert "different test images" in told
    assert "gained" not in told


def test_another_run_on_the_same_images_is_compared(workspace: Workspace) -> None:
    other = measured(workspace)
    told = text(inspect(measured(workspace), point="0", against=f"{other.id}:1"))
    assert "3 answers turned right, 1 turned wrong" in told


def test_what_is_not_known_is_computed_on_a_click(workspace: Workspace) -> None:
    run = measured(workspace, answers=False)
    app = inspect(run)
    assert primary(app) == ["Compute the answers"]
    app.button(key="inspect_compute").click().run()
    assert not app.exception
    (name,) = workspace.job_ids()
    job = workspace.job(name)
    assert (job.kind, job.request) == ("answers", {"points": [f"{run.id}:1", f"{run.id}:0"]})
    job.fail(UserError("damaged_artifact", "artifact", "model.onnx", "the file as it was measured", "Run it again."))
    app.run()
    assert not app.exception
    assert "as it was measured" in "\n".join(str(error.value) for error in app.error)
    assert primary(app) == []
    app.button(key="inspect_again").click().run()
    assert primary(app) == ["Compute the answers"]


def test_damaged_answers_are_not_shown(workspace: Workspace) -> None:
    run = measured(workspace)
    path = kept_at(side(workspace, f"{run.id}:1"))
    path.write_bytes(path.read_bytes()[:-3])
    app = inspect(run)
    assert primary(app) == ["Compute the answers"]
    assert "gained" not in text(app)


@pytest.mark.parametrize("name", ["point", "against", "view", "cell", "run"])
def test_a_parameter_that_means_nothing_is_a_default(workspace: Workspace, name: str) -> None:
    shown("inspect", **{"run": measured(workspace).id, name: "\u0000../<b>" * 9})


def test_a_run_without_files_says_so(workspace: Workspace) -> None:
    run = measured(workspace, steps=1)
    bare = workspace.create_run(DEMO)
    bare.emit(RunStarted(1, {}), Measured("point", 0, point(0)), RunFinished())
    app = inspect(bare)
    assert primary(app) == ["See how the run goes on"]
    assert not inspect(run).error


# likely wrong labels


def own_set(workspace: Workspace) -> None:
    """A set of a person's own with as many images as there are answers, in both splits."""
    home = home_of("my plates", workspace.datasets)
    home.mkdir()
    splits = [(split, place) for place in range(len(LABELS)) for split in ("test", "validation")]
    images = [{"split": split, "label": LABELS[place], "name": f"{split}/{place}.png"} for split, place in splits]
    card = {"name": "my plates", "classes": list(CLASSES), "images": images}
    (home / CARD).write_bytes(seal(json.dumps(card).encode()))


def test_likely_wrong_labels_of_a_shipped_set_are_only_shown(workspace: Workspace) -> None:
    app = inspect(measured(workspace), view="labels")
    told = text(app)
    assert "**3 images** of 24 validation and test images may have a wrong label" in told
    sure = np.linspace(0.5, 0.9, 12)
    assert f"labelled **dog** {50 * (1 - sure[6]):.0f}\xa0%" in told
    assert f"taken for **owl** {100 * sure[6]:.0f}\xa0%" in told
    assert not app.checkbox
    assert "not your own" in told


@pytest.mark.parametrize("action", ["exclude", "relabel"])
def test_those_of_a_persons_own_set_are_changed_by_name(workspace: Workspace, action: str) -> None:
    own_set(workspace)
    run = measured(workspace, recipe=DEMO.replace('dataset = "fashion-mini"', 'dataset = "my plates"'))
    app = inspect(run, view="labels")
    assert app.button(key="inspect_exclude").disabled
    for key in ("validation_7", "test_6"):
        app.checkbox(key=f"inspect_tick_{run.id}_{key}").check()
    app.run()
    app.button(key=f"inspect_{action}").click().run()
    assert not app.exception
    jobs = [workspace.job(name) for name in workspace.job_ids()]
    (job,) = [job for job in jobs if job.kind == "dataset_edit"]
    names = ["validation/7.png", "test/6.png"]
    edits = {"exclude": {"op": "leave_out", "images": names}, "relabel": {"op": "move", "images": names, "to": "owl"}}
    assert job.request == {"dataset": "my plates", "edit": edits[action]}
    job.answer(Edited("my plates", 3, 22, "b", "a", [], []).to_json())
    assert "has a new version with 22 images" in text(app.run()) + "".join(str(told.value) for told in app.success)


# robustness


def test_robustness_is_asked_for_by_a_button_and_drawn_as_it_comes(workspace: Workspace) -> None:
    run = measured(workspace, answers=False)
    app = inspect(run, view="robustness")
    assert primary(app) == ["Corrupt the images and measure"]
    app.button(key="inspect_robustness_start").click().run()
    (name,) = workspace.job_ids()
    job, points = workspace.job(name), [f"{run.id}:1", f"{run.id}:0"]
    assert (job.kind, job.request) == ("robustness", {"points": points, "limit": LIMIT})
    rows: list[JsonValue] = [
        {"point": point, "corruption": corruption, "severity": severity, "right": right}
        for point, shares in zip(points, ((90, 50, 30), (95, 60, 50)), strict=True)
        for (corruption, severity), right in zip((("", 0), ("fog", 1), ("fog", 5)), shares, strict=True)
    ]
    job.show({"rows": rows, "images": 100})
    app.run()
    assert not app.exception
    assert "net 1 −50.0 points; compared with: net 0 −40.0 points" in text(app)
    app.button(key="inspect_robustness_stop").click().run()
    assert job.cancel_requested()
    job.fail(UserError("cancelled", "job", name, "", ""))
    app.run()
    assert "goes on from there" in text(app)


def test_curves_are_means_over_what_every_point_has() -> None:
    rows = [
        Corrupted(point, corruption, severity, right)
        for point, corruption, severity, right in (
            ("a", "", 0, 9),
            ("b", "", 0, 8),
            ("a", "fog", 1, 6),
            ("b", "fog", 1, 5),
            ("a", "snow", 1, 4),
            ("b", "snow", 1, 3),
            ("a", "frost", 1, 1),
        )
    ]
    table = robustness.info(rows, {"a": "A", "b": "B"}, 10)
    found = robustness.curves(table).set_index(["point", "severity"])["accuracy"]
    assert found.to_dict() == pytest.approx({("A", 0): 0.9, ("B", 0): 0.8, ("A", 1): 0.5, ("B", 1): 0.4})
    fog = robustness.curves(table, "fog").set_index(["point", "severity"])["accuracy"]
    assert fog.to_dict() == pytest.approx({("A", 0): 0.9, ("B", 0): 0.8, ("A", 1): 0.6, ("B", 1): 0.5})


# the charts' numbers


def test_the_matrix_as_a_table() -> None:
    own, before = (confusion(LABELS, given, 3) for given in (CHILD, PARENT))
    table = matrix_chart.info(own, CLASSES, before)
    cell = table[(table["truth"] == "dog") & (table["answer"] == "owl")].iloc[0]
    assert (cell["images"], cell["share"], cell["before"]) == (2, 0.5, 0)
    assert table["images"].sum() == table["before"].sum() == len(LABELS)
    assert matrix_chart.most_confused(own) == (1, 2)
    assert matrix_chart.most_confused(((2, 0), (0, 3))) is None


def test_of_many_classes_those_with_most_mistakes_are_drawn() -> None:
    rows = [[10 if a == b else 0 for b in range(40)] for a in range(40)]
    rows[7][31] = 5
    matrix = tuple(map(tuple, rows))
    assert matrix_chart.drawn_classes(matrix, 2) == (7, 31)
    assert len(matrix_chart.drawn_classes(matrix)) == matrix_chart.MOST


def test_a_click_names_its_cell() -> None:
    own = confusion(LABELS, CHILD, 3)
    words = matrix_chart.Labels("answered", "truth", "%{z}")
    figure = matrix_chart.figure(own, CLASSES, words, cell=(1, 2))
    right, wrong = figure.data
    assert wrong.customdata[1][2][0] == "1,2"
    assert (wrong.z[1][1], wrong.z[1][2], right.z[1][2], right.z[1][1]) == (None, 0.5, None, 0.5)
    frame = figure.layout.shapes[0]
    assert (frame.x0, frame.y0) == (1.5, 0.5)


def test_the_largest_loss_comes_first() -> None:
    own, before = (confusion(LABELS, given, 3) for given in (CHILD, PARENT))
    points = {Mark("now", "prune"): own, Mark("then", "transfer"): before}
    found = class_intervals.changes(class_intervals.info(points, CLASSES))
    assert found["class"].tolist() == ["dog", "owl", "cat [x](y)"]
    assert found["change"].tolist() == [-0.5, 0.0, 0.0]
