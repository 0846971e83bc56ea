"""The features of images in two dimensions, as a saved model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from core.questions.request import Request

LIMIT = 500  # validation images; of the target half as many
Plane = Literal["pca", "tsne"]


@dataclass(frozen=True)
class FeatureMap:
    """A place in the plane for each image: `x` and `y`, its `place` in the stored order of its split, its `label` (−1:
    none), and whether it is of the `target` domain instead of the validation images. `explained`: the share of the
    features' variance that the two axes of PCA hold, None for t-SNE. `width`: the number of features."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    place: tuple[int, ...]
    label: tuple[int, ...]
    target: tuple[bool, ...]
    classes: tuple[str, ...]
    width: int
    explained: float | None = None
    target_name: str = ""


@dataclass(frozen=True)
class FeatureMapRequest(Request[FeatureMap]):
    """The features of at most LIMIT validation images, and of images of the recipe's target, in the point
    (`core.run_files.sides.Side.id`), laid out by principal components or by t-SNE."""

    kind: ClassVar[str] = "feature_map"
    overtaken: ClassVar[bool] = True

    point: str
    plane: Plane = "pca"
