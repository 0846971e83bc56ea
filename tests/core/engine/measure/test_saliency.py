"""Maps of reasons: equal to Captum's, and right where the reason is known because it was planted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam, Occlusion
from torch import nn
from torch.nn import functional

from core.engine.backbones import load_backbone
from core.engine.backbones.features import Observer
from core.engine.export.graph import write_graph
from core.engine.measure.runtime import open_session
from core.engine.measure.saliency import Map, grad_cam, mean_drop, occlusion, overlap, peak, scaled, window, windows
from core.engine.model import Model, Preprocessing
from core.engine.prune.structured import prune_channels
from core.engine.quantize import Calibration
from core.engine.quantize.static import Static
from core.engine.threads import one_thread

SIDE, MARK = 32, 10
PIXELS = Preprocessing(SIDE, 3, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def planted(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Grey noise [N, 3, 32, 32] with a mark of 10 × 10 pixels in one corner whose colour, red or blue, is the class;
    the classes, and the row and column of each mark."""
    draw = np.random.default_rng(seed)
    images = draw.normal(0, 0.3, (count, 1, SIDE, SIDE)).repeat(3, axis=1)
    labels, corners = draw.integers(0, 2, count), draw.integers(0, 2, (count, 2)) * (SIDE - MARK)
    for image, label, (row, column) in zip(images, labels, corners, strict=True):
        image[:, row : row + MARK, column : column + MARK] = -1.5
        image[2 * label, row : row + MARK, column : column + MARK] = 2.0
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels), corners


def trained(net: nn.Module, steps: int) -> nn.Module:
    images, labels, _ = planted(256, 0)
    learner = torch.optim.AdamW(net.parameters(), 3e-3)
    draw = np.random.default_rng(1)
    net.train()
    for _ in range(steps):
        chosen = draw.integers(0, len(images), 32)
        loss = functional.cross_entropy(net(images[chosen]), labels[chosen])
        learner.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        learner.step()
    return net.eval()


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Two threads of so small a network wait for each other on a busy machine."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def before() -> nn.Module:
    torch.manual_seed(0)
    return trained(load_backbone("resnet8", 2, "none", SIDE), 40)


@pytest.fixture(scope="module")
def after(before: nn.Module) -> nn.Module:
    """Half of the channels removed."""
    thin = prune_channels(before, torch.zeros(2, 3, SIDE, SIDE), 0.5)
    return trained(thin, 25)


@pytest.fixture(scope="module")
def int8(after: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Callable[[np.ndarray], np.ndarray]:
    """The saved file of the pruned network in integers."""
    home = tmp_path_factory.mktemp("int8")
    write_graph(Model(after, "resnet8", ("red", "blue"), PIXELS), home / "float.onnx")
    Static().convert(home / "float.onnx", home / "int8.onnx", Calibration(lambda: iter([planted(64, 5)[0].numpy()])))
    session = open_session(home / "int8.onnx", 1)
    return lambda images: session.run(["logits"], {"image": images})[0]


def inside(reasons: Map, corner: np.ndarray) -> bool:
    """Whether the highest value lies on the mark."""
    found = peak(reasons)
    assert found is not None
    place = np.array(found) * SIDE
    return bool(((place >= corner) & (place < corner + MARK)).all())


def share_inside(maps: Callable[[np.ndarray, int], Map | None]) -> float:
    """The share of 40 other images whose map is highest on the mark."""
    images, labels, corners = planted(40, 7)
    found = []
    for image, label, corner in zip(images, labels, corners, strict=True):
        reasons = maps(image[None].numpy(), int(label))
        assert reasons is not None
        found.append(float(reasons.any() and inside(reasons, corner)))
    return float(np.mean(found))


def accuracy(answer: Callable[[np.ndarray], np.ndarray]) -> float:
    images, labels, _ = planted(200, 9)
    return float((answer(images.numpy()).argmax(1) == labels.numpy()).mean())


def torch_answer(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def answer(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = net(torch.from_numpy(images)).numpy()
        return found

    return answer


def test_grad_cam_finds_the_mark_before_and_after_pruning(before: nn.Module, after: nn.Module) -> None:
    for net in (before, after):
        assert accuracy(torch_answer(net)) > 0.95
        assert share_inside(lambda image, target: grad_cam(net, image, target)) >= 0.9  # noqa: B023


@pytest.mark.thorough
def test_occlusion_finds_the_mark_in_the_int8_file_and_before(
    after: nn.Module, int8: Callable[[np.ndarray], np.ndarray]
) -> None:
    for answer in (torch_answer(after), int8):
        assert accuracy(answer) > 0.95
        assert share_inside(lambda image, target: occlusion(answer, image, target)) >= 0.9  # noqa: B023


@pytest.mark.parametrize("target", [0, 1])
def test_grad_cam_equals_captums(before: nn.Module, target: int) -> None:
    """On the deepest stage, enlarged as Captum enlarges it."""
    images = planted(3, 3)[0]
    with Observer(before, images) as observer:
        deepest = before.get_submodule(observer._stages[-1].name)
    captum = LayerGradCam(before, deepest)
    for image in images:
        whole = captum.attribute(image[None], target=target, relu_attributions=True)
        expected = LayerAttribution.interpolate(whole, (SIDE, SIDE), "bilinear")[0, 0].detach().numpy()
        found = grad_cam(before, image[None].numpy(), target)
        assert found is not None
        np.testing.assert_allclose(found, scaled(expected), atol=1e-5)


def test_occlusion_equals_captums(before: nn.Module) -> None:
    image = planted(1, 4)[0]
    size, step = window(SIDE)
    captum = Occlusion(before)
    for target in (0, 1):
        expected = captum.attribute(image, (3, size, size), (3, step, step), target=target, baselines=0)
        found = mean_drop(torch_answer(before), image.numpy(), target)
        np.testing.assert_allclose(found, expected[0, 0].detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("side", [2, 8, 28, 32, 33, 224])
def test_every_pixel_is_covered(side: int) -> None:
    seen = np.zeros((side, side))
    for rows, columns in windows(side):
        seen[rows, columns] += 1
    assert seen.min() >= 1


def test_a_network_of_tokens_has_no_maps() -> None:
    torch.manual_seed(0)
    assert grad_cam(_Tokens(), np.zeros((1, 3, 32, 32), np.float32), 0) is None


class _Tokens(nn.Module):
    """Patches, one attention, the mean of the tokens: as a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(48, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(48, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = functional.unfold(images, 4, stride=4).transpose(1, 2)
        logits: torch.Tensor = self.head(self.layers(tokens).mean(1))
        return logits


def test_a_network_is_left_as_it_was(before: nn.Module) -> None:
    image = planted(1, 4)[0].numpy()
    kept = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    first = grad_cam(before, image, 0)
    assert first is not None
    np.testing.assert_array_equal(first, grad_cam(before, image, 0))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in before.state_dict().items())
    assert not before.training
    assert not any(module._forward_hooks for module in before.modules())


def test_overlap_is_of_the_brightest_fifth() -> None:
    rows = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    assert overlap(rows, rows) == 1.0
    assert overlap(rows, rows[::-1].copy()) == 0.0
    assert overlap(rows, np.zeros_like(rows)) is None


def test_nothing_that_speaks_for_a_class_is_said_so() -> None:
    flat = occlusion(lambda images: np.zeros((len(images), 2), np.float32), np.ones((1, 3, 8, 8), np.float32), 1)
    assert not flat.any()
    assert peak(flat) is None
