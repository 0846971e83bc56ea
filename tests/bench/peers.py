"""Whole jobs as a person does them with other libraries, against ours: seconds of the processor, and the accuracy that
each reached. `python -m tests.bench.peers [--pairs 5] [--epochs 15]`.

Both sides begin with the same weights and see the same images of fashion-mini at 28 pixels, as tensors in memory; the
peers' pictures need no decoding. One thread each, in turns. Accuracies are of the validation images; settings of the
peers are those of their references. What a library that is not installed would do is left out with its name.

- training: the loop of torchvision's references/classification (SGD 0.1, momentum 0.9, weight decay 1e-4, cosine,
  random crop and flip on each image, batches of 128) against `fine_tune`.
- distillation: torchdistill's DistillationBox with its KDLoss against `kd`, both at temperature 4, weight 0.9.
- linear probe: features once through the frozen network in PyTorch, then scikit-learn's StandardScaler and
  LogisticRegression with seven penalties, the best on validation, against `linear_probe`.
- pruning: torch-pruning's MagnitudePruner, half of the channels, then the loop above for a third of the epochs, against
  `l2` with as many.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median, quantiles
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch_pruning
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from torchvision.transforms import v2

from core.engine import build
from core.engine.backbones import find, load_backbone
from core.engine.backbones.heads import head_layer, without_head
from core.engine.context import Context, silent
from core.engine.data import Dataset, Split, load_dataset, prepare
from core.engine.export.graph import write_graph
from core.engine.model import Model
from core.hardware.machine import bfloat16_units, processor
from core.options import Value
from tests.bench.speed import classifier

SIZE, BATCH = 28, 128
PENALTIES = np.logspace(-4, 2, 7)  # as many as `linear_probe` tries
FEATURES = 64  # images of a batch through the frozen network

Job = Callable[[int], Model]  # of a seed


@dataclass(frozen=True)
class Row:
    """Pairs of (peer's, our) seconds of the processor and right answers of validation, 0 to 1."""

    what: str
    peer: str
    seconds: list[tuple[float, float]]
    right: list[tuple[float, float]]

    def __str__(self) -> str:
        ratios = [theirs / ours for theirs, ours in self.seconds]
        low, _, high = quantiles(ratios, n=4)
        theirs, ours = (100 * mean(pair[side] for pair in self.right) for side in (0, 1))
        figures = f"{median(ratios):5.2f}×  {low:.2f}–{high:.2f}  n = {len(ratios)}"
        return f"{self.what:<14} {self.peer:<38} {figures:<32} {theirs:.1f} %  {ours:.1f} %"


@dataclass(frozen=True)
class Bench:
    """What both sides begin with."""

    data: Dataset
    folder: Path
    epochs: int

    def context(self, seed: int, name: str, source: Path | None = None) -> Context:
        """Of a step with nothing in its caches."""
        home = self.folder / f"{name}-{seed}"
        return Context(
            data=self.data,
            labelled=self.data.train,
            pool=self.data.train.images[:0],
            device=torch.device("cpu"),
            threads=1,
            precision="auto",
            image_size=SIZE,
            weights="none",
            folder=home / "steps",
            cache=home / "cache",
            place=(seed, 0),
            report=silent,
            warn=lambda code, message: None,
            cancelled=lambda: False,
            source=source,
            bfloat16=bfloat16_units(),
        )

    def fresh(self, seed: int, width: int) -> Model:
        """A resnet8 with the seed's random weights."""
        torch.manual_seed(seed)
        net = load_backbone("resnet8", len(self.data.classes), "none", SIZE, channels=1, width=width)
        return Model(net, "resnet8", self.data.classes, find("resnet8").preprocessing(SIZE, 1), width, fresh=True)

    def tensors(self, model: Model, split: Split) -> TensorDataset:
        return TensorDataset(prepare(split.images[:], model.preprocessing), split.labels)

    def right(self, model: Model) -> float:
        """The share of validation images answered rightly."""
        answers = features(model.net.eval(), self.data.validation, model).argmax(1)
        return float((answers == self.data.validation.labels.numpy()).mean())

    def compared(
        self, what: str, peer: str, theirs: Callable[[int], Model], ours: Callable[[int], Model], n: int
    ) -> Row:
        """Both jobs in turns, each with the seeds 0 to n − 1."""
        seconds, right = [], []
        for seed in range(n):
            made, spent = [], []
            for job in (theirs, ours):
                torch.manual_seed(seed)
                began = time.process_time()
                made.append(job(seed))
                spent.append(time.process_time() - began)
            seconds.append((spent[0], spent[1]))
            right.append((self.right(made[0]), self.right(made[1])))
        return Row(what, peer, seconds, right)


def by_hand(net: nn.Module, data: TensorDataset, epochs: int, rate: float = 0.1) -> nn.Module:
    """torchvision's reference loop: random crop and flip on each image, SGD, cosine."""
    changed = v2.Compose([v2.RandomCrop(SIZE, padding=2), v2.RandomHorizontalFlip()])

    def gather(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return torch.stack([changed(image) for image, _ in rows]), torch.stack([label for _, label in rows])

    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, collate_fn=gather)
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        net.train()
        for images, labels in loader:
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return net


def training(bench: Bench, pairs: int) -> Row:
    def theirs(seed: int) -> Model:
        model = bench.fresh(seed, 32)
        return model.with_net(by_hand(model.net, bench.tensors(model, bench.data.train), bench.epochs))

    def ours(seed: int) -> Model:
        settings: dict[str, Value] = {
            "epochs": bench.epochs,
            "batch": BATCH,
            "learning_rate": 0.1,
            "augment": "flip_crop",
        }
        return build("transfer", "fine_tune", **settings).apply(bench.fresh(seed, 32), bench.context(seed, "training"))

    return bench.compared("training", "torchvision's reference loop", theirs, ours, pairs)


def distillation(bench: Bench, pairs: int) -> Row:
    teacher = taught(bench)
    graph = bench.folder / "teacher.onnx"
    write_graph(teacher, graph)

    def theirs(seed: int) -> Model:
        student = bench.fresh(seed, 16)
        images = bench.tensors(student, bench.data.train)
        return student.with_net(by_torchdistill(teacher.net, student.net, images, bench.epochs))

    def ours(seed: int) -> Model:
        method = build("distill", "kd", student="resnet8", epochs=bench.epochs, batch=BATCH, twin=False)
        return method.apply(teacher, bench.context(seed, "distillation", graph))

    return bench.compared("distillation", "torchdistill, KDLoss", theirs, ours, pairs)


def taught(bench: Bench) -> Model:
    """The teacher of both sides: a resnet8 of width 64, not timed."""
    model = bench.fresh(0, 64)
    return model.with_net(by_hand(model.net, bench.tensors(model, bench.data.train), bench.epochs).eval())


def by_torchdistill(teacher: nn.Module, student: nn.Module, data: TensorDataset, epochs: int) -> nn.Module:
    """A stage of torchdistill as its examples configure it."""
    from torchdistill.core.distillation import DistillationBox

    path = {"student_module_path": ".", "student_module_io": "output"}
    path |= {"teacher_module_path": ".", "teacher_module_io": "output"}
    plain: dict[str, object] = {"forward_proc": "forward_batch_only", "sequential": [], "wrapper": None}
    terms = {
        "kd": {
            "weight": 1.0,
            "criterion": {
                "key": "KDLoss",
                "kwargs": {**path, "temperature": 4.0, "alpha": 0.1, "reduction": "batchmean"},
            },
        }
    }
    config = {
        "num_epochs": epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": BATCH, "drop_last": True},
        },
        "teacher": {**plain, "requires_grad": False},
        "student": {**plain, "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}},
        "scheduler": {"key": "CosineAnnealingLR", "kwargs": {"T_max": epochs}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }
    box = DistillationBox(
        copy.deepcopy(teacher), student, {"train": data}, config, torch.device("cpu"), None, False, 1.0, None
    )
    for epoch in range(epochs):
        box.pre_epoch_process(epoch=epoch)
        for images, labels, supplement in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(images, targets=labels, supp_dict=supplement)
            box.post_forward_process(loss=loss)
        box.post_epoch_process()
    return student


def probe(bench: Bench, pairs: int) -> Row:
    """On EfficientNet-Lite0 with ImageNet weights, at 96 pixels."""

    def backbone() -> Model:
        return classifier("efficientnet_lite0", 96, weights="default")

    def theirs(seed: int) -> Model:
        model = backbone()
        body, head = without_head(copy.deepcopy(model.net)).eval(), head_layer(model.net)
        assert isinstance(head, nn.Linear)
        (known, labels), (unseen, truth) = (
            (features(body, split, model), split.labels.numpy()) for split in (bench.data.train, bench.data.validation)
        )
        scale = StandardScaler().fit(known)
        known, unseen = scale.transform(known), scale.transform(unseen)
        tried = [LogisticRegression(C=c, max_iter=1000).fit(known, labels) for c in PENALTIES]
        best = max(tried, key=lambda found: float(found.score(unseen, truth)))
        with torch.no_grad():
            weight = best.coef_ / scale.scale_
            head.weight.copy_(torch.from_numpy(weight))
            head.bias.copy_(torch.from_numpy(best.intercept_ - weight @ scale.mean_))
        return model

    def ours(seed: int) -> Model:
        return build("transfer", "linear_probe").apply(backbone(), bench.context(seed, "probe"))

    return bench.compared("linear probe", "features once, scikit-learn", theirs, ours, pairs)


def features(body: nn.Module, split: Split, model: Model) -> NDArray[np.float32]:
    """What a network gives for each image, [N, D]: for the backbone without its head what the head would see."""
    with torch.inference_mode():
        found = [
            body(prepare(images, model.preprocessing)).flatten(1) for images in torch.split(split.images[:], FEATURES)
        ]
    return torch.cat(found).numpy()


def pruning(bench: Bench, pairs: int) -> Row:
    dense, epochs = taught(bench), max(bench.epochs // 3, 1)

    def theirs(seed: int) -> Model:
        net = copy.deepcopy(dense.net).eval()
        pruner = torch_pruning.pruner.MagnitudePruner(
            net,
            torch.zeros(1, 1, SIZE, SIZE),
            torch_pruning.importance.MagnitudeImportance(p=2),
            pruning_ratio=0.5,
            ignored_layers=[head_layer(net)],
        )
        pruner.step()
        return dense.with_net(by_hand(net, bench.tensors(dense, bench.data.train), epochs, rate=0.02))

    def ours(seed: int) -> Model:
        method = build("prune", "l2", ratio=0.5, epochs=epochs, recovery="labels")
        return method.apply(dense.with_net(copy.deepcopy(dense.net)), bench.context(seed, "pruning"))

    return bench.compared("pruning", "torch-pruning, then the loop above", theirs, ours, pairs)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(f"{processor()}, 1 thread, torch {torch.__version__}, fashion-mini, {given.epochs} epochs")
    print(f"{'job':<14} {'peer':<38} {'ratio of processor time, spread':<32} peer    ours (validation)")
    jobs = {"training": training, "distillation": distillation, "linear probe": probe, "pruning": pruning}
    with TemporaryDirectory() as folder:
        bench = Bench(load_dataset("fashion-mini", SIZE), Path(folder), given.epochs)
        for name, job in jobs.items():
            if name == "distillation" and find_spec("torchdistill") is None:
                print(f"{name:<14} torchdistill is not installed", flush=True)
            else:
                print(job(bench, given.pairs), flush=True)


if __name__ == "__main__":
    main()
