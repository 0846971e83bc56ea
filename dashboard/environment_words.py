"""What a run was computed on, in the person's language: what is stored has short English names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dashboard.i18n import known

VALUES = {  # told by a phrase of their own
    "asleep": "value_asleep",
    "spinning": "value_spinning",
    "as the libraries do": "value_libraries",
    "onnxruntime's own threads, which spin where there are several": "value_own_threads",
    "none": "value_none",
}


def rows(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and value of each, not escaped; a package's name stays."""
    yield from ((name_of(name), value_of(value)) for name, value in environment.items())


def name_of(name: str) -> str:
    """What it is called."""
    return known(f"environment.{name}", name)


def value_of(value: str) -> str:
    """A value that is a word in words, any other as it is."""
    return known(f"environment.{VALUES[value]}", value) if value in VALUES else value
