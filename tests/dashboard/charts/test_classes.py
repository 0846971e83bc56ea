"""Right answers by class: counted as by hand, the classes that differ most are drawn, the largest loss is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dashboard.charts import classes, style

NAMES = ("<b>cat</b>", "dog", "never seen")
LABELS = np.array([0, 0, 0, 0, 1, 1])
TEACHER, STUDENT = classes.Mark("1 teacher", "transfer"), classes.Mark("2 student", "distill", control=True)
WORDS = classes.Labels("right", "{name}|{point}|{right}/{images}|{share}")


@pytest.fixture
def table() -> pd.DataFrame:
    teacher = np.array([True, True, True, False, True, False])
    student = np.array([True, False, False, False, True, True])
    return classes.info({TEACHER: (NAMES, teacher, LABELS), STUDENT: (NAMES, student, LABELS)})


def test_shares_are_counted_and_a_class_without_images_has_none(table: pd.DataFrame) -> None:
    told = table[["point", "class", "right", "images", "share"]].to_numpy().tolist()
    assert told == [
        ["1 teacher", "<b>cat</b>", 3, 4, 0.75],
        ["1 teacher", "dog", 1, 2, 0.5],
        ["2 student", "<b>cat</b>", 1, 4, 0.25],
        ["2 student", "dog", 2, 2, 1.0],
    ]


def test_the_largest_loss_is_against_the_first(table: pd.DataFrame) -> None:
    name, found = classes.largest_loss(table)
    assert (name, found.share, found.basis) == ("<b>cat</b>", -0.5, "intervals")


def test_classes_that_differ_most_are_kept_in_their_order() -> None:
    names = tuple(map(str, range(40)))
    labels = np.repeat(np.arange(40), 100)
    all_right = np.ones(4000, bool)
    worse = np.arange(4000) % 100 >= labels  # class k loses k of its 100
    few = classes.most_different(
        classes.info({TEACHER: (names, all_right, labels), STUDENT: (names, worse, labels)}), 3
    )
    assert list(few["class"].unique()) == ["37", "38", "39"]


def test_every_point_is_a_mark_of_its_stage_and_names_stay_text(table: pd.DataFrame) -> None:
    _, teacher, student = classes.figure(table, WORDS).data
    assert (teacher.marker.symbol, student.marker.symbol) == ("circle", "diamond-open")
    assert teacher.marker.color == style.LIGHT["transfer"]
    assert teacher.marker.size > student.marker.size
    assert list(teacher.y) == ["&lt;b&gt;cat&lt;/b&gt;", "dog"]
    assert student.hovertext[0] == "&lt;b&gt;cat&lt;/b&gt;|2 student|1/4|25.0 %"
