"""Training that starts from a working network gives back what came in where nothing better follows, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from core.comparison.gap import KEPT, KEPT_WITHIN, gap_recovered
from core.engine import build
from core.engine.context import CancelledError, Context
from core.engine.data import Dataset, Split, Unlabelled, few_labels
from core.engine.model import Model
from core.engine.model_file import load_model, save_model
from core.engine.pipeline.first_model import start
from core.engine.training import checkpoints
from core.engine.training.loop import Examples, Incumbent, evaluate, fit
from core.engine.transfer.fine_tune import FineTune
from core.options import Value
from core.processes.workers import run_in_foreground
from core.workspace import Workspace
from tests.core.comparison.test_gap import trio
from tests.core.engine.conftest import MakeContext, Reported
from tests.core.engine.training.test_loop import SHORT, Stop, cross_entropy, equal, weights

Maker = Callable[..., Model]
HARMFUL: dict[str, Value] = {"epochs": 1, "learning_rate": 1.0}


@pytest.fixture
def notes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def context(make_context: MakeContext, notes: list[tuple[str, str]]) -> Context:
    return make_context(place=(0, 1), note=lambda code, message: notes.append((code, message)))


@pytest.fixture
def working(make_context: MakeContext, make_model: Maker, digits: Dataset) -> Model:
    """A network that knows the digits."""
    context = make_context(folder=make_context().folder / "working")
    return fit(make_model(), Examples.of(digits.train), cross_entropy, replace(SHORT, epochs=5), context)


def validation(model: Model, context: Context) -> float:
    return evaluate(model, context.data.validation, context).accuracy


def away(output: object, batch: object) -> torch.Tensor:
    """The opposite of learning."""
    return -cross_entropy(output, batch).clamp(max=20)  # type: ignore[arg-type]


# the loop


@pytest.mark.parametrize(
    ("bar", "evaluation", "kept"),
    [
        ((0.9, 0.5), (0.8, 0.1), True),
        ((0.9, 0.5), (0.9, 0.6), True),
        ((0.9, 0.5), (0.9, 0.4), False),
        ((0.9, 0.5), (0.91, 9.0), False),
        (checkpoints.NO_BAR, (0.0, 9.0), False),
    ],
)
def test_what_an_epoch_has_to_reach(bar: tuple[float, float], evaluation: tuple[float, float], kept: bool) -> None:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    state = checkpoints.defend(checkpoints.start(net, optimizer), net.state_dict(), bar[0], bar)
    assert (checkpoints.advance(state, net, optimizer, evaluation, torch.float32).best_epoch == 0) is kept


def test_it_is_said_with_its_accuracy(working: Model, context: Context, notes: list[tuple[str, str]]) -> None:
    reached = validation(working, context)
    fit(working, Examples.of(context.labelled), away, SHORT, context, incumbent=Incumbent("the cut network"))
    assert notes == [
        (
            KEPT,
            f"Training did not improve on the cut network ({100 * reached:.1f} % on validation): its weights are kept.",
        )
    ]


def test_nothing_is_said_of_what_improved(make_model: Maker, context: Context, notes: list[tuple[str, str]]) -> None:
    fit(make_model(), Examples.of(context.labelled), cross_entropy, replace(SHORT, epochs=2), context)
    assert notes == []


@pytest.mark.parametrize(("drop", "kept"), [(0.0, True), (0.02, True), (1.0, False)])
def test_a_loss_may_be_allowed(working: Model, context: Context, drop: float, kept: bool) -> None:
    before = weights(working)
    made = fit(working, Examples.of(context.labelled), away, SHORT, context, incumbent=Incumbent("it", drop=drop))
    assert equal(before, weights(made)) is kept


def test_the_average_competes_too(working: Model, context: Context) -> None:
    before = weights(working)
    made = fit(working, Examples.of(context.labelled), away, replace(SHORT, average=0.5), context)
    assert equal(before, weights(made))


def test_resumed_it_is_still_kept(working: Model, context: Context, notes: list[tuple[str, str]]) -> None:
    before, came = weights(working), weights(working)
    with pytest.raises(CancelledError):
        fit(working, Examples.of(context.labelled), away, SHORT, replace(context, cancelled=Stop(16)))
    assert any(context.folder.glob("epoch-*.json"))
    assert not equal(weights(working), came)
    made = fit(working, Examples.of(context.labelled), away, SHORT, context)
    assert equal(before, weights(made))
    assert [code for code, _ in notes] == [KEPT]


# every stage that trains a working network


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("l2", {"ratio": 0.3}),
        ("l2", {"ratio": 0.3, "iterations": 2, "epochs": 2}),
        ("l2", {"ratio": 0.3, "recovery": "labels"}),
        ("magnitude", {"ratio": 0.5, "iterations": 1}),
        ("n_m", {}),
        ("blocks", {"removed": 1}),
    ],
)
def test_recovery_is_never_below_the_cut(
    method: str, options: dict[str, Value], working: Model, context: Context, notes: list[tuple[str, str]]
) -> None:
    """A third of the channels gone leaves nearly all; an epoch at a rate of 1 used to leave little of it."""
    cut = build("prune", method, **{**options, "epochs": 0}).apply(working, context)
    made = build("prune", method, **{**HARMFUL, **options}).apply(
        working, replace(context, folder=context.folder / "made")
    )
    assert validation(made, context) >= validation(cut, context)
    if "iterations" not in options:
        assert equal(weights(made), weights(cut))
    codes = [code for code, _ in notes]
    assert KEPT_WITHIN in codes
    assert KEPT not in codes, "the network that came in is not the cut one"
    assert all("cut" in message and "% on validation" in message for code, message in notes if code == KEPT_WITHIN)


@pytest.mark.parametrize("bits", [4, 8])
def test_training_with_rounded_weights_is_never_below_rounding(
    bits: int, working: Model, context: Context, reports: list[Reported], notes: list[tuple[str, str]]
) -> None:
    made = build("quantize", "qat", bits=bits, **HARMFUL).apply(working, context)
    training = [r for r in reports if r[0] == "training" and r[2] == 1]  # the one epoch here, not the fixture's five
    rounded = training[0][5].validation_accuracy
    assert training[0][1] == 0
    assert rounded is not None
    assert [code for code, _ in notes] == [KEPT_WITHIN]
    if bits == 4:  # at 8 the ranges of the inputs take part, which the network alone does not have
        assert validation(made, context) == pytest.approx(rounded)


def test_born_again_it_is_never_below_its_teacher(
    working: Model, context: Context, notes: list[tuple[str, str]], reports: list[Reported]
) -> None:
    before = weights(working)
    made = build("distill", "self_distillation", epochs=1, learning_rate=1e-5).apply(working, context)
    assert equal(before, weights(made))
    said = [message.split(" (")[0] for code, message in notes if code == KEPT]
    assert said == ["Training did not improve on the teacher"]
    assert made.net is not working.net


def test_a_step_that_kept_its_teacher_recovered_no_gap() -> None:
    events = trio(0, 0.9, 0.7, 0.9)
    assert gap_recovered(events, 2) is not None
    (place,) = [n for n, m in enumerate(events) if m.role == "point" and m.point.step == 2]
    kept = events[place].point.model_copy(update={"receipt": {"remarks": [KEPT]}})
    assert gap_recovered([*events[:place], replace(events[place], point=kept), *events[place + 1 :]], 2) is None


def inverted(split: Split) -> Unlabelled:
    return Unlabelled(255 - split.images, tuple(range(10)))


@pytest.mark.parametrize(("method", "options"), [("coral", HARMFUL), ("dann", HARMFUL), ("adabn", {"epochs": 0})])
def test_adapting_may_not_ruin_the_source(
    method: str,
    options: dict[str, Value],
    working: Model,
    context: Context,
    digits: Dataset,
    tmp_path: Path,
    notes: list[tuple[str, str]],
) -> None:
    """Judged on the source, as nobody has labels of the target; whoever accepts any loss says so."""
    before, asked = weights(working), replace(context, target=inverted(digits.train), artifact=tmp_path)
    made = build("transfer", method, source_drop=0.02, **options).apply(working, asked)
    assert equal(before, weights(made))
    assert KEPT in [code for code, _ in notes]
    free = build("transfer", method, source_drop=1.0, **options)
    assert not equal(before, weights(free.apply(working, replace(asked, folder=context.folder / "free"))))


# a part of a step that gave nothing is not the whole of it


@pytest.mark.parametrize(
    ("method", "options"),
    [("lp_ft", {"epochs": 1}), ("gradual", {"epochs": 2, "phases": 2}), ("pseudo_labels", {"epochs": 2, "rounds": 1})],
)
def test_a_part_that_improved_nothing_does_not_say_that_the_incoming_network_was_kept(
    method: str,
    options: dict[str, Value],
    working: Model,
    context: Context,
    digits: Dataset,
    notes: list[tuple[str, str]],
) -> None:
    head = list(working.net.parameters())[-2:]
    with torch.no_grad():
        for parameter in head:
            parameter.zero_()  # what the first part learns is better than what came in
    came = validation(working, context)
    labelled, pool = few_labels(digits.train, 500, 10, 0)
    given = replace(context, labelled=labelled, pool=pool)
    made = build("transfer", method, learning_rate=1.0, backbone_rate=1.0, **options).apply(working, given)
    assert validation(made, context) > came
    assert KEPT not in [code for code, _ in notes]


# a network that knows nothing yet


@pytest.mark.thorough
def test_fine_tuning_a_random_network_learns(make_context: MakeContext, digits: Dataset) -> None:
    """With its defaults, from few images; with statistics frozen at those of no image it stays far behind."""
    labelled, _ = few_labels(digits.train, 500, 10, 0)
    context = make_context(labelled=labelled, image_size=8)
    model = start("resnet8", context)
    assert model.fresh
    method = FineTune()
    assert method.suited(model).trainable(model.net, 500).frozen == []
    assert {group["lr"] for group in method.suited(model).trainable(model.net, 500).groups} == {3e-3}
    made = method.apply(model, context)
    assert not made.fresh
    assert evaluate(made, digits.test, context).accuracy > 0.85
    assert method.suited(made).trainable(made.net, 500).frozen, "statistics that images made are kept"


@pytest.mark.parametrize(
    "method", ["lp_ft", *(pytest.param(n, marks=pytest.mark.slow) for n in ("gradual", "partial"))]
)
def test_its_siblings_learn_too(method: str, make_context: MakeContext, digits: Dataset) -> None:
    labelled, pool = few_labels(digits.train, 500, 10, 0)
    context = make_context(labelled=labelled, pool=pool, image_size=8)
    options = {"blocks": 200} if method == "partial" else {}
    made = build("transfer", method, **options).apply(start("resnet8", context), context)
    assert evaluate(made, digits.test, context).accuracy > 0.8


def test_a_pretrained_network_is_tuned_as_ever(make_context: MakeContext, digits: Dataset) -> None:
    context = make_context(weights="default", image_size=8)
    model = start("resnet8_fashion", context)
    assert not model.fresh
    whole = FineTune().suited(model).trainable(model.net, 100)
    assert [group["lr"] for group in whole.groups][:3] == pytest.approx([3e-3, 3e-4, 2.7e-4])
    assert len(whole.frozen) == sum(isinstance(m, nn.BatchNorm2d) for m in model.net.modules())


def test_what_is_known_of_a_model_is_kept_with_it(make_model: Maker, tmp_path: Path) -> None:
    model = replace(make_model(), fresh=True, remarks=((KEPT, "Nothing was gained."),))
    save_model(model, tmp_path)
    found = load_model(tmp_path)
    assert (found.fresh, found.remarks) == (model.fresh, model.remarks)


# a whole run

RECIPE = """
dataset = "digits"
backbone = "resnet8"
image_size = 8
labels = 400
precision = "float32"
[[steps]]
stage = "transfer"
method = "fine_tune"
epochs = 5
[[steps]]
stage = "prune"
method = "l2"
ratio = 0.25
epochs = 1
learning_rate = 1.0
[[steps]]
stage = "quantize"
method = "weight_only"
"""


@pytest.mark.slow
def test_warning_and_receipt_say_it_once_also_where_the_step_is_reused(tmp_path: Path) -> None:
    workspace = Workspace.open_or_create(tmp_path)
    for reused in (False, True):
        run = workspace.create_run(RECIPE)
        assert run_in_foreground(run).wait(timeout=200) == 0
        state = run.state()
        assert bool(state.steps[1].reused) is reused
        (said,) = [w for w in state.warnings if w.code == KEPT_WITHIN]
        assert said.step == 1
        assert said.message.startswith("Training did not improve on the cut network (")
        before, pruned, rounded = (point.receipt for point in run.summary().points)
        assert said.message in pruned["notes"]  # type: ignore[operator]
        assert KEPT_WITHIN in pruned["remarks"]  # type: ignore[operator]
        assert KEPT_WITHIN not in [*before.get("remarks", []), *rounded.get("remarks", [])]  # type: ignore[misc]
