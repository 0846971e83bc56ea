"""The view with the feature map: asked for at once, coloured as the answers are, an image by its place."""

from __future__ import annotations

import base64

import pytest

from core.files import make_folder
from core.jobs import Job
from core.questions.feature_map import FeatureMap, FeatureMapRequest
from core.run_files.sides import sides
from core.storage.sealed import write_kept
from core.workspace import Workspace
from core.workspace_files.pictures import kept_at
from dashboard.charts import feature_map as chart
from dashboard.inspect import evidence
from dashboard.inspect.choice import Choice
from dashboard.inspect.feature_map import change_of, groups_of
from tests.dashboard.inspect.test_layers_view import PNG
from tests.dashboard.test_inspect import CLASSES, LABELS, inspect, measured, workspace
from tests.dashboard.test_pages import text

__all__ = ["workspace"]
COUNT = len(LABELS)
FOUND = FeatureMap(
    x=tuple(float(n) for n in range(COUNT + 2)),
    y=(0.5,) * (COUNT + 2),
    place=(*range(COUNT), 0, 7),
    label=(*LABELS, 1, -1),
    target=(*(False,) * COUNT, True, True),
    classes=CLASSES,
    width=64,
    explained=0.75,
    target_name="clip <b>",
)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[FeatureMapRequest]:
    """Whoever answers is this process, at once; what was asked."""
    asked: list[FeatureMapRequest] = []
    real = Workspace.create_job

    def create(self: Workspace, kind: str, request: dict[str, object]) -> Job:
        job = real(self, kind, request)  # type: ignore[arg-type]
        if kind == "feature_map":
            asked.append(FeatureMapRequest.from_document(job.request))
            job.answer(FeatureMapRequest.answer_to_document(FOUND))
        return job

    monkeypatch.setattr("dashboard.data.asking.supervisor", lambda workspace: object())
    monkeypatch.setattr("dashboard.data.asking.POLL", None)
    monkeypatch.setattr(Workspace, "create_job", create)
    return asked


@pytest.mark.parametrize("language", ["en", "zh"])
def test_principal_components_come_at_once(
    workspace: Workspace, answered: list[FeatureMapRequest], language: str
) -> None:
    app = inspect(measured(workspace), language, view="map")
    assert not app.exception, [e.value for e in app.exception]
    assert [each.plane for each in answered] == ["pca"]
    assert "75 %" in text(app)
    assert "clip \\<b\\>" in text(app), "the name is shown as it was typed"
    assert not [button for button in app.button if button.key == "inspect_map_start"]


def test_t_sne_is_asked_for_by_a_button(workspace: Workspace, answered: list[FeatureMapRequest]) -> None:
    app = inspect(measured(workspace), view="map").run()
    app.segmented_control(key="inspect_map_plane").set_value("tsne").run()
    assert len(answered) == 1
    app.button(key="inspect_map_start").click().run()
    assert [each.plane for each in answered] == ["pca", "tsne"]
    assert not app.exception, [e.value for e in app.exception]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("source-2", "validation image 2"),
        ("target-0", "Image 0 of the target"),
        ("target-7", "no label"),
        ("target-3", "Click a point"),
        ("source-99", "Click a point"),
        ("../../x", "Click a point"),
    ],
)
def test_the_image_in_the_address_is_told(
    workspace: Workspace, answered: list[FeatureMapRequest], image: str, told: str
) -> None:
    app = inspect(measured(workspace), view="map", image=image).run()
    assert not app.exception, [e.value for e in app.exception]
    assert told in text(app)


@pytest.mark.parametrize(("image", "split"), [("source-2", "validation"), ("target-7", "target")])
def test_the_image_of_either_domain_is_shown(
    workspace: Workspace, answered: list[FeatureMapRequest], image: str, split: str
) -> None:
    store = measured(workspace)
    at = kept_at(workspace, store, split, int(image.partition("-")[2]))
    make_folder(at.parent)
    write_kept(at, base64.b64decode(PNG))
    app = inspect(store, view="map", image=image).run()
    assert not app.exception, [e.value for e in app.exception]
    assert len(app.get("image")) == 1


def test_colours_are_counted_from_both_answers(workspace: Workspace) -> None:
    before, own = sides(measured(workspace))
    pair = evidence.known(Choice(own.run, own.point, before))
    assert pair is not None
    changes = change_of(pair)
    assert [n for n, name in enumerate(changes) if name == "lost"] == [2, 6, 7]
    assert [n for n, name in enumerate(changes) if name == "gained"] == [3]
    assert (changes[10], changes[11], changes[0]) == ("swapped", "kept_wrong", "kept_right")
    assert groups_of(FOUND, pair, "change")[-2:] == ["", ""]
    assert groups_of(FOUND, pair, "class")[-2:] == ["dog", ""]


def test_the_chart_has_a_trace_for_each_group_and_domain() -> None:
    groups = [CLASSES[label] if label >= 0 else "" for label in FOUND.label]
    table = chart.info(FOUND, groups)
    labels = chart.Labels("x", "y", "{name} there", "%{customdata[1]}")
    drawn = chart.figure(table, [*CLASSES, ""], labels, names={"": "none"}, chosen="source-1")
    assert [trace.uid for trace in drawn.data] == [
        f"{CLASSES[0]}/source",
        "dog/source",
        "dog/target",
        "owl/source",
        "/target",
    ]
    assert drawn.data[2].name == "dog there"
    assert drawn.data[2].marker.symbol.endswith("open")
    assert list(drawn.data[0].marker.size) == [8, 15, 8, 8]
    assert [each[0] for each in drawn.data[4].customdata] == ["target-7"]
