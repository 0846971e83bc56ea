"""The two options that balance the teacher against the labels; a method may set other defaults."""

from __future__ import annotations

from typing import Any

from core.engine.method import knob


def weight_of(default: float) -> Any:
    """The share of the teacher's term. Papers that write cross-entropy + gain · loss correspond to one half."""
    return knob(
        default,
        "Weight of the soft loss",
        "Share of the teacher's term; the rest is cross-entropy with the labels.",
        zh=("软损失权重", "教师项所占的比例；其余是与标签的交叉熵。"),
        ge=0.0,
        le=1.0,
        first=True,
    )


def gain_of(default: float) -> Any:
    """The constant that brings a loss to the scale of cross-entropy."""
    return knob(
        default,
        "Gain",
        "The method's constant that brings its loss to the scale of cross-entropy.",
        zh=("增益", "方法自身的常数，使其损失与交叉熵同一量级。"),
        ge=0.0,
        le=1e6,
        first=default != 1.0,
    )
