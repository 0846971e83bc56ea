"""Answers of saved files: onnxruntime's own, kept by content, made anew where damaged, refused in words."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.datasets import load_digits

from core.engine.backbones import find
from core.engine.data import Dataset, load_dataset, prepare_numpy
from core.engine.data.of_run import dataset_of
from core.engine.model import Preprocessing
from core.engine.questions import answers as module
from core.engine.questions.answer import answer
from core.engine.questions.feature_map import of_target
from core.errors import UserError
from core.integrity.damage import Condition
from core.integrity.verify import of_whole_run
from core.questions.answers import Answers, AnswersRequest
from core.questions.pictures import PicturesRequest
from core.run_files.answers import ABOUT, kept_at
from core.run_files.bundle import PREDICTIONS
from core.run_files.sides import Side, parent, side, sides
from core.runs import Run
from core.storage.sealed import read_kept
from core.workspace import Workspace
from core.workspace_files.pictures import kept_at as picture_at
from core.workspace_files.pictures import kept_picture
from tests.sessions import opened


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Workspace:
    """A workspace of its own with the finished run, to be damaged."""
    store = Workspace.open_or_create(tmp_path)
    copytree(finished.folder, tmp_path / "runs" / finished.id)
    return store


def asked(store: Workspace, *points: str) -> Answers:
    request = AnswersRequest(points)
    return module.answer(request, store.ask(request))


def archive(chosen: Side) -> dict[str, Any]:
    found = read_kept(kept_at(chosen))
    assert found is not None
    with np.load(BytesIO(found), allow_pickle=False) as arrays:
        return dict(arrays)


def by_hand(chosen: Side, images: Any) -> Any:
    """Probabilities by onnxruntime alone, one image at a time."""
    pixels = Preprocessing.from_json(json.loads((chosen.run.folder / chosen.card).read_bytes())["preprocessing"])
    session = opened(chosen.run.folder / str(chosen.point.artifact))
    rows = [session.run(None, {"image": prepare_numpy(image[None], pixels)})[0] for image in images]
    return softmax(np.concatenate(rows), axis=1)


@pytest.mark.parametrize("step", [0, 2])
def test_they_are_those_of_the_file_alone_in_its_runtime(copied: Workspace, digits: Dataset, step: int) -> None:
    chosen = side(copied, f"{copied.run_ids()[0]}:{step}")
    assert asked(copied, chosen.id).cached == 0
    found = archive(chosen)
    for name, split in (("validation", digits.validation), ("test", digits.test)):
        mine = found[f"{name}_probabilities"]
        assert mine.dtype == np.float32
        assert (found[f"{name}_labels"] == split.labels.numpy()).all(), "in the stored order"
        np.testing.assert_allclose(mine, by_hand(chosen, split.images.numpy()), atol=2e-5)
    with np.load(chosen.run.folder / Path(str(chosen.point.artifact)).with_name(PREDICTIONS)) as measured:
        assert (found["test_probabilities"].argmax(1) == measured["test_answers"]).all()
        assert chosen.point.accuracy == (measured["test_answers"] == found["test_labels"]).mean()
    for which, place, believed in found["suspects"]:
        name = ("validation", "test")[which]
        assert found[f"{name}_probabilities"][place].argmax() == believed != found[f"{name}_labels"][place]
    about = ABOUT.validate_json(str(found["about"]))
    assert about.classes == digits.classes
    assert about.content_hash == digits.content_hash
    assert about.answered_anew == 0
    assert about.calibration.error == pytest.approx(chosen.point.receipt["calibration_error"], abs=1e-6)
    assert about.scaling.after <= about.scaling.before


def test_what_is_kept_is_not_computed_again(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (run_id,) = copied.run_ids()
    names = [f"{run_id}:0", f"{run_id}:1"]
    assert asked(copied, *names) == Answers((names[0], names[1]), 0)
    before = kept_at(side(copied, names[0])).read_bytes()
    monkeypatch.setattr("core.engine.questions.answers.open_session", lambda *given: pytest.fail("computed again"))
    assert asked(copied, *names).cached == 2
    assert kept_at(side(copied, names[0])).read_bytes() == before


def test_damaged_answers_are_made_anew(copied: Workspace) -> None:
    chosen = side(copied, f"{copied.run_ids()[0]}:1")
    asked(copied, chosen.id)
    path = kept_at(chosen)
    whole = path.read_bytes()
    relative = path.relative_to(chosen.run.folder).as_posix()
    assert {one.file: one.state for one in of_whole_run(chosen.run)}[relative] is Condition.OK
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    assert {one.file: one.state for one in of_whole_run(chosen.run)}[relative] is Condition.DAMAGED
    assert asked(copied, chosen.id).cached == 0
    assert path.read_bytes() == whole, "the same bytes again"


def test_a_damaged_file_is_never_believed(copied: Workspace) -> None:
    chosen = side(copied, f"{copied.run_ids()[0]}:1")
    path = chosen.run.folder / str(chosen.point.artifact)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        asked(copied, chosen.id)
    assert caught.value.code == "damaged_artifact"
    path.unlink()
    with pytest.raises(UserError) as caught:
        asked(copied, chosen.id)
    assert caught.value.code == "missing_artifact"
    assert not kept_at(chosen).exists()


@pytest.mark.parametrize(
    ("given", "code"),
    [("x", "unknown_run"), ("{run}:9", "unknown_point"), ("{run}:0:no such control", "unknown_point")],
)
def test_a_point_that_is_not_there(copied: Workspace, given: str, code: str) -> None:
    request = AnswersRequest((given.format(run=copied.run_ids()[0]),))
    job = copied.ask(request)
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.code == code


def test_other_images_than_those_measured_are_refused(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = side(copied, f"{copied.run_ids()[0]}:0")

    def other(*given: Any) -> Dataset:
        data = dataset_of(*given)
        data.test.labels[0] = (data.test.labels[0] + 1) % 10
        return data

    monkeypatch.setattr(module, "dataset_of", other)
    with pytest.raises(UserError) as caught:
        asked(copied, chosen.id)
    assert caught.value.code == "other_images"


def test_it_is_stopped_between_two_batches(copied: Workspace) -> None:
    job = copied.ask(AnswersRequest((f"{copied.run_ids()[0]}:0",)))
    job.cancel()
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.code == "cancelled"


def test_a_point_is_held_against_what_it_was_made_from(copied: Workspace) -> None:
    run = copied.run(copied.run_ids()[0])
    first, second, third = (one for one in sides(run) if not one.point.control)
    assert parent(first) is None
    assert parent(second) == first
    assert parent(third) == second


def test_pictures_are_the_stored_images(copied: Workspace, digits: Dataset) -> None:
    """Against scikit-learn's own digits: every picture has the pixels of one of them, enlarged in whole steps."""
    run = copied.run(copied.run_ids()[0])
    request = PicturesRequest(run.id, "test", (0, 5))
    job = copied.ask(request)
    answer(job)
    assert job.result() == {"images": 2}
    theirs = {image.astype(np.uint8).tobytes() for image in load_digits().images}
    for place in request.places:
        png = kept_picture(copied, run, "test", place)
        assert png is not None
        pixels = np.asarray(Image.open(BytesIO(png), formats=["PNG"]))
        times = len(pixels) // 8
        assert (pixels == np.kron(digits.test.images[place][0].numpy(), np.ones((times, times)))).all()
        assert np.round(pixels[::times, ::times] / 255 * 16).astype(np.uint8).tobytes() in theirs
    kept = picture_at(copied, run, "test", 5)
    kept.write_bytes(kept.read_bytes()[:-1])
    assert kept_picture(copied, run, "test", 5) is None, "damaged"


def test_pictures_of_the_target_are_those_of_its_map(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the target's own test images, loaded at the network's size."""
    run = copied.run(copied.run_ids()[0])
    assert refused(copied, PicturesRequest(run.id, "target", (0,))).code == "out_of_range", "it has no target"
    recipe = run.recipe()
    monkeypatch.setattr(Run, "recipe", lambda self: replace(recipe, target="glyphs"))
    known = load_dataset("glyphs", find(recipe.backbone).side(recipe.image_size), folder=copied.datasets).test
    mapped = of_target(sides(run)[0], copied, lambda *told: None)  # type: ignore[arg-type]
    assert mapped is not None
    places = mapped.places[:3]
    answer(copied.ask(PicturesRequest(run.id, "target", places)))
    for number, place in enumerate(places):
        png = kept_picture(copied, run, "target", place)
        assert png is not None
        pixels = np.asarray(Image.open(BytesIO(png), formats=["PNG"]))
        image = known.images[place].permute(1, 2, 0).squeeze().numpy()
        times = len(pixels) // len(image)
        assert (pixels[::times, ::times] == image).all()
        assert mapped.labels[number] == int(known.labels[place])
    assert picture_at(copied, run, "target", 0) != picture_at(copied, run, "test", 0)


def refused(store: Workspace, request: PicturesRequest) -> UserError:
    job = store.ask(request)
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    return caught.value


@pytest.mark.parametrize("place", [-1, 10**6])
def test_a_place_without_an_image(copied: Workspace, place: int) -> None:
    job = copied.ask(PicturesRequest(copied.run_ids()[0], "test", (place,)))
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert caught.value.code == "out_of_range"


def test_a_dataset_that_is_gone(copied: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of one's own that was deleted meanwhile: a sentence that names it."""
    named = replace(copied.run(copied.run_ids()[0]).recipe(), dataset="my plates")
    monkeypatch.setattr(Run, "recipe", lambda run: named)
    job = copied.ask(AnswersRequest((f"{copied.run_ids()[0]}:1",)))
    answer(job)
    with pytest.raises(UserError) as caught:
        job.result()
    assert (caught.value.code, caught.value.given) == ("unknown_dataset", "my plates")
