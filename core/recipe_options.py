"""The knobs of a recipe itself, as options: the same `check` serves the TOML file, the command line and the forms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.options import Kind, Option, Value, Words, named


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
        ("What you call this recipe; it changes nothing else.", "您给这份配方起的名字，不影响结果。"),
    ),
    _knob(
        "dataset",
        "",
        ("Dataset", "数据集"),
        ("The images to learn, by name: bundled, downloaded or your own.", "要学习的图像：内置的、下载的或您自己的。"),
    ),
    _knob(
        "target",
        "",
        ("Target dataset", "目标数据集"),
        (
            "A second dataset of the same classes in other images, that the model should be good at too. Every "
            "model is then measured on it as well; transfer methods for adaptation learn from its images, never from "
            "its labels.",
            "第二个数据集，类别相同而图像不同，不使用其标签，希望模型在它上面也表现良好。每个模型都会在它上面测量；"
            "域适应的迁移方法会从它学习。",
        ),
        names={"": ("none", "无")},
    ),
    _knob(
        "backbone",
        "",
        ("Backbone", "骨干网络"),
        ("The pretrained network to start from, by name.", "作为起点的预训练网络。"),
    ),
    _knob(
        "weights",
        "default",
        ("Weights", "权重"),
        (
            "What the backbone begins with: what it learned on other images, or random numbers, which means training "
            "from scratch.",
            "骨干网络从什么开始：在其他图像上学到的权重，或随机数（即从头训练）。",
        ),
        choices=("default", "none"),
        names={"default": ("pretrained", "预训练"), "none": ("random", "随机")},
    ),
    _knob(
        "image_size",
        0,
        ("Image size", "图像尺寸"),
        (
            "Side of the square images the network sees: the backbone's own, or another. Smaller is faster.",
            "网络输入的正方形图像边长：骨干网络自带的尺寸，或另设。越小越快。",
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
            "How many labelled training images to use, shared out over the classes; the rest become the "
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
            "Few-shot: how many labelled training images of each class to use; the rest become the unlabelled pool. "
            "Without a limit, Labels used decides.",
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
            "Where all randomness starts: the same seed gives the same result.",
            "一切随机性的起点：相同的种子得到相同的结果。",
        ),
        (0, 2**31 - 1),
    ),
    _knob(
        "seeds",
        1,
        ("Seeds", "种子数量"),
        (
            "How often to repeat everything with another seed, to see the spread.",
            "用不同的种子重复多少次，以观察结果的波动。",
        ),
        (1, 10),
    ),
    _knob(
        "threads",
        1,
        ("Threads", "线程数"),
        (
            "Processor threads for training; another number gives slightly different weights.",
            "训练使用的处理器线程数；改变它会使权重略有不同。",
        ),
        (1, 256),
    ),
    _knob(
        "latency_threads",
        1,
        ("Threads for latency", "延迟测试线程数"),
        (
            "Processor threads while a saved file's latency is measured.",
            "测量保存文件的延迟时使用的处理器线程数。",
        ),
        (1, 256),
    ),
    _knob(
        "precision",
        "auto",
        ("Training precision", "训练精度"),
        (
            "Number format of training; automatic takes bfloat16 for wide dense networks where the device has units "
            "for it, else float32.",
            "训练使用的数值格式；自动：在设备具有 bfloat16 运算单元且网络宽而稠密时取 bfloat16，否则取 float32。",
        ),
        choices=("auto", "float32", "bfloat16"),
        names={"auto": ("automatic", "自动")},
    ),
    _knob(
        "device",
        "auto",
        ("Device", "设备"),
        ("Where to train; automatic takes the fastest this machine has.", "在哪里训练；自动：使用本机最快的设备。"),
        choices=("auto", "cpu", "cuda", "mps"),
        names={"auto": ("automatic", "自动"), "cpu": ("CPU", "CPU"), "cuda": ("CUDA", "CUDA"), "mps": ("MPS", "MPS")},
    ),
)
