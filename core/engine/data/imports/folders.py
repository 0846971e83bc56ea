"""The folders around imported images: which are splits, and what their names say about their use."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from core.engine.data.imports.file_names import folded

Parts = tuple[str, ...]
# English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Russian, Ukrainian, Turkish, Chinese, Japanese
# and Korean, in the form of `folded`.
SPLIT_WORDS = {
    **dict.fromkeys(
        (
            "train",
            "training",
            "trn",
            "entraînement",
            "entrainement",
            "apprentissage",
            "entrenamiento",
            "treinamento",
            "treino",
            "addestramento",
            "allenamento",
            "treningowy",
            "treningowe",
            "обучение",
            "тренировка",
            "навчання",
            "eğitim",
            "egitim",
            "学習",
            "訓練",
            "訓練集",
            "训练",
            "训练集",
            "학습",
            "훈련",
        ),
        "train",
    ),
    **dict.fromkeys(
        (
            "val",
            "valid",
            "validation",
            "dev",
            "eval",
            "evaluation",
            "validierung",
            "validación",
            "validacion",
            "validação",
            "validacao",
            "validazione",
            "validatie",
            "walidacja",
            "walidacyjne",
            "валидация",
            "проверка",
            "валідація",
            "doğrulama",
            "dogrulama",
            "検証",
            "驗證",
            "驗證集",
            "验证",
            "验证集",
            "검증",
        ),
        "validation",
    ),
    **dict.fromkeys(
        (
            "test",
            "testing",
            "tst",
            "holdout",
            "prueba",
            "pruebas",
            "teste",
            "testowy",
            "testowe",
            "тест",
            "тестирование",
            "テスト",
            "測試",
            "測試集",
            "测试",
            "测试集",
            "테스트",
            "시험",
        ),
        "test",
    ),
}
# What is written behind a split word without a border: `traindata`, `测试数据`, `学習データ`.
_BEHIND = ("data", "dataset", "daten", "set", "images", "imgs", "数据", "数据集", "数據", "データ", "데이터")
# Names of folders that say nothing about their content; a level with only such names is not the class level.
CONTAINERS = frozenset(
    (
        "batch",
        "chunk",
        "data",
        "dataset",
        "datasets",
        "disc",
        "disk",
        "download",
        "downloads",
        "export",
        "exports",
        "file",
        "files",
        "folder",
        "folders",
        "fold",
        "img",
        "imgs",
        "image",
        "images",
        "part",
        "parts",
        "photo",
        "photos",
        "pic",
        "pics",
        "picture",
        "pictures",
        "roll",
        "session",
        "sessions",
        "set",
        "shard",
        "subset",
        "sample",
        "samples",
        "vol",
        "volume",
        "raw",
        "new",
        "old",
        "misc",
        "all",
        "backup",
        "copy",
        "archive",
        "crops",
        "frames",
        "jpg",
        "jpeg",
        "png",
        "scans",
        "upload",
        "uploads",
        "annotation",
        "annotations",
        "label",
        "labels",
        "camera",
        "dcim",
        "screenshots",
    )
)
_FILLERS = frozenset(("from", "of", "the"))  # `Photos from 2019`, as Google's export has it
_CAMERA = re.compile(r"[1-9]\d\d[A-Z0-9_]{5}")  # 100CANON, 101_PANA, 102MSDCF: the folders of a camera, as DCF has them
_YEAR = re.compile(r"(19|20)\d\d([-_. ]?(0[1-9]|1[0-2])([-_. ]?([0-2]\d|3[01]))?)?")
_DATED = re.compile(r"(?<!\d)(19|20)\d\d(?!\d)")
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])|[^\W\d_]+")


def words(name: str) -> list[str]:
    """The words of a name, case-folded; they end at spaces, punctuation, digits and capitals (`TrainImages2`)."""
    return [folded(word) for word in _WORD.findall(unicodedata.normalize("NFKC", name))]


def split_of(name: str) -> str:
    """The split that a folder's name means: its words contain exactly one kind of split word; otherwise ''."""
    kinds = {kind for word in words(name) if (kind := _split_word(word))}
    return kinds.pop() if len(kinds) == 1 else ""


def _split_word(word: str) -> str:
    """The split that a word means, also with `data` or the like written behind it; otherwise ''."""
    bare = next((word.removesuffix(end) for end in _BEHIND if word.endswith(end)), word)
    return SPLIT_WORDS.get(word) or SPLIT_WORDS.get(bare, "")


def named_exactly(name: str) -> bool:
    """Whether the whole name is a split word."""
    return folded(name.strip()) in SPLIT_WORDS


def is_container(name: str) -> bool:
    """Whether a name says when or how files were stored (`2019`, `2020-05`, `batch 3`), not what they show."""
    found = words(name)
    return says_when(name) or (bool(found) and all(word in CONTAINERS for word in found))


def says_when(name: str) -> bool:
    """Whether a name is a date, or a folder that a camera or an album service numbered (`100CANON`, `Photos from
    2019`)."""
    plain = folded(name.strip())
    if _YEAR.fullmatch(plain) or _CAMERA.fullmatch(name.strip()):
        return True
    stored = [word for word in words(name) if word not in _FILLERS]
    return bool(_DATED.search(plain)) and bool(stored) and all(word in CONTAINERS for word in stored)


@dataclass(frozen=True)
class Tree:
    """The folders that directly contain images, with the names of those images."""

    files: Mapping[Parts, frozenset[str]]

    @classmethod
    def of(cls, paths: Iterable[str]) -> Tree:
        """The tree of these image paths."""
        found: dict[Parts, set[str]] = defaultdict(set)
        for path in paths:
            *folder, name = path.split("/")
            found[tuple(folder)].add(name)
        return cls({folder: frozenset(names) for folder, names in found.items()})

    @cached_property
    def images(self) -> dict[Parts, int]:
        """The number of images directly in each folder."""
        return {folder: len(names) for folder, names in self.files.items()}

    @cached_property
    def children(self) -> dict[Parts, set[str]]:
        """The names of the subfolders of each folder."""
        found: dict[Parts, set[str]] = defaultdict(set)
        for folder in self.images:
            for depth in range(len(folder)):
                found[folder[:depth]].add(folder[depth])
        return dict(found)

    def inside(self, folder: Parts) -> set[str]:
        """The names of the subfolders of a folder."""
        return self.children.get(folder, set())

    @cached_property
    def marks(self) -> dict[Parts, str]:
        """The split folders, with their splits."""
        found: dict[Parts, str] = {}
        for parent in sorted(self.children, key=len):
            kinds = self._kinds(parent)
            if len(set(kinds.values())) > 1 and (self._hold_classes(parent, kinds) or self._below_class(parent, kinds)):
                found |= {(*parent, name): kind for name, kind in kinds.items()}
            elif len(kinds) == 1 == len(self.inside(parent)) and found.get(parent) in kinds.values():
                found |= {(*parent, name): kind for name, kind in kinds.items()}  # train/train_images
        return found

    @cached_property
    def beside(self) -> list[str]:
        """The names of folders next to split folders with the same classes inside, but without a split word."""
        found = set()
        for parent in {folder[:-1] for folder in self.marks}:
            split = {folder[-1] for folder in self.marks if folder[:-1] == parent}
            inside = {folded(name) for mark in split for name in self.inside((*parent, mark))}
            others = self.inside(parent) - split
            found |= {name for name in others if inside & {folded(each) for each in self.inside((*parent, name))}}
        return sorted(found)

    def _kinds(self, parent: Parts) -> dict[str, str]:
        return {name: kind for name in sorted(self.inside(parent)) if (kind := split_of(name))}

    def _hold_classes(self, parent: Parts, kinds: dict[str, str]) -> bool:
        """Whether they are split folders around class folders. Folders next to them may be classes; if the split word
        is only part of a name (`train station`), only classes that are also inside them."""
        classes = {folded(inner) for name in kinds for inner in self.inside((*parent, name))}
        others = {folded(name) for name in self.inside(parent) - set(kinds)}
        sure = all(map(named_exactly, kinds))
        return bool(classes) and (sure or others <= classes)

    def _below_class(self, parent: Parts, kinds: dict[str, str]) -> bool:
        """Whether they are split folders inside a class folder (`cats/train/1.jpg`): nothing else is in it, and it is
        not the root of all images."""
        outside = any(folder[: len(parent)] != parent for folder in self.images)
        alone = len(kinds) == len(self.inside(parent))
        return outside and alone and not any(self.inside((*parent, name)) for name in kinds)
