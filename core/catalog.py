"""The catalog as data: every stage, method, option, backbone and dataset, read from the generated `catalog.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from core.assets import shipped
from core.errors import UserError, nearest
from core.options import Option, Value, Words

STAGES = ("transfer", "distill", "prune", "quantize", "export")
CATALOG_FILE = Path(__file__).with_name("catalog.json")

TIMM = "timm/"  # what the names of timm's networks begin with; most are not listed

T = TypeVar("T")
Facts = Mapping[str, Any]  # what is known of a backbone or a dataset, as JSON


@dataclass(frozen=True)
class MethodEntry:
    """One method: its title and summary, the paper or page it comes from, and its options, the stage's shared ones
    first.

    `takes_quantized`: whether it may follow a quantize step. `target_choices`: the option values with which it adapts
    to the recipe's target. `needs_maps`: whether it compares feature maps of two networks; `needs_norms`: whether it
    needs batch normalisation; `needs_linear_head`: whether the network must end in a linear layer. `needs_package`: an
    optional package that it cannot do without.
    """

    title: Words
    summary: Words
    source: str
    options: tuple[Option, ...] = ()
    needs_target: bool = False  # whether it adapts to the recipe's `target`
    takes_quantized: bool = True
    target_choices: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    needs_maps: bool = False
    needs_norms: bool = False
    needs_linear_head: bool = False
    needs_package: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry with all its options written out; see `from_json`."""
        return self._described() | {"options": [option.to_json() for option in self.options]}

    def to_short_json(self, shared: Mapping[str, Option]) -> dict[str, Any]:
        """As `to_json`, but options that equal the one in `shared` are written as names, neighbours joined into one
        string."""
        items: list[Any] = []
        for together, options in groupby(self.options, lambda option: shared.get(option.name) == option):
            row = list(options)
            items += [" ".join(option.name for option in row)] if together else [option.to_json() for option in row]
        return self._described() | {"options": items}

    def _described(self) -> dict[str, Any]:
        """Everything but the options."""
        return {
            "title": vars(self.title),
            "summary": vars(self.summary),
            "source": self.source,
            "needs_target": self.needs_target,
            **({} if self.takes_quantized else {"takes_quantized": False}),
            **({"target_choices": {n: list(v) for n, v in self.target_choices.items()}} if self.target_choices else {}),
            **{name: True for name in ("needs_maps", "needs_norms", "needs_linear_head") if getattr(self, name)},
            **({"needs_package": self.needs_package} if self.needs_package else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], shared: Mapping[str, Option] | None = None) -> MethodEntry:
        """The entry that `to_json` or, with the stage's `shared` options, `to_short_json` wrote."""
        title, summary = (Words(**data[key]) for key in ("title", "summary"))
        options = tuple(option for item in data["options"] for option in _options(item, shared or {}))
        choices = {name: tuple(values) for name, values in data.get("target_choices", {}).items()}
        flags = {name: data.get(name, False) for name in ("needs_maps", "needs_norms", "needs_linear_head")}
        return cls(
            title,
            summary,
            data["source"],
            options,
            data.get("needs_target", False),
            data.get("takes_quantized", True),
            choices,
            **flags,
            needs_package=data.get("needs_package", ""),
        )


@dataclass(frozen=True)
class Catalog:
    """What can be chosen: methods by stage and name, backbones and datasets by name."""

    methods: Mapping[str, Mapping[str, MethodEntry]] = field(default_factory=dict)
    backbones: Mapping[str, Facts] = field(default_factory=dict)
    datasets: Mapping[str, Facts] = field(default_factory=dict)

    def method(self, stage: str, name: str, stage_field: str = "stage", field: str = "method") -> MethodEntry:
        """The entry of `stage`.`name`; raises UserError naming the nearest one."""
        menu = _known(self.methods, stage, "stage", stage_field)
        return _known(menu, name, "method", field)

    def backbone(self, name: str, field: str = "backbone") -> Facts:
        """The facts of a backbone; raises UserError naming the nearest one, or how one of timm's is added."""
        try:
            return _known(self.backbones, name, "backbone", field)
        except UserError as error:
            if not name.startswith(TIMM):
                raise
            fix = f"If timm has it, add it on the page Backbones, or with: condenser add-backbone {name}. {error.fix}"
            raise UserError(error.code, field, name, error.allowed, fix) from None

    def dataset(self, name: str, field: str = "dataset") -> Facts:
        """The facts of a dataset; raises UserError naming the nearest one."""
        return _known(self.datasets, name, "dataset", field)

    def with_datasets(self, imported: Mapping[str, Facts] | Iterable[str]) -> Catalog:
        """This catalog and the datasets a person imported, given as names or as facts by name."""
        facts = imported if isinstance(imported, Mapping) else {name: {} for name in imported}
        return replace(self, datasets={**facts, **self.datasets})

    def with_backbones(self, imported: Mapping[str, Facts]) -> Catalog:
        """This catalog and the networks a person imported, as facts by name."""
        return replace(self, backbones={**imported, **self.backbones})

    def to_json(self) -> dict[str, Any]:
        """The content of `catalog.json`: options that the methods of a stage share are written once, so that a new
        method adds only its own."""
        shared = {stage: _shared(menu) for stage, menu in self.methods.items()}
        return {
            "options": {s: {n: option.to_json() for n, option in found.items()} for s, found in shared.items()},
            "methods": {
                s: {n: e.to_short_json(shared[s]) for n, e in menu.items()} for s, menu in self.methods.items()
            },
            "backbones": dict(self.backbones),
            "datasets": dict(self.datasets),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Catalog:
        """The catalog that `to_json` wrote."""
        stages = sorted(data["methods"], key=STAGES.index)
        written = data.get("options", {})
        shared = {s: {n: Option.from_json(o) for n, o in written.get(s, {}).items()} for s in stages}
        methods = {s: {n: MethodEntry.from_json(e, shared[s]) for n, e in data["methods"][s].items()} for s in stages}
        return cls(methods, data["backbones"], data["datasets"])

    def dumps(self) -> str:
        """The text of `catalog.json`; the same catalog always gives the same bytes."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


@cache
def load_catalog(path: Path = CATALOG_FILE) -> Catalog:
    """The committed catalog, read once a process. `make catalog` writes the file."""
    return Catalog.from_json(json.loads(shipped(path).read_text(encoding="utf-8")))


def _shared(menu: Mapping[str, MethodEntry]) -> dict[str, Option]:
    """The options that the methods of a stage inherit from it, each in its commonest form; ties go to the method whose
    name comes first."""
    forms: dict[str, Counter[Option]] = {}
    for _, entry in sorted(menu.items()):
        for option in entry.options:
            if not option.own:
                forms.setdefault(option.name, Counter())[option] += 1
    return {name: counted.most_common(1)[0][0] for name, counted in forms.items()}


def _options(item: str | dict[str, Any], shared: Mapping[str, Option]) -> list[Option]:
    """One item of a method's options: names of shared options, or one option of its own."""
    return [shared[name] for name in item.split()] if isinstance(item, str) else [Option.from_json(item)]


def _known(menu: Mapping[str, T], name: str, noun: str, field: str) -> T:
    if name in menu:
        return menu[name]
    shown = ", ".join(list(menu)[:12]) + (" …" if len(menu) > 12 else "")
    raise UserError(f"unknown_{noun}", field, name, f"one of {shown}", nearest(name, menu))
