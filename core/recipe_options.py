"""The options of a recipe itself: the same `check` serves TOML files, the command line and the forms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.options import Kind, Option, Value, Words, named
from core.runtimes import INSTALLED, NO_OTHER


def _knob(
    name: str,
    default: Value,
    title: tuple[str, str],
    help: tuple[str, str],
    bounds: tuple[int, int] | None = None,
    choices: tuple[Value, ...] = (),
    unit: str = "",
    names: Mapping[Value, tuple[str, str]] = MappingProxyType({}),
    usual: int | None = None,
) -> Option:
    kind: Kind = "str" if isinstance(default, str) else "int"
    low, high = bounds or (None, None)
    words = Words(*title), Words(*help)
    return Option(name, kind, default, *words, low, high, choices, unit, names=named(names), usual=usual)


RECIPE_OPTIONS: tuple[Option, ...] = (
    _knob(
        "name",
        "untitled",
        ("Name", "名称"),
        ("A name for this recipe; it does not affect the result.", "您给这份配方起的名字，不影响结果。"),
    ),
    _knob(
        "dataset",
        "",
        ("Dataset", "数据集"),
        ("The images to learn from: bundled, downloaded or your own.", "用于学习的图像：内置的、下载的或您自己的。"),
    ),
    _knob(
        "target",
        "",
        ("Target dataset", "目标数据集"),
        (
            "A second dataset with the same classes but different images, on which the model should work too. Every "
            "model is also measured on it, as far as it has labels; domain adaptation methods learn from its images, "
            "never from its labels.",
            "第二个数据集，类别相同而图像不同，希望模型在它上面也表现良好。只要它有标签，每个模型也会在它上面测量；"
            "域适应方法会从它的图像学习，但从不使用其标签。",
        ),
        names={"": ("none", "无")},
    ),
    _knob(
        "pool",
        "",
        ("Unlabelled pool", "无标签数据"),
        (
            "A dataset whose training images are learned from without their labels, in addition to the labelled ones: "
            "by distillation from the teacher's outputs, and by pseudo-labels. Copies of validation and test images "
            "are left out.",
            "除带标签的图像外，还从该数据集的训练图像学习，但不使用其标签：蒸馏时学习教师的输出，也可用于伪标签。"
            "与验证图像或测试图像相同的图像会被排除。",
        ),
        names={"": ("none", "无")},
    ),
    _knob(
        "backbone",
        "",
        ("Backbone", "骨干网络"),
        ("The pretrained network to start from.", "作为起点的预训练网络。"),
    ),
    _knob(
        "weights",
        "default",
        ("Weights", "权重"),
        (
            "The initial weights of the backbone: pretrained on other images, or random, which means training from "
            "scratch.",
            "骨干网络的初始权重：在其他图像上预训练的权重，或随机权重（即从头训练）。",
        ),
        choices=("default", "none"),
        names={"default": ("pretrained", "预训练"), "none": ("random", "随机")},
    ),
    _knob(
        "image_size",
        0,
        ("Image size", "图像尺寸"),
        (
            "Side of the square input images: the backbone's own, or another. Smaller is faster.",
            "网络输入的正方形图像的边长：骨干网络自带的尺寸，或其他尺寸。越小越快。",
        ),
        (0, 1024),
        unit="px",
        names={0: ("backbone's own", "骨干自带")},
        usual=64,
    ),
    _knob(
        "labels",
        0,
        ("Labels used", "使用的标签数"),
        (
            "How many labelled training images to use, in proportion to the class sizes; the rest become the "
            "unlabelled pool.",
            "使用多少张带标签的训练图像，各类别比例相同；其余图像作为无标签数据。",
        ),
        (0, 10_000_000),
        unit="images",
        names={0: ("all", "全部")},
        usual=300,
    ),
    _knob(
        "shots",
        0,
        ("Images per class", "每类图像数"),
        (
            "Few-shot learning: how many labelled training images to use per class; the rest become the unlabelled "
            "pool. With no limit, Labels used applies.",
            "小样本：每个类别使用多少张带标签的训练图像；其余图像作为无标签数据。不限时由“使用的标签数”决定。",
        ),
        (0, 1_000_000),
        unit="images",
        names={0: ("no limit", "不限")},
        usual=10,
    ),
    _knob(
        "seed",
        0,
        ("Seed", "随机种子"),
        (
            "The start of all random numbers: the same seed gives the same result.",
            "所有随机数的起点：相同的种子得到相同的结果。",
        ),
        (0, 2**31 - 1),
    ),
    _knob(
        "seeds",
        1,
        ("Seeds", "种子数量"),
        (
            "How many seeds to run everything with, to see the spread of the results.",
            "用多少个不同的种子运行全部步骤，以观察结果的波动。",
        ),
        (1, 10),
    ),
    _knob(
        "threads",
        1,
        ("Threads", "线程数"),
        (
            "Processor cores that the run may use: for training and, from two on, for its controls at the same time. A "
            "different number can give slightly different weights.",
            "本次运行可使用的处理器核心数：用于训练；两个及以上时，对照模型同时训练。改变它可能使权重略有不同。",
        ),
        (1, 256),
    ),
    _knob(
        "latency_threads",
        1,
        ("Threads for latency", "延迟测试线程数"),
        (
            "Processor threads while the latency of a saved file is measured.",
            "测量已保存文件的延迟时使用的处理器线程数。",
        ),
        (1, 256),
    ),
    _knob(
        "runtimes",
        INSTALLED,
        ("Further runtimes", "其他运行时"),
        (
            "Every saved file is measured in onnxruntime. If OpenVINO is installed, or onnxruntime for CUDA in a run "
            "on a GPU, its accuracy and latency are measured there as well, which takes additional time at each step.",
            "每个保存的文件都在 onnxruntime 中测量。若已安装 OpenVINO（或在 GPU 上运行且已安装 CUDA 版 onnxruntime），"
            "也会在其中测量准确率与延迟，每一步都需要额外的时间。",
        ),
        choices=(INSTALLED, NO_OTHER),
        names={INSTALLED: ("those installed", "已安装的"), NO_OTHER: ("none", "不测量")},
    ),
    _knob(
        "precision",
        "auto",
        ("Training precision", "训练精度"),
        (
            "Number format for training. Automatic uses bfloat16 for wide dense networks if the device supports it "
            "in hardware, otherwise float32.",
            "训练使用的数值格式。自动：设备具有 bfloat16 硬件单元且网络宽而稠密时使用 bfloat16，否则使用 float32。",
        ),
        choices=("auto", "float32", "bfloat16"),
        names={"auto": ("automatic", "自动")},
    ),
    _knob(
        "device",
        "auto",
        ("Device", "设备"),
        (
            "The device to train on; automatic: the fastest one here.",
            "用于训练的设备；自动：使用本机最快的设备。",
        ),
        choices=("auto", "cpu", "cuda", "mps"),
        names={"auto": ("automatic", "自动"), "cpu": ("CPU", "CPU"), "cuda": ("CUDA", "CUDA"), "mps": ("MPS", "MPS")},
    ),
)
