"""The names and values of an environment that are words are told in the person's language."""

from __future__ import annotations

import re

import torch

from core.engine.measure.environment import PACKAGES, WAITING, environment
from dashboard import environment_words
from dashboard.i18n import speaking


def test_all_but_packages_have_chinese_names() -> None:
    found = environment(torch.device("cpu"), 1, "none") | {"node": "x", "gpu": "0", "dataset_version": "y"}
    with speaking("zh"):
        names = {environment_words.name_of(name) for name in found}
    assert {name for name in names if not re.search(r"[\u4e00-\u9fff]", name)} <= {"Python", "Condenser", *PACKAGES}


def test_words_among_the_values_are_told() -> None:
    found = environment(torch.device("cpu"), 1, "none")
    with speaking("zh"):
        for value in (*WAITING.values(), "as the libraries do", found["latency"], found["bfloat16"]):
            assert re.search(r"[\u4e00-\u9fff]", environment_words.value_of(value)), value
        assert environment_words.value_of("AVX512-BF16") == "AVX512-BF16"
