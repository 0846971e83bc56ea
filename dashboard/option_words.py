"""What an option is called, what it does and what its values mean, in a person's language."""

from __future__ import annotations

from dataclasses import replace

from core.options import Option, Value
from core.text.escaping import UserText
from dashboard import terms
from dashboard.i18n import known, language, say, spoken

ENDLESS = 1e12  # a bound from here on is there for computers alone


def has_words(option: Option) -> bool:
    """Whether some of its numbers are no amounts but mean a word: all, its own, automatic, off."""
    return option.type in ("int", "float") and bool(option.names) and not option.choices


def amounts(option: Option) -> Option:
    """The option without the bounds that mean a word, which a slider has no stops for."""
    low, high = option.minimum, option.maximum
    if low is not None and option.name_of(low):
        low += grid(option)
    if high is not None and option.name_of(high):
        high -= grid(option)
    return replace(option, minimum=low, maximum=high)


def grid(option: Option) -> float:
    """The distance of a slider's stops."""
    return 1.0 if option.type == "int" else 0.01


def label(option: Option, value: Value | None, *, plain: bool = False) -> str:
    """Title and unit, and the default where the value is another."""
    words = spoken(option.title)
    told_unit = unit(option.unit)
    if told_unit and told_unit.lower() not in words.lower():
        words = say("forms.with_unit", title=words, unit=told_unit)
    if plain or value == option.default or option.default is None or has_words(option):
        return words
    return say("forms.changed", title=words, default=told_of(option, option.default))


def unit(name: str) -> str:
    """A unit in the person's language; one that the catalog of words does not have, as it is."""
    return known(f"forms.unit_{name}", name) if name else ""


def help_of(option: Option, place: str = "") -> str:
    """What the option does, what it may be, its default, its name and the names of its values in a recipe, and links to
    the terms that explain the knob at that `place`, see `terms.of_option`."""
    parts = [spoken(option.help), _range(option)]
    if option.default is not None and (option.type != "str" or option.choices):
        parts.append(say("forms.default", default=told_of(option, option.default)))
    values = [(written_as(value), spoken(words)) for value, words in option.names]
    names = [say("forms.value", value=value, words=words) for value, words in values if value != words]
    written = say("forms.name", name=option.name)
    between = "" if language() == "zh" else " "
    explained = terms.of_option(place) if place else ""
    return "\n\n".join(filter(None, (between.join(filter(None, parts)), "".join((written, *names)), explained)))


def written_as(value: Value) -> str:
    """A value as a recipe writes it, for a code span."""
    return f"{value:g}" if isinstance(value, int | float) else value or '""'


def told_of(option: Option, value: Value | None) -> str:
    """What a value of that option is called, else the value itself; for Markdown."""
    words = option.name_of(value)
    return told(value) if words is None else spoken(words)


def told(value: Value | None) -> str:
    """A value as a recipe writes it, without quotes; for Markdown, which the words of every field are."""
    if isinstance(value, bool):
        return say("forms.on") if value else say("forms.off")
    return f"{value:,.10g}" if isinstance(value, int | float) else UserText(value).md()


def _range(option: Option) -> str:
    if option.choices or option.type in ("bool", "str"):
        return ""
    low, high = option.minimum, option.maximum
    if low is None:
        return ""
    whole = option.type == "int"
    if whole:  # the bounds of the amounts: those that mean a word are said by it
        low, high = amounts(option).minimum or 0, amounts(option).maximum
    if high is None or high >= ENDLESS:
        return say("forms.above" if option.name_of(low) else "forms.at_least", low=told(low))
    between = not whole and (option.name_of(low) or option.name_of(high))
    return say("forms.between" if between else "forms.range", low=told(low), high=told(high))
