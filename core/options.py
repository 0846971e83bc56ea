"""An option of a method or recipe as data: its name, type, default, bounds, and its texts in both languages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from core.errors import UserError, nearest, shorten

Value = bool | int | float | str
Kind = Literal["bool", "int", "float", "str"]
PYTHON_TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Words:
    """A phrase in English and Simplified Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Option:
    """One option of a method, a stage or the recipe itself; every value goes through `check`. `own`: the method itself
    declares it; otherwise its stage does. `first`: it is one of the few most important ones.

    `names` are display names of single values: of `choices`, and of numbers with a special meaning (0: all,
    automatic). If the default is such a number, `usual` is the number to suggest instead.
    """

    name: str
    type: Kind
    default: Value | None
    title: Words
    help: Words
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()
    unit: str = ""
    own: bool = False
    names: tuple[tuple[Value, Words], ...] = ()
    usual: int | float | None = None
    first: bool = False

    def name_of(self, value: object) -> Words | None:
        """The display name of a value; None if it has none."""
        if isinstance(value, bool):
            return None
        return next((words for named, words in self.names if named == value), None)

    def check(self, value: object, field: str | None = None) -> Value:
        """`value` converted to this option's type; raises UserError naming `field`, the value and what is allowed."""
        field = field or self.name
        typed = self._typed(value, field)
        if self.choices and typed not in self.choices:
            fix = (
                nearest(typed, [str(c) for c in self.choices])
                if isinstance(typed, str)
                else f"Set {field} to one of them."
            )
            raise UserError("unknown_choice", field, value, self.allowed(), fix)
        if isinstance(typed, int | float) and not isinstance(typed, bool):
            self._bounded(typed, field)
        return typed

    def allowed(self) -> str:
        """The allowed values in words: `a number from 1 to 50`."""
        if self.choices:
            return "one of " + ", ".join(str(c) for c in self.choices)
        noun = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}[self.type]
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:.10g} to {self.maximum:.10g}"
        if self.minimum is not None:
            return f"{noun} of at least {self.minimum:.10g}"
        return noun if self.maximum is None else f"{noun} of at most {self.maximum:.10g}"

    def _typed(self, value: object, field: str) -> Value:
        if self.type == "float" and isinstance(value, int) and not isinstance(value, bool):
            if abs(value) > 1e15:
                raise UserError("out_of_range", field, value, self.allowed(), f"Set {field} within the bounds.")
            value = float(value)
        if type(value) is not PYTHON_TYPES[self.type]:
            given = f"{shorten(value)} ({type(value).__name__})"
            raise UserError("wrong_type", field, given, self.allowed(), f"Write {field} as {self.allowed()}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError("not_finite", field, value, self.allowed(), f"Set {field} to a finite number.")
        assert isinstance(value, bool | int | float | str)
        return value

    def _bounded(self, value: float, field: str) -> None:
        low = self.minimum is not None and value < self.minimum
        high = self.maximum is not None and value > self.maximum
        if low or high:
            bound = self.minimum if low else self.maximum
            raise UserError("out_of_range", field, value, self.allowed(), f"The nearest allowed value is {bound:.10g}.")

    def to_json(self) -> dict[str, Any]:
        """The option as in catalog.json; see `from_json`."""
        return {
            "name": self.name,
            "type": self.type,
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "choices": list(self.choices),
            "unit": self.unit,
            **({"own": True} if self.own else {}),
            **({"names": [[value, vars(words)] for value, words in self.names]} if self.names else {}),
            **({} if self.usual is None else {"usual": self.usual}),
            **({"first": True} if self.first else {}),
            "title": vars(self.title),
            "help": vars(self.help),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Option:
        """The option that `to_json` wrote."""
        assert data["type"] in get_args(Kind), data["type"]
        words = {key: Words(**data[key]) for key in ("title", "help")}
        names = tuple((value, Words(**called)) for value, called in data.get("names", ()))
        return cls(**{**data, **words, "choices": tuple(data["choices"]), "names": names})


def named(names: Mapping[Value, tuple[str, str]]) -> tuple[tuple[Value, Words], ...]:
    """Display names by value, from (English, Chinese)."""
    return tuple((value, Words(*words)) for value, words in names.items())
