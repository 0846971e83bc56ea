"""The base class of all methods: options are pydantic fields, the name is that of the file, the stage the folder."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.engine.forecast import FileSize, Forecast, Workload, training
from core.engine.members import members
from core.engine.training.schedule import Schedule
from core.errors import UserError, nearest
from core.hardware.machine import lacks, missing_package
from core.options import Option, Value, Words

if TYPE_CHECKING:
    from core.engine.context import Context
    from core.engine.data import Dataset
    from core.engine.model import Model

STAGES = ("transfer", "distill", "prune", "quantize", "export")


NO_NAMES: Mapping[Value, tuple[str, str]] = MappingProxyType({})


def knob(
    default: Value,
    title: str,
    help: str,
    *,
    zh: tuple[str, str],
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[Value, ...] = (),
    unit: str = "",
    names: Mapping[Value, tuple[str, str]] = NO_NAMES,
    usual: int | float | None = None,
    first: bool = False,
) -> Any:
    """A pydantic field with everything that sliders, CLI help and bounds checks need.

    `zh` is (title, help) in Simplified Chinese. Pass `choices` for a menu, `ge` and `le` for a range. `names` gives
    display names in both languages to choices and to numbers with a special meaning; `usual` is the number to suggest
    instead of such a default; `first` shows the option without unfolding. See `core.options.Option`.
    """
    extra: Any = {
        "zh": {"title": zh[0], "help": zh[1]},
        "choices": list(choices),
        "unit": unit,
        "ge": ge,
        "le": le,
        "names": [[value, {"en": en, "zh": chinese}] for value, (en, chinese) in names.items()],
        "usual": usual,
        "first": first,
    }
    return Field(default=default, title=title, description=help, json_schema_extra=extra, ge=ge, le=le)


@dataclass(frozen=True)
class Saved:
    """The result of writing a file: `touched` of `total` layers whose weights it holds in another form (None: as in
    torch), further `files`, the size of an additional bit-packed file, and `notes` for the person."""

    touched: int | None = None
    total: int | None = None
    files: tuple[Path, ...] = ()
    packed_bytes: int | None = None
    notes: tuple[str, ...] = ()


class Method(BaseModel, ABC):
    """A method of a stage. Immutable: its fields are exactly the options a recipe may set; bounds and choices are
    always enforced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    title: ClassVar[Words]
    summary: ClassVar[Words]
    source: ClassVar[str] = ""  # the paper or page the method comes from
    needs_target: ClassVar[bool] = False  # True: it adapts to the recipe's `target`, which is then required
    target_choices: ClassVar[Mapping[str, tuple[Value, ...]]] = {}  # option values with which it adapts too
    needs_maps: ClassVar[bool] = False  # True: it compares feature maps, so both networks need some
    needs_norms: ClassVar[bool] = False  # True: it reads or sets the scales of batch normalisation
    needs_linear_head: ClassVar[bool] = False  # True: it learns a linear layer on the network's embedding
    needs_package: ClassVar[str] = ""  # an optional package of Python, which is also the name of its extra
    excluded_options: ClassVar[tuple[str, ...]] = ()  # options of its stage that have no effect here and cannot be set
    makes_point: ClassVar[bool] = True  # False: it adds files and leaves the model unchanged
    writes_float: ClassVar[bool] = True  # False: its file is quantized and compared with the float file before it
    takes_quantized: ClassVar[bool] = True  # False: it needs the network in torch, so it cannot follow a quantize step

    @field_validator("*")
    @classmethod
    def _within_choices(cls, value: Value, info: ValidationInfo) -> Value:
        extra = cls.model_fields[str(info.field_name)].json_schema_extra
        choices = extra.get("choices") if isinstance(extra, dict) else None
        if isinstance(choices, list) and choices and value not in choices:
            raise ValueError(f"got {value!r}; allowed: one of {', '.join(map(str, choices))}")
        return value

    def check_machine(self) -> None:
        """Raises UserError if this machine lacks what the method needs; called before any work."""
        if self.needs_package and lacks(self.needs_package):
            raise missing_package("method", type(self).__module__.rpartition("engine.")[2], self.needs_package)

    def check_data(self, data: Dataset) -> None:
        """Raises UserError for the option that does not fit the dataset; called before any work."""

    def reported_classes(self) -> tuple[str, ...]:
        """Names of classes whose recall the receipt reports; by default none."""
        return ()

    def apply(self, model: Model, context: Context) -> Model:
        """The model after this step, in torch; by default the incoming one."""
        return model

    @abstractmethod
    def save(self, model: Model, path: Path, context: Context) -> Saved:
        """Writes the file to deploy; raises UserError if the network cannot be written in this format."""

    def controls(self, model: Model, context: Context) -> dict[str, Callable[[], Model]]:
        """Functions that make the controls of this step from the same incoming `model`, by their codes
        (`core.controls`); by default none."""
        return {}

    def controls_at_once(self, context: Context) -> bool:
        """Whether its controls may be made while `apply` goes on: they need none of its results or decisions, and a
        core of `context.threads` is left for them; by default not."""
        return False

    # forecasts; a new method gets these defaults and may override them

    def needs(self) -> tuple[str, ...]:
        """Backbones, besides the recipe's own, whose pretrained weights it loads."""
        return ()

    def forecast(self, before: Forecast, context: Context) -> Forecast:
        """The network after this step, without training; `context` has the counts of the data, not its pixels."""
        return before

    def quick_forecast(self, before: Forecast, context: Context) -> Forecast | None:
        """As `forecast`, but called before a run does any work, so it must be fast: None if the network after this step
        takes long to find or is only approximate. Raises UserError if an option asks for the impossible."""
        return self.forecast(before, context)

    def workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The work of `apply` and `save`; by default training for `epochs` in batches of `batch`, if there are such
        options."""
        schedule = Schedule(getattr(self, "epochs", 0), getattr(self, "batch", 64), 0.0)
        images, validation = len(context.labelled), len(context.data.validation)
        return training(after, schedule, images, validation) if schedule.epochs else ()

    def control_workload(self, before: Model, after: Model, context: Context) -> tuple[Workload, ...]:
        """The work of making all controls; by default the step's own work once per control."""
        again = tuple(work for work in self.workload(before, after, context) if work.control)
        return again * len(self.controls(before, context))

    def file_size(self) -> FileSize:
        """The rule for the size of its file."""
        return FileSize()

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """The options in the order of declaration, the stage's shared ones first; `own` are those the class itself
        adds."""
        shared = {name for base in cls.__mro__[1:] if issubclass(base, Method) for name in base.model_fields}
        found = [_option(name, field) for name, field in cls.model_fields.items() if name not in cls.excluded_options]
        return tuple(replace(option, own=option.name not in shared) for option in found)


def _option(name: str, field: FieldInfo) -> Option:
    extra = field.json_schema_extra
    assert isinstance(extra, dict), f"{name}: declare options with knob(...)"
    assert field.annotation is not None, f"{name}: annotate its type"
    assert field.default is not PydanticUndefined, f"{name}: give it a default"
    zh: Any = extra["zh"]
    data: dict[str, Any] = {
        "name": name,
        "type": field.annotation.__name__,
        "default": field.default,
        "minimum": extra["ge"],
        "maximum": extra["le"],
        "choices": extra["choices"],
        "unit": extra["unit"],
        "names": extra["names"],
        "usual": extra["usual"],
        "first": extra["first"],
        "title": {"en": field.title, "zh": zh["title"]},
        "help": {"en": field.description, "zh": zh["help"]},
    }
    return Option.from_json(data)


@cache
def methods(stage: str) -> dict[str, type[Method]]:
    """The methods of a stage by menu name: each file of its folder that defines exactly one subclass of its base.

    The base is the class of the stage's `__init__.py` that carries the stage's name (`Distill` in `distill`).
    """
    return members(f"core.engine.{stage}", base_of(stage))


def base_of(stage: str) -> type[Method]:
    """The base class of a stage's methods; raises AttributeError where its `__init__.py` has none."""
    found: type[Method] = getattr(importlib.import_module(f"core.engine.{stage}"), stage.capitalize())
    return found


def check_steps(chain: Sequence[Method], data: Dataset) -> None:
    """Raises UserError, with its place in the recipe, for a step that does not fit the dataset."""
    for number, method in enumerate(chain):
        try:
            method.check_data(data)
        except UserError as error:
            raise UserError(
                error.code, f"steps.{number}.{error.field}", error.given, error.allowed, error.fix
            ) from error


def build(stage: str, method: str, **options: Value) -> Method:
    """The method object for `stage` and `method`; raises UserError on an unknown name or a bad option."""
    if stage not in STAGES:
        raise UserError("unknown_stage", "stage", stage, f"one of {', '.join(STAGES)}", nearest(stage, STAGES))
    menu = methods(stage)
    if method not in menu:
        raise UserError("unknown_method", "method", method, f"one of {', '.join(menu)}", nearest(method, menu))
    known = {option.name: option for option in menu[method].options()}
    for name in options:
        if name not in known:
            raise UserError("unknown_field", name, options[name], f"options of {stage}.{method}", nearest(name, known))
    return menu[method](**{name: known[name].check(value) for name, value in options.items()})
