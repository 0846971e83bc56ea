"""Questions are typed, found by being there, and what an earlier version stored is read."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from core.engine.questions.answer import ANSWERS
from core.errors import UserError
from core.jobs import Document
from core.questions.bundle import BundleRequest
from core.questions.import_data import Imported, ImportRequest
from core.questions.preview import PreviewRequest
from core.questions.profile import Profile, ProfileRequest
from core.questions.rank_backbones import Ranking, RankRequest
from core.questions.request import Request, is_overtaken, kinds, overtakes, request_of
from core.questions.sensitivity import Row, Sensitivity, SensitivityRequest
from core.workspace import Workspace

# requests as version 0.2 stored them, from the command line and from the pages
STORED: list[tuple[str, Document, Request[Any]]] = [
    ("preview", {"recipe": "seed = 1"}, PreviewRequest("seed = 1")),
    ("profile", {"backbone": "mlp"}, ProfileRequest("mlp")),
    ("profile", {"backbone": "mlp", "classes": 3, "image_size": None}, ProfileRequest("mlp", 3)),
    ("rank", {"dataset": "digits", "backbones": ["mlp"], "limit": None}, RankRequest("digits", ("mlp",))),
    (
        "rank",
        {"dataset": "digits", "backbones": ["mlp", "cnn"], "limit": 9, "image_size": 8, "controls": True},
        RankRequest("digits", ("mlp", "cnn"), 9, 8, controls=True),
    ),
    ("sensitivity", {"run": "x", "step": 2, "what": "bits", "limit": 0}, SensitivityRequest("x", 2, "bits", 0)),
    ("bundle", {"run": "x", "step": 2}, BundleRequest("x", 2)),
    ("bundle", {"run": "x", "step": 0, "formats": ["safetensors"]}, BundleRequest("x", 0, ("safetensors",))),
    ("import", {"path": "/a", "name": "b"}, ImportRequest("/a", "b")),
    ("import", {"path": "/a", "name": "b", "side": None, "encoding": None}, ImportRequest("/a", "b", encoding=None)),
    (
        "import",
        {
            "path": "/a",
            "name": "b",
            "side": 32,
            "classes_from": "top",
            "splits": False,
            "merge": True,
            "shape": "pad",
            "encoding": "cp1252",
        },
        ImportRequest("/a", "b", 32, "top", splits=False, merge=True, shape="pad", encoding="cp1252"),
    ),
]
PREVIEW: Document = {
    "rows": [
        {
            "step": 0,
            "stage": "prune",
            "method": "l2",
            "name": "a",
            "params": 1,
            "macs": 2,
            "bytes": 3,
            "exact": False,
            "why": "x",
        }
    ],
    "seconds": 1.5,
    "seconds_low": 1,
    "seconds_high": 2.0,
    "memory_bytes": 9,
    "device": "CPU",
    "image_size": 8,
    "notes": [{"code": "download", "values": {"backbone": "x", "megabytes": "1"}}, {"code": "time", "values": {}}],
}


@pytest.mark.parametrize(("kind", "document", "request_"), STORED)
def test_what_was_stored_is_read(kind: str, document: Document, request_: Request[Any], tmp_path: Path) -> None:
    store = Workspace.open_or_create(tmp_path)
    assert request_of(store.create_job(kind, document)) == request_
    asked = store.ask(request_)
    assert asked.kind == kind
    assert request_of(asked) == request_
    assert document.items() <= {**request_.to_document(), **{k: v for k, v in document.items() if v is None}}.items()


def test_answers_are_read_as_they_were_stored() -> None:
    profile: Document = {"backbone": "mlp", "params": 1, "macs": 2, "bytes": 4, "image_size": 28}
    assert ProfileRequest.answer_from_document(profile) == Profile("mlp", 1, 2, 4, 28)
    found = PreviewRequest.answer_from_document(PREVIEW)
    assert PreviewRequest.answer_to_document(found) == PREVIEW
    part: Document = {"rows": [{"layer": "stem", "value": 4, "validation_accuracy": 0.5}], "images": 3}
    row = Row(layer="stem", value=4, validation_accuracy=0.5)
    assert SensitivityRequest.answer_from_document(part) == Sensitivity((row,), 3)
    old: Document = {"dataset": "a", "classes": 2, "images": 9, "skipped": [], "warnings": ["x"]}
    assert ImportRequest.answer_from_document(old) == Imported("a", 2, 9, [], ["x"])
    newer: Document = {"rows": [], "agreement": [], "of_another_version": 1}
    assert RankRequest.answer_from_document(newer) == Ranking((), ())


@pytest.mark.parametrize(
    ("kind", "document", "given"),
    [
        ("profile", {}, "backbone: Field required"),
        ("sensitivity", {"run": "x", "step": 0, "what": "colour", "limit": 0}, "what: Input should be"),
        ("rank", {"dataset": "digits", "backbones": "mlp"}, "backbones: Input should be"),
    ],
)
def test_a_wrong_question_is_refused(kind: str, document: Document, given: str, tmp_path: Path) -> None:
    job = Workspace.open_or_create(tmp_path).create_job(kind, document)
    with pytest.raises(UserError) as refused:
        request_of(job)
    assert (refused.value.code, refused.value.field) == ("job_damaged", kind)
    assert given in refused.value.given


def test_an_unknown_kind_names_the_nearest(tmp_path: Path) -> None:
    job = Workspace.open_or_create(tmp_path).create_job("previeu", {})
    with pytest.raises(UserError, match="preview") as refused:
        request_of(job)
    assert refused.value.code == "unknown_kind"
    assert not is_overtaken("previeu")
    assert not overtakes("previeu"), "what nobody knows waits its turn"


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        PreviewRequest.answer_from_document({**PREVIEW, "seconds": "soon"})
    assert (refused.value.code, refused.value.given.partition(":")[0]) == ("job_damaged", "seconds")


@pytest.mark.parametrize("kind", kinds())
def test_each_kind_has_one_function_that_answers_it(kind: str) -> None:
    request = kinds()[kind]
    hints = get_type_hints(ANSWERS[kind])
    assert hints["request"] is request
    assert hints["return"] is request._answer_type()
    mirrored = request.__module__.replace("core.questions", "core.engine.questions")
    assert ANSWERS[kind] is importlib.import_module(mirrored).answer


def test_only_what_rests_is_overtaken() -> None:
    quick = [
        "add_backbone",
        "classify",
        "layers",
        "pictures",
        "preview",
        "profile",
        "saliency",
        "search_backbones",
        "weights_here",
    ]
    assert [kind for kind in kinds() if overtakes(kind)] == quick
    assert {kind for kind in kinds() if is_overtaken(kind)} == set(kinds()) - set(quick)
    assert {"bundle", "dataset_edit", "import", "rank", "sensitivity"} <= set(kinds())
